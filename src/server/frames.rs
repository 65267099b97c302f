//! Counts the DATA frames in the bytes that a client sends, from the frame headers alone.
//!
//! HTTP/2 flow control counts payload bytes. Each frame that waits to be read also costs memory of its own, so
//! [`super::memory`] needs their number. This file reads only the nine bytes of a frame header (RFC 9113, section 4.1);
//! h2 checks the frames.

const HEADER_BYTES: usize = 9;
const DATA: u8 = 0;

/// The state between two reads.
#[derive(Debug, Default)]
pub(super) struct FrameCounter {
    /// The first bytes of a header that did not arrive as a whole.
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// Payload bytes of the current frame that have not arrived.
    payload_bytes: usize,
}

impl FrameCounter {
    /// Returns the number of DATA frames that begin in `bytes`, which follow the bytes of the last call.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> u64 {
        let mut data_frames = 0;
        loop {
            let skipped = self.payload_bytes.min(bytes.len());
            self.payload_bytes -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return data_frames;
            }
            let missing = (HEADER_BYTES - self.header_bytes).min(bytes.len());
            let (head, rest) = bytes.split_at(missing);
            self.header[self.header_bytes..][..missing].copy_from_slice(head);
            self.header_bytes += missing;
            bytes = rest;
            if self.header_bytes < HEADER_BYTES {
                return data_frames;
            }
            let [a, b, c, kind, ..] = self.header;
            self.payload_bytes = u32::from_be_bytes([0, a, b, c]) as usize;
            self.header_bytes = 0;
            data_frames += u64::from(kind == DATA);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_count_does_not_depend_on_how_the_bytes_are_split(
            frames in prop::collection::vec((0..3_u8, 0..40_usize), 0..40),
            piece in 1..60_usize,
        ) {
            let mut bytes = Vec::new();
            for &(kind, length) in &frames {
                bytes.extend([0, 0, length as u8, kind, 0, 0, 0, 0, 1]);
                // A payload may look like a header of a DATA frame.
                bytes.resize(bytes.len() + length, 0);
            }
            let mut counter = FrameCounter::default();
            let counted: u64 = bytes.chunks(piece).map(|piece| counter.count(piece)).sum();
            prop_assert_eq!(counted, frames.iter().filter(|frame| frame.0 == DATA).count() as u64);
        }
    }
}
