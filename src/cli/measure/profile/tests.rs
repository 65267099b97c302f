//! Tests of lines: what they keep, their distances, and their limits.

use super::*;

fn fix(x: f64, y: f64) -> Fix {
    Fix::new(Point::planar(x, y).unwrap())
}

fn line(fixes: impl IntoIterator<Item = Fix>) -> Value {
    let mut line = TrackLine::new(Metric::Planar);
    fixes.into_iter().for_each(|fix| line.add(fix));
    line.finish(0)
}

#[test]
fn a_short_track_keeps_all_its_points() {
    let fixes = [
        fix(0.0, 0.0).at_unix_ns(0).unwrap(),
        fix(3.0, 4.0).at_unix_ns(2_000_000_000).unwrap().with_z(7.5).unwrap(),
        Fix::without_position(),
        fix(9.0, 4.0).starting_segment(),
        fix(9.0, 5.0),
    ];
    let line = line(fixes);
    assert_eq!(line["coordinates"], json!([[0.0, 0.0], [3.0, 4.0], [9.0, 4.0], [9.0, 5.0]]));
    assert_eq!(line["distance"], json!([0.0, 5.0, 5.0, 6.0]));
    assert_eq!(line["segment_starts"], json!([0, 2]));
    assert_eq!(line["time_ms"], json!([0, 2000, null, null]));
    assert_eq!(line["elevation"], json!([null, 7.5, null, null]));
    assert_eq!(line["speed"], json!([null, 2.5, null, null]));
}

#[test]
fn a_long_track_has_few_points_and_keeps_its_corners_ends_and_length() {
    // 100 000 points on three sides of a square, with a step of 1.
    let side = 33_333;
    let points = (0..=3 * side).map(|index| {
        let (side_index, at) = (index / side, f64::from(index % side));
        let side = f64::from(side);
        match side_index {
            0 => fix(at, 0.0),
            1 => fix(side, at),
            2 => fix(side - at, side),
            _ => fix(0.0, side),
        }
    });
    let line = line(points);
    let coordinates = line["coordinates"].as_array().unwrap();
    assert_eq!(coordinates.len(), LINE_POINTS);
    assert_eq!(coordinates[0], json!([0.0, 0.0]));
    assert_eq!(coordinates[LINE_POINTS - 1], json!([0.0, f64::from(side)]));
    let distances = line["distance"].as_array().unwrap();
    assert_eq!(distances[LINE_POINTS - 1], json!(f64::from(3 * side)));
    // Every 16th point is kept while the track is read, so that a corner moves by less than 16.
    let near = |x: f64, y: f64| {
        coordinates.iter().any(|point| {
            let [px, py] = [0, 1].map(|axis| point[axis].as_f64().unwrap());
            (px - x).hypot(py - y) < 16.0
        })
    };
    assert!(near(f64::from(side), 0.0) && near(f64::from(side), f64::from(side)));
}

#[test]
fn rejected_fixes_are_marked_where_the_line_has_them() {
    let mut line = TrackLine::new(Metric::Planar);
    line.add(fix(0.0, 0.0));
    line.add(Fix::without_position());
    (1..40_000).for_each(|index| line.add(fix(f64::from(index), f64::from(index % 3))));
    // The reader counts the fix without a position, so that the point at x has the offset x + 1.
    for offset in [0, 20_001, 20_002, 40_000] {
        line.mark_rejected(RejectedFix { offset, reason: RejectionReason::Speed });
    }
    let line = line.finish(0);
    let (coordinates, rejected) = (&line["coordinates"], &line["rejected"]);
    let marked: Vec<f64> = (0..LINE_POINTS)
        .filter(|&index| rejected[index] == json!("speed"))
        .map(|index| coordinates[index][0].as_f64().unwrap())
        .collect();
    // The points in the middle are marked after the decision which points are kept.
    assert!(marked.contains(&0.0) && marked.contains(&39_999.0), "{marked:?}");
    assert!(marked.iter().all(|x| [0.0, 20_000.0, 20_001.0, 39_999.0].contains(x)));
    assert_eq!(rejected.as_array().unwrap().len(), LINE_POINTS);
}

#[test]
fn an_outlier_stays_and_adds_nothing_to_the_distance() {
    let directions = [(0.0, 7e3), (0.0, -7e3), (7e3, 0.0), (-5e3, 5e3)];
    for count in [1_500_u64, 5_000, 17_000, 20_000] {
        for at in [count / 2, count / 2 + 1, count / 3, count - 2, 1] {
            for ((dx, dy), is_rejected) in directions.into_iter().zip([true, false, true, false]) {
                let mut line = TrackLine::new(Metric::Planar);
                let far = (dx, at as f64 + dy);
                for index in 0..count {
                    line.add(if index == at { fix(far.0, far.1) } else { fix(0.0, index as f64) });
                    if is_rejected && index == at + 1 {
                        let reason = RejectionReason::Speed;
                        line.mark_rejected(RejectedFix { offset: at, reason });
                    }
                    assert!(line.len() <= KEPT_MAX + RECENT_MAX);
                }
                let line = line.finish(0);
                let points = line["coordinates"].as_array().unwrap();
                let found = points.iter().position(|point| *point == json!([far.0, far.1]));
                let index = found.unwrap_or_else(|| panic!("{count} {at} {dx} {dy}"));
                assert_eq!(line["rejected"][index].is_string(), is_rejected);
                assert!(points.len() <= LINE_POINTS + 1);
                let length = line["distance"].as_array().unwrap().last().unwrap();
                let length = length.as_f64().unwrap();
                let straight = (count - 1) as f64;
                assert_eq!(length == straight, is_rejected, "{length} {count}");
            }
        }
    }
}

#[test]
fn many_rejected_points_leave_no_detour_and_a_limited_line() {
    let mut line = TrackLine::new(Metric::Planar);
    for offset in 0..60_000_u64 {
        let is_outlier = offset % 10 == 3;
        line.add(fix(if is_outlier { 1e4 } else { 0.0 }, offset as f64));
        if is_outlier {
            line.mark_rejected(RejectedFix { offset, reason: RejectionReason::Speed });
        }
        assert!(line.len() <= KEPT_MAX + RECENT_MAX);
    }
    let line = line.finish(0);
    let rejected = line["rejected"].as_array().unwrap();
    assert!(rejected.len() <= LINE_POINTS + 1);
    let marked = rejected.iter().filter(|reason| reason.is_string()).count();
    assert!(marked >= REJECTED_MAX / 2, "{marked}");
    assert_eq!(line["distance"].as_array().unwrap().last(), Some(&json!(59_999.0)));
}

#[test]
fn no_segment_start_is_lost_by_halving() {
    let mut line = TrackLine::new(Metric::Planar);
    for index in 0..40_000 {
        let fix = fix(f64::from(index), f64::from(index % 7));
        line.add(if index % 10_001 == 10_000 { fix.starting_segment() } else { fix });
    }
    assert!(line.len() < KEPT_MAX + RECENT_MAX);
    let line = line.finish(3);
    assert_eq!(line["segment_starts"].as_array().unwrap().len(), 4);
    assert_eq!((&line["track_index"], &line["point_count"]), (&json!(3), &json!(40_000)));
}
