//! One block of fixes: the filters forward, the smoother backward, and the mixture of the models.

use std::cell::RefCell;

use super::bank::Bank;
use super::elementary::{exp, max_of_lanes, sum_of_lanes};
use super::models::{
    CAPACITY, FORGOTTEN_MAX, LAG_FIXES, LAG_S, LOST_AT_END_COUNT, LOST_COUNT, MEMORY_S, MOVING,
    MOVING_LANES, STILL, STILL_LANES,
};
use super::moving::{self, Adjoint, Moving, Smoothed, Step, Trace, Transition};
use super::place::{Place, Plane};
use super::still::{self, Still};
use crate::measure::level::{Level, kernel};

/// The result of a leg.
#[derive(Clone, Copy, Default)]
pub(super) struct Leg {
    /// The length of the smoothed leg in metres, times the probability of motion.
    pub(super) chord_m: f64,
    /// The integral of the expected speed in metres, times the probability of motion.
    pub(super) travel_m: f64,
    /// The probability of standing still, at the leg and some time after it.
    pub(super) still: f64,
    /// The probability that the speed differs from 0 significantly, if the path moves.
    pub(super) fast: f64,
}

/// The intermediate results of a block, one for each thread.
struct Scratch {
    steps: [Step; CAPACITY + 1],
    traces: Vec<Trace>,
    /// The transitions of the different intervals in sequence.
    transitions: Vec<Transition>,
    /// The probabilities of standing still.
    still: [f64; CAPACITY + 1],
    legs: [Leg; CAPACITY],
}

impl Scratch {
    fn new() -> Self {
        Self {
            steps: [Step::default(); CAPACITY + 1],
            traces: vec![Trace::EMPTY; CAPACITY + 1],
            transitions: vec![Transition::EMPTY; CAPACITY + 1],
            still: [0.0; CAPACITY + 1],
            legs: [Leg::default(); CAPACITY],
        }
    }
}

thread_local! {
    /// It is allocated once per thread, because it is larger than the state of many paths.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// The outcome of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The legs were added, and the filters moved on.
    Measured,
    /// The filters lost the path at the fix with this index. Nothing was changed.
    Lost(usize),
    /// The filters overflowed. Nothing was changed.
    Overflow,
}

/// Adds the legs to the first `count` of `fixes`, and makes the state that at the last of these. The later fixes
/// improve the result. `base` is the fix of the state.
///
/// Calls `add` for each leg with its index if the outcome is [`Outcome::Measured`].
pub(super) fn run(
    bank: &mut Bank,
    base: Place,
    fixes: &[Place],
    count: usize,
    mut add: impl FnMut(usize, Leg),
) -> Outcome {
    // The thread may be ending.
    let result = SCRATCH.try_with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => run_with(&mut scratch, bank, base, fixes, count, &mut add),
        Err(_) => run_with(&mut Scratch::new(), bank, base, fixes, count, &mut add),
    });
    result.unwrap_or_else(|_| run_with(&mut Scratch::new(), bank, base, fixes, count, &mut add))
}

fn run_with(
    scratch: &mut Scratch,
    bank: &mut Bank,
    base: Place,
    fixes: &[Place],
    count: usize,
    add: &mut impl FnMut(usize, Leg),
) -> Outcome {
    let n = fixes.len().min(CAPACITY);
    let count = count.min(n);
    let plane = Plane::at(base);
    let mut before = base;
    for (step, &fix) in scratch.steps[1..].iter_mut().zip(fixes) {
        // The difference is below the longest interval of a piece.
        let seconds = fix.unix_ns.saturating_sub(before.unix_ns) as f64 / 1e9;
        step.seconds = seconds;
        step.at = plane.project(fix);
        before = fix;
    }
    let (mut moving, mut still) = bank.load();
    let lost = smooth(Level::best(), scratch, &mut moving, &mut still, n, count);
    if lost > 0 {
        return Outcome::Lost(lost - 1);
    }
    let legs = &scratch.legs[..count];
    let mut next = bank.clone();
    if let Some(&last) = fixes[..count].last() {
        let origin = scratch.steps[count].at;
        let rotation = plane.rotation_to(&Plane::at(last));
        moving.move_origin(origin, rotation);
        still.move_origin(origin, rotation);
        next.store(&moving, &still);
    }
    let is_finite = |leg: &Leg| (leg.chord_m + leg.travel_m + leg.still + leg.fast).is_finite();
    if !next.is_finite() || !legs.iter().all(is_finite) {
        return Outcome::Overflow;
    }
    *bank = next;
    legs.iter().enumerate().for_each(|(index, &leg)| add(index, leg));
    Outcome::Measured
}

kernel! {
    /// Filters and smooths `n` steps, mixes the first `count` legs, and leaves the state after step `count`. If the
    /// filters lose the path at one of these steps, returns the step instead; otherwise 0.
    fn smooth(scratch: &mut Scratch, moving: &mut Moving, still: &mut Still, n: usize, count: usize) -> usize = smooth_body
}

#[inline(always)]
fn smooth_body(
    scratch: &mut Scratch,
    moving: &mut Moving,
    still: &mut Still,
    n: usize,
    count: usize,
) -> usize {
    let Scratch { steps, traces, transitions, still: probabilities, legs } = scratch;
    let (steps, traces) = (&mut steps[..=n], &mut traces[..=n]);
    let probabilities = &mut probabilities[..=n];
    moving.save(&mut traces[0]);
    let (mut kept_moving, mut kept_still) = (*moving, *still);
    let mut still_decay = [1.0; STILL_LANES];
    let (mut seconds, mut memory, mut index) = (0.0, 1.0, 0);
    let mut outliers = 0;
    for i in 1..=n {
        let step = &mut steps[i];
        // The intervals of many receivers are equal.
        if step.seconds != seconds {
            seconds = step.seconds;
            index += 1;
            transitions[index].set(seconds);
            for k in 0..STILL_LANES {
                still_decay[k] = exp(seconds * STILL.decay[k]);
            }
            let forgotten = seconds / MEMORY_S;
            memory = exp(-if forgotten < FORGOTTEN_MAX { forgotten } else { FORGOTTEN_MAX });
        }
        step.transition = index;
        moving.add(step.at, &transitions[index], memory, &mut traces[i]);
        let weights = &mut traces[i].weights;
        for k in 0..MOVING_LANES {
            weights[k] = moving.evidence[k] + MOVING.prior[k];
        }
        let best = max_of_lanes(*weights);
        still.add(step.at, seconds, &still_decay, memory, best);
        probabilities[i] = weigh(weights, &still.evidence, best);
        outliers = if traces[i].is_outlier() { outliers + 1 } else { 0 };
        let is_end = i == n && count == n;
        let is_lost =
            outliers >= LOST_COUNT || (is_end && (outliers >= LOST_AT_END_COUNT || outliers == n));
        if is_lost && i + 1 - outliers <= count {
            return i + 1 - outliers;
        }
        if i == count {
            (kept_moving, kept_still) = (*moving, *still);
        }
    }
    (*moving, *still) = (kept_moving, kept_still);
    // Backward. `later` is the fix whose weights the current leg uses.
    let mut adjoint = Adjoint::NOTHING;
    for i in (count + 1..=n).rev() {
        adjoint.step_back(&traces[i], &transitions[steps[i].transition]);
    }
    let (mut to, mut from) = (Smoothed::EMPTY, Smoothed::EMPTY);
    adjoint.smooth(&traces[count], &mut to);
    let mut later = n;
    // The time from fix i to the fix before `later`.
    let mut ahead = steps[count + 1..].iter().map(|step| step.seconds).sum::<f64>();
    ahead -= steps[later].seconds;
    for i in (1..=count).rev() {
        let dt = steps[i].seconds;
        while later > i + LAG_FIXES && ahead >= LAG_S {
            later -= 1;
            ahead -= steps[later].seconds;
        }
        adjoint.step_back(&traces[i], &transitions[steps[i].transition]);
        adjoint.smooth(&traces[i - 1], &mut from);
        // The path stands still only if it does so now and later. Otherwise the last seconds of a motion were lost.
        let (now, then) = (probabilities[i], probabilities[later]);
        let still = if now < then { now } else { then };
        legs[i - 1] = mix(&traces[later].weights, &from, &to, dt, still);
        std::mem::swap(&mut from, &mut to);
        ahead += dt;
    }
    0
}

/// Replaces the logarithms of the weights of the moving models by their probabilities, whose sum is 1, and returns the
/// probability of standing still. `best` is the largest of the logarithms.
#[inline(always)]
fn weigh(moving: &mut moving::Lanes, still: &still::Lanes, best: f64) -> f64 {
    for weight in &mut *moving {
        *weight = exp(*weight - best);
    }
    let of_moving = sum_of_lanes(*moving);
    let inverse = 1.0 / of_moving;
    for weight in &mut *moving {
        *weight *= inverse;
    }
    let mut still_weights = [0.0; STILL_LANES];
    for k in 0..STILL_LANES {
        // The function is valid up to 700. Such a difference is a certainty.
        let difference = still[k] + STILL.prior[k] - best;
        still_weights[k] = exp(if difference < 600.0 { difference } else { 600.0 });
    }
    let of_still = sum_of_lanes(still_weights);
    of_still / (of_still + of_moving)
}

/// Returns the leg between two smoothed fixes, averaged over the models.
#[inline(always)]
fn mix(weights: &moving::Lanes, from: &Smoothed, to: &Smoothed, dt: f64, still: f64) -> Leg {
    let (mut chords, mut speeds) = ([0.0; MOVING_LANES], [0.0; MOVING_LANES]);
    let mut fast = [0.0; MOVING_LANES];
    for k in 0..MOVING_LANES {
        let weight = weights[k];
        let dx = to.position[0][k] - from.position[0][k];
        let dy = to.position[1][k] - from.position[1][k];
        chords[k] = weight * (dx * dx + dy * dy).sqrt();
        speeds[k] = weight * (0.5 * (from.speed[k] + to.speed[k]));
        fast[k] = weight * (0.5 * (from.is_fast[k] + to.is_fast[k]));
    }
    let moving = 1.0 - still;
    Leg {
        chord_m: moving * sum_of_lanes(chords),
        travel_m: moving * dt * sum_of_lanes(speeds),
        still,
        fast: sum_of_lanes(fast),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Filters a walk with noise at one level. Returns all bits of the legs and of the state.
    fn bits(level: Level) -> Vec<u64> {
        let mut scratch = Scratch::new();
        let mut seed = 1_u64;
        let mut noise = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((seed >> 40) as f64 / (1_u64 << 24) as f64 - 0.5) * 8.0
        };
        for (index, step) in scratch.steps.iter_mut().enumerate() {
            // Irregular intervals, an outlier and a stop.
            step.seconds = [1.0, 1.0, 5.0, 0.5][index % 4];
            let way = 3.0 * index.min(40) as f64;
            step.at = [way + noise(), 0.4 * way + noise() + if index == 9 { 200.0 } else { 0.0 }];
        }
        let (mut moving, mut still) = Bank::first(100.0).load();
        assert_eq!(smooth(level, &mut scratch, &mut moving, &mut still, CAPACITY, 64), 0);
        let legs = scratch.legs[..64].iter();
        let legs = legs.flat_map(|leg| [leg.chord_m, leg.travel_m, leg.still, leg.fast]);
        let moving = moving.columns().into_iter().flatten();
        let still = still.columns().into_iter().flatten();
        legs.chain(moving.chain(still).copied()).map(f64::to_bits).collect()
    }

    #[test]
    fn every_level_gives_the_same_bits() {
        let [portable, others @ ..] = &Level::all()[..] else { panic!("no level") };
        let expected = bits(*portable);
        assert!(expected.iter().all(|&bits| f64::from_bits(bits).is_finite()));
        for &level in others {
            assert_eq!(bits(level), expected, "{level:?}");
        }
    }

    #[test]
    fn filters_that_overflow_are_reported_and_kept() {
        let base = Place { longitude_e7: 0, latitude_e7: 0, unix_ns: 0 };
        let fixes = [Place { unix_ns: 1_000_000_000, ..base }];
        let (mut moving, still) = Bank::first(100.0).load();
        moving.columns_mut()[2][0] = 1e300;
        let mut bank = Bank::first(100.0);
        bank.store(&moving, &still);
        let before = bank.clone();
        let mut count = 0;
        let outcome = run(&mut bank, base, &fixes, 1, |_, _| count += 1);
        assert_eq!((outcome, count, bank), (Outcome::Overflow, 0, before));
    }
}
