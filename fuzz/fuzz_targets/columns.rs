//! The fast path of `waywiser.v1` and prost agree on arbitrary bytes: what it reads, prost reads too.
#![no_main]
use prost::Message as _;
use waywiser::proto::waywiser_v1::RecordPathRequest;
use waywiser::wire::{ColumnBlock, Piece, PieceFields};

const FIELDS: PieceFields =
    PieceFields { name: 1, options: 2, write_offset: Some(3), rows: 4, columns: 5, end: 6 };

libfuzzer_sys::fuzz_target!(|message: &[u8]| {
    let Some(piece) = Piece::parse(message, &FIELDS) else { return };
    let by_prost = RecordPathRequest::decode(message);
    // A damaged message of options is found later, by prost.
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
    let (mut block, mut sums) = (ColumnBlock::default(), (0_i64, 0_i64));
    while reader.next(&mut block).is_ok() && block.len > 0 {
        for i in 0..block.len {
            sums.0 += expected.x[block.index + i];
            sums.1 += expected.y[block.index + i];
            assert_eq!((block.x[i], block.y[i]), sums);
        }
    }
});
