//! A plain implementation of the filters: matrices, the smoother of Rauch, Tung and Striebel over the whole track,
//! and the functions of the platform. The estimator measures blocks, without inverse matrices.

use super::super::models::{
    FIRST_CORRELATION, FIRST_VELOCITY_VARIANCE, LAG_FIXES, LAG_S, MEMORY_S, MOVING, MOVING_COUNT,
    MOVING_SURPRISE_MAX, OUTLIER,
};
use super::simulation::{Noise, START, TestFix, estimator, track};
use super::*;

type Matrix = [[f64; 3]; 3];
/// The state: position, velocity and noise, for both axes.
type State = [[f64; 2]; 3];

const ZERO: Matrix = [[0.0; 3]; 3];

fn map(entry: impl Fn(usize, usize) -> f64) -> Matrix {
    let mut result = ZERO;
    for (i, row) in result.iter_mut().enumerate() {
        for (j, value) in row.iter_mut().enumerate() {
            *value = entry(i, j);
        }
    }
    result
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    map(|i, j| (0..3).map(|k| a[i][k] * b[k][j]).sum())
}

fn transposed(a: &Matrix) -> Matrix {
    map(|i, j| a[j][i])
}

fn inverse(a: &Matrix) -> Matrix {
    let minor = |i: usize, j: usize| {
        let (r, s, c, d) = ((i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3);
        a[r][c] * a[s][d] - a[r][d] * a[s][c]
    };
    let determinant: f64 = (0..3).map(|j| a[0][j] * minor(0, j)).sum();
    map(|i, j| minor(j, i) / determinant)
}

/// A model without correlated noise has no variance of it, so its covariance has no inverse.
fn regular(a: &Matrix) -> Matrix {
    map(|i, j| a[i][j] + if i == j { 1e-9 } else { 0.0 })
}

fn times(a: &Matrix, state: &State) -> State {
    let mut result = [[0.0; 2]; 3];
    for (i, row) in result.iter_mut().enumerate() {
        for (axis, value) in row.iter_mut().enumerate() {
            *value = (0..3).map(|k| a[i][k] * state[k][axis]).sum();
        }
    }
    result
}

/// One fix of one model.
struct Filtered {
    state: State,
    covariance: Matrix,
    predicted: State,
    predicted_covariance: Matrix,
    transition: Matrix,
    evidence: f64,
}

/// Filters a track with one model.
fn filter(model: usize, places: &[[f64; 2]], dt: f64) -> Vec<Filtered> {
    let (q, tau) = (MOVING.motion[model], MOVING.persistence[model]);
    let (white, correlated) = (MOVING.white[model], MOVING.correlated[model]);
    let decay = (dt * MOVING.decay[model]).exp();
    let mut covariance = ZERO;
    covariance[0][0] = white + correlated;
    covariance[1][1] = FIRST_VELOCITY_VARIANCE;
    covariance[2][2] = correlated;
    covariance[0][2] = FIRST_CORRELATION * correlated;
    covariance[2][0] = covariance[0][2];
    let (mut transition, mut growth) = (ZERO, ZERO);
    (transition[0][0], transition[2][2]) = (1.0, decay);
    if tau.is_infinite() {
        (transition[0][1], transition[1][1]) = (dt, 1.0);
        growth[0][0] = q * dt.powi(3) / 3.0;
        growth[0][1] = q * dt * dt / 2.0;
        growth[1][1] = q * dt;
    } else {
        let keep = (-dt / tau).exp();
        let (once, twice) = (1.0 - keep, 1.0 - keep * keep);
        (transition[0][1], transition[1][1]) = (tau * once, keep);
        growth[0][0] = q * tau * tau * (dt - 2.0 * tau * once + tau / 2.0 * twice);
        growth[0][1] = q * tau * tau * (once - twice / 2.0);
        growth[1][1] = q * tau / 2.0 * twice;
    }
    growth[1][0] = growth[0][1];
    growth[2][2] = correlated * (1.0 - decay * decay);
    let mut state = [places[0], [0.0; 2], [0.0; 2]];
    let mut evidence = 0.0;
    let mut steps = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let (mut predicted, mut predicted_covariance) = (state, covariance);
        if index > 0 {
            predicted = times(&transition, &state);
            let moved = product(&product(&transition, &covariance), &transposed(&transition));
            predicted_covariance = map(|i, j| moved[i][j] + growth[i][j]);
            let h = [0, 1, 2].map(|i| predicted_covariance[i][0] + predicted_covariance[i][2]);
            let variance = h[0] + h[2] + white;
            let error = [0, 1].map(|axis| place[axis] - predicted[0][axis] - predicted[2][axis]);
            let surprise = (error[0] * error[0] + error[1] * error[1]) / variance;
            let weight = if surprise > OUTLIER { OUTLIER / surprise } else { 1.0 };
            evidence = (-(dt / MEMORY_S).min(0.2)).exp() * evidence
                - variance.ln()
                - 0.5 * surprise.min(MOVING_SURPRISE_MAX);
            let gain = h.map(|h| weight * h / variance);
            for i in 0..3 {
                for axis in 0..2 {
                    state[i][axis] = predicted[i][axis] + gain[i] * error[axis];
                }
            }
            // The form of Joseph, which holds for every gain.
            let keeps =
                map(|i, j| f64::from(u8::from(i == j)) - gain[i] * if j == 1 { 0.0 } else { 1.0 });
            let kept = product(&product(&keeps, &predicted_covariance), &transposed(&keeps));
            covariance = map(|i, j| kept[i][j] + white * gain[i] * gain[j]);
        }
        steps.push(Filtered {
            state,
            covariance,
            predicted,
            predicted_covariance,
            transition,
            evidence,
        });
    }
    steps
}

/// Returns the smoothed positions and expected speeds.
fn smooth(steps: &[Filtered]) -> Vec<([f64; 2], f64)> {
    let mut result = Vec::new();
    let mut next: Option<(State, Matrix)> = None;
    for (index, step) in steps.iter().enumerate().rev() {
        let (mut state, mut covariance) = (step.state, step.covariance);
        if let Some((later, later_covariance)) = next {
            let Filtered { predicted, predicted_covariance, transition, .. } = &steps[index + 1];
            let gain = product(
                &product(&step.covariance, &transposed(transition)),
                &inverse(&regular(predicted_covariance)),
            );
            let mut difference = [[0.0; 2]; 3];
            for i in 0..3 {
                difference[i] = [0, 1].map(|axis| later[i][axis] - predicted[i][axis]);
            }
            let moved = times(&gain, &difference);
            for i in 0..3 {
                state[i] = [0, 1].map(|axis| step.state[i][axis] + moved[i][axis]);
            }
            let change = map(|i, j| later_covariance[i][j] - predicted_covariance[i][j]);
            let change = product(&product(&gain, &change), &transposed(&gain));
            covariance = map(|i, j| step.covariance[i][j] + change[i][j]);
        }
        let [vx, vy] = state[1];
        result.push((state[0], (vx * vx + vy * vy + covariance[1][1]).sqrt()));
        next = Some((state, covariance));
    }
    result.reverse();
    result
}

/// Returns the two lengths of a track: that of the smoothed path, and the integral of the expected speed.
fn lengths(places: &[[f64; 2]], dt: f64) -> [f64; 2] {
    let filtered: Vec<_> = (0..MOVING_COUNT).map(|model| filter(model, places, dt)).collect();
    let smoothed: Vec<_> = filtered.iter().map(|steps| smooth(steps)).collect();
    let lag = LAG_FIXES.max((LAG_S / dt).ceil() as usize);
    let [mut chord, mut travel] = [0.0; 2];
    for index in 1..places.len() {
        let later = (index + lag).min(places.len() - 1);
        let evidence = |model: usize| filtered[model][later].evidence + MOVING.prior[model];
        let best = (0..MOVING_COUNT).map(evidence).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = (0..MOVING_COUNT).map(|model| (evidence(model) - best).exp()).sum();
        for (model, steps) in smoothed.iter().enumerate() {
            let weight = (evidence(model) - best).exp() / total;
            let ((from, before), (to, after)) = (steps[index - 1], steps[index]);
            chord += weight * ((to[0] - from[0]).powi(2) + (to[1] - from[1]).powi(2)).sqrt();
            travel += weight * dt * 0.5 * (before + after);
        }
    }
    [chord, travel]
}

#[test]
fn blocks_give_the_lengths_of_the_whole_track() {
    let noise = [
        Noise { correlated_m: 3.0, correlation_s: 40.0, white_m: 0.3 },
        Noise { correlated_m: 0.5, correlation_s: 30.0, white_m: 3.0 },
    ];
    for (interval_s, speed, noise) in [(1, 1.4, noise[0]), (1, 6.0, noise[1]), (5, 3.0, noise[1])] {
        let fixes = track(&[(1500, speed)], interval_s, noise, 6).fixes;
        // The plane of the simulator.
        let metres = |([longitude, latitude], _): &TestFix| {
            [(longitude - START[0]) * 77_033.0, (latitude - START[1]) * 111_157.0]
        };
        let places: Vec<_> = fixes.iter().map(metres).collect();
        let [chord, travel] = lengths(&places, f64::from(interval_s));
        let mut path = estimator(&fixes);
        path.end_piece();
        path.tracker.finish(&path.settings);
        let Sums { excess_m, estimate_m, .. } = path.tracker.sums;
        let share = if interval_s == 1 { 0.5 } else { 0.55 };
        let chord_of_blocks = estimate_m - share * excess_m;
        for (value, expected) in [(chord_of_blocks, chord), (chord_of_blocks + excess_m, travel)] {
            let difference = value / expected - 1.0;
            assert!(difference.abs() < 0.005, "every {interval_s} s: {value}, {expected}");
        }
    }
}
