//! The statistics of a path in versions 1 to 4.

use crate::measure::{ClimbState, ExactSum, Options, StatsState};

/// The statistics of the accepted fixes. Their moving time has the durations of all legs in motion, and the speed is
/// that of a single leg.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OldStats {
    /// The earliest and the latest time of an accepted fix.
    pub(super) times: Option<[i64; 2]>,
    pub(super) moving_ns: Option<u128>,
    pub(super) max_speed: Option<f64>,
    pub(super) climb: Option<[ExactSum; 2]>,
    pub(super) length_3d: ExactSum,
}

impl OldStats {
    /// Returns the statistics as they were reported: the moving time was at most the elapsed time. The time of points
    /// that are checked and not accepted is not known. A path without the speed of a stop has no moving time now.
    /// Returns `None` if a time is longer than its legs can be.
    pub(super) fn into_state(self, options: &Options) -> Option<StatsState> {
        let Self { times, moving_ns, max_speed, climb, length_3d } = self;
        let elapsed_ns = times.map_or(0, |[first, last]| last.abs_diff(first));
        if moving_ns.is_some() != max_speed.is_some() || (moving_ns.is_some() && elapsed_ns == 0) {
            return None;
        }
        let moving_ns =
            moving_ns.map(|ns| u64::try_from(ns).map_or(elapsed_ns, |ns| ns.min(elapsed_ns)));
        Some(StatsState {
            checked_times: times,
            accepted_times: times,
            moving_ns: moving_ns.filter(|_| options.stopped_speed().is_some()),
            max_speed,
            speed_runs: None,
            climb,
            length_3d,
        })
    }
}

/// Returns the ascent and the descent of a path so far: the sums of all rises and falls, which is what old versions
/// reported.
pub(super) fn climb(stats: &StatsState) -> ClimbState {
    ClimbState { sums: stats.climb, ..ClimbState::default() }
}
