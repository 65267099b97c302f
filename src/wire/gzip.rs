//! Inflating one gzip-compressed message, with a bound on what comes out.

use flate2::{Crc, Decompress, FlushDecompress, Status};

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

/// A message buffer larger than this is given back before the next message.
const MESSAGE_KEPT_BYTES: usize = 1024;

/// Inflates the messages of one stream, one after another, with one set of buffers: a stream of
/// points has millions of messages of a few bytes.
#[derive(Default)]
pub(super) struct Inflater {
    /// Made when the first compressed message comes: it holds a window of 32 KiB.
    decompress: Option<Decompress>,
    message: Vec<u8>,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").finish_non_exhaustive()
    }
}

impl Inflater {
    /// Inflates `payload`, which must be one gzip member and nothing else.
    pub(super) fn inflate(
        &mut self,
        payload: &[u8],
        payload_bytes_max: usize,
    ) -> Result<&[u8], GzipError> {
        let (deflated, trailer) = member(payload).ok_or(GzipError::Corrupt)?;
        let decompress = self.decompress.get_or_insert_with(|| Decompress::new(false));
        decompress.reset(false);
        self.message.clear();
        self.message.shrink_to(MESSAGE_KEPT_BYTES);
        loop {
            let taken = decompress.total_in() as usize;
            if self.message.capacity() == self.message.len() {
                let more = self.message.len().max(64);
                self.message.reserve_exact(more.min(payload_bytes_max + 1 - self.message.len()));
            }
            let before = self.message.len();
            let status = decompress
                .decompress_vec(&deflated[taken..], &mut self.message, FlushDecompress::None)
                .map_err(|_| GzipError::Corrupt)?;
            if self.message.len() > payload_bytes_max {
                return Err(GzipError::TooLarge { payload_bytes_max });
            }
            let stuck = decompress.total_in() as usize == taken && self.message.len() == before;
            match status {
                Status::StreamEnd => break,
                // There was room, and still nothing came: the payload has ended too early.
                _ if stuck && self.message.len() < self.message.capacity() => {
                    return Err(GzipError::Corrupt);
                }
                _ => {}
            }
        }
        let mut crc = Crc::new();
        crc.update(&self.message);
        let expected = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
        // Bytes behind the member belong to no message.
        if decompress.total_in() as usize == deflated.len() && trailer == expected {
            Ok(&self.message)
        } else {
            Err(GzipError::Corrupt)
        }
    }
}

/// What is between the header and the trailer of a gzip member, and the trailer: RFC 1952, section
/// 2.3.
fn member(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    const HEADER_CRC: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    const TRAILER_BYTES: usize = 8;

    let (header, mut rest) = payload.split_first_chunk::<10>()?;
    let [0x1f, 0x8b, 8, flags, ..] = *header else { return None };
    if flags >= 1 << 5 {
        return None;
    }
    if flags & EXTRA != 0 {
        let (length, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    rest.split_at_checked(rest.len().checked_sub(TRAILER_BYTES)?)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, GzBuilder, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn deflate(message: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(message).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(payload: &[u8], max: usize) -> Result<Vec<u8>, GzipError> {
        Inflater::default().inflate(payload, max).map(<[u8]>::to_vec)
    }

    proptest! {
        #[test]
        fn what_was_deflated_comes_back_from_one_inflater(
            messages in prop::collection::vec(prop::collection::vec(0..4_u8, 0..3000), 1..8),
        ) {
            let mut inflater = Inflater::default();
            for message in messages {
                // Errors in between leave nothing behind.
                prop_assert!(inflater.inflate(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 3], 3000).is_err());
                prop_assert_eq!(inflater.inflate(&deflate(&message), 3000).unwrap(), &message[..]);
            }
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
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
            let mut theirs = Vec::new();
            let mut reader = flate2::bufread::GzDecoder::new(&payload[..]);
            let whole = std::io::Read::read_to_end(&mut reader, &mut theirs).is_ok();
            if whole && reader.get_ref().is_empty() && payload[3] < 1 << 5 {
                prop_assert_eq!(inflate(&payload, 1 << 20), Ok(theirs));
            } else {
                prop_assert_eq!(inflate(&payload, 1 << 20), Err(GzipError::Corrupt));
            }
        }
    }

    #[test]
    fn every_part_of_a_header_is_passed_over() {
        let builder = GzBuilder::new().extra(vec![1, 2, 3]).filename("name").comment("comment");
        let mut encoder = builder.write(Vec::new(), Compression::default());
        encoder.write_all(b"points").unwrap();
        assert_eq!(inflate(&encoder.finish().unwrap(), 100), Ok(b"points".to_vec()));
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = deflate(&vec![0; 10_000_000]);
        let mut inflater = Inflater::default();
        let error = inflater.inflate(&bomb, 1000).unwrap_err();
        assert_eq!(error, GzipError::TooLarge { payload_bytes_max: 1000 });
        assert!(inflater.message.capacity() < 3000);
        assert_eq!(inflate(&deflate(&[0; 1000]), 1000), Ok(vec![0; 1000]));
    }

    #[test]
    fn a_cut_a_damaged_and_a_trailed_member_are_corrupt() {
        let whole = deflate(b"eight by eight by eight");
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let mut trailed = whole.clone();
        trailed.push(0);
        for bytes in [&whole[..whole.len() - 1], &damaged, &trailed, &[]] {
            assert_eq!(inflate(bytes, 1000), Err(GzipError::Corrupt));
        }
    }
}
