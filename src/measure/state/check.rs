//! The checks of a [`State`]: ranges of single values first, then values that depend on each other.
//!
//! Every real path is within all bounds, so a stored path is never refused. Sums are bounded by the number
//! of legs times the longest possible leg.

use super::{AttributesState, PlacesState, PolylineState, SkippedFixesState, State, StateError};
use crate::measure::bounds::longitudes::{SECTORS, boundary};
use crate::measure::fix::{checked_unix_ns, checked_z};
use crate::measure::options::{InvalidPoints, Options};
use crate::measure::point::{HALF_TURN_E7, PLANAR_MAX, POLE_E7, Space};
use crate::measure::seen_attributes::SeenAttributes;
use crate::measure::sum::ExactSum;

mod derived;
mod filter;
mod reorder;
mod stats;

/// A bound of planar legs: the diagonal of a square of 2^41.
const PLANAR_LEG_MAX: u128 = 1 << 42;
/// A bound of geographic legs in metres: half of the circumference of the Earth is shorter.
const GEOGRAPHIC_LEG_MAX: u128 = 1 << 25;

/// One part of a state, named in errors.
#[derive(Clone, Copy)]
pub(super) struct Part(pub(super) &'static str);

impl Part {
    pub(super) fn require(self, is_valid: bool, problem: &'static str) -> Result<(), StateError> {
        if is_valid { Ok(()) } else { Err(StateError { part: self.0, problem }) }
    }

    /// Checks that a number is finite, at most `limit` either way, and not a negative zero.
    fn number(self, value: f64, limit: f64) -> Result<(), StateError> {
        self.require(value.abs() <= limit, "a number is out of range")?;
        self.require(value != 0.0 || value.is_sign_positive(), "a number is a negative zero")
    }

    pub(super) fn place(self, space: Space, [x, y]: [f64; 2]) -> Result<(), StateError> {
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
    stats::check(options, accepted, &state.stats)?;
    reorder::check(state)?;
    derived::check(state, accepted)?;
    let part = Part("last fix");
    part.attributes(state.last)?;
    let has_last = state.filter.is_none() && state.raw.places.is_some();
    part.require(has_last || state.last == AttributesState::default(), "it should be unset")?;
    stats::check_time(part, &state.stats, state.last)?;
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
    let is_single = places.first == places.last
        && places.y[0] == places.y[1]
        && places.x.iter().flatten().all(|[low, high]| low == high);
    part.require(points > 1 || is_single, "a single point has several coordinates")?;
    let leg_max = match space {
        Space::Planar => PLANAR_LEG_MAX,
        Space::Geographic => GEOGRAPHIC_LEG_MAX,
    };
    part.sum(polyline.length, legs(polyline), leg_max)
}

fn check_places(part: Part, space: Space, places: &PlacesState) -> Result<(), StateError> {
    let PlacesState { first, last, y: [min_y, max_y], x } = *places;
    for place in [first, last, [0.0, min_y], [0.0, max_y]] {
        part.place(space, place)?;
    }
    for (sector, &[low, high]) in x.iter().enumerate().filter_map(|(i, x)| Some((i, x.as_ref()?))) {
        part.place(space, [low, 0.0])?;
        part.place(space, [high, 0.0])?;
        let is_valid = match space {
            Space::Planar => sector == 0 && low <= high,
            Space::Geographic => {
                let (start, end) = (boundary(sector), boundary(sector + 1));
                // A boundary belongs to the sector that it starts.
                let next = x[(sector + 1) % SECTORS];
                let is_closed = high < end
                    || next.is_some_and(|[low, _]| low == boundary((sector + 1) % SECTORS));
                start <= low && low <= high && low < end && high <= end && is_closed
            }
        };
        part.require(is_valid, "a covered range of x is not possible")?;
    }
    for end in [first, last] {
        let is_inside = (min_y..=max_y).contains(&end[1]) && covers(&x, end[0], space);
        part.require(is_inside, "an end is outside the bounds")?;
    }
    Ok(())
}

/// Returns whether the ranges contain `x`. Both longitudes of the antimeridian are in the first sector.
fn covers(ranges: &[Option<[f64; 2]>; SECTORS], x: f64, space: Space) -> bool {
    let is_antimeridian = space == Space::Geographic && x == HALF_TURN_E7;
    let x = if is_antimeridian { -HALF_TURN_E7 } else { x };
    ranges.iter().flatten().any(|[low, high]| (low..=high).contains(&&x))
}

fn check_invalid_points(part: Part, state: &State) -> Result<(), StateError> {
    let SkippedFixesState { count, first_offset } = state.invalid_points;
    if count == 0 {
        return part.require(first_offset == 0, "there is an offset, but no fix");
    }
    let raw = &state.raw;
    let is_allowed = state.options.invalid_points != InvalidPoints::RejectCall;
    part.require(is_allowed, "the options do not allow them")?;
    // All fixes before the first one without a position have one.
    let measured = state.point_count().saturating_sub(count);
    let is_valid = raw.point_count.checked_add(count).is_some() && first_offset <= measured;
    part.require(is_valid, "the counts are not possible")?;
    if state.options.invalid_points == InvalidPoints::Split {
        let has_duplicates =
            state.reorder.as_ref().is_some_and(|buffer| buffer.duplicates.count > 0);
        let is_split = match first_offset {
            0 => raw.is_broken_before_first,
            // Duplicates before the first one have offsets, too, and are not measured.
            _ if has_duplicates => raw.segment_count > 1 || raw.is_broken,
            offset if offset == raw.point_count => raw.is_broken,
            _ => raw.segment_count > 1,
        };
        part.require(is_split, "they did not end the segment")?;
    }
    Ok(())
}
