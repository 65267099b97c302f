//! Tests of the fast path against the slow path and prost.

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::proto::my_package::Point;
use crate::wire::{Deframer, decode_point};

fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend(message);
    bytes
}

/// Decodes the same bytes with the slow path, up to the first error.
fn slow_path(mut chunk: &[u8]) -> Vec<(i32, i32)> {
    let mut deframer = Deframer::new(1 << 20);
    let mut points = Vec::new();
    while let Ok(Some(frame)) = deframer.next(&mut chunk) {
        match decode_point(frame.payload) {
            Ok(point) if !frame.compressed => points.push(point),
            _ => break,
        }
    }
    points
}

/// Decodes with the fast path on every level and checks that the results are equal.
fn fast_path(chunk: &[u8]) -> (Vec<(i32, i32)>, usize) {
    let mut outcomes = Level::all().into_iter().map(|level| {
        let (mut first, mut second) = ([0; 64], [0; 64]);
        let (points, bytes) = decode_at(level, chunk, &mut first, &mut second);
        (first.into_iter().zip(second).take(points).collect(), bytes)
    });
    let outcome = outcomes.next().unwrap();
    assert!(outcomes.all(|other| other == outcome));
    outcome
}

/// Generates points with varints of all lengths, many of them with equal lengths in a row.
fn points() -> impl Strategy<Value = Vec<(i32, i32)>> {
    let near = (any::<i32>(), any::<i32>(), 0..31_u32).prop_flat_map(|(x, y, shift)| {
        let near = move |centre: i32| {
            (centre >> shift).saturating_sub(40)..(centre >> shift).saturating_add(40)
        };
        prop::collection::vec((near(x), near(y)), 1..30)
    });
    prop_oneof![near, prop::collection::vec((any::<i32>(), any::<i32>()), 1..60)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn points_of_prost_are_read_up_to_the_last_few_bytes(
        points in points(),
    ) {
        let mut bytes = Vec::new();
        for &(x, y) in &points {
            // Prost omits zeros, which makes another shape.
            let (x, y) = (if x == 0 { 1 } else { x }, if y == 0 { 1 } else { y });
            bytes.extend(framed(&Point { x, y }.encode_to_vec()));
        }
        let len = bytes.len();
        bytes.resize(len + LOOK_AHEAD_BYTES, 0xff);
        let (read, taken) = fast_path(&bytes);
        prop_assert_eq!(&read, &slow_path(&bytes[..len]));
        prop_assert_eq!(taken, len);
    }

    #[test]
    fn on_arbitrary_messages_both_paths_agree(
        parts in prop::collection::vec(prop_oneof![
            3 => points().prop_map(|points| {
                points.into_iter().map(|(x, y)| Point { x, y }.encode_to_vec()).collect()
            }),
            1 => prop::collection::vec(
                prop_oneof![Just(0x08_u8), Just(0x10), Just(0x80), Just(0xff), 0..3_u8], 0..24)
                .prop_map(|message| vec![message]),
        ], 0..4),
        damage in any::<(prop::sample::Index, u8)>(),
    ) {
        let messages = parts.concat();
        let mut bytes: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
        bytes.extend([0; LOOK_AHEAD_BYTES]);
        let at = damage.0.index(bytes.len());
        bytes[at] = damage.1;
        let (read, taken) = fast_path(&bytes);
        let expected = slow_path(&bytes);
        prop_assert_eq!(&read[..], &expected[..read.len()]);
        prop_assert_eq!(slow_path(&bytes[..taken]), read);
    }
}

#[test]
fn the_shorter_column_limits_the_number_of_points() {
    let points: Vec<_> = (0..40).map(|i| (1000 + i, 2000 - i)).collect();
    let mut bytes: Vec<u8> =
        points.iter().flat_map(|&(x, y)| framed(&Point { x, y }.encode_to_vec())).collect();
    bytes.extend([0; LOOK_AHEAD_BYTES]);
    for level in Level::all() {
        for (long, short) in [(20, 12), (33, 17), (9, 8)] {
            let (mut first, mut second) = (vec![0; long], vec![0; short]);
            let (read, _) = decode_at(level, &bytes, &mut first, &mut second);
            let read: Vec<_> = first.into_iter().zip(second).take(read).collect();
            assert_eq!(read, points[..short]);
        }
    }
}

#[test]
fn it_stops_before_another_encoding() {
    let good = framed(&[0x08, 1, 0x10, 2]);
    for other in [
        framed(&[0x10, 2, 0x08, 1]),          // another order
        framed(&[0x08, 1]),                   // a missing field
        framed(&[0x08, 1, 0x10, 2, 0x18, 3]), // an additional field
        framed(&[]),
        [&[1][..], &good[1..]].concat(), // compressed
        [&[7][..], &good[1..]].concat(), // an invalid flag
        vec![0; 100],
    ] {
        let bytes = [&good[..], &other, &[0; LOOK_AHEAD_BYTES]].concat();
        assert_eq!(fast_path(&bytes), (vec![(1, 2)], good.len()), "{other:?}");
    }
}
