//! The filters of the moving models: a Kalman filter forward, and its smoother backward.
//!
//! The state per axis is position, velocity and correlated noise; a fix is position plus noise. Both axes
//! share one covariance. The models are lanes of columns, so that the compiler vectorises the loops over
//! them.
//!
//! The smoother is that of Bryson and Frazier: it needs no inverse matrix. With the adjoint λ and its
//! covariance Λ, which sum up the later fixes, the smoothed state is m - P u and its covariance P - P N P,
//! where m and P are those of the filter, u = Fᵀλ and N = FᵀΛF. It equals the smoother of Rauch, Tung and
//! Striebel for every gain, also for the reduced gain of an outlier.

use super::elementary::{exp, ln, sum_of_lanes};
use super::models::{
    FIRST_CORRELATION, MOVING, MOVING_LANES as LANES, MOVING_SURPRISE_MAX, OUTLIER,
    SIGNIFICANT_SPEED,
};

pub(super) type Lanes = [f64; LANES];
const ZERO: Lanes = [0.0; LANES];

/// The number of columns of a state.
pub(super) const COLUMNS: usize = 13;

/// The state of the filters after a fix.
#[derive(Clone, Copy)]
pub(super) struct Moving {
    position: [Lanes; 2],
    velocity: [Lanes; 2],
    noise: [Lanes; 2],
    /// The covariances of position (p), velocity (v) and noise (n).
    pp: Lanes,
    pv: Lanes,
    pn: Lanes,
    vv: Lanes,
    vn: Lanes,
    nn: Lanes,
    /// The logarithm of the likelihood, which forgets.
    pub(super) evidence: Lanes,
}

/// One step of the filters.
#[derive(Clone, Copy, Default)]
pub(super) struct Step {
    /// The time since the fix before in seconds.
    pub(super) seconds: f64,
    /// The fix in the plane in metres.
    pub(super) at: [f64; 2],
    /// The index of the transition over this time.
    pub(super) transition: usize,
}

/// The transition of the models over a time: x' = x + shift v, v' = keep v, n' = decay n.
#[derive(Clone, Copy)]
pub(super) struct Transition {
    shift: Lanes,
    keep: Lanes,
    decay: Lanes,
    /// The variances that are added.
    pp: Lanes,
    pv: Lanes,
    vv: Lanes,
    nn: Lanes,
}

impl Transition {
    pub(super) const EMPTY: Self =
        Self { shift: ZERO, keep: ZERO, decay: ZERO, pp: ZERO, pv: ZERO, vv: ZERO, nn: ZERO };

    /// Computes the transition over a time in seconds.
    #[inline(always)]
    pub(super) fn set(&mut self, dt: f64) {
        for k in 0..LANES {
            let (q, tau) = (MOVING.motion[k], MOVING.persistence[k]);
            let is_constant = tau == f64::INFINITY;
            // Any finite time avoids operations with infinities.
            let tau = if is_constant { 1.0 } else { tau };
            let keep = exp(-dt / tau);
            let (once, twice) = (1.0 - keep, 1.0 - keep * keep);
            let pp = q * tau * tau * (dt - 2.0 * tau * once + 0.5 * tau * twice);
            let pv = q * tau * tau * (once - 0.5 * twice);
            let vv = 0.5 * q * tau * twice;
            self.shift[k] = if is_constant { dt } else { tau * once };
            self.keep[k] = if is_constant { 1.0 } else { keep };
            self.pp[k] = if is_constant { q * dt * dt * dt / 3.0 } else { pp };
            self.pv[k] = if is_constant { 0.5 * q * dt * dt } else { pv };
            self.vv[k] = if is_constant { q * dt } else { vv };
            let decay = exp(dt * MOVING.decay[k]);
            self.decay[k] = decay;
            self.nn[k] = MOVING.correlated[k] * (1.0 - decay * decay);
        }
    }
}

/// The values of a step that the smoother and the mixture use.
#[derive(Clone, Copy)]
pub(super) struct Trace {
    position: [Lanes; 2],
    velocity: [Lanes; 2],
    pp: Lanes,
    pv: Lanes,
    pn: Lanes,
    vv: Lanes,
    vn: Lanes,
    /// The covariance of the prediction and the fix.
    h: [Lanes; 3],
    /// The factor by which the fix reduces the covariance: P = P' - factor h hᵀ.
    reduction: Lanes,
    /// The innovation, divided by its variance and weighted.
    pull: [Lanes; 2],
    /// The probabilities of the moving models.
    pub(super) weights: Lanes,
    /// 1 if the fix is an outlier, else 0.
    pub(super) is_outlier: Lanes,
}

impl Trace {
    pub(super) const EMPTY: Self = Self {
        position: [ZERO; 2],
        velocity: [ZERO; 2],
        pp: ZERO,
        pv: ZERO,
        pn: ZERO,
        vv: ZERO,
        vn: ZERO,
        h: [ZERO; 3],
        reduction: ZERO,
        pull: [ZERO; 2],
        weights: ZERO,
        is_outlier: ZERO,
    };
}

impl Trace {
    /// Returns whether the fix is an outlier for most models.
    #[inline(always)]
    pub(super) fn is_outlier(&self) -> bool {
        let mut weights = ZERO;
        for k in 0..LANES {
            weights[k] = self.weights[k] * self.is_outlier[k];
        }
        sum_of_lanes(weights) > 0.5
    }
}

impl Moving {
    /// Returns the state after the first fix, which is the origin of the plane. The velocity has this variance.
    pub(super) fn first(velocity_variance: f64) -> Self {
        let mut state = Self {
            position: [ZERO; 2],
            velocity: [ZERO; 2],
            noise: [ZERO; 2],
            pp: ZERO,
            pv: ZERO,
            pn: ZERO,
            vv: [velocity_variance; LANES],
            vn: ZERO,
            nn: MOVING.correlated,
            evidence: ZERO,
        };
        for k in 0..LANES {
            state.pp[k] = MOVING.white[k] + MOVING.correlated[k];
            state.pn[k] = FIRST_CORRELATION * MOVING.correlated[k];
        }
        state
    }

    /// Returns all columns. The covariances are columns 6 to 11, and the likelihoods are the last one.
    pub(super) fn columns(&self) -> [&Lanes; COLUMNS] {
        let Self { position: [x, y], velocity: [vx, vy], noise: [nx, ny], .. } = self;
        let Self { pp, pv, pn, vv, vn, nn, evidence, .. } = self;
        [x, y, vx, vy, nx, ny, pp, pv, pn, vv, vn, nn, evidence]
    }

    pub(super) fn columns_mut(&mut self) -> [&mut Lanes; COLUMNS] {
        let Self { position, velocity, noise, pp, pv, pn, vv, vn, nn, evidence } = self;
        let ([x, y], [vx, vy], [nx, ny]) = (position, velocity, noise);
        [x, y, vx, vy, nx, ny, pp, pv, pn, vv, vn, nn, evidence]
    }

    /// Moves the origin of the plane to `origin` and rotates the axes.
    pub(super) fn move_origin(&mut self, origin: [f64; 2], rotation: [[f64; 2]; 2]) {
        for k in 0..LANES {
            self.position[0][k] -= origin[0];
            self.position[1][k] -= origin[1];
        }
        for vector in [&mut self.position, &mut self.velocity, &mut self.noise] {
            rotate(vector, rotation);
        }
    }

    /// Adds a fix to the filters. The likelihoods so far are multiplied by `memory`.
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        at: [f64; 2],
        transition: &Transition,
        memory: f64,
        trace: &mut Trace,
    ) {
        for k in 0..LANES {
            // Prediction.
            let (shift, keep) = (transition.shift[k], transition.keep[k]);
            let phi = transition.decay[k];
            let pv_shifted = self.pv[k] + shift * self.vv[k];
            let pp = self.pp[k] + shift * (self.pv[k] + pv_shifted) + transition.pp[k];
            let pv = keep * pv_shifted + transition.pv[k];
            let pn = phi * (self.pn[k] + shift * self.vn[k]);
            let vv = keep * keep * self.vv[k] + transition.vv[k];
            let vn = keep * phi * self.vn[k];
            let nn = phi * phi * self.nn[k] + transition.nn[k];
            let x = self.position[0][k] + shift * self.velocity[0][k];
            let y = self.position[1][k] + shift * self.velocity[1][k];
            let (vx, vy) = (keep * self.velocity[0][k], keep * self.velocity[1][k]);
            let (noise_x, noise_y) = (phi * self.noise[0][k], phi * self.noise[1][k]);
            // Innovation.
            let (h0, h1, h2) = (pp + pn, pv + vn, pn + nn);
            let white = MOVING.white[k];
            let variance = h0 + h2 + white;
            // Rounding and damaged states must not make the variance negative.
            let variance = if variance > white { variance } else { white };
            let inverse = 1.0 / variance;
            let dx = at[0] - (x + noise_x);
            let dy = at[1] - (y + noise_y);
            let surprise = (dx * dx + dy * dy) * inverse;
            let weight = if surprise > OUTLIER { OUTLIER / surprise } else { 1.0 };
            trace.is_outlier[k] = if surprise > OUTLIER { 1.0 } else { 0.0 };
            let capped =
                if surprise > MOVING_SURPRISE_MAX { MOVING_SURPRISE_MAX } else { surprise };
            self.evidence[k] = memory * self.evidence[k] - ln(variance) - 0.5 * capped;
            // Update.
            let reduction = (2.0 * weight - weight * weight) * inverse;
            let (pull_x, pull_y) = (weight * inverse * dx, weight * inverse * dy);
            self.position[0][k] = x + h0 * pull_x;
            self.position[1][k] = y + h0 * pull_y;
            self.velocity[0][k] = vx + h1 * pull_x;
            self.velocity[1][k] = vy + h1 * pull_y;
            self.noise[0][k] = noise_x + h2 * pull_x;
            self.noise[1][k] = noise_y + h2 * pull_y;
            let (r0, r1, r2) = (reduction * h0, reduction * h1, reduction * h2);
            self.pp[k] = pp - r0 * h0;
            self.pv[k] = pv - r0 * h1;
            self.pn[k] = pn - r0 * h2;
            self.vv[k] = vv - r1 * h1;
            self.vn[k] = vn - r1 * h2;
            self.nn[k] = nn - r2 * h2;
            (trace.h[0][k], trace.h[1][k], trace.h[2][k]) = (h0, h1, h2);
            trace.reduction[k] = reduction;
            (trace.pull[0][k], trace.pull[1][k]) = (pull_x, pull_y);
        }
        self.save(trace);
    }

    /// Copies the state to a trace.
    #[inline(always)]
    pub(super) fn save(&self, trace: &mut Trace) {
        (trace.position, trace.velocity) = (self.position, self.velocity);
        (trace.pp, trace.pv, trace.pn) = (self.pp, self.pv, self.pn);
        (trace.vv, trace.vn) = (self.vv, self.vn);
    }
}

/// Rotates the vectors of all lanes.
pub(super) fn rotate<const N: usize>(vector: &mut [[f64; N]; 2], rotation: [[f64; 2]; 2]) {
    for k in 0..N {
        let (x, y) = (vector[0][k], vector[1][k]);
        vector[0][k] = rotation[0][0] * x + rotation[0][1] * y;
        vector[1][k] = rotation[1][0] * x + rotation[1][1] * y;
    }
}

/// The adjoint: the information of the fixes after a time about the state at that time.
#[derive(Clone, Copy)]
pub(super) struct Adjoint {
    /// λ of position, velocity and noise, per axis.
    u: [[Lanes; 3]; 2],
    /// Λ of the pairs of position (p), velocity (v) and noise (n).
    pp: Lanes,
    pv: Lanes,
    pn: Lanes,
    vv: Lanes,
    vn: Lanes,
    nn: Lanes,
}

/// The smoothed motion at a fix.
#[derive(Clone, Copy)]
pub(super) struct Smoothed {
    pub(super) position: [Lanes; 2],
    /// The root of the expected squared speed in m/s. It is close to the expected speed.
    pub(super) speed: Lanes,
    /// 1 if the velocity differs from 0 significantly, else 0.
    pub(super) is_fast: Lanes,
}

impl Smoothed {
    pub(super) const EMPTY: Self = Self { position: [ZERO; 2], speed: ZERO, is_fast: ZERO };
}

impl Adjoint {
    /// There are no later fixes.
    pub(super) const NOTHING: Self =
        Self { u: [[ZERO; 3]; 2], pp: ZERO, pv: ZERO, pn: ZERO, vv: ZERO, vn: ZERO, nn: ZERO };

    /// Returns the smoothed motion after the fix of a trace.
    #[inline(always)]
    pub(super) fn smooth(&self, trace: &Trace, smoothed: &mut Smoothed) {
        for k in 0..LANES {
            let (pp, pv, pn) = (trace.pp[k], trace.pv[k], trace.pn[k]);
            let (vv, vn) = (trace.vv[k], trace.vn[k]);
            let [x, y] = &self.u;
            smoothed.position[0][k] =
                trace.position[0][k] - (pp * x[0][k] + pv * x[1][k] + pn * x[2][k]);
            smoothed.position[1][k] =
                trace.position[1][k] - (pp * y[0][k] + pv * y[1][k] + pn * y[2][k]);
            let vx = trace.velocity[0][k] - (pv * x[0][k] + vv * x[1][k] + vn * x[2][k]);
            let vy = trace.velocity[1][k] - (pv * y[0][k] + vv * y[1][k] + vn * y[2][k]);
            let n0 = self.pp[k] * pv + self.pv[k] * vv + self.pn[k] * vn;
            let n1 = self.pv[k] * pv + self.vv[k] * vv + self.vn[k] * vn;
            let n2 = self.pn[k] * pv + self.vn[k] * vv + self.nn[k] * vn;
            let variance = vv - (pv * n0 + vv * n1 + vn * n2);
            let variance = if variance > 0.0 { variance } else { 0.0 };
            let square = vx * vx + vy * vy;
            smoothed.is_fast[k] = if square > SIGNIFICANT_SPEED * variance { 1.0 } else { 0.0 };
            smoothed.speed[k] = (square + variance).sqrt();
        }
    }

    /// Moves the adjoint from after the fix of a trace to after the fix before it.
    #[inline(always)]
    pub(super) fn step_back(&mut self, trace: &Trace, transition: &Transition) {
        for k in 0..LANES {
            let (h0, h1, h2) = (trace.h[0][k], trace.h[1][k], trace.h[2][k]);
            let reduction = trace.reduction[k];
            let (shift, keep) = (transition.shift[k], transition.keep[k]);
            let phi = transition.decay[k];
            for axis in 0..2 {
                let [u0, u1, u2] = &mut self.u[axis];
                let pull = reduction * (h0 * u0[k] + h1 * u1[k] + h2 * u2[k]) + trace.pull[axis][k];
                let (position, velocity, noise) = (u0[k] - pull, u1[k], u2[k] - pull);
                u0[k] = position;
                u1[k] = shift * position + keep * velocity;
                u2[k] = phi * noise;
            }
            let (pp, pv, pn) = (self.pp[k], self.pv[k], self.pn[k]);
            let (vv, vn, nn) = (self.vv[k], self.vn[k], self.nn[k]);
            let n0 = pp * h0 + pv * h1 + pn * h2;
            let n1 = pv * h0 + vv * h1 + vn * h2;
            let n2 = pn * h0 + vn * h1 + nn * h2;
            let gain = reduction + reduction * reduction * (h0 * n0 + h1 * n1 + h2 * n2);
            let (r0, r1, r2) = (reduction * n0, reduction * n1, reduction * n2);
            let pp = pp - (r0 + r0) + gain;
            let pv = pv - r1;
            let pn = pn - (r0 + r2) + gain;
            let vn = vn - r1;
            let nn = nn - (r2 + r2) + gain;
            let shifted = shift * pp + keep * pv;
            self.pp[k] = pp;
            self.pv[k] = shifted;
            self.pn[k] = phi * pn;
            self.vv[k] = shift * shifted + keep * (shift * pv + keep * vv);
            self.vn[k] = phi * (shift * pn + keep * vn);
            self.nn[k] = phi * phi * nn;
        }
    }
}
