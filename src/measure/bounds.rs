//! The bounding box of a path, including paths that cross the antimeridian.

use super::level::{Level, kernel};
use super::point::{HALF_TURN_E7, Point, Space, TURN_E7};
use super::state::PlacesState;

/// The bounding box of the points of a path.
///
/// Geographic boxes are in degrees and follow RFC 7946, section 5.2: if the box crosses the
/// antimeridian, `min_x` (west) is larger than `max_x` (east). It is the smallest box that a running
/// minimum and maximum can find.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bounds {
    /// The smallest x, or the western longitude in degrees.
    pub min_x: f64,
    /// The smallest y, or the southern latitude in degrees.
    pub min_y: f64,
    /// The largest x, or the eastern longitude in degrees.
    pub max_x: f64,
    /// The largest y, or the northern latitude in degrees.
    pub max_y: f64,
}

/// The state from which [`Bounds`] are computed. It has minima and maxima only, so that any order and
/// grouping of the points gives the same bits.
///
/// In addition to the range of all longitudes, it keeps the two longitudes that bound the empty range
/// around the prime meridian. [`Extent::bounds`] returns the narrower of the two boxes. The box contains
/// the points; a leg of a path around the Earth may leave it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extent {
    min_x: f64,
    max_x: f64,
    min_y: f64,
    max_y: f64,
    /// The smallest x that is at least 0.
    min_east: f64,
    /// The largest x below 0.
    max_west: f64,
}

kernel! {
    fn extend(extent: &mut Extent, x: &[f64], y: &[f64]) = Extent::body
}

/// Returns the smaller of two values that are not NaN. It compiles to one vector instruction.
#[inline(always)]
fn min(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

#[inline(always)]
fn max(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// Folds the mapped values in lanes. The compiler does not reorder the operations itself, because it
/// does not know that the order is irrelevant here.
#[inline(always)]
fn fold(
    values: &[f64],
    start: f64,
    pick: impl Fn(f64, f64) -> f64,
    map: impl Fn(f64) -> f64,
) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [start; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = pick(*lane, map(value));
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = pick(*lane, map(value));
    }
    // Combine halves: combining lane after lane would be a dependency chain of sixteen steps.
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] = pick(lanes[lane], lanes[lane + width]);
        }
    }
    lanes[0]
}

impl Extent {
    pub(super) const EMPTY: Self = Self {
        min_x: f64::INFINITY,
        max_x: f64::NEG_INFINITY,
        min_y: f64::INFINITY,
        max_y: f64::NEG_INFINITY,
        min_east: f64::INFINITY,
        max_west: f64::NEG_INFINITY,
    };

    pub(super) fn extend(&mut self, level: Level, x: &[f64], y: &[f64]) {
        extend(level, self, x, y);
    }

    #[inline(always)]
    fn body(&mut self, x: &[f64], y: &[f64]) {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        let (min_x, max_x) = (fold(x, low, min, |x| x), fold(x, high, max, |x| x));
        self.min_x = min(self.min_x, min_x);
        self.max_x = max(self.max_x, max_x);
        self.min_y = min(self.min_y, fold(y, low, min, |y| y));
        self.max_y = max(self.max_y, fold(y, high, max, |y| y));
        // Few blocks have points on both sides of 0.
        let (min_east, max_west) = if min_x >= 0.0 {
            (min_x, high)
        } else if max_x < 0.0 {
            (low, max_x)
        } else {
            let east = |x| if x < 0.0 { low } else { x };
            let west = |x| if x < 0.0 { x } else { high };
            (fold(x, low, min, east), fold(x, high, max, west))
        };
        self.min_east = min(self.min_east, min_east);
        self.max_west = max(self.max_west, max_west);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.min_x = self.min_x.min(other.min_x);
        self.max_x = self.max_x.max(other.max_x);
        self.min_y = self.min_y.min(other.min_y);
        self.max_y = self.max_y.max(other.max_y);
        self.min_east = self.min_east.min(other.min_east);
        self.max_west = self.max_west.max(other.max_west);
    }

    /// Returns the box in the caller's unit, or `None` if there is no point.
    pub(super) fn bounds(&self, space: Space) -> Option<Bounds> {
        if self.min_x > self.max_x {
            return None;
        }
        let (mut west, mut east) = (self.min_x, self.max_x);
        let both_sides = self.min_east <= HALF_TURN_E7 && self.max_west >= -HALF_TURN_E7;
        if space == Space::Geographic
            && both_sides
            && self.max_west + TURN_E7 - self.min_east < east - west
        {
            (west, east) = (self.min_east, self.max_west);
        }
        let low = Point::from_canonical(space, (west, self.min_y));
        let high = Point::from_canonical(space, (east, self.max_y));
        Some(Bounds { min_x: low.x(), min_y: low.y(), max_x: high.x(), max_y: high.y() })
    }
}

impl Extent {
    /// Returns the extent of points as plain data, together with the first and the last point.
    pub(super) fn state(&self, first: (f64, f64), last: (f64, f64)) -> PlacesState {
        let has_both_sides = self.min_x < 0.0 && self.max_x >= 0.0;
        PlacesState {
            first: first.into(),
            last: last.into(),
            min: [self.min_x, self.min_y],
            max: [self.max_x, self.max_y],
            x_around_zero: has_both_sides.then_some([self.max_west, self.min_east]),
        }
    }

    /// Restores the extent of points from a state that was checked.
    pub(super) fn from_checked_state(places: &PlacesState) -> Self {
        let ([min_x, min_y], [max_x, max_y]) = (places.min, places.max);
        let (max_west, min_east) = match places.x_around_zero {
            Some([below, above]) => (below, above),
            None if min_x >= 0.0 => (Self::EMPTY.max_west, min_x),
            None => (max_x, Self::EMPTY.min_east),
        };
        Self { min_x, max_x, min_y, max_y, min_east, max_west }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(longitudes_deg: &[f64]) -> (f64, f64) {
        let mut extent = Extent::EMPTY;
        for &deg in longitudes_deg {
            let (x, y) = Point::geographic(0.0, deg).unwrap().canonical();
            extent.extend(Level::best(), &[x], &[y]);
        }
        let bounds = extent.bounds(Space::Geographic).unwrap();
        (bounds.min_x, bounds.max_x)
    }

    #[test]
    fn a_box_crosses_the_antimeridian_if_that_is_narrower() {
        assert_eq!(bounds(&[-1.0, 2.0]), (-1.0, 2.0));
        assert_eq!(bounds(&[179.0, -178.0]), (179.0, -178.0));
        assert_eq!(bounds(&[179.0, -178.0, 100.0]), (100.0, -178.0));
        assert_eq!(bounds(&[180.0, -180.0]), (180.0, -180.0));
        assert_eq!(bounds(&[-5.0]), (-5.0, -5.0));
    }

    #[test]
    fn every_level_finds_the_same_box() {
        let x: Vec<_> = (0..257).map(|i| f64::from((i * 7919) % 1000 - 500) * 3e6).collect();
        let y: Vec<_> = x.iter().map(|x| x / 2.0).collect();
        for from in 0..9 {
            let boxes = Level::all().into_iter().map(|level| {
                let mut extent = Extent::EMPTY;
                extent.extend(level, &x[from..], &y[from..]);
                extent
            });
            let boxes: Vec<_> = boxes.collect();
            assert!(boxes.iter().all(|extent| *extent == boxes[0]));
            assert_eq!(boxes[0].min_x, x[from..].iter().copied().fold(f64::INFINITY, f64::min));
        }
    }

    #[test]
    fn a_path_without_points_has_no_box() {
        assert_eq!(Extent::EMPTY.bounds(Space::Planar), None);
    }
}
