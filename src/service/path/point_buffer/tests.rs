//! The sums are bit-identical for any split of the points into messages, and errors name the invalid point.

use proptest::prelude::*;
use prost::Message as _;
use prost_types::Timestamp;

use super::*;
use crate::measure::{Fix, Metric, Point};
use crate::proto::waywiser_v1 as pb;
use crate::service::path::request;

fn add_message(
    buffer: &mut PointBuffer,
    accumulator: &mut PathAccumulator,
    message: &pb::RecordPathRequest,
    skip: u64,
) -> Result<(), RpcError> {
    let bytes = message.encode_to_vec();
    let mut recoded = Vec::new();
    let view = request::read::<pb::RecordPathRequest>(&bytes, 0, &mut recoded)?.view;
    let mut adder = buffer.begin(accumulator, &view, skip)?;
    let mut work = Work::default();
    while buffer.add(accumulator, &mut adder, &mut work)? == Step::Spent {
        work.wait_for_input();
    }
    Ok(())
}

fn fold_message(
    accumulator: &mut PathAccumulator,
    message: &pb::RecordPathRequest,
    skip: u64,
) -> Result<(), RpcError> {
    let mut buffer = PointBuffer::default();
    let outcome = add_message(&mut buffer, accumulator, message, skip);
    buffer.flush(accumulator, &mut Work::default())?;
    outcome
}

/// x, y, z, time in milliseconds, whether it starts a segment.
type Sample = (i32, i64, Option<i16>, Option<i32>, bool);

/// A y that is out of range.
const INVALID_Y: i64 = 1 << 41;

fn rows(points: &[Sample]) -> pb::RecordPathRequest {
    let row = |&(x, y, z, time_ms, starts_segment): &Sample| pb::Point {
        x: f64::from(x),
        // Rows have several kinds of invalid positions.
        y: match (y, x % 3) {
            (INVALID_Y, 0) => f64::NAN,
            (INVALID_Y, 1) => f64::INFINITY,
            (y, _) => y as f64,
        },
        z: z.map(f64::from),
        time: time_ms.map(|ms| Timestamp {
            seconds: i64::from(ms.div_euclid(1000)),
            nanos: ms.rem_euclid(1000) * 1_000_000,
        }),
        accuracy_m: None,
        starts_segment,
    };
    pb::RecordPathRequest { points: points.iter().map(row).collect(), ..Default::default() }
}

fn differences(values: impl Iterator<Item = i64>) -> Vec<i64> {
    values.scan(0, |last, value| Some(value - std::mem::replace(last, value))).collect()
}

fn columns(points: &[Sample]) -> pb::RecordPathRequest {
    let columns = pb::PointColumns {
        x: differences(points.iter().map(|point| point.0.into())),
        y: differences(points.iter().map(|point| point.1)),
        z: differences(points.iter().filter_map(|point| point.2.map(i64::from))),
        time_ms: differences(points.iter().filter_map(|point| point.3.map(i64::from))),
        accuracy_mm: Vec::new(),
        segment_starts: (0..).zip(points).filter(|(_, point)| point.4).map(|(i, _)| i).collect(),
    };
    pb::RecordPathRequest { columns: Some(columns), ..Default::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn rows_and_columns_are_bit_identical_for_any_split(
        points in prop::collection::vec(any::<(i32, i32, i16, i32, u8)>(), 0..700),
        has in any::<[bool; 2]>(), piece in 1..300_usize, skip in 0..300_usize,
        in_rows: u8, flushed: u8, invalid in prop::sample::select(vec![0, 1, 20, 255]), splits: bool,
    ) {
        let points: Vec<_> = points
            .into_iter()
            .map(|(x, y, z, time, start)| {
                // The two properties of a point are independent.
                let y = if x.rem_euclid(256) < invalid { INVALID_Y } else { y.into() };
                (x, y, has[0].then_some(z), has[1].then_some(time), start < 3)
            })
            .collect();
        let mode = if splits { InvalidPoints::Split } else { InvalidPoints::Skip };
        let options = Options::builder(Metric::Planar).max_gap(3e9).invalid_points(mode);
        let options = options.build().unwrap();
        let fix = |&(x, y, z, time_ms, starts): &Sample| {
            let point = Point::planar(x.into(), y as f64);
            let mut fix = point.map_or(Fix::without_position(), Fix::new);
            fix = z.map_or(fix, |z| fix.with_z(z.into()).unwrap());
            fix = time_ms.map_or(fix, |ms| fix.at_unix_ns(i64::from(ms) * 1_000_000).unwrap());
            if starts { fix.starting_segment() } else { fix }
        };
        let mut whole = PathAccumulator::new(options);
        whole.extend(&points.iter().map(fix).collect::<Vec<_>>()).unwrap();
        let mut cut = PathAccumulator::new(options);
        let mut buffer = PointBuffer::default();
        let mut from = 0;
        for index in (0..8).cycle() {
            if from == points.len() {
                break;
            }
            // Sends some points again.
            let again = skip.min(from);
            // Every fourth message is long.
            let to = points.len().min(from + 1 + (piece - 1) * usize::from(index % 4 == 0));
            let message = &points[from - again..to];
            let message = if in_rows >> index & 1 == 1 { rows(message) } else { columns(message) };
            add_message(&mut buffer, &mut cut, &message, again as u64).unwrap();
            from = to;
            prop_assert_eq!(cut.point_count() + buffer.len(), from as u64);
            if flushed >> index & 1 == 1 {
                buffer.flush(&mut cut, &mut Work::default()).unwrap();
            }
        }
        buffer.flush(&mut cut, &mut Work::default()).unwrap();
        prop_assert_eq!(cut, whole);
    }
}

#[test]
fn an_invalid_point_does_not_change_the_points_in_the_buffer() {
    let known: Vec<Sample> =
        (0..5).map(|i| (i, i64::from(i * i), Some(9), Some(i), i == 3)).collect();
    let plain: Vec<Sample> = (5..9).map(|i| (i, 7, None, None, false)).collect();
    let mut path = PathAccumulator::new(Options::new(Metric::Planar));
    let mut buffer = PointBuffer::default();
    add_message(&mut buffer, &mut path, &rows(&known[..2]), 0).unwrap();
    let mut bad = columns(&known[2..]);
    // The other columns are valid.
    bad.columns.as_mut().unwrap().time_ms[2] = i64::MAX / 2;
    let refusal = add_message(&mut buffer, &mut path, &bad, 0).unwrap_err();
    insta::assert_snapshot!(
        refusal,
        @"point 4: columns.time_ms[2]: time 4611686018427387 s since 1970 is not in the years 1678 to 2261"
    );
    assert_eq!((path.point_count(), buffer.len()), (0, 4));
    add_message(&mut buffer, &mut path, &columns(&plain), 0).unwrap();
    buffer.flush(&mut path, &mut Work::default()).unwrap();

    let mut expected = PathAccumulator::new(Options::new(Metric::Planar));
    fold_message(&mut expected, &rows(&[&known[..4], &plain].concat()), 0).unwrap();
    assert_eq!(path, expected);
}

#[test]
fn the_error_names_the_invalid_point_and_the_points_before_it_are_folded() {
    let mut path = PathAccumulator::new(Options::new(Metric::Geodesic));
    let good = pb::Point { x: 1.0, y: 2.0, ..Default::default() };
    let bad = pb::Point { y: 90.5, ..Default::default() };
    let message = pb::RecordPathRequest { points: vec![good, good, bad], ..Default::default() };
    insta::assert_snapshot!(
        fold_message(&mut path, &message, 1).unwrap_err(),
        @"point 2: points[2].y: latitude 90.5 is not between -90 and 90 degrees"
    );
    assert_eq!(path.point_count(), 1);

    let columns = pb::PointColumns {
        x: vec![0; 300],
        y: [vec![0; 280], vec![900_000_001], vec![0; 19]].concat(),
        time_ms: [vec![0; 270], vec![i64::MAX], vec![0; 29]].concat(),
        ..Default::default()
    };
    let message = pb::RecordPathRequest { columns: Some(columns), ..Default::default() };
    insta::assert_snapshot!(
        fold_message(&mut path, &message, 0).unwrap_err(),
        @"point 271: columns.time_ms[270]: time 9223372036854775 s since 1970 is not in the years 1678 to 2261"
    );
    assert_eq!(path.point_count(), 271);

    let columns = pb::PointColumns {
        x: [vec![0; 260], vec![i64::MAX, 1], vec![0; 38]].concat(),
        y: vec![0; 300],
        ..Default::default()
    };
    let message = pb::RecordPathRequest { columns: Some(columns), ..Default::default() };
    insta::assert_snapshot!(
        fold_message(&mut path, &message, 0).unwrap_err(),
        @"point 532: columns.x[261]: the sum of the differences up to here leaves 64 bits"
    );
    assert_eq!(path.point_count(), 532);
    // An earlier invalid point is reported first.
    let columns = pb::PointColumns {
        x: vec![0; 300],
        y: [vec![0; 270], vec![i64::MAX, 1], vec![0; 28]].concat(),
        ..Default::default()
    };
    let message = pb::RecordPathRequest { columns: Some(columns.clone()), ..Default::default() };
    insta::assert_snapshot!(
        fold_message(&mut path, &message, 0).unwrap_err(),
        @"point 802: columns.y[270]: latitude 922337203685.4775 is not between -90 and 90 degrees"
    );
    assert_eq!(path.point_count(), 802);
    let columns = pb::PointColumns { segment_starts: vec![3, 3], ..columns };
    let message = pb::RecordPathRequest { columns: Some(columns), ..Default::default() };
    insta::assert_snapshot!(
        fold_message(&mut path, &message, 0).unwrap_err(),
        @"the message from point 802 on: columns.segment_starts[1]: it is 3; the entries ascend and are below 300"
    );
    assert_eq!(path.point_count(), 802);
}

#[test]
fn an_invalid_attribute_is_an_error_at_a_point_without_a_position_too() {
    let options = Options::builder(Metric::Planar).invalid_points(InvalidPoints::Skip);
    let mut path = PathAccumulator::new(options.build().unwrap());
    let none = pb::Point { x: f64::NAN, ..Default::default() };
    let bad = pb::Point { accuracy_m: Some(-1.0), ..none };
    let message = pb::RecordPathRequest { points: vec![none, bad, none], ..Default::default() };
    insta::assert_snapshot!(
        fold_message(&mut path, &message, 0).unwrap_err(),
        @"point 1: points[1].accuracy_m: accuracy_m -1 is not a number from 0 to 2^40"
    );
    assert_eq!(path.point_count(), 1);
    // Each entry of y after the first two is out of range.
    let columns = pb::PointColumns {
        x: vec![0; 4],
        y: vec![0, 0, INVALID_Y, 0],
        z: vec![0, 0, 5, i64::MAX / 2],
        ..Default::default()
    };
    let message = pb::RecordPathRequest { columns: Some(columns), ..Default::default() };
    insta::assert_snapshot!(
        fold_message(&mut path, &message, 0).unwrap_err(),
        @"point 4: columns.z[3]: z 4611686018427388000 is not a number between -2^40 and 2^40"
    );
    let summary = path.summary();
    assert_eq!((summary.point_count, summary.accepted_count), (4, 2));
}

#[test]
fn the_first_point_may_have_no_position_if_the_options_allow_it() {
    let message = rows(&[(1, INVALID_Y, None, None, false)]);
    for message in [message, columns(&[(1, INVALID_Y, None, None, false)])] {
        let bytes = message.encode_to_vec();
        let mut recoded = Vec::new();
        let view = request::read::<pb::RecordPathRequest>(&bytes, 0, &mut recoded).unwrap().view;
        let options = Options::builder(Metric::Planar);
        let error = |mode| first_error(&view, &options.invalid_points(mode).build().unwrap());
        assert!(error(InvalidPoints::RejectCall).is_some());
        assert!(error(InvalidPoints::Skip).is_none());
    }
}
