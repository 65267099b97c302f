//! A small simulator of walks with noise, with its own generator of random numbers.

use super::super::EstimateSettings;
use super::super::Estimator;

/// A fix of a test: degrees of longitude and latitude, and seconds.
pub(super) type TestFix = ([f64; 2], f64);

/// The generator of Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators".
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number with the standard normal distribution, by Box and Muller.
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// The noise of a receiver.
#[derive(Clone, Copy)]
pub(super) struct Noise {
    pub(super) correlated_m: f64,
    pub(super) correlation_s: f64,
    pub(super) white_m: f64,
}

/// A simulated track.
pub(super) struct Track {
    pub(super) fixes: Vec<TestFix>,
    pub(super) true_m: f64,
}

/// Where a track starts, in degrees of longitude and latitude.
pub(super) const START: [f64; 2] = [13.8, 46.3];

/// Converts metres to the east and to the north of [`START`] to degrees.
pub(super) fn degrees([x, y]: [f64; 2]) -> [f64; 2] {
    let [longitude, latitude] = START;
    // The metres of a degree on WGS84 at this latitude.
    [longitude + x / 77_033.0, latitude + y / 111_157.0]
}

/// Simulates phases of motion: each is a number of seconds and a speed in m/s. The direction wanders.
pub(super) fn track(phases: &[(u32, f64)], interval_s: u32, noise: Noise, seed: u64) -> Track {
    let mut random = Random(seed);
    let mut fixes = Vec::new();
    let ([mut x, mut y], mut heading, mut true_m) = ([0.0; 2], 1.0_f64, 0.0);
    let mut error = [random.normal() * noise.correlated_m, random.normal() * noise.correlated_m];
    let mut second = 0;
    for &(seconds, speed) in phases {
        for _ in 0..seconds {
            if second % interval_s == 0 {
                let place = [x, y].map(|axis| axis + noise.white_m * random.normal());
                let at = degrees([place[0] + error[0], place[1] + error[1]]);
                fixes.push((at, f64::from(second)));
            }
            second += 1;
            // The faster, the wider are the turns.
            heading += 0.1 / (1.0 + speed / 5.0) * random.normal();
            (x, y) = (x + speed * heading.cos(), y + speed * heading.sin());
            true_m += speed;
            let keep = (-1.0 / noise.correlation_s).exp();
            for axis in &mut error {
                let shock = (1.0 - keep * keep).sqrt() * noise.correlated_m;
                *axis = keep * *axis + shock * random.normal();
            }
        }
    }
    Track { fixes, true_m }
}

/// The time of the first fix of a test.
pub(super) const START_NS: i64 = 1_700_000_000_000_000_000;

pub(super) fn add(estimator: &mut Estimator, ([longitude, latitude], seconds): TestFix) {
    let unix_ns = START_NS + (seconds * 1e9) as i64;
    estimator.add((longitude * 1e7, latitude * 1e7), Some(unix_ns));
}

pub(super) fn estimator(fixes: &[TestFix]) -> Estimator {
    let settings = EstimateSettings { max_trips: 100, ..EstimateSettings::default() };
    let mut estimator = Estimator::new(settings);
    fixes.iter().for_each(|&fix| add(&mut estimator, fix));
    estimator
}
