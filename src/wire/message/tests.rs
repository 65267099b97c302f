//! Tests of messages in compressed streams.

use super::*;

#[test]
fn a_gzip_stream_may_mix_compressed_and_plain_messages() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&[8, 1]).unwrap();
    let packed = encoder.finish().unwrap();
    let mut bytes = vec![0, 0, 0, 0, 1, 42, 1, 0, 0, 0, packed.len() as u8];
    bytes.extend(packed);

    let mut chunk = &bytes[..];
    let mut messages = Messages::new(Encoding::Gzip, 100);
    assert_eq!(messages.next(&mut chunk).unwrap(), Some(&[42][..]));
    assert_eq!(messages.next(&mut chunk).unwrap(), Some(&[8, 1][..]));
    assert_eq!(messages.next(&mut chunk).unwrap(), None);
    assert_eq!(messages.finish(), Ok(()));

    let mut chunk = &bytes[..];
    let mut messages = Messages::new(Encoding::Identity, 100);
    messages.next(&mut chunk).unwrap();
    assert_eq!(
        messages.next(&mut chunk).unwrap_err().to_string(),
        "message 1: it is marked as compressed, but the call has no grpc-encoding header"
    );
}

fn gzip_frame(message: &[u8]) -> Vec<u8> {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message).unwrap();
    let payload = encoder.finish().unwrap();
    let mut frame = vec![1];
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend(payload);
    frame
}

/// Returns pseudo-random bytes, which hardly compress.
fn noise(len: usize, mask: u8) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        // Knuth's MMIX constants.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8 & mask
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn a_ratio_above_the_limit_is_refused_after_one_mebibyte() {
    let zeros = gzip_frame(&[0; 65_536]);
    let read = |ratio_max: u32, frames: &[u8]| {
        let mut messages =
            Messages::new(Encoding::Gzip, 65_536).with_max_inflation_ratio(ratio_max);
        let (mut chunk, mut count) = (frames, 0);
        loop {
            match messages.next(&mut chunk) {
                Ok(Some(_)) => count += 1,
                Ok(None) => return (count, None),
                Err(error) => return (count, Some(error)),
            }
        }
    };
    let (count, error) = read(100, &zeros.repeat(20));
    assert_eq!(count, 16);
    let error = error.unwrap();
    assert_eq!(error.message_index(), 16);
    let MessageError::InflationRatio { compressed_bytes, inflated_bytes, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(compressed_bytes, 17 * zeros.len() as u64);
    assert!(inflated_bytes > 1 << 20);
    assert_eq!(
        error.to_string(),
        format!(
            "message 16: the compressed messages so far have {compressed_bytes} bytes and inflate to \
             {inflated_bytes}, more than 100 times as many; send them without compression, or with fewer \
             points per message"
        )
    );
    // Deflate cannot exceed a ratio of 1033. Messages that compress less lower the ratio.
    assert_eq!(read(1033, &zeros.repeat(20)), (20, None));
    let mixed = [gzip_frame(&noise(8_000, 0xff)), zeros.repeat(10)].concat();
    assert_eq!(read(100, &mixed.repeat(3)), (33, None));
}

#[test]
fn messages_inflated_in_steps_do_not_depend_on_the_cuts() {
    let message = noise(60_000, 0x1f);
    let frames = [gzip_frame(&message), vec![0, 0, 0, 0, 1, 42], gzip_frame(b"")].concat();
    for chunk_bytes in [1, 7, 1000, frames.len()] {
        let mut messages = Messages::new(Encoding::Gzip, 65_536);
        let (mut read, mut steps) = (Vec::new(), 0);
        for mut chunk in frames.chunks(chunk_bytes) {
            loop {
                while let Some(message) = messages.next_small(&mut chunk, 1) {
                    read.push(message.to_vec());
                }
                while let Some(step) = messages.inflate_step(&mut chunk).unwrap() {
                    assert!(step.inflated_bytes <= 16 * 1024);
                    steps += 1;
                }
                let Some(message) = messages.next(&mut chunk).unwrap() else { break };
                read.push(message.to_vec());
            }
            assert!(chunk.is_empty());
        }
        assert_eq!(read, [message.clone(), vec![42], Vec::new()]);
        assert!(steps > 10, "{steps} steps");
        assert_eq!(messages.finish(), Ok(()));
    }
}
