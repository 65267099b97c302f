//! From longitude and latitude, or planar coordinates, to positions in a rectangle.
//!
//! Geographic tracks use the Mercator projection of the sphere, and near the poles an equirectangular one. Longitudes are
//! counted from the middle of the tracks, so that tracks across the antimeridian are in one piece.

use std::f64::consts::FRAC_PI_4;

use super::svg::Area;

/// The latitude up to which the Mercator projection is used.
const MERCATOR_LATITUDE: f64 = 80.0;
/// The smallest width and height of the map, in degrees or planar units: about 22 m.
const SPAN_MIN: f64 = 2e-4;
const METRES_PER_DEGREE: f64 = 111_195.0;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Mercator,
    /// East is shorter than north by this factor.
    Equirectangular(f64),
    Planar,
}

/// The projection of a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Projection {
    kind: Kind,
    /// The longitude in the middle.
    middle: f64,
    /// The projected coordinates in the middle of the area.
    centre: [f64; 2],
    /// Pixels per projected unit.
    scale: f64,
    area: Area,
}

impl Projection {
    /// Returns a projection that fits the points into a rectangle of this width, at most `height_max` high, and the height
    /// that it needs.
    pub(super) fn fit(points: &[[f64; 2]], is_planar: bool, mut area: Area, margin: f64) -> Self {
        let largest = points.iter().map(|[_, y]| y.abs()).fold(0.0, f64::max);
        let [low, high] = range(points.iter().map(|[_, y]| *y)).unwrap_or([0.0, 0.0]);
        let kind = match is_planar {
            true => Kind::Planar,
            false if largest <= MERCATOR_LATITUDE => Kind::Mercator,
            false => {
                let parallel = libm::cos(((low + high) / 2.0).to_radians());
                Kind::Equirectangular(parallel.max(0.02))
            }
        };
        let middle = if is_planar { 0.0 } else { middle_longitude(points) };
        let mut this = Self { kind, middle, centre: [0.0; 2], scale: 1.0, area };
        let projected: Vec<_> = points.iter().map(|&at| this.projected(at)).collect();
        let [x, y] =
            [0, 1].map(|axis| range(projected.iter().map(|at| at[axis])).unwrap_or([0.0, 0.0]));
        this.centre = [(x[0] + x[1]) / 2.0, (y[0] + y[1]) / 2.0];
        let span_min = match is_planar {
            // A single planar point has no scale of its own.
            true if x[0] == x[1] && y[0] == y[1] => 1.0,
            true => 0.0,
            false => SPAN_MIN,
        };
        let [width, height] = [x[1] - x[0], y[1] - y[0]].map(|span| span.max(span_min));
        let by_width = (area.width - 2.0 * margin) / width;
        let by_height = (area.height - 2.0 * margin) / height;
        this.scale = by_width.min(by_height);
        // A wide map needs less height.
        area.height = (height * this.scale + 2.0 * margin).clamp(area.height * 0.5, area.height);
        this.area = area;
        this
    }

    pub(super) fn area(&self) -> Area {
        self.area
    }

    pub(super) fn is_planar(&self) -> bool {
        self.kind == Kind::Planar
    }

    /// Returns the longitude as a number of degrees from `middle` - 180 to `middle` + 180, or x.
    fn unwrapped(&self, x: f64) -> f64 {
        if self.is_planar() { x } else { self.middle + wrapped(x - self.middle) }
    }

    fn projected(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let x = self.unwrapped(x);
        match self.kind {
            Kind::Planar => [x, y],
            Kind::Equirectangular(parallel) => [x * parallel, y],
            Kind::Mercator => [x, mercator(y)],
        }
    }

    /// Returns the position of a point.
    pub(super) fn position(&self, at: [f64; 2]) -> [f64; 2] {
        let [x, y] = self.projected(at);
        [
            self.area.left + self.area.width / 2.0 + (x - self.centre[0]) * self.scale,
            self.area.top + self.area.height / 2.0 - (y - self.centre[1]) * self.scale,
        ]
    }

    /// Returns whether the line between two points goes around the other side of the map.
    pub(super) fn is_split(&self, from: [f64; 2], to: [f64; 2]) -> bool {
        !self.is_planar() && (self.unwrapped(from[0]) - self.unwrapped(to[0])).abs() > 180.0
    }

    /// Returns the smallest and the largest x and y of the area: longitudes, which may exceed 180, and latitudes.
    pub(super) fn limits(&self) -> [[f64; 2]; 2] {
        let half = [self.area.width, self.area.height].map(|size| size / 2.0 / self.scale);
        let [x, y] =
            [0, 1].map(|axis| [self.centre[axis] - half[axis], self.centre[axis] + half[axis]]);
        match self.kind {
            Kind::Planar => [x, y],
            Kind::Equirectangular(parallel) => {
                [x.map(|x| x / parallel), y.map(|y| y.clamp(-90.0, 90.0))]
            }
            Kind::Mercator => [x, y.map(inverse_mercator)],
        }
    }

    /// Returns the position of a longitude that may exceed 180, or of x.
    pub(super) fn x(&self, x: f64) -> f64 {
        let factor = if let Kind::Equirectangular(parallel) = self.kind { parallel } else { 1.0 };
        self.area.left + self.area.width / 2.0 + (x * factor - self.centre[0]) * self.scale
    }

    /// Returns the position of a latitude, or of y.
    pub(super) fn y(&self, y: f64) -> f64 {
        self.position([self.middle, y])[1]
    }

    /// Returns the metres, or planar units, of a pixel in the middle of the map.
    pub(super) fn unit_per_pixel(&self) -> f64 {
        match self.kind {
            Kind::Planar => 1.0 / self.scale,
            Kind::Equirectangular(_) => METRES_PER_DEGREE / self.scale,
            Kind::Mercator => {
                let latitude = inverse_mercator(self.centre[1]);
                METRES_PER_DEGREE * libm::cos(latitude.to_radians()) / self.scale
            }
        }
    }

    /// Returns the latitude of the scale, if the scale differs in the map by more than a twentieth.
    pub(super) fn scale_latitude(&self) -> Option<f64> {
        let [_, [low, high]] = self.limits();
        let [low, high] = [low, high].map(|latitude| libm::cos(latitude.to_radians()));
        let differs = (low / high - 1.0).abs() > 0.05;
        match self.kind {
            Kind::Mercator if differs => Some(inverse_mercator(self.centre[1])),
            _ => None,
        }
    }
}

/// Reduces degrees to the range from -180 to 180.
pub(super) fn wrapped(degrees: f64) -> f64 {
    degrees - 360.0 * libm::floor((degrees + 180.0) / 360.0)
}

fn range(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    values.fold(None, |range: Option<[f64; 2]>, value| {
        Some(range.map_or([value, value], |[low, high]| [low.min(value), high.max(value)]))
    })
}

/// Returns the longitude in the middle of the shortest range with all points.
fn middle_longitude(points: &[[f64; 2]]) -> f64 {
    let mut longitudes: Vec<f64> = points.iter().map(|[x, _]| wrapped(*x)).collect();
    longitudes.sort_by(f64::total_cmp);
    let (Some(&first), Some(&last)) = (longitudes.first(), longitudes.last()) else { return 0.0 };
    let across = (first + 360.0 - last, last, first + 360.0);
    let gaps = longitudes.windows(2).map(|pair| (pair[1] - pair[0], pair[0], pair[1]));
    // Of equal gaps, the one across the antimeridian.
    let widest = gaps.fold(across, |widest, gap| if gap.0 > widest.0 { gap } else { widest });
    wrapped((widest.2 + widest.1 + 360.0) / 2.0)
}

/// Returns the distance from the equator on the map, in degrees of the equator.
fn mercator(latitude: f64) -> f64 {
    let latitude = latitude.clamp(-85.0, 85.0);
    libm::log(libm::tan(FRAC_PI_4 + latitude.to_radians() / 2.0)).to_degrees()
}

fn inverse_mercator(y: f64) -> f64 {
    (2.0 * (libm::atan(libm::exp(y.to_radians())) - FRAC_PI_4)).to_degrees()
}
