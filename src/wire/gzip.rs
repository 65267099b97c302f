//! Inflating one gzip-compressed message, with a bound on what comes out.

use std::io::Read as _;

use flate2::bufread::GzDecoder;

/// Why a compressed message could not be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GzipError {
    /// The payload is not one whole gzip member.
    #[error("it is marked as gzip, and is not a complete gzip member")]
    Corrupt,
    /// The message is longer than messages may be, however short it was on the wire.
    #[error("it inflates to more than the {payload_bytes_max} bytes allowed")]
    TooLarge {
        /// The limit.
        payload_bytes_max: usize,
    },
}

/// Inflates `payload` into `message`, which is overwritten.
///
/// Each message is a gzip member of its own, as gRPC has it, and costs an inflater: a client that
/// is after throughput sends points uncompressed.
pub(super) fn inflate(
    payload: &[u8],
    message: &mut Vec<u8>,
    payload_bytes_max: usize,
) -> Result<(), GzipError> {
    message.clear();
    let mut decoder = GzDecoder::new(payload);
    let limit = payload_bytes_max as u64 + 1;
    decoder.by_ref().take(limit).read_to_end(message).map_err(|_| GzipError::Corrupt)?;
    if message.len() > payload_bytes_max {
        return Err(GzipError::TooLarge { payload_bytes_max });
    }
    // Bytes behind the member belong to no message.
    if decoder.get_ref().is_empty() { Ok(()) } else { Err(GzipError::Corrupt) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn deflate(message: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(message).unwrap();
        encoder.finish().unwrap()
    }

    proptest! {
        #[test]
        fn what_was_deflated_comes_back(message in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut out = vec![9];
            prop_assert_eq!(inflate(&deflate(&message), &mut out, 300), Ok(()));
            prop_assert_eq!(out, message);
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = inflate(&bytes, &mut Vec::new(), 300);
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = deflate(&vec![0; 10_000_000]);
        let mut out = Vec::new();
        let error = inflate(&bomb, &mut out, 1000).unwrap_err();
        assert_eq!(error, GzipError::TooLarge { payload_bytes_max: 1000 });
        assert_eq!(out.len(), 1001);
    }

    #[test]
    fn a_cut_a_damaged_and_a_trailed_member_are_corrupt() {
        let whole = deflate(b"eight by eight by eight");
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let mut trailed = whole.clone();
        trailed.push(0);
        for bytes in [&whole[..whole.len() - 1], &damaged, &trailed, &[]] {
            assert_eq!(inflate(bytes, &mut Vec::new(), 1000), Err(GzipError::Corrupt));
        }
    }
}
