//! Points to bytes: each a gRPC message of its own, prefix and all, written straight into a chunk.
//!
//! Pure. The three point messages of our contracts have one shape on the wire (int32 fields 1 and
//! 2), so two integers are all it knows. `body.rs` collects them in columns, of which a kernel makes
//! the fields, several at once; the bytes are what prost would write.

use bytes::Bytes;

use crate::measure::level::{Level, kernel};

/// The longest message: two fields of a tag and a varint of 10 bytes, as negative numbers have.
const MESSAGE_BYTES_MAX: usize = 2 * (1 + 10);
/// The longest message with its prefix: flag and length.
const POINT_BYTES_MAX: usize = 5 + MESSAGE_BYTES_MAX;
/// A field is written as two whole words of eight bytes, of which only the first few may count.
const OVERHANG_BYTES: usize = 16;
/// Where a point is written.
const PLACE_BYTES: usize = POINT_BYTES_MAX + OVERHANG_BYTES;

/// The smallest chunk: what a live tracker's point is sent in.
const CHUNK_BYTES_MIN: usize = 256;
/// The largest: some 4000 points share what a chunk costs by itself, and a stream that the server
/// holds up has two of them at most.
const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// Points that are encoded together, at most.
pub(super) const BATCH_POINTS: usize = 64;

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

    /// Adds the points of two columns, [`BATCH_POINTS`] of them at most. Tells whether the chunk is
    /// full, so that it must be taken.
    pub(super) fn append(&mut self, first: &[i32], second: &[i32]) -> bool {
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
        make_fields(level, first, 0x08, &mut fields.0);
        make_fields(level, second, 0x10, &mut fields.1);
        let mut at = self.len;
        for (first, second) in fields.0.iter().zip(fields.1.iter()).take(count) {
            // There is always room, see above.
            let place = self.bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
            let Some(place) = place else {
                debug_assert!(false, "no room for a point");
                break;
            };
            at += put_point(place, first, second);
        }
        self.len = at;
        self.len + BATCH_POINTS * POINT_BYTES_MAX + OVERHANG_BYTES > CHUNK_BYTES_MAX
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

/// The fields of a column, which are as if each were one word and [`TAIL`]: a tag and a varint of
/// up to ten bytes, of which all past the seventh are always the same.
struct Fields {
    words: [u64; BATCH_POINTS],
    /// How many bytes count: of a zero, which is left out, none.
    lens: [u64; BATCH_POINTS],
}

/// What follows the first word of a field that is longer: the last three bytes of a negative number.
const TAIL: u64 = 0x01_ffff;

/// The word and the length of a field.
type Field = (u64, u64);

impl Fields {
    const EMPTY: Self = Self { words: [0; BATCH_POINTS], lens: [0; BATCH_POINTS] };

    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = Field> {
        self.words.iter().copied().zip(self.lens.iter().copied())
    }
}

kernel!(
    /// Makes the fields of a column.
    fn make_fields(values: &[i32], tag: u8, fields: &mut Fields) = make_fields_body
);

#[inline(always)]
fn make_fields_body(values: &[i32], tag: u8, fields: &mut Fields) {
    for ((&value, word), len) in values.iter().zip(&mut fields.words).zip(&mut fields.lens) {
        // Whether there is a byte past that many bits: then the one before says that it follows.
        let past = |bits: u32| u64::from(value >= 1 << bits);
        let more = past(7) << 7 | past(14) << 15 | past(21) << 23 | past(28) << 31;
        // A negative number, sign-extended to 64 bits, has ten groups, with ones from bit 32 on.
        let negative = i64::from(value >> 31) as u64;
        let more = more | negative & 0xffff_fff0_8080_8080;
        *word = (groups(value) | more) << 8 | u64::from(tag);
        let varint = 1 + past(7) + past(14) + past(21) + past(28) + (negative & 9);
        *len = (1 + varint) & u64::from(value == 0).wrapping_sub(1);
    }
}

/// Writes a point and tells how long it is. Whole words are written, each over what hangs over of
/// the ones before. Of the prefix, the flag (not compressed) and all but the last byte of the length
/// are zeros.
///
/// All numbers go one way: a branch on the sign would cost those who cross a meridian, and two words
/// more cost less than they would seem to.
#[inline(always)]
fn put_point(place: &mut [u8; PLACE_BYTES], first: Field, second: Field) -> usize {
    let len = first.1 + second.1;
    put_word(place, 0, len << 32 | first.0 << 40);
    put_word(place, 5, first.0);
    put_word(place, 5 + 8, TAIL);
    // A field has eleven bytes at most, which the compiler does not know.
    let at = 5 + (first.1 & 15) as usize;
    put_word(place, at, second.0);
    put_word(place, at + 8, TAIL);
    5 + len as usize
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

    /// Numbers of every length, and those at the borders between two lengths.
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

    /// Points of one hemisphere or of many, as a track has them: numbers of few signs and lengths.
    fn track() -> impl Strategy<Value = Vec<(i32, i32)>> {
        (number(), number(), 0..2000_i32).prop_flat_map(|(x, y, reach)| {
            let near =
                move |centre: i32| centre.saturating_sub(reach)..=centre.saturating_add(reach);
            prop::collection::vec((near(x), near(y)), 0..200)
        })
    }

    proptest! {
        #[test]
        fn the_bytes_of_a_track_are_those_of_prost(points in track()) {
            prop_assert_eq!(chunks(&points).concat(), by_prost(&points));
        }

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
    fn every_level_makes_the_same_fields() {
        let powers = (0..32).map(|bit| (1_u32 << bit) as i32);
        let borders = powers.flat_map(|power| [power.wrapping_sub(1), power, power.wrapping_neg()]);
        let values: Vec<_> = borders.collect();
        for values in values.chunks(BATCH_POINTS) {
            let fields = |level| {
                let mut fields = Fields::EMPTY;
                make_fields(level, values, 0x08, &mut fields);
                fields.iter().collect::<Vec<_>>()
            };
            for level in Level::all() {
                assert_eq!(fields(level), fields(Level::all()[0]), "{level:?}");
            }
        }
    }

    #[test]
    fn a_point_of_two_zeros_is_an_empty_message_wherever_it_stands() {
        let points = [(0, 0), (-1, -1), (0, 0), (0, -1), (-1, 0), (1, 0), (0, 1), (0, 0)];
        assert_eq!(chunks(&points).concat(), by_prost(&points));
        assert_eq!(chunks(&points[..1]).concat(), [0; 5]);
    }

    #[test]
    fn chunks_are_as_large_as_what_is_in_them_asks_for() {
        let points = vec![(i32::MIN, i32::MIN); 10_000];
        let sizes: Vec<_> = chunks(&points).iter().map(Bytes::len).collect();
        let largest = sizes.iter().max().unwrap();
        assert!((CHUNK_BYTES_MAX / 2..=CHUNK_BYTES_MAX).contains(largest), "{sizes:?}");
        assert!(sizes.len() < 10, "{sizes:?}");

        let mut chunk = Chunk::default();
        assert!(!chunk.append(&[], &[]));
        assert_eq!(chunk.bytes.capacity(), 0, "nothing is held for nothing");
        assert!(!chunk.append(&[1], &[1]));
        assert_eq!(chunk.bytes.len(), CHUNK_BYTES_MIN);
        assert_eq!(chunk.take().len(), 9);
        assert_eq!(chunk.next_bytes, CHUNK_BYTES_MIN);
    }
}
