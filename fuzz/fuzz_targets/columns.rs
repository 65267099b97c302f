//! The fast path of `waywiser.v1` reads the same values as prost from arbitrary bytes.
#![no_main]
use prost::Message as _;
use waywiser::internals::wire::{ColumnBlock, MessageFields, MessageView};
use waywiser::proto::waywiser_v1::RecordPathRequest;

const FIELDS: MessageFields =
    MessageFields { name: 1, options: 2, write_offset: Some(3), rows: 4, columns: 5, end: 6 };

libfuzzer_sys::fuzz_target!(|message: &[u8]| {
    let Some(piece) = MessageView::parse(message, &FIELDS) else { return };
    let by_prost = RecordPathRequest::decode(message);
    // The fast path does not decode the options. prost finds errors in them later.
    let Ok(by_prost) = by_prost else { return assert!(piece.options.is_some()) };
    assert_eq!((piece.name, piece.write_offset), (&*by_prost.name, by_prost.write_offset));
    assert_eq!(piece.rows.len(), by_prost.points.len());
    for (row, point) in piece.rows.iter().zip(&by_prost.points) {
        let time = point.time.as_ref().map(|time| (time.seconds, time.nanos));
        let bits = |number: Option<f64>| number.map(f64::to_bits);
        assert_eq!((row.x.to_bits(), row.y.to_bits()), (point.x.to_bits(), point.y.to_bits()));
        assert_eq!((bits(row.z), bits(row.accuracy_m)), (bits(point.z), bits(point.accuracy_m)));
        assert_eq!((row.time, row.starts_segment), (time, point.starts_segment));
    }
    let (Some(columns), Some(expected)) = (piece.columns, by_prost.columns) else { return };
    let (Ok(points), Ok(mut reader)) = (columns.len(), columns.reader()) else { return };
    assert_eq!(points, expected.x.len());
    let (mut block, mut sums, mut starts) = (ColumnBlock::default(), [0_i64; 4], Vec::new());
    while reader.next(&mut block).is_ok() && block.len > 0 {
        let is_there = [
            !expected.z.is_empty(),
            !expected.time_ms.is_empty(),
            !expected.accuracy_mm.is_empty(),
        ];
        assert_eq!([block.has_z, block.has_time, block.has_accuracy], is_there);
        if block.starts_segment {
            starts.push(block.index as u32);
        }
        for i in 0..block.len {
            let columns = [
                (&expected.x, block.x[i]),
                (&expected.y, block.y[i]),
                (&expected.z, block.z[i]),
                (&expected.time_ms, block.time_ms[i]),
            ];
            for (sum, (differences, value)) in sums.iter_mut().zip(columns) {
                let Some(difference) = differences.get(block.index + i) else { continue };
                *sum += difference;
                assert_eq!(value, *sum);
            }
            if let Some(&accuracy_mm) = expected.accuracy_mm.get(block.index + i) {
                assert_eq!(block.accuracy_mm[i], accuracy_mm);
            }
        }
        if block.index + block.len == points {
            assert_eq!(starts, expected.segment_starts);
        }
    }
});
