//! The highest average speed of a path. The speed of a single leg is mostly noise if the leg takes a few
//! milliseconds, so the average is over at least 5 s.
//!
//! A run is a sequence of accepted legs of a segment. A run starts at the first fix that is at least
//! [`STEP_NS`] later than the start of the run before, and ends at the first fix that is at least [`RUN_NS`] later
//! than its own start. At most [`SpeedRuns::OPEN_MAX`] runs are open at a time.

use super::state::{SpeedRunState, SpeedRunsState};
use super::sum::ExactSum;
use super::track_fix::seconds;

/// The shortest duration of a run.
pub(super) const RUN_NS: u64 = 5_000_000_000;
/// The shortest time from the start of a run to that of the next one.
pub(super) const STEP_NS: u64 = 500_000_000;

/// The open runs, and the highest speed of those that ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpeedRuns {
    /// The open runs in the order of their starts: `count` of them from the index `head` on, modulo the length.
    open: [Run; SLOTS],
    head: usize,
    count: usize,
    /// The sum of the legs since the oldest runs were opened.
    length: ExactSum,
    /// The time of the last fix. It has no meaning if no run is open.
    last_ns: i64,
    max_speed: Option<f64>,
}

/// The start of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    unix_ns: i64,
    /// [`SpeedRuns::length`] at the start.
    length: ExactSum,
}

/// Returns the time from `earlier` to `unix_ns`, which is not earlier.
#[inline]
fn later_by(unix_ns: i64, earlier: i64) -> u64 {
    unix_ns.wrapping_sub(earlier) as u64
}

/// The capacity of the ring: a power of two, at least [`SpeedRuns::OPEN_MAX`].
const SLOTS: usize = 16;

impl SpeedRuns {
    /// The maximum number of open runs. They start less than [`RUN_NS`] before the last fix.
    pub(super) const OPEN_MAX: usize = (RUN_NS / STEP_NS) as usize;

    pub(super) const EMPTY: Self = Self {
        open: [Run { unix_ns: 0, length: ExactSum::ZERO }; SLOTS],
        head: 0,
        count: 0,
        length: ExactSum::ZERO,
        last_ns: 0,
        max_speed: None,
    };

    /// Returns the highest speed.
    pub(super) fn max_speed(&self) -> Option<f64> {
        self.max_speed
    }

    /// Ends all runs without a speed.
    #[inline]
    pub(super) fn end_all(&mut self) {
        self.count = 0;
        self.length = ExactSum::ZERO;
    }

    /// Adds an accepted fix with its time and the leg to it, or NaN if it starts a segment.
    #[inline]
    pub(super) fn add_fix(&mut self, unix_ns: i64, leg: f64) {
        // A sum that overflows is an error of the fold, because the length of the path has the same legs.
        let is_joined = unix_ns >= self.last_ns && self.length.add_leg(leg).is_ok();
        if !is_joined {
            self.end_all();
        }
        self.last_ns = unix_ns;
        while self.count > 0 {
            let run = self.run(0);
            let ns = later_by(unix_ns, run.unix_ns);
            if ns < RUN_NS {
                break;
            }
            self.end_run(self.length.saturating_sub(run.length), ns);
            self.head = (self.head + 1) % SLOTS;
            self.count -= 1;
        }
        if self.count == 0 {
            self.length = ExactSum::ZERO;
        } else if later_by(unix_ns, self.run(self.count - 1).unix_ns) < STEP_NS {
            return;
        }
        self.open[(self.head + self.count) % SLOTS] = Run { unix_ns, length: self.length };
        self.count += 1;
    }

    /// Ends a run with a speed.
    #[inline]
    fn end_run(&mut self, length: ExactSum, ns: u64) {
        // The quotient is needed for a new highest speed only. The margin is far above the rounding errors.
        if let Some(max_speed) = self.max_speed {
            let limit = max_speed * (1e-9 * (1.0 - 1e-12) * 2_f64.powi(20));
            let length_max = length.to_units_of_2_to_minus_20().saturating_add(1);
            // A time of 2^63 ns or more is negative here. Signed numbers are converted faster.
            if length_max < i64::MAX && (length_max as f64) < limit * ns as i64 as f64 {
                return;
            }
        }
        self.set_speed(length.to_f64() / seconds(ns));
    }

    #[cold]
    fn set_speed(&mut self, speed: f64) {
        self.max_speed = Some(self.max_speed.map_or(speed, |max| max.max(speed)));
    }

    #[inline]
    fn run(&self, index: usize) -> Run {
        self.open[(self.head + index) % SLOTS]
    }

    fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        (0..self.count).map(|index| self.run(index))
    }

    /// Returns the state; `None` if no run is open.
    pub(super) fn state(&self) -> Option<SpeedRunsState> {
        let state = |Run { unix_ns, length }| SpeedRunState { unix_ns, length };
        (self.count > 0).then(|| SpeedRunsState {
            open: self.runs().map(state).collect(),
            length: self.length,
            last_unix_ns: self.last_ns,
        })
    }

    /// Restores runs from a state that was checked.
    pub(super) fn from_checked_state(
        max_speed: Option<f64>,
        state: Option<&SpeedRunsState>,
    ) -> Self {
        let mut runs = Self { max_speed, ..Self::EMPTY };
        if let Some(state) = state {
            for (run, &SpeedRunState { unix_ns, length }) in runs.open.iter_mut().zip(&state.open) {
                *run = Run { unix_ns, length };
                runs.count += 1;
            }
            (runs.length, runs.last_ns) = (state.length, state.last_unix_ns);
        }
        runs
    }
}

/// Compares the open runs, wherever they are in the ring.
impl PartialEq for SpeedRuns {
    fn eq(&self, other: &Self) -> bool {
        let last_ns = |runs: &Self| (runs.count > 0).then_some(runs.last_ns);
        self.max_speed == other.max_speed
            && self.length == other.length
            && last_ns(self) == last_ns(other)
            && self.runs().eq(other.runs())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the highest speed of fixes of one segment, each with its time and the leg to it, from the text of the
    /// contract.
    fn expected(fixes: &[(Option<i64>, f64)]) -> Option<f64> {
        let mut best: Option<f64> = None;
        // The fixes from which all times are known and do not decrease.
        let mut part_start = 0;
        for part_end in 1..=fixes.len() {
            let is_part = part_end < fixes.len()
                && fixes[part_end - 1].0.is_some()
                && fixes[part_end].0 >= fixes[part_end - 1].0;
            if is_part {
                continue;
            }
            let part = &fixes[part_start..part_end];
            part_start = part_end;
            let mut last_start = None;
            for (start, fix) in part.iter().enumerate() {
                let Some(from) = fix.0 else { continue };
                if last_start.is_some_and(|last| from.abs_diff(last) < 500_000_000) {
                    continue;
                }
                last_start = Some(from);
                let mut length = ExactSum::ZERO;
                for &(time, leg) in &part[start + 1..] {
                    length.add(leg).unwrap();
                    let Some(ns) = time.map(|to| to.abs_diff(from)) else { break };
                    if ns >= 5_000_000_000 {
                        let speed = length.to_f64() / (ns as f64 / 1e9);
                        best = Some(best.map_or(speed, |best| best.max(speed)));
                        break;
                    }
                }
            }
        }
        best
    }

    fn add_all(runs: &mut SpeedRuns, fixes: &[(Option<i64>, f64)]) {
        for &(time, leg) in fixes {
            match time {
                Some(unix_ns) => runs.add_fix(unix_ns, leg),
                None => runs.end_all(),
            }
        }
    }

    fn fixes() -> impl Strategy<Value = Vec<(Option<i64>, f64)>> {
        let step = prop_oneof![
            20 => 0..900_i64,
            10 => 900..1100_i64,
            2 => 4000..6000_i64,
            1 => -2000..0_i64,
            1 => Just(i64::MAX / 1_000_000),
            1 => Just(i64::MIN / 1_000_000),
        ];
        let fix = (step, prop::bool::weighted(0.97), prop_oneof![0.0..40.0_f64, Just(1e12)]);
        prop::collection::vec(fix, 0..200).prop_map(|fixes| {
            let mut ms: i64 = 0;
            let fix = |(step, has_time, leg): (i64, bool, f64)| {
                ms = ms.saturating_add(step).clamp(-9_223_372_000_000, 9_223_372_000_000);
                (has_time.then_some(ms * 1_000_000), leg)
            };
            fixes.into_iter().map(fix).collect()
        })
    }

    #[test]
    fn a_short_burst_does_not_set_the_speed() {
        let mut runs = SpeedRuns::EMPTY;
        // One leg of 1 m in 1 ms, in a walk of 1 m/s.
        let walk: Vec<_> = (0..30_i64).map(|s| (Some(s * 1_000_000_000), 1.0)).collect();
        add_all(&mut runs, &walk[..15]);
        add_all(&mut runs, &[(Some(14_001_000_000), 1.0)]);
        add_all(&mut runs, &walk[15..]);
        // The best run has the burst and five legs.
        assert_eq!(runs.max_speed(), Some(6.0 / 5.0));
    }

    #[test]
    fn a_path_of_less_than_5_s_has_no_speed() {
        let mut runs = SpeedRuns::EMPTY;
        add_all(&mut runs, &[(Some(0), 0.0), (Some(4_999_999_999), 100.0)]);
        assert_eq!(runs.max_speed(), None);
        add_all(&mut runs, &[(Some(5_000_000_000), 100.0)]);
        assert_eq!(runs.max_speed(), Some(40.0));
    }

    #[test]
    fn the_number_of_open_runs_is_bounded() {
        let mut runs = SpeedRuns::EMPTY;
        let mut count_max = 0;
        for ms in (0..60_000_i64).step_by(10) {
            add_all(&mut runs, &[(Some(ms * 1_000_000), 0.1)]);
            count_max = count_max.max(runs.count);
        }
        assert_eq!(count_max, SpeedRuns::OPEN_MAX);
    }

    proptest! {
        #[test]
        fn the_speed_is_that_of_the_best_run(
            fixes in fixes(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut runs = SpeedRuns::EMPTY;
            add_all(&mut runs, &fixes);
            prop_assert_eq!(runs.max_speed(), expected(&fixes));

            let cut = cut.index(fixes.len() + 1);
            let mut restored = SpeedRuns::EMPTY;
            add_all(&mut restored, &fixes[..cut]);
            let state = restored.state();
            restored = SpeedRuns::from_checked_state(restored.max_speed(), state.as_ref());
            prop_assert_eq!(restored.state(), state);
            add_all(&mut restored, &fixes[cut..]);
            prop_assert_eq!(restored, runs);
        }
    }
}
