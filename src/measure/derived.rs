//! Everything that is computed from the checked and the accepted fixes of a path: statistics, climbs, windows, and the
//! estimate of the true length.

use super::climb::{Climb, ClimbSettings};
use super::cost;
use super::estimate::{EstimateSettings, Estimator};
use super::options::Options;
use super::rejection_reason::RejectedFix;
use super::state::State;
use super::sum::SumOverflow;
use super::summary::{PathSummary, Trips};
use super::track_fix::FixAttributes;
use super::track_fix::TrackFix;
use super::track_stats::TrackStats;
use super::windows::Windows;

/// The results of a path that depend on its checked and accepted fixes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Derived {
    pub(super) stats: TrackStats,
    pub(super) climb: Climb,
    windows: Option<Windows>,
    estimate: Option<Box<Estimator>>,
    /// The rejected fixes since the last time that they were taken, if the path lists them.
    pub(super) rejected: Option<Vec<RejectedFix>>,
}

impl Derived {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            stats: TrackStats::EMPTY,
            climb: Climb::new(climb_settings(options)),
            windows: options.windows.map(Windows::new),
            estimate: estimate_settings(options).map(|settings| Box::new(Estimator::new(settings))),
            rejected: None,
        }
    }

    /// Returns the number of bytes that it holds in addition to its own size.
    #[cfg(feature = "server")]
    pub(super) fn heap_bytes(&self) -> usize {
        let windows = self.windows.as_ref().map_or(0, Windows::heap_bytes);
        let estimate = self.estimate.as_ref();
        windows + estimate.map_or(0, |estimate| size_of::<Estimator>() + estimate.heap_bytes())
    }

    /// Returns whether nothing but the statistics uses fixes without times and elevations.
    pub(super) fn ignores_plain_fixes(&self) -> bool {
        self.windows.is_none() && self.estimate.is_none()
    }

    /// Returns the climbs after the end of the segment. [`Derived::add_accepted`] ends it, too, so this is for fixes
    /// that do not pass there.
    ///
    /// # Errors
    /// Returns an error if a total is out of range.
    pub(super) fn ended_climb(&self) -> Result<Climb, SumOverflow> {
        let mut climb = self.climb;
        climb.start_segment()?;
        Ok(climb)
    }

    /// Returns the additional cost per fix.
    pub(super) fn point_ns(&self) -> u64 {
        let windows_ns = self.windows.as_ref().map_or(0, |_| cost::WINDOWED_POINT_NS);
        let estimate_ns = self.estimate.as_ref().map_or(0, |_| cost::ESTIMATED_POINT_NS);
        windows_ns + estimate_ns
    }

    /// Adds a checked fix that is not accepted. The statistics have it already.
    #[inline]
    pub(super) fn add_checked(&mut self, fix: TrackFix) {
        if let Some(estimate) = &mut self.estimate {
            estimate.add(fix.at, fix.attributes.unix_ns);
        }
    }

    /// Adds an accepted fix. The statistics have it already. `leg` is as in
    /// `FixSink::add_accepted`.
    ///
    /// # Errors
    /// Returns an error if a total is out of range. The results are then unusable.
    #[inline]
    pub(super) fn add_accepted(
        &mut self,
        fix: TrackFix,
        leg: Option<(FixAttributes, f64)>,
    ) -> Result<(), SumOverflow> {
        let FixAttributes { z, unix_ns } = fix.attributes;
        if leg.is_none() {
            self.climb.start_segment()?;
        }
        self.climb.add(z, unix_ns)?;
        if let Some(windows) = &mut self.windows {
            windows.add_fix(unix_ns);
            if let Some((from, length)) = leg {
                windows.add_leg(length, from.unix_ns, unix_ns)?;
            }
        }
        if let Some(estimate) = &mut self.estimate {
            if leg.is_none() {
                estimate.start_segment();
            }
            estimate.add(fix.at, unix_ns);
        }
        Ok(())
    }

    /// Sets the fields of the summary of a path that ends here.
    pub(super) fn summarize(&self, summary: &mut PathSummary) {
        let Self { stats, climb, windows, estimate, rejected: _ } = self;
        summary.elapsed_ns = stats.elapsed_ns().map(Into::into);
        summary.moving_ns = stats.moving_ns().map(Into::into);
        summary.max_speed = stats.max_speed();
        summary.raw_ascent = stats.climb().map(|(ascent, _)| ascent.to_f64());
        summary.raw_descent = stats.climb().map(|(_, descent)| descent.to_f64());
        // The open climb is at most as long as the rises that were added, which have a reserve.
        let totals = climb.totals().ok().flatten();
        summary.ascent = totals.map(|(ascent, _)| ascent.to_f64());
        summary.descent = totals.map(|(_, descent)| descent.to_f64());
        summary.climb_threshold = totals.map(|_| climb.threshold());
        summary.windows = windows.as_ref().map(Windows::summary);
        if let Some(estimate) = estimate {
            let estimate = estimate.summary();
            summary.estimate = estimate.length;
            summary.trips = Some(Trips {
                stop_count: estimate.stop_count,
                trip_count: estimate.trip_count,
                stopped_ns: estimate.stopped_ns.into(),
                stops: estimate.stops,
                trips: estimate.trips,
            });
        }
    }
}

impl Derived {
    /// Writes to the fields of a state.
    pub(super) fn write(&self, state: &mut State) {
        state.stats = self.stats.state();
        state.climb = self.climb.state();
        state.windows = self.windows.as_ref().map(Windows::state);
        state.estimate = self.estimate.as_ref().map(|estimate| estimate.state());
    }

    /// Restores the results from a state that was checked.
    pub(super) fn from_checked_state(state: &State) -> Self {
        let options = &state.options;
        let estimate = estimate_settings(options).zip(state.estimate.as_ref());
        let windows = options.windows.zip(state.windows.as_ref());
        Self {
            stats: TrackStats::from_checked_state(&state.stats),
            climb: Climb::from_checked_state(climb_settings(options), &state.climb),
            windows: windows.map(|(options, state)| Windows::from_checked_state(options, state)),
            estimate: estimate
                .map(|(settings, state)| Box::new(Estimator::from_checked_state(settings, state))),
            rejected: None,
        }
    }
}

/// Returns the settings of ascent and descent.
pub(super) fn climb_settings(options: &Options) -> ClimbSettings {
    ClimbSettings { threshold: options.climb.threshold, smoothing_ns: options.climb.smoothing_ns }
}

/// Returns the settings of the estimate, if it is requested.
pub(super) fn estimate_settings(options: &Options) -> Option<EstimateSettings> {
    let estimate = options.estimate?;
    let max_trips = u16::try_from(estimate.max_trips).unwrap_or(EstimateSettings::MAX_TRIPS);
    Some(EstimateSettings { stop_time_ns: estimate.min_stop_ns, max_trips })
}
