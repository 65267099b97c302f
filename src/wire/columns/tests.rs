//! Tests of the column reader against prost.

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::proto::waywiser_v1 as pb;

/// A point of a reader: x, y, z, time_ms, accuracy_mm, and whether it starts a segment.
type Row = (i64, i64, Option<i64>, Option<i64>, Option<u32>, bool);

fn read(message: &[u8]) -> Option<Result<Vec<Row>, ColumnError>> {
    let columns = PackedColumns::parse(message)?;
    columns.len().ok()?;
    let mut reader = match columns.reader() {
        Ok(reader) => reader,
        Err(error) => return Some(Err(error)),
    };
    let mut block = ColumnBlock::default();
    let mut rows = Vec::new();
    loop {
        if let Err(error) = reader.next(&mut block) {
            return Some(Err(error));
        }
        if block.len == 0 {
            return Some(Ok(rows));
        }
        assert_eq!(block.index, rows.len());
        for i in 0..block.len {
            rows.push((
                block.x[i],
                block.y[i],
                block.has_z.then_some(block.z[i]),
                block.has_time.then_some(block.time_ms[i]),
                block.has_accuracy.then_some(block.accuracy_mm[i]),
                block.starts_segment && i == 0,
            ));
        }
    }
}

/// Returns the same points from a message decoded by prost.
fn rows(columns: &pb::PointColumns) -> Option<Vec<Row>> {
    let sums = |column: &[i64]| {
        column
            .iter()
            .scan(0_i64, |sum, &difference| {
                *sum = sum.checked_add(difference).unwrap_or(i64::MIN + 7);
                Some(*sum)
            })
            .collect::<Vec<_>>()
    };
    let (x, y) = (sums(&columns.x), sums(&columns.y));
    let (z, time_ms) = (sums(&columns.z), sums(&columns.time_ms));
    (0..x.len())
        .map(|i| {
            let start = columns.segment_starts.iter().any(|&start| start as usize == i);
            let accuracy = columns.accuracy_mm.get(i).copied();
            Some((x[i], y[i], z.get(i).copied(), time_ms.get(i).copied(), accuracy, start))
        })
        .collect()
}

/// Generates the differences of a column, with varints of all lengths or of one or two lengths. The sums fit 64
/// bits.
fn differences(len: usize) -> impl Strategy<Value = Vec<i64>> {
    let column = |shifts: std::ops::Range<u32>| {
        let difference = (any::<i64>(), shifts).prop_map(|(value, shift)| value >> shift);
        prop::collection::vec(difference, len)
    };
    prop_oneof![column(10..64), column(50..51), column(50..60), column(57..58), column(58..64)]
}

fn columns() -> impl Strategy<Value = pb::PointColumns> {
    (0..700_usize, any::<[bool; 3]>()).prop_flat_map(|(len, has)| {
        let column = |has: bool| differences(if has { len } else { 0 });
        let accuracy = prop::collection::vec(any::<u32>(), if has[2] { len } else { 0 });
        let starts = prop::collection::btree_set(0..len.max(1) as u32, 0..5);
        (column(true), column(true), column(has[0]), column(has[1]), accuracy, starts).prop_map(
            move |(x, y, z, time_ms, accuracy_mm, starts)| pb::PointColumns {
                x,
                y,
                z,
                time_ms,
                accuracy_mm,
                segment_starts: starts.into_iter().filter(|_| len > 0).collect(),
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn messages_of_prost_are_read_completely(columns in columns()) {
        let message = columns.encode_to_vec();
        prop_assert_eq!(read(&message).unwrap().unwrap(), rows(&columns).unwrap());
    }

    #[test]
    fn a_damaged_message_is_left_to_prost_or_read_like_prost(
        columns in columns(), damage in any::<[(prop::sample::Index, u8); 3]>(),
    ) {
        let mut message = columns.encode_to_vec();
        for (at, byte) in damage {
            if !message.is_empty() {
                let at = at.index(message.len());
                message[at] = byte;
            }
        }
        if let Some(Ok(read)) = read(&message) {
            let by_prost = pb::PointColumns::decode(&message[..]);
            prop_assert!(by_prost.is_ok());
            prop_assert_eq!(read, rows(&by_prost.unwrap()).unwrap());
        }
    }
}

#[test]
fn a_column_of_another_length_is_named() {
    let len =
        |columns: &pb::PointColumns| PackedColumns::parse(&columns.encode_to_vec()).unwrap().len();
    let columns = pb::PointColumns { x: vec![1, 2], y: vec![1, 2], ..Default::default() };
    assert_eq!(len(&columns), Ok(2));
    insta::assert_snapshot!(
        len(&pb::PointColumns { z: vec![1], ..columns.clone() }).unwrap_err(),
        @"it has 1 entries, and x has 2; every column is empty or as long as x"
    );
    let bad = len(&pb::PointColumns { y: vec![], ..columns }).unwrap_err();
    assert_eq!((bad.column, bad.len, bad.points), ("y", 0, 2));
}

#[test]
fn overflowing_sums_and_invalid_segment_starts_are_refused() {
    let columns = |x: Vec<i64>, segment_starts| {
        let y = vec![0; x.len()];
        read(&pb::PointColumns { x, y, segment_starts, ..Default::default() }.encode_to_vec())
    };
    let refused = |outcome: Option<Result<Vec<Row>, ColumnError>>| outcome.unwrap().unwrap_err();
    let error = refused(columns(vec![i64::MAX, 1], vec![]));
    assert_eq!(error, ColumnError::Overflow { column: "x", index: 1 });
    for starts in [vec![2], vec![1, 1], vec![1, 0]] {
        let error = refused(columns(vec![0, 0], starts));
        assert!(matches!(error, ColumnError::Start { points: 2, .. }), "{error}");
    }
    assert!(columns(vec![i64::MAX, i64::MIN, i64::MIN], vec![0, 2]).unwrap().is_err());
    assert!(columns(vec![i64::MIN, i64::MAX, i64::MAX], vec![]).unwrap().is_ok());
}
