//! Tests of the row reader against prost.

use proptest::prelude::*;
use prost::Message as _;
use prost_types::Timestamp;

use super::*;
use crate::proto::waywiser_v1 as pb;

fn to_prost(row: &Row) -> pb::Point {
    pb::Point {
        x: row.x,
        y: row.y,
        z: row.z,
        time: row.time.map(|(seconds, nanos)| Timestamp { seconds, nanos }),
        accuracy_m: row.accuracy_m,
        starts_segment: row.starts_segment,
    }
}

fn bits(point: &pb::Point) -> Vec<u8> {
    point.encode_to_vec()
}

fn row() -> impl Strategy<Value = Row> {
    let number = || prop_oneof![Just(0.0), any::<f64>()];
    let time = (any::<i64>(), any::<i32>(), 0..64_u32)
        .prop_map(|(seconds, nanos, shift)| (seconds >> shift, nanos >> (shift / 2)));
    let (z, accuracy_m) = (prop::option::of(number()), prop::option::of(number()));
    (number(), number(), z, prop::option::of(time), accuracy_m, any::<bool>()).prop_map(
        |(x, y, z, time, accuracy_m, starts_segment)| Row {
            x,
            y,
            z,
            time,
            accuracy_m,
            starts_segment,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn rows_of_prost_are_read(rows in prop::collection::vec(row(), 0..20)) {
        let points: Vec<_> = rows.iter().map(to_prost).collect();
        let message = pb::RecordPathRequest { points, ..Default::default() }.encode_to_vec();
        let packed = PackedRows::parse(&message);
        prop_assert!(packed.is_some());
        let packed = packed.unwrap();
        prop_assert_eq!(packed.len(), rows.len());
        let read: Vec<_> = packed.iter().map(|row| bits(&to_prost(&row))).collect();
        let expected: Vec<_> = rows.iter().map(|row| bits(&to_prost(row))).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_damaged_row_is_left_to_prost_or_read_like_prost(
        row in row(), at in any::<prop::sample::Index>(), byte: u8, cut: bool, more: Vec<u8>,
    ) {
        let mut message = bits(&to_prost(&row));
        if !message.is_empty() {
            let at = at.index(message.len());
            message[at] = byte;
            if cut {
                message.truncate(at);
            }
        }
        message.extend(more);
        if let Some(row) = Row::parse(&message) {
            let by_prost = pb::Point::decode(&message[..]);
            prop_assert!(by_prost.is_ok(), "prost rejects it");
            prop_assert_eq!(bits(&to_prost(&row)), bits(&by_prost.unwrap()));
        }
    }
}

#[test]
fn other_encodings_are_left_to_prost() {
    for message in [
        &[0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0x09, 0, 0, 0, 0, 0, 0, 0, 0][..], // y before x
        &[0x22, 0, 0x22, 0],                                               // two times
        &[0x22, 2, 0x10, 1, 0x08, 1], // a length that ends inside the time
        &[0x22, 4, 0x10, 1, 0x08, 1], // nanoseconds before seconds
        &[0x22, 0x80, 0x01],          // a length of two bytes
        &[0x38, 1],                   // an unknown field
        &[0x09, 0, 0],                // a number cut short
        &[0x30, 0x80],                // the same
        &[0x30, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], // more than 64 bits
    ] {
        assert_eq!(Row::parse(message), None, "{message:?}");
    }
    assert_eq!(PackedRows::parse(&[KEY, 1]), None);
    assert_eq!(PackedRows::parse(&[KEY, 0, 0x30, 1]), None);
    assert_eq!(PackedRows::parse(&[KEY]), None);
    assert_eq!(PackedRows::parse(&[KEY, 0, KEY, 0]).unwrap().len(), 2);
}
