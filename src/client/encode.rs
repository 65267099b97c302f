//! Points to bytes: each a gRPC message of its own, prefix and all, written straight into a chunk.
//!
//! Pure. The three point messages of our contracts have one shape on the wire (int32 fields 1 and
//! 2), so two integers are all it knows. `body.rs` calls it, a point at a time; what it writes is
//! what prost would write, byte for byte.

use bytes::Bytes;

/// The longest message: two fields of a tag and a varint of 10 bytes, as negative numbers have.
const MESSAGE_BYTES_MAX: usize = 2 * (1 + 10);
/// The longest message with its prefix: flag and length.
const POINT_BYTES_MAX: usize = 5 + MESSAGE_BYTES_MAX;
/// A number is written as a whole word of eight bytes, of which only the first few may count.
const OVERHANG_BYTES: usize = 8;

/// The smallest chunk: what a live tracker's point is sent in.
const CHUNK_BYTES_MIN: usize = 256;
/// The largest: some 2000 points share what a chunk costs by itself, and a stream that the server
/// holds up has two of them at most.
const CHUNK_BYTES_MAX: usize = 32 * 1024;

/// A run of encoded points that grows until it is taken. Nothing is allocated per point, and
/// nothing is held between two chunks.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    len: usize,
    next_bytes: usize,
}

impl Chunk {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a point. Tells whether the chunk is full with it and must be taken.
    #[inline(always)]
    pub(super) fn push(&mut self, first: i32, second: i32) -> bool {
        if self.bytes.is_empty() {
            self.bytes = vec![0; self.next_bytes.max(CHUNK_BYTES_MIN)];
        }
        // Whole words are written, each over what hangs over of the one before. Of the prefix, the
        // flag (not compressed) and all but the last byte of the length are zeros.
        let start = self.len;
        put_word(&mut self.bytes, start, 0);
        let at = put_field(&mut self.bytes, start + 5, 0x08, first);
        let at = put_field(&mut self.bytes, at, 0x10, second);
        self.bytes[start + 4] = (at - start - 5) as u8;
        self.len = at;
        at + POINT_BYTES_MAX + OVERHANG_BYTES > self.bytes.len()
    }

    /// The points since the last call. The next chunk has room for twice as many: a source that
    /// has much at once gets large chunks, one that drips holds little memory.
    pub(super) fn take(&mut self) -> Bytes {
        self.next_bytes =
            (2 * self.len).next_power_of_two().clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(self.len);
        self.len = 0;
        bytes.into()
    }
}

/// Writes a field at `at` and tells where it ends; may scribble up to 8 bytes past that.
#[inline(always)]
fn put_field(bytes: &mut [u8], at: usize, tag: u8, value: i32) -> usize {
    if value <= 0 {
        return put_rare_field(bytes, at, tag, value);
    }
    // ceil(significant bits / 7) bytes, as n * 9 / 64 has it for 1 to 32 bits; all but the last
    // say that more follow. Tag and number are one word of at most six bytes.
    let len = ((32 - value.leading_zeros() as usize) * 9 + 64) / 64;
    let more = 0x80_8080_8080 & ((1 << (8 * (len - 1))) - 1);
    put_word(bytes, at, (groups(value) | more) << 8 | u64::from(tag));
    at + 1 + len
}

/// Writes a field that is zero, so left out, or negative: sign-extended to 64 bits it has ten
/// groups, with ones from bit 32 on. West of Greenwich every longitude comes here.
#[inline]
fn put_rare_field(bytes: &mut [u8], at: usize, tag: u8, value: i32) -> usize {
    if value == 0 {
        return at;
    }
    bytes[at] = tag;
    put_word(bytes, at + 1, groups(value) | 0xffff_fff0_8080_8080);
    bytes[at + 9] = 0xff;
    bytes[at + 10] = 0x01;
    at + 11
}

/// The bits in groups of seven, each in a byte of its own: five groups hold 35 bits.
#[inline(always)]
fn groups(value: i32) -> u64 {
    let bits = u64::from(value as u32);
    (bits & 0x7f)
        | (bits << 1 & 0x7f << 8)
        | (bits << 2 & 0x7f << 16)
        | (bits << 3 & 0x7f << 24)
        | (bits << 4 & 0x7f << 32)
}

#[inline(always)]
fn put_word(bytes: &mut [u8], at: usize, word: u64) {
    bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use bytes::BufMut as _;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::proto::{my_package, routeguide};

    /// The same as prost and tonic would have it.
    fn by_prost(points: &[(i32, i32)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &(x, y) in points {
            let message = my_package::Point { x, y };
            bytes.put_u8(0);
            bytes.put_u32(message.encoded_len() as u32);
            message.encode(&mut bytes).unwrap();
        }
        bytes
    }

    fn chunks(points: &[(i32, i32)]) -> Vec<Bytes> {
        let mut chunk = Chunk::default();
        let mut chunks = Vec::new();
        for &(first, second) in points {
            if chunk.push(first, second) {
                chunks.push(chunk.take());
            }
        }
        if !chunk.is_empty() {
            chunks.push(chunk.take());
        }
        chunks
    }

    /// Numbers of every length, and those at the borders between two lengths.
    fn number() -> impl Strategy<Value = i32> {
        prop_oneof![
            any::<i32>(),
            (0_u32..32, -1_i32..=1, any::<bool>()).prop_map(|(bit, step, negative)| {
                let power = (1_u32 << bit) as i32;
                let value = power.wrapping_add(step);
                if negative { value.wrapping_neg() } else { value }
            }),
        ]
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_prost(
            points in prop::collection::vec((number(), number()), 0..600),
        ) {
            prop_assert_eq!(chunks(&points).concat(), by_prost(&points));
        }

        #[test]
        fn prost_reads_what_was_written(latitude in number(), longitude in number()) {
            let bytes = chunks(&[(latitude, longitude)]).concat();
            let point = routeguide::Point::decode(&bytes[5..]).unwrap();
            prop_assert_eq!((point.latitude, point.longitude), (latitude, longitude));
        }
    }

    #[test]
    fn every_border_between_two_lengths_is_written_as_prost_does() {
        let borders = (0..32).flat_map(|bit| {
            let power = (1_u32 << bit) as i32;
            [power.wrapping_sub(1), power, power.wrapping_neg()]
        });
        let points: Vec<_> = borders.map(|value| (value, !value)).collect();
        assert_eq!(chunks(&points).concat(), by_prost(&points));
    }

    #[test]
    fn chunks_grow_while_they_fill_and_shrink_when_they_do_not() {
        let sizes: Vec<_> =
            chunks(&vec![(i32::MIN, i32::MIN); 10_000]).iter().map(Bytes::len).collect();
        assert!(sizes[0] <= CHUNK_BYTES_MIN);
        let largest = sizes.iter().max().unwrap();
        assert!((CHUNK_BYTES_MAX - 64..=CHUNK_BYTES_MAX).contains(largest), "{sizes:?}");
        assert!(sizes.len() < 20, "{sizes:?}");

        let mut chunk = Chunk::default();
        while !chunk.push(1, 1) {}
        chunk.take();
        chunk.push(1, 1);
        assert_eq!(chunk.take().len(), 9);
        assert_eq!(chunk.next_bytes, CHUNK_BYTES_MIN);
    }
}
