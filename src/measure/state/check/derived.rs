//! The checks of climbs, windows and the estimate.

use super::Part;
use crate::measure::climb::ClimbState;
use crate::measure::derived::{climb_settings, estimate_settings};
use crate::measure::estimate::Estimator;
use crate::measure::state::{PolylineState, State, StateError};

/// A bound of climbs and descents between two averages of elevations, which are at most 2^40 either way.
const CLIMB_MAX: u128 = 1 << 42;

/// Checks what is computed from the accepted fixes, and their polyline.
pub(super) fn check(state: &State, accepted: &PolylineState) -> Result<(), StateError> {
    let State { options, climb, windows, estimate, .. } = state;
    let part = "climbs";
    climb.check(climb_settings(options)).map_err(|problem| StateError { part, problem })?;
    let has_fixes = accepted.places.is_some();
    Part(part).require(has_fixes || *climb == ClimbState::default(), "there are no fixes")?;
    for sum in climb.sums.iter().flatten() {
        // The average of elevations is in their range.
        Part(part).sum(*sum, accepted.point_count, CLIMB_MAX)?;
    }
    let part = Part("windows");
    part.require(windows.is_some() == options.windows.is_some(), "the options differ")?;
    if let (Some(options), Some(windows)) = (options.windows, windows) {
        windows.check(options, accepted.length, accepted.point_count)?;
    }
    let part = "estimate";
    let settings = estimate_settings(options);
    Part(part).require(estimate.is_some() == settings.is_some(), "the options differ")?;
    match estimate {
        Some(estimate) => {
            Estimator::check(estimate).map_err(|problem| StateError { part, problem })
        }
        None => Ok(()),
    }
}
