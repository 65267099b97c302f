//! Tests of the inflater.

use std::io::Write as _;

use flate2::{Compression, GzBuilder, write::GzEncoder};
use proptest::prelude::*;

use super::*;

fn deflate(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

impl Inflater {
    fn inflate(&mut self, payload: &[u8], max: usize) -> Result<&[u8], GzipError> {
        while !self.is_done() {
            let step = self.step(payload, max)?;
            assert!(step.compressed_bytes <= STEP_COMPRESSED_BYTES + payload.len().min(100));
            assert!(step.inflated_bytes <= STEP_INFLATED_BYTES);
        }
        Ok(self.take())
    }
}

fn inflate(payload: &[u8], max: usize) -> Result<Vec<u8>, GzipError> {
    Inflater::default().inflate(payload, max).map(<[u8]>::to_vec)
}

#[test]
fn blocks_without_content_are_inflated_in_many_steps() {
    let member = empty_dynamic_blocks(4_000);
    let mut inflater = Inflater::default();
    let mut steps = 0;
    while !inflater.is_done() {
        let step = inflater.step(&member, 64).unwrap();
        assert!(step.compressed_bytes <= 2_048, "{step:?}");
        steps += 1;
    }
    assert!(steps > 20, "{steps} steps");
    assert_eq!(inflater.take(), b"");
}

proptest! {
    #[test]
    fn one_inflater_restores_all_messages(
        messages in prop::collection::vec(prop::collection::vec(0..4_u8, 0..3000), 1..8),
    ) {
        let mut inflater = Inflater::default();
        for message in messages {
            // An error does not affect the next message.
            prop_assert!(inflater.inflate(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 3], 3000).is_err());
            prop_assert_eq!(inflater.inflate(&deflate(&message), 3000).unwrap(), &message[..]);
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = inflate(&bytes, 300);
        let _ = inflate(&[&[0x1f, 0x8b, 8][..], &bytes].concat(), 300);
    }

    #[test]
    fn it_agrees_with_the_reader_of_flate2(
        message in prop::collection::vec(0..4_u8, 0..100), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let mut payload = deflate(&message);
        let at = at.index(payload.len());
        payload[at] = byte;
        let mut expected = Vec::new();
        let mut reader = flate2::bufread::GzDecoder::new(&payload[..]);
        let whole = std::io::Read::read_to_end(&mut reader, &mut expected).is_ok();
        if whole && reader.get_ref().is_empty() && payload[3] < 1 << 5 {
            prop_assert_eq!(inflate(&payload, 1 << 20), Ok(expected));
        } else {
            prop_assert_eq!(inflate(&payload, 1 << 20), Err(GzipError::Corrupt));
        }
    }
}

#[test]
fn every_part_of_a_header_is_skipped() {
    let builder = GzBuilder::new().extra(vec![1, 2, 3]).filename("name").comment("comment");
    let mut encoder = builder.write(Vec::new(), Compression::default());
    encoder.write_all(b"points").unwrap();
    assert_eq!(inflate(&encoder.finish().unwrap(), 100), Ok(b"points".to_vec()));
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    let bomb = deflate(&vec![0; 10_000_000]);
    let mut inflater = Inflater::default();
    let error = inflater.inflate(&bomb, 1000).unwrap_err();
    assert_eq!(error, GzipError::TooLarge { max_payload_bytes: 1000 });
    assert!(inflater.message.capacity() < 3000);
    assert_eq!(inflate(&deflate(&[0; 1000]), 1000), Ok(vec![0; 1000]));
}

#[test]
fn a_truncated_a_damaged_and_a_trailed_member_are_corrupt() {
    let whole = deflate(b"eight by eight by eight");
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut trailed = whole.clone();
    trailed.push(0);
    for bytes in [&whole[..whole.len() - 1], &damaged, &trailed, &[]] {
        assert_eq!(inflate(bytes, 1000), Err(GzipError::Corrupt));
    }
}
