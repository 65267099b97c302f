//! Recordings of simulated motions: the noise of a receiver, and the choice of the points that are kept.

use std::fmt;

use waywiser::{Fix, Point};

use super::motion::{Moment, Motion, RATE};
use super::random::Random;

/// The error of a receiver per axis: one that changes over time, and an independent one for each fix.
pub struct Noise {
    pub name: &'static str,
    /// The standard deviation in metres and the correlation time in seconds of a first-order Gauss-Markov process.
    wander_m: f64,
    wander_s: f64,
    white_m: f64,
}

const fn noise(name: &'static str, wander_m: f64, wander_s: f64, white_m: f64) -> Noise {
    Noise { name, wander_m, wander_s, white_m }
}

pub const NOISES: [Noise; 5] = [
    noise("3 m over 40 s + 0.3 m", 3.0, 40.0, 0.3),
    noise("3 m over 40 s + 1.5 m", 3.0, 40.0, 1.5),
    noise("5 m over 100 s + 0.2 m", 5.0, 100.0, 0.2),
    noise("0.5 m over 30 s + 3 m", 0.5, 30.0, 3.0),
    noise("6 m over 15 s + 0.5 m", 6.0, 15.0, 0.5),
];
const NO_NOISE: Noise = noise("none", 0.0, 1.0, 0.0);
/// The index of the noise that is harsher than the others.
pub const HARSH: usize = 4;

/// The choice of the points that a device keeps.
#[derive(Clone, Copy, PartialEq)]
pub enum Interval {
    /// A point every N seconds.
    Every(usize),
    /// A point where the path leaves the straight line of the last point. See [`is_kept`].
    Smart,
}

impl Recording {
    /// Returns the time from the first fix to the last.
    pub fn duration_s(&self) -> f64 {
        let time_ns = |fix: Option<&Fix>| fix.and_then(|fix| fix.unix_ns()).unwrap_or(0);
        (time_ns(self.fixes.last()) - time_ns(self.fixes.first())) as f64 / 1e9
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Interval::Every(seconds) => f.pad(&format!("{seconds} s")),
            Interval::Smart => f.pad("smart"),
        }
    }
}

/// The fixes of a recording and the true length from the first to the last.
pub struct Recording {
    pub fixes: Vec<Fix>,
    pub true_m: f64,
}

/// Tracks start here, in Slovenia, on 2024-05-18 at 09:00 UTC.
const START_LATITUDE_DEG: f64 = 46.05;
const START_LONGITUDE_DEG: f64 = 14.5;
const START_UNIX_S: i64 = 1_716_022_800;

/// A smart recording keeps a point that is this far from where the velocity of the last point leads.
const SMART_DISTANCE_M: f64 = 5.0;
/// It keeps a point whose heading differs by this angle from that of the last point.
const SMART_TURN_DEG: f64 = 20.0;
/// It keeps a point that is this long after the last point.
const SMART_TIME_S: f64 = 60.0;
/// Below this speed it ignores the heading.
const SMART_SPEED_MPS: f64 = 0.3;

/// Returns whether a smart recording keeps the moment `now`. Devices know their velocity well, from the Doppler shift
/// of the signals, so the true velocity is used.
fn is_kept(last: &Moment, now: &Moment, elapsed_s: f64) -> bool {
    let ahead_m = last.speed_mps * elapsed_s;
    let east_m = now.east_m - last.east_m - ahead_m * last.heading_rad.sin();
    let north_m = now.north_m - last.north_m - ahead_m * last.heading_rad.cos();
    let turn = (now.heading_rad - last.heading_rad).cos() < SMART_TURN_DEG.to_radians().cos();
    elapsed_s >= SMART_TIME_S
        || east_m.hypot(north_m) > SMART_DISTANCE_M
        || (turn && now.speed_mps.min(last.speed_mps) > SMART_SPEED_MPS)
}

/// Converts metres near a place to degrees on the WGS84 ellipsoid.
struct Place {
    latitude_deg: f64,
    longitude_deg: f64,
}

impl Place {
    /// Returns this place moved by some metres. The error is below 1e-6 of the distance within 10 m.
    fn moved(&self, east_m: f64, north_m: f64) -> Self {
        const EQUATOR_M: f64 = 6_378_137.0;
        const SQUARED_ECCENTRICITY: f64 = 0.006_694_379_990_141_317;
        let (sin, cos) = self.latitude_deg.to_radians().sin_cos();
        let root = (1.0 - SQUARED_ECCENTRICITY * sin * sin).sqrt();
        let east_radius_m = EQUATOR_M / root;
        let north_radius_m = EQUATOR_M * (1.0 - SQUARED_ECCENTRICITY) / (root * root * root);
        Self {
            latitude_deg: self.latitude_deg + (north_m / north_radius_m).to_degrees(),
            longitude_deg: self.longitude_deg + (east_m / (east_radius_m * cos)).to_degrees(),
        }
    }
}

/// Simulates a motion and its recording. The same seed has the same motion for every noise and interval.
pub fn record(
    motion: &Motion,
    noise: Option<&Noise>,
    interval: Interval,
    duration_s: usize,
    seed: u64,
) -> Recording {
    let moments = motion.simulate(duration_s, &mut Random::new(2 * seed));
    let mut random = Random::new(2 * seed + 1);
    let noise = noise.unwrap_or(&NO_NOISE);
    let every_s = match interval {
        Interval::Every(seconds) => seconds,
        Interval::Smart => 1,
    };
    let keep = (-(every_s as f64) / noise.wander_s).exp();
    let renew_m = noise.wander_m * (1.0 - keep * keep).sqrt();
    let mut wander_m = [0; 2].map(|_| noise.wander_m * random.normal());
    let mut place = Place { latitude_deg: START_LATITUDE_DEG, longitude_deg: START_LONGITUDE_DEG };
    let mut recording = Recording { fixes: Vec::new(), true_m: 0.0 };
    let mut kept: Option<usize> = None;
    for (index, moment) in moments.iter().enumerate() {
        if let Some(before) = index.checked_sub(1).map(|before| &moments[before]) {
            place = place.moved(moment.east_m - before.east_m, moment.north_m - before.north_m);
        }
        if index % (every_s * RATE) != 0 {
            continue;
        }
        let [east_m, north_m] = wander_m.map(|wander| wander + noise.white_m * random.normal());
        wander_m = wander_m.map(|wander| keep * wander + renew_m * random.normal());
        let is_kept = interval != Interval::Smart
            || kept.is_none_or(|last| {
                is_kept(&moments[last], moment, (index - last) as f64 / RATE as f64)
            });
        if is_kept {
            let at = place.moved(east_m, north_m);
            let e7 = |degrees: f64| (degrees * 1e7).round() as i32;
            let point = Point::from_e7(e7(at.latitude_deg), e7(at.longitude_deg)).unwrap();
            let unix_ns = (START_UNIX_S + (index / RATE) as i64) * 1_000_000_000;
            recording.fixes.push(Fix::new(point).at_unix_ns(unix_ns).unwrap());
            recording.true_m = moment.length_m;
            kept = Some(index);
        }
    }
    recording
}
