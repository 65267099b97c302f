//! The rules for offsets, and the property that no point is lost without an error.

use proptest::prelude::*;

use super::*;

/// Returns a store with a recording of this many durable points.
fn stored(points: u64) -> Model {
    let mut store = Model::default();
    let mut recording = resumed(&mut store, 0);
    send(&mut recording, 0, points, 0).unwrap();
    store.commit(&recording.next_commit(0, true).unwrap()).unwrap();
    store
}

#[test]
fn durable_points_are_skipped_and_counted() {
    let mut recording = resumed(&mut stored(10), 0);
    // Durable points are skipped in the first message and in later ones.
    assert_eq!(send(&mut recording, 3, 2, 0), Ok(2));
    assert_eq!(send(&mut recording, None, 1, 0), Ok(1));
    assert_eq!(send(&mut recording, 6, 6, 0), Ok(4));
    assert_eq!(send(&mut recording, None, 3, 0), Ok(0));
    assert_eq!((recording.next_offset(), recording.skipped_points()), (15, 7));
    assert_eq!(*recording.accumulator(), folded(15));
}

#[test]
fn a_gap_is_refused() {
    let mut recording = resumed(&mut stored(12), 0);
    let error = recording.admit(Some(13), 1).unwrap_err();
    assert_eq!(error, RecordingError::Gap { expected: 12, got: 13, committed_points: 12 });
    insta::assert_snapshot!(
        error,
        @"write_offset is 13, but the path has only 12 points; continue from write_offset 12"
    );
    assert!(recording.admit(Some(u64::MAX), u64::MAX).is_err());
    assert_eq!(recording.admit(Some(12), 0), Ok(Admitted { start: 12, skip: 0 }));
}

#[test]
fn a_stream_for_a_path_with_points_must_say_where_it_starts() {
    let mut recording = resumed(&mut stored(12), 0);
    let error = recording.admit(None, 0).unwrap_err();
    assert_eq!(error, RecordingError::OffsetRequired { committed_points: 12 });
    insta::assert_snapshot!(
        error,
        @"the path already has 12 points, and the first message of the stream has no write_offset; set it to 12 to continue, or to 0 to send the same points again, which are then skipped; a finished recording takes no further points"
    );
    assert_eq!(resumed(&mut Model::default(), 0).admit(None, 5).unwrap().start, 0);
}

#[test]
fn a_later_message_continues_where_the_one_before_it_ended() {
    let mut recording = resumed(&mut stored(12), 0);
    send(&mut recording, 8, 2, 0).unwrap();
    for got in [0, 8, 9, 11, 12, 13, u64::MAX] {
        let error = recording.admit(Some(got), 1).unwrap_err();
        let committed_points = 12;
        assert_eq!(error, RecordingError::OffsetMismatch { expected: 10, got, committed_points });
    }
    insta::assert_snapshot!(
        recording.admit(Some(13), 1).unwrap_err(),
        @"write_offset is 13, but the stream continues at point 10; leave write_offset unset or set it to 10"
    );
    assert_eq!(send(&mut recording, 10, 5, 0), Ok(2));
    assert_eq!(*recording.accumulator(), folded(15));
}

#[test]
fn an_end_before_the_last_point_is_refused() {
    let mut recording = resumed(&mut stored(10), 0);
    send(&mut recording, 0, 9, 0).unwrap();
    let error = recording.end_here().unwrap_err();
    let expected = RecordingError::EndsBefore { point_count: 10, got: 9, committed_points: 10 };
    assert_eq!((error, recording.has_end()), (expected, false));
    send(&mut recording, None, 1, 0).unwrap();
    assert_eq!((recording.end_here(), recording.has_end()), (Ok(()), true));
}

/// The offset that a client sends, valid or not.
#[derive(Clone, Debug)]
enum Offset {
    Unset,
    At(u64),
    /// At this distance from the number of durable points.
    Durable(i64),
    /// At this distance from the end of the message before it.
    Next(i64),
}

fn message() -> impl Strategy<Value = (Offset, u64)> {
    let offset = prop_oneof![
        3 => Just(Offset::Unset),
        1 => (0..12_u64).prop_map(Offset::At),
        2 => prop_oneof![2 => Just(0_i64), 1 => -4..3_i64].prop_map(Offset::Durable),
        3 => prop_oneof![4 => Just(0_i64), 1 => -2..3_i64].prop_map(Offset::Next),
    ];
    (offset, 0..5_u64)
}

/// Returns the accumulator of points with these numbers, in this order. Every number is another place in the plane, so
/// a point that is lost, doubled or moved gives another accumulator.
fn accumulated(numbers: &[u64]) -> PathAccumulator {
    let mut accumulator = PathAccumulator::new(Options::new(Metric::Planar));
    accumulator.extend(&numbers.iter().copied().map(fix).collect::<Vec<_>>()).unwrap();
    accumulator
}

proptest! {
    #[test]
    fn every_point_is_in_the_total_or_skipped_as_durable_or_the_stream_fails(
        streams in prop::collection::vec(prop::collection::vec(message(), 1..6), 1..6),
    ) {
        let mut store = Model::default();
        // The points that are durable, in order. Every point that is sent has a number of its own.
        let (mut durable, mut number) = (Vec::new(), 0..);
        for messages in streams {
            let before = durable.len() as u64;
            let mut recording = resumed(&mut store, 0);
            let (mut sent, mut start, mut next) = (Vec::new(), None, 0_u64);
            let mut has_failed = false;
            for (offset, count) in messages {
                let offset = match offset {
                    Offset::Unset => None,
                    Offset::At(offset) => Some(offset),
                    Offset::Durable(by) => Some(before.saturating_add_signed(by)),
                    Offset::Next(by) => Some(next.saturating_add_signed(by)),
                };
                let points: Vec<u64> = number.by_ref().take(count as usize).collect();
                let Ok(admitted) = recording.admit(offset, count) else {
                    has_failed = true;
                    break;
                };
                let new = &points[admitted.skip as usize..];
                recording.accumulator_mut().extend(&new.iter().copied().map(fix).collect::<Vec<_>>()).unwrap();
                recording.folded(0);
                start.get_or_insert(offset.unwrap_or(0));
                next = start.unwrap_or(0) + sent.len() as u64 + count;
                sent.extend(points);
            }
            let skipped = recording.skipped_points();
            if skipped > 0 {
                prop_assert!(start.unwrap() + skipped <= before, "a skipped point was not durable");
            }
            durable.extend(&sent[skipped as usize..]);
            prop_assert_eq!(recording.accumulator(), &accumulated(&durable), "failed: {}", has_failed);
            if let Some(commit) = recording.next_commit(0, true) {
                store.commit(&commit).unwrap();
                recording.committed();
            }
            prop_assert_eq!(recording.committed_points(), durable.len() as u64);
        }
    }
}
