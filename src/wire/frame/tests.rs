//! Tests of the deframer with arbitrary cuts.

use proptest::prelude::*;

use super::*;

fn framed(messages: &[(bool, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (compressed, payload) in messages {
        bytes.push(u8::from(*compressed));
        bytes.extend((payload.len() as u32).to_be_bytes());
        bytes.extend(payload);
    }
    bytes
}

type Outcome = (Vec<(bool, Vec<u8>)>, Result<(), FrameError>);

/// Reads all messages from `bytes` in chunks that end at `cuts`.
fn read(bytes: &[u8], cuts: &[usize], max: usize) -> Outcome {
    let mut deframer = Deframer::new(max);
    let mut messages = Vec::new();
    let mut from = 0;
    for &cut in cuts.iter().chain([&bytes.len()]) {
        let mut chunk = &bytes[from..cut];
        from = cut;
        loop {
            match deframer.next(&mut chunk) {
                Ok(Some(frame)) => messages.push((frame.compressed, frame.payload.to_vec())),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
        assert!(chunk.is_empty());
        assert!(deframer.carry.len() <= max + HEADER_BYTES);
    }
    let end = deframer.finish();
    (messages, end)
}

fn cuts(indices: &[prop::sample::Index], len: usize) -> Vec<usize> {
    let mut cuts: Vec<_> = indices.iter().map(|index| index.index(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #[test]
    fn messages_do_not_depend_on_the_cuts(
        messages in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..20),
        at in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let bytes = framed(&messages);
        prop_assert_eq!(read(&bytes, &cuts(&at, bytes.len()), 40), (messages, Ok(())));
    }

    #[test]
    fn results_and_errors_do_not_depend_on_the_cuts(
        bytes in prop::collection::vec(prop_oneof![4 => Just(0_u8), 1 => 0..4_u8, 1 => any::<u8>()], 0..200),
        at in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        prop_assert_eq!(read(&bytes, &cuts(&at, bytes.len()), 64), read(&bytes, &[], 64));
    }
}

#[test]
fn errors_have_the_position_and_the_cause() {
    let mut bytes = framed(&[(false, vec![1, 2, 3])]);
    let error = |bytes: &[u8]| read(bytes, &[], 16).1.unwrap_err().to_string();
    bytes.extend([7, 0]);
    // The flag is checked when the header is complete.
    assert_eq!(
        error(&bytes),
        "message 1, at byte 8 of the stream: the stream ended after 2 of its 5 bytes"
    );
    bytes.extend([0, 0, 1]);
    assert_eq!(
        error(&bytes),
        "message 1, at byte 8 of the stream: the compressed flag is 7, not 0 or 1"
    );
    assert_eq!(
        error(&[0, 255, 255, 255, 255]),
        "message 0, at byte 0 of the stream: it has 4294967295 bytes, more than the 16 allowed"
    );
    assert_eq!(
        error(&[0, 0, 0, 0, 9, 1]),
        "message 0, at byte 0 of the stream: the stream ended after 6 of its 14 bytes"
    );
}

#[test]
fn the_buffer_of_a_large_message_is_released() {
    let bytes = framed(&[(false, vec![0; 60_000]), (false, vec![1])]);
    let mut deframer = Deframer::new(60_000);
    for mut chunk in bytes.chunks(1000) {
        while deframer.next(&mut chunk).unwrap().is_some() {}
    }
    assert_eq!(deframer.message_count(), 2);
    assert!(deframer.carry.capacity() <= CARRY_KEPT_BYTES);
}
