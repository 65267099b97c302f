//! The sizes of records of realistic recordings, at every fix.

use super::*;
use crate::measure::{OptionsBuilder, PathSummary};

/// The generator of Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators".
struct Random(u64);

impl Random {
    /// Returns a number from -1 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// Returns a walk at 1 Hz in sessions, each in another window that is `window_s` long. Half of each session is a stop.
/// The receiver has noise of some metres, a fifth of the points are late by some seconds, and others are wrong. If
/// `is_whole` is set, the coordinates are whole multiples of 1e-7 degree, and the other numbers whole millimetres.
fn walk(fixes: usize, session_fixes: usize, window_s: i64, is_whole: bool) -> Vec<Fix> {
    let mut random = Random(7);
    let (mut at, mut error, mut heading) = ([13.8, 46.3], [0.0; 2], 1.0_f64);
    let fix = |index: usize| {
        let (session, second) = (index / session_fixes, index % session_fixes);
        heading += random.next() * 0.2;
        let is_moving = second % (session_fixes / 2) < session_fixes / 4;
        let speed = if is_moving { 1.4 } else { 0.0 };
        let step = [heading.cos() * speed / 77_033.0, heading.sin() * speed / 111_157.0];
        for axis in [0, 1] {
            at[axis] += step[axis];
            error[axis] = 0.97 * error[axis] + random.next() * 1e-5;
        }
        let outlier = if index % 97 < 15 { 0.02 } else { 0.0 };
        let mut noise = || random.next() * 1e-5 + outlier;
        let place: [f64; 2] = std::array::from_fn(|axis| at[axis] + error[axis] + noise());
        let late_s = if index.is_multiple_of(5) && outlier == 0.0 { 7 } else { 0 };
        let second = 1_700_000_000 + session as i64 * window_s + second as i64 - late_s;
        let round =
            |value: f64, unit: f64| if is_whole { (value * unit).round() / unit } else { value };
        let place = place.map(|axis| round(axis, 1e7));
        let point = Point::geographic(place[1], place[0]).unwrap();
        let fix = Fix::new(point).at_unix_ns(second * 1_000_000_000 + 123_456_789).unwrap();
        let fix = fix.with_z(round(600.0 + random.next() * 3.0, 1e3)).unwrap();
        fix.with_accuracy_m(round(4.0 + random.next(), 1e3)).unwrap()
    };
    (0..fixes).map(fix).collect()
}

/// Returns the size of the largest of the records after each fix, and the last summary.
fn largest(options: Options, fixes: &[Fix]) -> (usize, PathSummary) {
    let mut checkpoint = Checkpoint { accumulator: PathAccumulator::new(options), ..example() };
    let mut largest = 0;
    for fix in fixes {
        checkpoint.accumulator.extend(std::slice::from_ref(fix)).unwrap();
        largest = largest.max(encode(&name(), &checkpoint).len());
    }
    (largest, checkpoint.accumulator.summary())
}

fn rules() -> OptionsBuilder {
    Options::builder(Metric::Geodesic)
        .elevation(Elevation::ThreeDimensional)
        .max_gap_time_ns(30_000_000_000_u64)
        .max_gap(2_000.0)
        .max_speed(10.0)
        .min_step(1.5)
        .max_accuracy_m(20.0)
        .reject_backward_time(true)
        .reject_zero_position(true)
        .stopped_speed(0.5)
        .invalid_points(InvalidPoints::Split)
}

fn windows(unit: WindowUnit) -> WindowOptions {
    let zone = Zone::parse("Europe/Ljubljana").unwrap();
    WindowOptions { max_windows: 400, ..WindowOptions::new(unit, zone) }
}

fn estimate(max_trips: u32) -> EstimateOptions {
    EstimateOptions { max_trips, ..EstimateOptions::default() }
}

fn reorder(count: u32) -> Reorder {
    Reorder { count, time_ns: None }
}

const DAY_S: i64 = 86_400;

#[test]
fn a_record_is_small() {
    for is_whole in [true, false] {
        let plain = Options::builder(Metric::Geodesic);
        let day = walk(10_000, 330, DAY_S, is_whole);
        let check = |name: &str, options: OptionsBuilder, fixes: &[Fix], max: usize| {
            let (bytes, summary) = largest(options.build().unwrap(), fixes);
            // A bound that is much too large does not detect that the records grow.
            assert!(bytes <= max && bytes > max * 7 / 10, "{name}: {bytes} bytes, limit {max}");
            summary
        };
        let max = |whole, other| if is_whole { whole } else { other };
        check("plain", plain, &day, 640);
        check("rules", rules(), &day, max(830, 1_000));
        check("rules, 15 candidates", rules().reanchor_count(16), &day, max(1_000, 1_200));
        check("estimate", plain.estimate(estimate(0)), &day, 2_560);
        check("estimate, 32 trips", plain.estimate(estimate(32)), &day, 4_608);
        check("reorder, 32", plain.reorder(reorder(32)), &day[..2_000], max(1_200, 1_900));
        check("reorder, 256", plain.reorder(reorder(256)), &day[..2_000], max(4_096, 9_216));

        let hours = walk(10_000, 25, 3_600, is_whole);
        let summary = check("400 windows", plain.windows(windows(WindowUnit::Hour)), &hours, 6_500);
        assert_eq!(summary.windows.unwrap().windows.len(), 400);

        let all = rules().estimate(estimate(8)).reorder(reorder(32));
        let all = all.windows(windows(WindowUnit::Day));
        let summary = check("everything", all, &day, max(4_096, 4_608));
        let (trips, windows) = (summary.trips.unwrap(), summary.windows.unwrap());
        assert_eq!((trips.stops.len(), trips.trips.len(), windows.windows.len()), (8, 8, 31));
        assert!(summary.rejections.len() > 1 && summary.segment_count > 30);
    }
}
