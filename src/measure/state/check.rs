//! The checks of a [`State`]: ranges of single values first, then values that depend on each other.
//!
//! Every real path is within all bounds, so a stored path is never refused. Sums are bounded by the number
//! of legs times the longest possible leg.

use super::{
    AttributesState, InvalidPointsState, PlacesState, PolylineState, State, StateError, StatsState,
};
use crate::measure::fix::{checked_unix_ns, checked_z};
use crate::measure::options::{Elevation, InvalidPoints, Options};
use crate::measure::point::{HALF_TURN_E7, PLANAR_MAX, POLE_E7, Space};
use crate::measure::seen_attributes::SeenAttributes;
use crate::measure::sum::ExactSum;

mod filter;

/// A bound of planar legs: the diagonal of a square of 2^41.
const PLANAR_LEG_MAX: u128 = 1 << 42;
/// A bound of geographic legs in metres: half of the circumference of the Earth is shorter.
const GEOGRAPHIC_LEG_MAX: u128 = 1 << 25;
/// A bound of rises and falls: elevations are at most 2^40 either way.
const RISE_MAX: u128 = 1 << 41;
/// A bound of legs in three dimensions, in every space.
const LEG_3D_MAX: u128 = 1 << 43;

/// One part of a state, named in errors.
#[derive(Clone, Copy)]
struct Part(&'static str);

impl Part {
    fn require(self, is_valid: bool, problem: &'static str) -> Result<(), StateError> {
        if is_valid { Ok(()) } else { Err(StateError { part: self.0, problem }) }
    }

    /// Checks that a number is finite, at most `limit` either way, and not a negative zero.
    fn number(self, value: f64, limit: f64) -> Result<(), StateError> {
        self.require(value.abs() <= limit, "a number is out of range")?;
        self.require(value != 0.0 || value.is_sign_positive(), "a number is a negative zero")
    }

    fn place(self, space: Space, [x, y]: [f64; 2]) -> Result<(), StateError> {
        let (x_max, y_max) = match space {
            Space::Planar => (PLANAR_MAX, PLANAR_MAX),
            Space::Geographic => (HALF_TURN_E7, POLE_E7),
        };
        self.number(x, x_max)?;
        self.number(y, y_max)
    }

    fn attributes(self, attributes: AttributesState) -> Result<(), StateError> {
        if let Some(z) = attributes.z {
            self.require(checked_z(z).is_ok(), "an elevation is out of range")?;
            self.number(z, PLANAR_MAX)?;
        }
        let is_valid = attributes.unix_ns.is_none_or(is_time);
        self.require(is_valid, "a time is out of range")
    }

    /// Checks a sum of `terms` terms, each at most `max`.
    fn sum(self, sum: ExactSum, terms: u64, max: u128) -> Result<(), StateError> {
        let limit = u128::from(terms).saturating_mul(max << 64);
        self.require(units(sum) <= limit, "a sum is larger than its legs can be")
    }
}

/// Returns a sum in units of 2^-64.
fn units(sum: ExactSum) -> u128 {
    u128::from_le_bytes(sum.to_bytes())
}

fn is_time(unix_ns: i64) -> bool {
    checked_unix_ns(unix_ns).is_ok()
}

/// Returns the number of legs of a polyline that was checked.
fn legs(polyline: &PolylineState) -> u64 {
    polyline.point_count.saturating_sub(polyline.segment_count)
}

pub(super) fn check(state: &State) -> Result<(), StateError> {
    let options = &state.options;
    Part("options").require(options.check().is_ok(), "an option is out of range")?;
    check_polyline(Part("all fixes"), options, &state.raw)?;
    check_invalid_points(Part("fixes without a position"), state)?;
    let part = Part("filter");
    part.require(state.filter.is_some() == options.is_selective(), "the options differ")?;
    let accepted = match &state.filter {
        Some(filter) => {
            filter::check(part, state, filter)?;
            &filter.accepted
        }
        None => &state.raw,
    };
    check_stats(Part("statistics"), options, accepted, &state.stats)?;
    let part = Part("last fix");
    part.attributes(state.last)?;
    let has_last = state.filter.is_none() && state.raw.places.is_some();
    part.require(has_last || state.last == AttributesState::default(), "it should be unset")?;
    check_covered(part, &state.stats, state.last)?;
    let part = Part("attributes");
    let has_points = state.raw.places.is_some();
    part.require(has_points || state.seen == SeenAttributes::default(), "they should be unset")
}

fn check_polyline(
    part: Part,
    options: &Options,
    polyline: &PolylineState,
) -> Result<(), StateError> {
    let space = options.metric.space();
    let (points, segments) = (polyline.point_count, polyline.segment_count);
    let Some(places) = &polyline.places else {
        let is_empty = (points, segments, units(polyline.length)) == (0, 0, 0);
        part.require(is_empty, "there are counts or a length, but no coordinates")?;
        let is_broken = polyline.is_broken == polyline.is_broken_before_first;
        return part.require(is_broken, "the segment breaks differ");
    };
    part.require((1..=points).contains(&segments), "the counts contradict each other")?;
    check_places(part, space, places)?;
    let is_single = places.min == places.max;
    part.require(points > 1 || is_single, "a single point has several coordinates")?;
    let leg_max = match space {
        Space::Planar => PLANAR_LEG_MAX,
        Space::Geographic => GEOGRAPHIC_LEG_MAX,
    };
    part.sum(polyline.length, legs(polyline), leg_max)
}

fn check_places(part: Part, space: Space, places: &PlacesState) -> Result<(), StateError> {
    let PlacesState { first, last, min, max, x_around_zero } = *places;
    for place in [first, last, min, max] {
        part.place(space, place)?;
    }
    for axis in 0..2 {
        let range = min[axis]..=max[axis];
        let is_inside = range.contains(&first[axis]) && range.contains(&last[axis]);
        part.require(is_inside, "an end is outside the bounds")?;
    }
    let (min_x, max_x) = (min[0], max[0]);
    let is_valid = match x_around_zero {
        None => min_x >= 0.0 || max_x < 0.0,
        Some([below, above]) => {
            part.place(space, [below, 0.0])?;
            part.place(space, [above, 0.0])?;
            min_x <= below && below < 0.0 && 0.0 <= above && above <= max_x
        }
    };
    part.require(is_valid, "the coordinates around 0 contradict the bounds")
}

fn check_invalid_points(part: Part, state: &State) -> Result<(), StateError> {
    let InvalidPointsState { count, first_offset } = state.invalid_points;
    if count == 0 {
        return part.require(first_offset == 0, "there is an offset, but no fix");
    }
    let raw = &state.raw;
    let is_allowed = state.options.invalid_points != InvalidPoints::RejectCall;
    part.require(is_allowed, "the options do not allow them")?;
    // All fixes before the first one without a position have one.
    let is_valid = raw.point_count.checked_add(count).is_some() && first_offset <= raw.point_count;
    part.require(is_valid, "the counts are not possible")?;
    if state.options.invalid_points == InvalidPoints::Split {
        let is_split = match first_offset {
            0 => raw.is_broken_before_first,
            offset if offset == raw.point_count => raw.is_broken,
            _ => raw.segment_count > 1,
        };
        part.require(is_split, "they did not end the segment")?;
    }
    Ok(())
}

fn check_stats(
    part: Part,
    options: &Options,
    accepted: &PolylineState,
    stats: &StatsState,
) -> Result<(), StateError> {
    let legs = legs(accepted);
    let mut span_ns = 0;
    if let Some([first, last]) = stats.times {
        let is_valid = accepted.places.is_some() && first <= last;
        part.require(is_valid && is_time(first) && is_time(last), "a time is out of range")?;
        span_ns = last.abs_diff(first);
    }
    if let Some(moving_ns) = stats.moving_ns {
        let limit = u128::from(legs) * u128::from(span_ns);
        let is_valid = limit > 0 && moving_ns <= limit;
        part.require(is_valid, "the moving time is longer than the legs")?;
    }
    // The shortest duration is a nanosecond.
    let speed_max = LEG_3D_MAX as f64 * 1e9;
    let is_speed = stats.max_speed.is_none_or(|speed| (0.0..=speed_max).contains(&speed));
    let is_valid = is_speed && stats.max_speed.is_some() == stats.moving_ns.is_some();
    part.require(is_valid, "the largest speed is not possible")?;
    if let Some([ascent, descent]) = stats.climb {
        part.require(legs > 0, "there is a climb, but no leg")?;
        part.sum(ascent, legs, RISE_MAX)?;
        part.sum(descent, legs, RISE_MAX)?;
    }
    let legs_3d = match options.elevation {
        Elevation::ThreeDimensional => legs,
        Elevation::Ignored => 0,
    };
    part.sum(stats.length_3d, legs_3d, LEG_3D_MAX)
}

/// Checks that the time of an accepted fix is between the earliest and the latest time.
fn check_covered(
    part: Part,
    stats: &StatsState,
    attributes: AttributesState,
) -> Result<(), StateError> {
    let Some(unix_ns) = attributes.unix_ns else { return Ok(()) };
    let is_covered = stats.times.is_some_and(|[first, last]| (first..=last).contains(&unix_ns));
    part.require(is_covered, "its time is outside the times of the path")
}
