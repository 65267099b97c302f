//! The vertex of a leg on the Earth: the latitude at which the shortest line between two points turns from
//! towards a pole to away from it.
//!
//! The product of the sine of the azimuth and the cosine of the (reduced) latitude is constant along a shortest
//! line (Clairaut). At the vertex the azimuth is a quarter turn, so the constant is the cosine of its latitude. On
//! the ellipsoid the line is mapped to a great circle of the auxiliary sphere: Vincenty (1975), "Direct and Inverse
//! Solutions of Geodesics on the Ellipsoid with Application of Nested Equations", Survey Review 23(176), 88-93.
//!
//! All functions are those of the crate `libm`, so that every platform computes the same bits.

use std::f64::consts::PI;

use libm::{atan2, cos, sin};

use crate::measure::cost::{self, Cost};
use crate::measure::metric::{Metric, longitude_between};
use crate::measure::point::{HALF_TURN_E7, POLE_E7};

/// Radians in an E7 unit.
const RAD_PER_E7: f64 = PI / HALF_TURN_E7;
/// The flattening of WGS84.
const FLATTENING: f64 = 1.0 / 298.257_223_563;

/// The largest difference of longitudes for which no vertex is computed: 0.009 degree. The vertex of a shorter
/// leg is less than 0.9e-7 degree beyond its ends.
pub(super) const SHORT_E7: f64 = 90_000.0;
/// The largest difference of longitudes for which [`bulge`] is a bound: half a radian.
pub(super) const QUADRATIC_E7: f64 = 0.5 / RAD_PER_E7;
/// No line between points of different hemispheres that spans less than this has a vertex: 85 degrees.
const WIDE_E7: f64 = 850_000_000.0;

/// Returns a bound of the distance in E7 units from the ends of a leg to its vertex.
///
/// With half of the difference of longitudes h, the tangent of the distance is at most
/// (1 - cos h) / (2 sqrt(cos h)), at any latitude. That is h^2 / 4, and up to a quarter radian 1.02 times it. The
/// factor of 1.1 also covers the ellipsoid and roundings.
#[inline]
pub(super) fn bulge(dx: f64) -> f64 {
    if dx > QUADRATIC_E7 { POLE_E7 } else { dx * dx * (1.1 / 16.0 * RAD_PER_E7) }
}

/// Returns a bound of the latitude that a leg of any length reaches, from the larger magnitude of the latitudes of its
/// ends: the vertex of a leg between two points of this latitude. The difference of longitudes is increased by 1 %,
/// which covers the ellipsoid, and the latitude by 0.1 degree, which covers the flattening of the vertex.
pub(super) fn limit(dx: f64, y: f64) -> f64 {
    let half = dx * (0.5 * 1.01);
    if half >= POLE_E7 {
        return POLE_E7;
    }
    let [sine, cosine] = sine_cosine_of_latitude(y);
    let to_pole = atan2(cosine * cos(half * RAD_PER_E7), sine) / RAD_PER_E7;
    POLE_E7 - to_pole + 0.1e7
}

/// Returns whether a leg that is longer than [`SHORT_E7`] can have a vertex between its ends. A short computation
/// excludes almost all legs that have none.
///
/// A vertex between two latitudes of one hemisphere requires that the quotient of their tangents is larger than the
/// cosine of the difference of longitudes. The difference of latitudes is then at most a quarter of the square of
/// the difference of longitudes, and up to half a radian 1.07 times it.
#[inline]
pub(super) fn is_possible(dx: f64, y: [f64; 2]) -> bool {
    if dx <= QUADRATIC_E7 && (y[1] - y[0]).abs() > dx * dx * (1.25 / 4.0 * RAD_PER_E7) {
        return false;
    }
    dx >= WIDE_E7 || y[0] * y[1] > 0.0
}

/// Returns the latitude of the vertex of a leg in E7 units, or `None` if it is not between the ends, and the cost
/// of the computation.
///
/// The line between two meridians that are half a turn apart crosses a pole: the pole of the hemisphere of the mean
/// latitude, and for antipodes the north pole. If two points have two shortest lines, the northern one counts.
pub(super) fn vertex(metric: Metric, a: (f64, f64), b: (f64, f64)) -> (Option<f64>, Cost) {
    let dx = longitude_between(a.0, b.0);
    // The end that is nearer to a pole first, so that the result is the same in both directions.
    let is_ordered = a.1.abs() > b.1.abs() || (a.1.abs() == b.1.abs() && a.1 > b.1);
    let y = if is_ordered { [a.1, b.1] } else { [b.1, a.1] };
    if dx == HALF_TURN_E7 {
        let pole = if y[0] + y[1] < 0.0 { -POLE_E7 } else { POLE_E7 };
        return (Some(pole), Cost::default());
    }
    let ends = y.map(sine_cosine_of_latitude);
    let (vertex, ns) = match metric {
        Metric::Planar => (None, 0),
        Metric::Haversine => {
            let circle = GreatCircle::new(ends, sine_cosine_of_turn(dx));
            (circle.vertex(ends[0]), cost::HAVERSINE_VERTEX_NS)
        }
        Metric::Geodesic => on_ellipsoid(ends.map(reduced), dx),
    };
    (vertex.map(|vertex| vertex.latitude(metric)), Cost { ns })
}

/// The latitude of a vertex. Sine and cosine have a common positive factor.
struct Vertex {
    sine: f64,
    cosine: f64,
    is_north: bool,
}

impl Vertex {
    /// Returns the geographic latitude in E7 units. On the ellipsoid, the latitude of the vertex is reduced.
    fn latitude(&self, metric: Metric) -> f64 {
        let cosine = match metric {
            Metric::Geodesic => (1.0 - FLATTENING) * self.cosine,
            _ => self.cosine,
        };
        let latitude = POLE_E7 - atan2(cosine, self.sine) / RAD_PER_E7;
        // Adding zero changes -0 to +0.
        if self.is_north { latitude } else { -latitude + 0.0 }
    }
}

fn sine_cosine_of_latitude(y: f64) -> [f64; 2] {
    if y.abs() <= POLE_E7 / 2.0 {
        return [sin(y * RAD_PER_E7), cos(y * RAD_PER_E7)];
    }
    let to_pole = (POLE_E7 - y.abs()) * RAD_PER_E7;
    [cos(to_pole).copysign(y), sin(to_pole)]
}

/// Returns sine and cosine of an angle up to half a turn.
fn sine_cosine_of_turn(dx: f64) -> [f64; 2] {
    if dx > POLE_E7 {
        let rest = (HALF_TURN_E7 - dx) * RAD_PER_E7;
        return [sin(rest), -cos(rest)];
    }
    [sin(dx * RAD_PER_E7), cos(dx * RAD_PER_E7)]
}

/// Returns sine and cosine of the reduced latitude.
fn reduced([sine, cosine]: [f64; 2]) -> [f64; 2] {
    let sine = (1.0 - FLATTENING) * sine;
    let norm = (sine * sine + cosine * cosine).sqrt();
    [sine / norm, cosine / norm]
}

/// A great circle from one point to another.
struct GreatCircle {
    /// The components of the course at the first end, times the sine of the length.
    north: f64,
    east: f64,
    /// The northern component of the course from the second end to the first one.
    north_from_end: f64,
}

impl GreatCircle {
    fn new([[s1, c1], [s2, c2]]: [[f64; 2]; 2], [sine, cosine]: [f64; 2]) -> Self {
        Self {
            north: c1 * s2 - s1 * c2 * cosine,
            east: c2 * sine,
            north_from_end: c2 * s1 - s2 * c1 * cosine,
        }
    }

    /// Returns the sine of the length.
    fn sine(&self) -> f64 {
        (self.north * self.north + self.east * self.east).sqrt()
    }

    /// Returns the vertex: it is between the ends if both courses are towards the same pole.
    fn vertex(&self, [sine, cosine]: [f64; 2]) -> Option<Vertex> {
        let Self { north, east, north_from_end } = *self;
        if north * north_from_end <= 0.0 {
            return None;
        }
        let east_sine = east * sine;
        Some(Vertex {
            sine: (north * north + east_sine * east_sine).sqrt(),
            cosine: east * cosine,
            is_north: north > 0.0,
        })
    }
}

/// Returns the vertex of the geodesic between two points with these reduced latitudes, and the time in nanoseconds.
///
/// Vincenty's iteration converges for points that are not nearly antipodal, in about four steps. Its series has an
/// error below 1e-10 rad. For other points, a bisection finds the course.
fn on_ellipsoid(ends: [[f64; 2]; 2], dx: f64) -> (Option<Vertex>, u64) {
    const STEPS_MAX: usize = 16;
    const PRECISION: f64 = 1e-12;
    let [[s1, c1], [s2, c2]] = ends;
    let target = dx * RAD_PER_E7;
    let mut turn = target;
    let mut turn_e7 = dx;
    for _ in 0..STEPS_MAX {
        let [sine, cosine] = sine_cosine_of_turn(turn_e7);
        let circle = GreatCircle::new(ends, [sine, cosine]);
        let length = [circle.sine(), s1 * s2 + c1 * c2 * cosine];
        let sine_of_equator = c1 * c2 * sine / length[0];
        let square = 1.0 - sine_of_equator * sine_of_equator;
        let middle = if square > 1e-12 { length[1] - 2.0 * s1 * s2 / square } else { 0.0 };
        let excess = excess(sine_of_equator, atan2(length[0], length[1]), length, middle);
        let next = target + excess;
        if (next - turn).abs() <= PRECISION {
            return (circle.vertex(ends[0]), cost::GEODESIC_VERTEX_NS);
        }
        (turn, turn_e7) = (next, next / RAD_PER_E7);
        if turn >= PI || turn.is_nan() {
            break;
        }
    }
    (by_bisection(ends, target), cost::ANTIPODAL_VERTEX_NS)
}

/// Returns the difference between the turn on the auxiliary sphere and the difference of longitudes. The arguments
/// are the sine of the azimuth at the equator, the length, its sine and cosine, and the cosine of twice the distance
/// from the equator to the middle.
fn excess(sine_of_equator: f64, length: f64, [sine, cosine]: [f64; 2], middle: f64) -> f64 {
    let square = 1.0 - sine_of_equator * sine_of_equator;
    let c = FLATTENING / 16.0 * square * (4.0 + FLATTENING * (4.0 - 3.0 * square));
    let series = length + c * sine * (middle + c * cosine * (2.0 * middle * middle - 1.0));
    (1.0 - c) * FLATTENING * sine_of_equator * series
}

/// Returns the vertex of the geodesic between nearly antipodal points.
///
/// The first end is the one nearer to a pole. In the hemisphere of this pole, the difference of longitudes that a
/// line reaches grows with the angle between its course at the first end and the meridian away from the pole: Karney
/// (2013), "Algorithms for geodesics", Journal of Geodesy 87, 43-55. The result is the course with an error of 2e-10
/// rad, if the coordinates are exact.
fn by_bisection([[s1, c1], [s2, c2]]: [[f64; 2]; 2], target: f64) -> Option<Vertex> {
    const STEPS: usize = 34;
    // Mirror the points so that the first one is in the south. At the equator, it is just south of it.
    let is_north = s1 >= 0.0;
    let (s1, s2) = if is_north { (-s1, -s2) } else { (s1, s2) };
    let s1 = s1.min(-1e-100);
    let longitudes = |course: f64| {
        let [sine, cosine] = [sin(course), cos(course)];
        let sine_of_equator = sine * c1;
        let (north_1, square_2) = (cosine * c1, c2 * c2 - sine_of_equator * sine_of_equator);
        let north_2 = square_2.max(0.0).sqrt();
        let (length_1, length_2) = (atan2(s1, north_1), atan2(s2, north_2));
        let turn_1 = atan2(sine_of_equator * s1, north_1);
        let turn_2 = atan2(sine_of_equator * s2, north_2);
        let length = length_2 - length_1;
        let middle = cos(length_1 + length_2);
        let excess = excess(sine_of_equator, length, [sin(length), cos(length)], middle);
        turn_2 - turn_1 - excess
    };
    let (mut low, mut high) = (0.0, PI);
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        if longitudes(middle) < target { low = middle } else { high = middle }
    }
    let course = 0.5 * (low + high);
    let [sine, cosine] = [sin(course), cos(course)];
    let sine_s1 = sine * s1;
    let vertex =
        Vertex { sine: (cosine * cosine + sine_s1 * sine_s1).sqrt(), cosine: sine * c1, is_north };
    (cosine < 0.0).then_some(vertex)
}
