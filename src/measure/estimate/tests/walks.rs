//! Simulated walks and stops.

use super::simulation::{Noise, START_NS, Track, add, degrees, estimator, track};
use super::*;

const NOISES: [Noise; 4] = [
    Noise { correlated_m: 3.0, correlation_s: 40.0, white_m: 0.3 },
    Noise { correlated_m: 3.0, correlation_s: 40.0, white_m: 1.5 },
    Noise { correlated_m: 5.0, correlation_s: 100.0, white_m: 0.2 },
    Noise { correlated_m: 0.5, correlation_s: 30.0, white_m: 3.0 },
];

fn error(track: &Track) -> f64 {
    let length = estimator(&track.fixes).summary().length.unwrap();
    assert!(length.low_m <= length.length_m && length.length_m <= length.high_m, "{length:?}");
    length.length_m / track.true_m - 1.0
}

#[test]
fn the_estimate_of_a_walk_is_near_its_true_length() {
    for noise in NOISES {
        for interval_s in [1, 5, 15] {
            let errors = (0..5).map(|seed| error(&track(&[(3000, 1.4)], interval_s, noise, seed)));
            let mean = errors.sum::<f64>() / 5.0;
            assert!(mean.abs() < 0.05, "every {interval_s} s: {mean}");
        }
    }
}

#[test]
fn the_estimate_of_a_fast_ride_is_near_its_true_length() {
    for noise in NOISES {
        for (interval_s, speed) in [(1, 15.0), (5, 30.0), (1, 60.0)] {
            let error = error(&track(&[(600, speed)], interval_s, noise, 3));
            assert!(error.abs() < 0.02, "every {interval_s} s: {error}");
        }
    }
}

#[test]
fn standing_still_has_hardly_any_length() {
    for noise in NOISES {
        let track = track(&[(3600, 0.0)], 1, noise, 5);
        let summary = estimator(&track.fixes).summary();
        let length = summary.length.unwrap();
        assert!(length.length_m < 180.0, "{length:?}");
        assert!(summary.stopped_ns > 3_000_000_000_000, "{summary:?}");
    }
}

#[test]
fn a_stop_is_found_at_its_time_and_place() {
    for (index, noise) in NOISES.into_iter().enumerate() {
        for interval_s in [1, 5] {
            let phases = [(900, 1.4), (300, 0.0), (900, 1.4)];
            let track = track(&phases, interval_s, noise, 11 + index as u64);
            let summary = estimator(&track.fixes).summary();
            let [stop] = summary.stops[..] else { panic!("{:?}", summary.stops) };
            let seconds = |unix_ns: i64| (unix_ns - START_NS) as f64 / 1e9;
            let (arrival, departure) =
                (seconds(stop.arrival_unix_ns), seconds(stop.departure_unix_ns));
            assert!((arrival - 900.0).abs() <= 45.0, "arrival {arrival}");
            assert!((departure - 1200.0).abs() <= 45.0, "departure {departure}");
            let (at, _) = track.fixes[(1000 / interval_s) as usize];
            let metres =
                [(stop.position[0] - at[0]) * 77_033.0, (stop.position[1] - at[1]) * 111_157.0];
            assert!(metres.iter().all(|axis| axis.abs() < 20.0), "{metres:?}");
            assert_eq!((summary.stop_count, summary.trip_count), (1, 2));
            let [before, after] = summary.trips[..] else { panic!("{:?}", summary.trips) };
            assert_eq!(before.end_unix_ns, stop.arrival_unix_ns);
            assert_eq!(after.start_unix_ns, stop.departure_unix_ns);
            for trip in [before, after] {
                assert!((trip.length.length_m / 1260.0 - 1.0).abs() < 0.1, "{trip:?}");
            }
            let total = summary.length.unwrap().length_m;
            let sum = before.length.length_m + after.length.length_m;
            // The least length bounds the trips and the path separately.
            assert!(total <= sum + 1e-6 && sum <= 1.02 * total, "{total}, {sum}");
        }
    }
}

#[test]
fn a_short_still_time_is_part_of_a_trip() {
    let track = track(&[(600, 1.4), (40, 0.0), (600, 1.4)], 1, NOISES[0], 2);
    let summary = estimator(&track.fixes).summary();
    assert_eq!((summary.stop_count, summary.trip_count, summary.stopped_ns), (0, 1, 0));
}

#[test]
fn a_pause_of_the_recorder_at_one_place_is_a_stop() {
    let first = track(&[(600, 1.4)], 1, NOISES[0], 2).fixes;
    let (at, end_s) = *first.last().unwrap();
    let mut fixes = first.clone();
    let offset = [0, 1].map(|axis| at[axis] - degrees([0.0; 2])[axis]);
    for (place, seconds) in track(&[(600, 1.4)], 1, NOISES[0], 2).fixes {
        let place = [place[0] + offset[0], place[1] + offset[1]];
        fixes.push((place, end_s + 1800.0 + seconds));
    }
    // As a gap, and as a segment break.
    for has_break in [false, true] {
        let mut path = estimator(&first);
        if has_break {
            path.start_segment();
        }
        fixes[first.len()..].iter().for_each(|&fix| add(&mut path, fix));
        let summary = path.summary();
        assert_eq!((summary.stop_count, summary.trip_count), (1, 2));
        assert!((1800.0..1900.0).contains(&(summary.stopped_ns as f64 / 1e9)), "{summary:?}");
    }
}

#[test]
fn a_break_while_the_path_stands_still_does_not_end_the_stop() {
    let track = track(&[(600, 1.4), (600, 0.0), (600, 1.4)], 1, NOISES[1], 4);
    let mut path = estimator(&[]);
    for (index, &fix) in track.fixes.iter().enumerate() {
        if index == 900 {
            path.start_segment();
        }
        add(&mut path, fix);
    }
    let summary = path.summary();
    assert_eq!((summary.stop_count, summary.trip_count), (1, 2), "{summary:?}");
}

#[test]
fn a_jump_of_the_receiver_does_not_split_a_stop() {
    let mut fixes = track(&[(600, 1.4), (600, 0.0), (600, 1.4)], 1, NOISES[1], 4).fixes;
    for (at, _) in &mut fixes[850..858] {
        at[1] += 60.0 / 111_157.0;
    }
    let summary = estimator(&fixes).summary();
    assert_eq!((summary.stop_count, summary.trip_count), (1, 2), "{summary:?}");
    let stopped_s = summary.stopped_ns as f64 / 1e9;
    assert!((stopped_s - 600.0).abs() < 40.0, "{stopped_s}");
}

#[test]
fn a_jump_and_a_high_speed_do_not_lose_the_path() {
    // A jump of 10 km within a second, as after a tunnel whose fixes are missing.
    let mut fixes = track(&[(600, 1.4)], 1, NOISES[1], 4).fixes;
    for (at, _) in &mut fixes[300..] {
        at[1] += 10_000.0 / 111_157.0;
    }
    let length = estimator(&fixes).summary().length.unwrap();
    assert!((length.length_m / 10_840.0 - 1.0).abs() < 0.02, "{length:?}");
    // An aeroplane along the equator, and the first fixes of it.
    for (interval_s, speed, count) in [
        (1, 250.0, 3600),
        (10, 250.0, 360),
        (60, 300.0, 60),
        (1, 2000.0, 1800),
        (1, 250.0, 1),
        (60, 250.0, 10),
    ] {
        let fixes: Vec<_> = (0..=count)
            .map(|index| {
                let seconds = f64::from(index * interval_s);
                ([speed * seconds / 111_319.49, 0.0], seconds)
            })
            .collect();
        let length = estimator(&fixes).summary().length.unwrap();
        let ratio = length.length_m / (f64::from(count * interval_s) * speed);
        assert!(
            (ratio - 1.0).abs() < 0.005,
            "{speed} m/s every {interval_s} s, {count} legs: {ratio}"
        );
    }
}

#[test]
fn segments_at_different_places_and_times_are_different_trips() {
    let walk = |start_s: f64| {
        let fixes = track(&[(600, 3.0)], 1, NOISES[0], 2).fixes;
        fixes.into_iter().map(move |(at, seconds)| (at, seconds + start_s))
    };
    // The first one ends far from the start of the next one. The last one is before the others.
    let mut path = estimator(&[]);
    for start_s in [0.0, 2000.0, -5000.0] {
        path.start_segment();
        walk(start_s).for_each(|fix| add(&mut path, fix));
    }
    let summary = path.summary();
    assert_eq!((summary.stop_count, summary.trip_count), (0, 3), "{summary:?}");
    let single = estimator(&walk(0.0).collect::<Vec<_>>()).summary().length.unwrap();
    for trip in summary.trips {
        assert_eq!(trip.length, single);
        assert_eq!(trip.end_unix_ns - trip.start_unix_ns, 599_000_000_000);
    }
}

#[test]
fn the_lists_keep_the_latest_stops_and_trips() {
    let phases = [(300, 5.0), (180, 0.0)].repeat(5);
    let track = track(&phases, 1, NOISES[0], 8);
    for max_trips in [0, 2, 100] {
        let settings = EstimateSettings { max_trips, ..EstimateSettings::default() };
        let mut path = Estimator::new(settings);
        track.fixes.iter().for_each(|&fix| add(&mut path, fix));
        let summary = path.summary();
        assert_eq!((summary.stop_count, summary.trip_count), (5, 5));
        let listed = usize::from(max_trips).min(5);
        assert_eq!((summary.stops.len(), summary.trips.len()), (listed, listed));
        if let Some(last) = summary.stops.last() {
            assert!(last.departure_unix_ns > START_NS + 2_350_000_000_000);
        }
    }
}

#[test]
fn a_path_across_the_antimeridian_or_over_a_pole_has_the_same_length() {
    let noise = Noise { correlated_m: 0.0, correlation_s: 1.0, white_m: 0.5 };
    let length = |place: &dyn Fn(f64, f64) -> [f64; 2]| {
        let mut random = simulation::Random(1);
        let fixes: Vec<_> = (0..600)
            .map(|second| {
                let x = f64::from(second - 300) * 10.0 + noise.white_m * random.normal();
                (place(x, noise.white_m * random.normal()), f64::from(second))
            })
            .collect();
        estimator(&fixes).summary().length.unwrap().length_m
    };
    let equator = length(&|x, y| [x / 111_319.49, y / 110_574.28]);
    assert!((equator / 5990.0 - 1.0).abs() < 0.01, "{equator}");
    let antimeridian = length(&|x, y| {
        let longitude = 180.0 + x / 111_319.49;
        [if longitude > 180.0 { longitude - 360.0 } else { longitude }, y / 110_574.28]
    });
    assert!((antimeridian - equator).abs() < 0.5, "{antimeridian}, {equator}");
    // The distance to the pole, and the direction to it.
    let pole =
        length(&|x, y| [y.atan2(x).to_degrees(), 90.0 - (x * x + y * y).sqrt() / 111_693.98]);
    assert!((pole / equator - 1.0).abs() < 0.001, "{pole}, {equator}");
}
