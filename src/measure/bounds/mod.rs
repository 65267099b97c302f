//! The bounding box of a path: the smallest box that contains every leg, including legs that cross the antimeridian
//! or a pole and long legs, which bend towards the pole.

use self::longitudes::Longitudes;
use super::cost::{self, Cost};
use super::index_set::IndexSet;
use super::level::{Level, kernel};
use super::metric::{Metric, longitude_between};
use super::point::{HALF_TURN_E7, POLE_E7, Point, Space};
use super::state::PlacesState;

pub(super) mod longitudes;
mod vertex;

/// The bounding box of the points and legs of a path.
///
/// Geographic boxes are in degrees and follow RFC 7946, section 5: if the box crosses the antimeridian, `min_x`
/// (west) is larger than `max_x` (east).
///
/// The box is the smallest one that contains every leg. A leg is the shortest line between its ends, and covers the
/// longitudes of the shorter way between them.
///
/// - The box leaves out the widest gap of longitudes that no point and no leg covers. Of gaps of the same width, this
///   is the one that begins farthest east, where -180 is the antimeridian. If no gap is at least 22.5 degrees wide,
///   the box has all longitudes, -180 to 180.
/// - A leg bends towards the pole of its hemisphere. Where the line turns between the two ends, the box contains its
///   highest latitude: on the sphere or the ellipsoid of the metric, with an error of less than 1e-7 degree. Legs that
///   span at most 0.009 degree of longitude count with their ends only, which is within this error.
/// - The line between two meridians that are 180 degrees apart crosses the pole of the hemisphere in which the mean of
///   the two latitudes is, or the north pole if the mean is 0. A box that contains a pole has all longitudes.
/// - Two points that are nearly antipodal and of opposite latitudes have two shortest lines. The northern one counts.
///   The course of a nearly antipodal line changes much with a small change of an end; the bound on the error assumes
///   the stored coordinates.
/// - As the eastern end of a box, the antimeridian is 180, and as the western end -180. The box of points on the
///   antimeridian alone has 180 as both ends.
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

/// The state from which [`Bounds`] are computed. It has minima and maxima over points and legs only, so that any
/// order and grouping gives the same bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extent {
    min_y: f64,
    max_y: f64,
    x: Longitudes,
}

/// Consecutive points of a path.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) x: &'a [f64],
    pub(super) y: &'a [f64],
    /// The indices of the points that start a segment, as indices of `x` minus `offset`.
    pub(super) starts: &'a IndexSet,
    pub(super) offset: usize,
}

impl Run<'_> {
    fn at(&self, index: usize) -> (f64, f64) {
        (self.x[index], self.y[index])
    }

    /// Returns whether a leg joins the point to the one before it.
    fn has_leg(&self, index: usize) -> bool {
        index > 0 && !self.starts.contains(index - self.offset)
    }
}

kernel! {
    /// Returns the smallest and the largest x and y.
    fn ranges(x: &[f64], y: &[f64]) -> [[f64; 2]; 2] = ranges_body
}

kernel! {
    /// Returns the largest difference of two consecutive values.
    fn largest_step(x: &[f64]) -> f64 = largest_step_body
}

#[inline(always)]
fn ranges_body(x: &[f64], y: &[f64]) -> [[f64; 2]; 2] {
    let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
    let (min_x, max_x) = (fold(x, low, min), fold(x, high, max));
    let (min_y, max_y) = (fold(y, low, min), fold(y, high, max));
    [[min_x, max_x], [min_y, max_y]]
}

#[inline(always)]
fn largest_step_body(x: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (from, to) = (&x[..x.len().saturating_sub(1)], x.get(1..).unwrap_or_default());
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<LANES>(), to.as_chunks::<LANES>());
    for (from, to) in from.iter().zip(to) {
        for ((lane, from), to) in lanes.iter_mut().zip(from).zip(to) {
            *lane = max(*lane, (to - from).abs());
        }
    }
    for ((lane, from), to) in lanes.iter_mut().zip(from_rest).zip(to_rest) {
        *lane = max(*lane, (to - from).abs());
    }
    combine(lanes, max)
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

const LANES: usize = 8;

/// Folds the values in lanes. The compiler does not reorder the operations itself, because it does not know that
/// the order is irrelevant here. The last values can count twice.
#[inline(always)]
fn fold(values: &[f64], start: f64, pick: impl Fn(f64, f64) -> f64) -> f64 {
    let Some(last) = values.last_chunk::<LANES>() else {
        let mut result = start;
        for &value in values {
            result = pick(result, value);
        }
        return result;
    };
    let mut lanes = [start; LANES];
    for chunk in values.as_chunks::<LANES>().0 {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = pick(*lane, value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(last) {
        *lane = pick(*lane, value);
    }
    combine(lanes, pick)
}

/// Combines halves: combining lane after lane would be a dependency chain of eight steps.
#[inline(always)]
fn combine(mut lanes: [f64; LANES], pick: impl Fn(f64, f64) -> f64) -> f64 {
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
    pub(super) const EMPTY: Self =
        Self { min_y: f64::INFINITY, max_y: f64::NEG_INFINITY, x: Longitudes::EMPTY };

    /// Adds points and the legs between them. Returns the cost of the vertices that it computes.
    #[inline]
    pub(super) fn extend(&mut self, level: Level, metric: Metric, run: Run<'_>) -> Cost {
        let [[min_x, max_x], [min_y, max_y]] = ranges(level, run.x, run.y);
        self.min_y = min(self.min_y, min_y);
        self.max_y = max(self.max_y, max_y);
        if metric == Metric::Planar {
            self.x.add_planar(min_x, max_x);
            return Cost::default();
        }
        // Legs that do not cross the antimeridian and join all points cover everything between the extremes. So do
        // points of one sector, by definition.
        let (span, is_narrow) = (max_x - min_x, max_x - min_x < HALF_TURN_E7);
        if is_narrow && (run.starts.is_empty() || Longitudes::is_one_sector(min_x, max_x)) {
            self.x.add_range(min_x, max_x);
        } else {
            self.add_longitudes(run);
        }
        let span = if is_narrow { span } else { HALF_TURN_E7 };
        if span > vertex::SHORT_E7 && self.can_grow(min_y, max_y, span) {
            return self.add_vertices(level, metric, run);
        }
        Cost::default()
    }

    /// Adds the longitudes of each leg and of each point without one.
    #[cold]
    fn add_longitudes(&mut self, run: Run<'_>) {
        for (index, &x) in run.x.iter().enumerate() {
            let from = if run.has_leg(index) { run.x[index - 1] } else { x };
            self.x.add_leg(from, x);
        }
    }

    /// Returns whether a leg between these latitudes that spans at most `dx` can leave the box. A leg between two
    /// points of the equator can leave it in the north.
    #[inline]
    fn can_grow(&self, min_y: f64, max_y: f64, dx: f64) -> bool {
        let bulge = vertex::bulge(dx);
        (max_y >= 0.0 && max_y + bulge > self.max_y) || (min_y < 0.0 && min_y - bulge < self.min_y)
    }

    fn add_vertices(&mut self, level: Level, metric: Metric, run: Run<'_>) -> Cost {
        let mut cost = Cost::default();
        if largest_step(level, run.x) > vertex::SHORT_E7 {
            for index in (1..run.x.len()).filter(|&index| run.has_leg(index)) {
                cost += self.add_vertex(metric, run.at(index - 1), run.at(index));
            }
        }
        cost
    }

    /// Adds the vertex of a leg if it is between the ends and can be outside the box.
    #[inline]
    fn add_vertex(&mut self, metric: Metric, a: (f64, f64), b: (f64, f64)) -> Cost {
        let dx = longitude_between(a.0, b.0);
        let (low, high) = (min(a.1, b.1), max(a.1, b.1));
        let is_possible = dx > vertex::SHORT_E7
            && vertex::is_possible(dx, [a.1, b.1])
            && self.can_grow(low, high, dx);
        if is_possible { self.add_possible_vertex(metric, a, b, dx) } else { Cost::default() }
    }

    fn add_possible_vertex(
        &mut self,
        metric: Metric,
        a: (f64, f64),
        b: (f64, f64),
        dx: f64,
    ) -> Cost {
        let mut cost = Cost::default();
        if dx > vertex::QUADRATIC_E7 {
            cost += Cost { ns: cost::VERTEX_LIMIT_NS };
            let limit = vertex::limit(dx, max(a.1.abs(), b.1.abs()));
            if limit <= self.max_y && -limit >= self.min_y {
                return cost;
            }
        }
        let (vertex, of_vertex) = vertex::vertex(metric, a, b);
        if let Some(y) = vertex {
            self.min_y = min(self.min_y, y);
            self.max_y = max(self.max_y, y);
        }
        cost + of_vertex
    }

    /// Adds a leg whose ends are already part of the extent.
    #[inline]
    pub(super) fn add_leg(&mut self, metric: Metric, a: (f64, f64), b: (f64, f64)) -> Cost {
        if metric == Metric::Planar {
            return Cost::default();
        }
        self.x.add_leg(a.0, b.0);
        self.add_vertex(metric, a, b)
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.min_y = min(self.min_y, other.min_y);
        self.max_y = max(self.max_y, other.max_y);
        self.x.merge(&other.x);
    }

    /// Returns the box in the caller's unit, or `None` if there is no point.
    pub(super) fn bounds(&self, space: Space) -> Option<Bounds> {
        let has_pole = self.min_y <= -POLE_E7 || self.max_y >= POLE_E7;
        let [west, east] = match space {
            Space::Planar => self.x.planar()?,
            Space::Geographic => {
                self.x.range().map(|range| if has_pole { ALL_LONGITUDES } else { range })?
            }
        };
        let low = Point::from_canonical(space, (west, self.min_y));
        let high = Point::from_canonical(space, (east, self.max_y));
        Some(Bounds { min_x: low.x(), min_y: low.y(), max_x: high.x(), max_y: high.y() })
    }
}

const ALL_LONGITUDES: [f64; 2] = [-HALF_TURN_E7, HALF_TURN_E7];

impl Extent {
    /// Returns the extent of points as plain data, together with the first and the last point.
    pub(super) fn state(&self, first: (f64, f64), last: (f64, f64)) -> PlacesState {
        PlacesState {
            first: first.into(),
            last: last.into(),
            y: [self.min_y, self.max_y],
            x: self.x.state(),
        }
    }

    /// Restores the extent of points from a state that was checked.
    pub(super) fn from_checked_state(places: &PlacesState) -> Self {
        let [min_y, max_y] = places.y;
        Self { min_y, max_y, x: Longitudes::from_checked_state(&places.x) }
    }
}

#[cfg(test)]
mod tests;
