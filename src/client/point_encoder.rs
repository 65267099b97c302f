//! Encodes points as gRPC messages, one per point, with their headers.
//!
//! The module is sans-IO. The three point messages of the contracts have the same encoding (int32 fields 1 and 2), so
//! a point is two integers here. `point_body` collects them in columns. A kernel encodes several fields at once. The
//! bytes are identical to those of prost.

use bytes::Bytes;

use crate::contract::frame::HEADER_BYTES;
use crate::measure::level::{Level, kernel};

/// Maximum size of a message: two fields of a tag and a varint of 10 bytes, as for negative numbers.
const MESSAGE_BYTES_MAX: usize = 2 * (1 + 10);
/// Maximum size of a message with its header.
const POINT_BYTES_MAX: usize = HEADER_BYTES + MESSAGE_BYTES_MAX;
/// A field is written as two words of eight bytes. Bytes after the end of the field are overwritten later.
const OVERHANG_BYTES: usize = 16;
/// The space that must be available for writing a point.
const SLOT_BYTES: usize = POINT_BYTES_MAX + OVERHANG_BYTES;

/// Minimum size of a chunk, for single points of a live tracker.
const CHUNK_BYTES_MIN: usize = 256;
/// Maximum size of a chunk: about 4000 points share the fixed cost of a chunk. A stream that waits for the server holds
/// at most two chunks.
const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// Maximum number of points that are encoded together.
pub(crate) const BATCH_POINTS: usize = 64;

/// A buffer of encoded points. It allocates nothing per point, and holds no memory between two chunks.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    len: usize,
    next_bytes: usize,
}

impl Chunk {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends the points of two columns, at most [`BATCH_POINTS`]. Returns whether the chunk is full and must be taken.
    pub(crate) fn append(&mut self, first: &[i32], second: &[i32]) -> bool {
        let count = first.len().min(second.len()).min(BATCH_POINTS);
        if count == 0 {
            return false;
        }
        let (first, second) = (&first[..count], &second[..count]);
        let needed = self.len + count * POINT_BYTES_MAX + OVERHANG_BYTES;
        if self.bytes.len() < needed {
            let size = self.next_bytes.max(CHUNK_BYTES_MIN).max(needed.next_power_of_two());
            self.bytes.resize(size, 0);
        }
        let mut fields = (Fields::EMPTY, Fields::EMPTY);
        let level = Level::best().narrow();
        encode_fields(level, first, 0x08, &mut fields.0);
        encode_fields(level, second, 0x10, &mut fields.1);
        let mut at = self.len;
        for (first, second) in fields.0.iter().zip(fields.1.iter()).take(count) {
            // There is always enough space, see above.
            let slot = self.bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
            let Some(slot) = slot else {
                debug_assert!(false, "no space for a point");
                break;
            };
            at += put_point(slot, first, second);
        }
        self.len = at;
        self.len + BATCH_POINTS * POINT_BYTES_MAX + OVERHANG_BYTES > CHUNK_BYTES_MAX
    }

    /// Returns the points since the last call. The next chunk gets twice the size: a source with many points ready gets
    /// large chunks, and a slow source holds little memory.
    pub(crate) fn take(&mut self) -> Bytes {
        self.next_bytes =
            (2 * self.len).next_power_of_two().clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(self.len);
        self.len = 0;
        bytes.into()
    }
}

/// The encoded fields of a column. Each is one word followed by [`TAIL`]: a tag and a varint of up to ten bytes, whose
/// bytes after the seventh are always the same.
struct Fields {
    words: [u64; BATCH_POINTS],
    /// The size of each field in bytes. A field whose value is 0 is not encoded and has size 0.
    lens: [u64; BATCH_POINTS],
}

/// The bytes after the first word of a field: the last three bytes of a negative number.
const TAIL: u64 = 0x01_ffff;

/// The word and the size of a field.
type Field = (u64, u64);

impl Fields {
    const EMPTY: Self = Self { words: [0; BATCH_POINTS], lens: [0; BATCH_POINTS] };

    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = Field> {
        self.words.iter().copied().zip(self.lens.iter().copied())
    }
}

kernel!(
    /// Encodes the fields of a column.
    fn encode_fields(values: &[i32], tag: u8, fields: &mut Fields) = encode_fields_body
);

#[inline(always)]
fn encode_fields_body(values: &[i32], tag: u8, fields: &mut Fields) {
    for ((&value, word), len) in values.iter().zip(&mut fields.words).zip(&mut fields.lens) {
        // 1 if the varint has a byte after this many bits: the byte before has its continuation bit set.
        let past = |bits: u32| u64::from(value >= 1 << bits);
        let more = past(7) << 7 | past(14) << 15 | past(21) << 23 | past(28) << 31;
        // A negative number is sign-extended to 64 bits: it has ten groups, and all bits from bit 32 on are set.
        let negative = i64::from(value >> 31) as u64;
        let more = more | negative & 0xffff_fff0_8080_8080;
        *word = (groups(value) | more) << 8 | u64::from(tag);
        let varint = 1 + past(7) + past(14) + past(21) + past(28) + (negative & 9);
        *len = (1 + varint) & u64::from(value == 0).wrapping_sub(1);
    }
}

/// Writes a point and returns its size with the header. Writes full words; each overwrites the unused bytes of the words
/// before it. The flag of the header (not compressed) and all bytes of the length except the last are zero.
///
/// All numbers take the same path: a branch on the sign would be mispredicted for tracks that cross a meridian.
#[inline(always)]
fn put_point(slot: &mut [u8; SLOT_BYTES], first: Field, second: Field) -> usize {
    let len = first.1 + second.1;
    put_word(slot, 0, len << 32 | first.0 << 40);
    put_word(slot, HEADER_BYTES, first.0);
    put_word(slot, HEADER_BYTES + 8, TAIL);
    // A field has at most eleven bytes. The mask lets the compiler drop a bounds check.
    let at = HEADER_BYTES + (first.1 & 15) as usize;
    put_word(slot, at, second.0);
    put_word(slot, at + 8, TAIL);
    HEADER_BYTES + len as usize
}

/// Spreads the bits in groups of seven, one group per byte. Five groups hold 35 bits.
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

    /// Encodes points with prost.
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
        for points in points.chunks(BATCH_POINTS) {
            let (first, second): (Vec<_>, Vec<_>) = points.iter().copied().unzip();
            if chunk.append(&first, &second) {
                chunks.push(chunk.take());
            }
        }
        if !chunk.is_empty() {
            chunks.push(chunk.take());
        }
        chunks
    }

    /// Generates numbers of every length, and the numbers at the borders between two lengths.
    fn number() -> impl Strategy<Value = i32> {
        prop_oneof![
            any::<i32>(),
            Just(0),
            (0_u32..32, -1_i32..=1, any::<bool>()).prop_map(|(bit, step, negative)| {
                let power = (1_u32 << bit) as i32;
                let value = power.wrapping_add(step);
                if negative { value.wrapping_neg() } else { value }
            }),
        ]
    }

    /// Generates points that are near one another, as in a track: their numbers have few signs and lengths.
    fn track() -> impl Strategy<Value = Vec<(i32, i32)>> {
        (number(), number(), 0..2000_i32).prop_flat_map(|(x, y, reach)| {
            let near =
                move |centre: i32| centre.saturating_sub(reach)..=centre.saturating_add(reach);
            prop::collection::vec((near(x), near(y)), 0..200)
        })
    }

    proptest! {
        #[test]
        fn the_bytes_of_a_track_are_identical_to_those_of_prost(points in track()) {
            prop_assert_eq!(chunks(&points).concat(), by_prost(&points));
        }

        #[test]
        fn the_bytes_of_any_points_are_identical_to_those_of_prost(
            points in prop::collection::vec((number(), number()), 0..600),
        ) {
            prop_assert_eq!(chunks(&points).concat(), by_prost(&points));
        }

        #[test]
        fn prost_decodes_the_bytes(latitude in number(), longitude in number()) {
            let bytes = chunks(&[(latitude, longitude)]).concat();
            let point = routeguide::Point::decode(&bytes[5..]).unwrap();
            prop_assert_eq!((point.latitude, point.longitude), (latitude, longitude));
        }
    }

    #[test]
    fn numbers_at_the_border_of_two_lengths_are_encoded_as_in_prost() {
        let borders = (0..32).flat_map(|bit| {
            let power = (1_u32 << bit) as i32;
            [power.wrapping_sub(1), power, power.wrapping_neg()]
        });
        let points: Vec<_> = borders.map(|value| (value, !value)).collect();
        assert_eq!(chunks(&points).concat(), by_prost(&points));
    }

    #[test]
    fn every_simd_level_encodes_the_same_fields() {
        let powers = (0..32).map(|bit| (1_u32 << bit) as i32);
        let borders = powers.flat_map(|power| [power.wrapping_sub(1), power, power.wrapping_neg()]);
        let values: Vec<_> = borders.collect();
        for values in values.chunks(BATCH_POINTS) {
            let fields = |level| {
                let mut fields = Fields::EMPTY;
                encode_fields(level, values, 0x08, &mut fields);
                fields.iter().collect::<Vec<_>>()
            };
            for level in Level::all() {
                assert_eq!(fields(level), fields(Level::all()[0]), "{level:?}");
            }
        }
    }

    #[test]
    fn a_point_of_two_zeros_is_an_empty_message_at_any_position() {
        let points = [(0, 0), (-1, -1), (0, 0), (0, -1), (-1, 0), (1, 0), (0, 1), (0, 0)];
        assert_eq!(chunks(&points).concat(), by_prost(&points));
        assert_eq!(chunks(&points[..1]).concat(), [0; 5]);
    }

    #[test]
    fn the_size_of_chunks_follows_the_number_of_points() {
        let points = vec![(i32::MIN, i32::MIN); 10_000];
        let sizes: Vec<_> = chunks(&points).iter().map(Bytes::len).collect();
        let largest = sizes.iter().max().unwrap();
        assert!((CHUNK_BYTES_MAX / 2..=CHUNK_BYTES_MAX).contains(largest), "{sizes:?}");
        assert!(sizes.len() < 10, "{sizes:?}");

        let mut chunk = Chunk::default();
        assert!(!chunk.append(&[], &[]));
        assert_eq!(chunk.bytes.capacity(), 0, "an empty chunk holds no memory");
        assert!(!chunk.append(&[1], &[1]));
        assert_eq!(chunk.bytes.len(), CHUNK_BYTES_MIN);
        assert_eq!(chunk.take().len(), 9);
        assert_eq!(chunk.next_bytes, CHUNK_BYTES_MIN);
    }
}
