//! The filters of the still models. The state per axis is position and correlated noise; the position drifts
//! slowly. There is no smoother, because the length of standing still is 0.
//!
//! While the path moves, these models lag far, and their likelihoods become too small to recover in a stop. So a
//! likelihood has a floor below that of the best moving model, and a model at the floor starts again at each fix that
//! surprises it.

use super::elementary::ln;
use super::models::{
    FIRST_CORRELATION, STILL as MODELS, STILL_DEFICIT_MAX, STILL_LANES as LANES, STILL_RESTART,
    STILL_SURPRISE_MAX,
};
use super::moving::rotate;

pub(super) type Lanes = [f64; LANES];
const ZERO: Lanes = [0.0; LANES];

/// The number of columns of a state.
pub(super) const COLUMNS: usize = 8;

/// The state of the filters after a fix.
#[derive(Clone, Copy)]
pub(super) struct Still {
    position: [Lanes; 2],
    noise: [Lanes; 2],
    /// The covariances of position (p) and noise (n).
    pp: Lanes,
    pn: Lanes,
    nn: Lanes,
    /// The logarithm of the likelihood, which forgets.
    pub(super) evidence: Lanes,
}

impl Still {
    /// Returns the state after the first fix, which is the origin of the plane.
    pub(super) fn first() -> Self {
        let mut state = Self {
            position: [ZERO; 2],
            noise: [ZERO; 2],
            pp: ZERO,
            pn: ZERO,
            nn: MODELS.correlated,
            evidence: ZERO,
        };
        for k in 0..LANES {
            state.pp[k] = MODELS.white[k] + MODELS.correlated[k];
            state.pn[k] = FIRST_CORRELATION * MODELS.correlated[k];
        }
        state
    }

    /// Returns all columns. The covariances are columns 4 to 6, and the likelihoods are the last one.
    pub(super) fn columns(&self) -> [&Lanes; COLUMNS] {
        let Self { position: [x, y], noise: [nx, ny], pp, pn, nn, evidence } = self;
        [x, y, nx, ny, pp, pn, nn, evidence]
    }

    pub(super) fn columns_mut(&mut self) -> [&mut Lanes; COLUMNS] {
        let Self { position: [x, y], noise: [nx, ny], pp, pn, nn, evidence } = self;
        [x, y, nx, ny, pp, pn, nn, evidence]
    }

    /// Moves the origin of the plane to `origin` and rotates the axes.
    pub(super) fn move_origin(&mut self, origin: [f64; 2], rotation: [[f64; 2]; 2]) {
        for k in 0..LANES {
            self.position[0][k] -= origin[0];
            self.position[1][k] -= origin[1];
        }
        rotate(&mut self.position, rotation);
        rotate(&mut self.noise, rotation);
    }

    /// Adds a fix after a time in seconds to the filters. The likelihoods so far are multiplied by `memory`. The
    /// logarithm of the weight of the best moving model is `best`.
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        at: [f64; 2],
        seconds: f64,
        decay: &Lanes,
        memory: f64,
        best: f64,
    ) {
        for k in 0..LANES {
            let (phi, white) = (decay[k], MODELS.white[k]);
            let pp = self.pp[k] + MODELS.motion[k] * seconds;
            let pn = phi * self.pn[k];
            let nn = phi * phi * self.nn[k] + MODELS.correlated[k] * (1.0 - phi * phi);
            let (noise_x, noise_y) = (phi * self.noise[0][k], phi * self.noise[1][k]);
            let (h0, h1) = (pp + pn, pn + nn);
            let variance = h0 + h1 + white;
            // Rounding and damaged states must not make the variance negative.
            let variance = if variance > white { variance } else { white };
            let inverse = 1.0 / variance;
            let dx = at[0] - (self.position[0][k] + noise_x);
            let dy = at[1] - (self.position[1][k] + noise_y);
            let surprise = (dx * dx + dy * dy) * inverse;
            let capped = if surprise > STILL_SURPRISE_MAX { STILL_SURPRISE_MAX } else { surprise };
            let evidence = memory * self.evidence[k] - ln(variance) - 0.5 * capped;
            let floor = best - STILL_DEFICIT_MAX - MODELS.prior[k];
            let is_moving = evidence < floor;
            self.evidence[k] = if is_moving { floor } else { evidence };
            let restarts = is_moving && surprise > STILL_RESTART;
            let (gain_0, gain_1) = (h0 * inverse, h1 * inverse);
            let (x, y) = (self.position[0][k], self.position[1][k]);
            let pn_first = FIRST_CORRELATION * MODELS.correlated[k];
            self.position[0][k] = if restarts { at[0] } else { x + gain_0 * dx };
            self.position[1][k] = if restarts { at[1] } else { y + gain_0 * dy };
            self.noise[0][k] = if restarts { 0.0 } else { noise_x + gain_1 * dx };
            self.noise[1][k] = if restarts { 0.0 } else { noise_y + gain_1 * dy };
            self.pp[k] = if restarts { white + MODELS.correlated[k] } else { pp - gain_0 * h0 };
            self.pn[k] = if restarts { pn_first } else { pn - gain_0 * h1 };
            self.nn[k] = if restarts { MODELS.correlated[k] } else { nn - gain_1 * h1 };
        }
    }
}
