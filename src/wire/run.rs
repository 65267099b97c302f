//! The fast path of the published contracts: decodes runs of points in the common encoding.
//!
//! Nearly every point is an uncompressed frame with field 1 and then field 2, each a varint of minimum length.
//! This file reads such a message with a few eight-byte loads and without a loop over its bytes. It stops
//! before any other message. The caller reads that message with [`super::Deframer`] and
//! [`super::decode_point`], which accept every valid encoding and report errors. A property test and the fuzz
//! target `points` check that both paths return the same values.
//!
//! To support another encoding here, the slow path must read it with the same values. The run must stop
//! before every other message.

use crate::measure::level::{Level, kernel};

/// The size of a frame header: the flag byte and the length.
const HEADER_BYTES: usize = 5;
/// The number of bytes that are loaded from the start of a frame. A header of 5 bytes and two fields, each with a
/// key and up to ten bytes, have at most 27.
const LOOK_AHEAD_BYTES: usize = 32;

/// The longest message that this file reads: two fields, each with a key and ten bytes.
pub(super) const POINT_BYTES_MAX: usize = 22;

/// The number of points that are decoded together.
const GROUP: usize = 8;

/// The continuation bit of a varint, in each of eight bytes.
const CONTINUED: u64 = 0x8080_8080_8080_8080;

/// Decodes points from the front of `chunk`, which must start with a frame: field 1 into `first` and field 2 into
/// `second`.
///
/// Returns the number of points and the number of their bytes. It stops when a column is full, near the end of
/// the chunk, and before the first message in another encoding.
pub(super) fn decode_run(chunk: &[u8], first: &mut [i32], second: &mut [i32]) -> (usize, usize) {
    decode_at(Level::best().narrow(), chunk, first, second)
}

kernel! {
    fn decode_at(chunk: &[u8], first: &mut [i32], second: &mut [i32]) -> (usize, usize) = decode_body
}

#[inline(always)]
fn decode_body(chunk: &[u8], first: &mut [i32], second: &mut [i32]) -> (usize, usize) {
    // Cut both to the same length, because the code below uses groups of both.
    let capacity = first.len().min(second.len());
    let (first, second) = (&mut first[..capacity], &mut second[..capacity]);
    let (mut points, mut at) = (0, 0);
    let mut lengths = (0, 0);
    while points < capacity {
        let Some(window) = chunk[at..].first_chunk::<LOOK_AHEAD_BYTES>() else { break };
        let Some(point) = decode_one(window) else { break };
        (first[points], second[points]) = (point.x, point.y);
        points += 1;
        at += point.bytes;
        // Consecutive points of a path nearly always have the same lengths. If two do, try to decode a run of
        // points with these lengths.
        let same = lengths == (point.x_bytes, point.y_bytes);
        lengths = (point.x_bytes, point.y_bytes);
        if same {
            let shape = Shape::of(&point);
            let run = shape.decode(&chunk[at..], &mut first[points..], &mut second[points..]);
            points += run;
            at += run * point.bytes;
        }
    }
    (points, at)
}

/// A point and the lengths of its encoding.
struct Decoded {
    x: i32,
    y: i32,
    /// The lengths of the varints.
    x_bytes: usize,
    y_bytes: usize,
    /// The length of the frame.
    bytes: usize,
}

/// The index of the first varint in a frame.
const X_AT: usize = HEADER_BYTES + 1;

/// Decodes one framed point in the common encoding.
#[inline(always)]
fn decode_one(window: &[u8; LOOK_AHEAD_BYTES]) -> Option<Decoded> {
    // Flag 0, a length below 256, and the key of field 1 as varint.
    let head = load(window, 0);
    if head & 0xff00_ffff_ffff != 0x0800_0000_0000 {
        return None;
    }
    let length = (head >> 32 & 0xff) as usize;
    let (x, x_bytes) = varint(window, X_AT)?;
    let key_2 = X_AT + x_bytes;
    let (y, y_bytes) = varint(window, key_2 + 1)?;
    let is_point = window[key_2] == 0x10 && 2 + x_bytes + y_bytes == length;
    is_point.then_some(Decoded { x, y, x_bytes, y_bytes, bytes: HEADER_BYTES + length })
}

/// The bits that are equal in all frames with varints of the same lengths. A frame with these bits is decoded with
/// constant offsets.
struct Shape {
    /// The bits that are compared.
    mask: [u64; LOOK_AHEAD_BYTES / 8],
    /// The required values of these bits.
    expected: [u64; LOOK_AHEAD_BYTES / 8],
    y_at: usize,
    x_mask: u64,
    y_mask: u64,
    bytes: usize,
}

impl Shape {
    fn of(point: &Decoded) -> Self {
        let mut mask = [0; LOOK_AHEAD_BYTES];
        let mut expected = [0; LOOK_AHEAD_BYTES];
        mask[..X_AT].fill(0xff);
        expected[4] = (point.bytes - HEADER_BYTES) as u8;
        expected[5] = 0x08;
        let key_2 = X_AT + point.x_bytes;
        (mask[key_2], expected[key_2]) = (0xff, 0x10);
        for (at, bytes) in [(X_AT, point.x_bytes), (key_2 + 1, point.y_bytes)] {
            // All bytes except the last have the continuation bit. The tenth byte of a varint has one value bit.
            mask[at..at + bytes].fill(0x80);
            expected[at..at + bytes - 1].fill(0x80);
            if bytes == 10 {
                mask[at + 9] = 0xfe;
            }
        }
        let words = |bytes: [u8; LOOK_AHEAD_BYTES]| [0, 8, 16, 24].map(|at| load(&bytes, at));
        let value_mask = |bytes: usize| u64::MAX >> (64 - 8 * bytes.min(8));
        Self {
            mask: words(mask),
            expected: words(expected),
            y_at: key_2 + 1,
            x_mask: value_mask(point.x_bytes),
            y_mask: value_mask(point.y_bytes),
            bytes: point.bytes,
        }
    }

    /// Decodes points of this shape and returns their number.
    ///
    /// It decodes groups, so that the operations on a byte of a varint run for several points at once. The
    /// points after the last complete group, or before another shape, are decoded one by one.
    #[inline(always)]
    fn decode(&self, chunk: &[u8], first: &mut [i32], second: &mut [i32]) -> usize {
        let mut points = 0;
        let mut rest = chunk;
        let (first_groups, first_rest) = first.as_chunks_mut::<GROUP>();
        let (second_groups, second_rest) = second.as_chunks_mut::<GROUP>();
        for (first, second) in first_groups.iter_mut().zip(second_groups) {
            let Some(next) = self.decode_group(rest, first, second) else {
                return points + self.decode_singly(rest, first, second);
            };
            rest = next;
            points += GROUP;
        }
        points + self.decode_singly(rest, first_rest, second_rest)
    }

    /// Decodes a group from the front of `chunk` and returns the bytes after it. Returns `None` if a point has
    /// another shape or is near the end of the chunk; the output is then invalid.
    #[inline(always)]
    fn decode_group<'a>(
        &self,
        chunk: &'a [u8],
        first: &mut [i32; GROUP],
        second: &mut [i32; GROUP],
    ) -> Option<&'a [u8]> {
        let y_at = self.y_at.min(LOOK_AHEAD_BYTES - 8);
        let mut rest = chunk;
        let mut windows = [&[0; LOOK_AHEAD_BYTES]; GROUP];
        for window in &mut windows {
            *window = rest.first_chunk()?;
            rest = rest.get(self.bytes..)?;
        }
        let mut differs = [0; LOOK_AHEAD_BYTES / 8];
        for window in windows {
            for (word, differs) in differs.iter_mut().enumerate() {
                *differs |= (load(window, 8 * word) & self.mask[word]) ^ self.expected[word];
            }
        }
        if differs != [0; LOOK_AHEAD_BYTES / 8] {
            return None;
        }
        for (value, window) in first.iter_mut().zip(windows) {
            *value = low_32_bits(load(window, X_AT) & self.x_mask);
        }
        for (value, window) in second.iter_mut().zip(windows) {
            *value = low_32_bits(load(window, y_at) & self.y_mask);
        }
        Some(rest)
    }

    #[inline(always)]
    fn decode_singly(&self, chunk: &[u8], first: &mut [i32], second: &mut [i32]) -> usize {
        let y_at = self.y_at.min(LOOK_AHEAD_BYTES - 8);
        let mut points = 0;
        let mut at = 0;
        for (first, second) in first.iter_mut().zip(second) {
            let Some(window) = chunk.get(at..at + LOOK_AHEAD_BYTES) else { break };
            let Some(window) = window.first_chunk() else { break };
            let mut differs = 0;
            for word in 0..LOOK_AHEAD_BYTES / 8 {
                differs |= (load(window, 8 * word) & self.mask[word]) ^ self.expected[word];
            }
            if differs != 0 {
                break;
            }
            *first = low_32_bits(load(window, X_AT) & self.x_mask);
            *second = low_32_bits(load(window, y_at) & self.y_mask);
            at += self.bytes;
            points += 1;
        }
        points
    }
}

/// Loads eight bytes, the first one as the lowest.
#[inline(always)]
fn load(window: &[u8; LOOK_AHEAD_BYTES], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&window[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Returns an `int32` and the length of its varint, or `None` if the varint is invalid.
#[inline(always)]
fn varint(window: &[u8; LOOK_AHEAD_BYTES], at: usize) -> Option<(i32, usize)> {
    let word = load(window, at);
    let ends = !word & CONTINUED;
    if ends != 0 {
        // The bytes up to and including the first one without the continuation bit.
        let value = word & (ends ^ (ends - 1));
        return Some((low_32_bits(value), ends.trailing_zeros() as usize / 8 + 1));
    }
    // More than eight bytes: a negative number, sign-extended to ten.
    match (window[at + 8], window[at + 9]) {
        (0..0x80, _) => Some((low_32_bits(word), 9)),
        (_, 0..=1) => Some((low_32_bits(word), 10)),
        _ => None,
    }
}

/// Returns the low 32 bits of a varint, from its first five groups of seven bits. They are the value of an
/// `int32` for every length of the varint.
#[inline(always)]
fn low_32_bits(word: u64) -> i32 {
    // Combine pairs of groups, then the two pairs, then the last four bits. All operations use 32 bits, so that a
    // vector has twice as many lanes.
    let (low, high) = (word as u32, (word >> 32) as u32);
    let pairs = (low & 0x007f_007f) | ((low & 0x7f00_7f00) >> 1);
    let low_28 = (pairs & 0x3fff) | ((pairs & 0x3fff_0000) >> 2);
    (low_28 | (high << 28)) as i32
}

#[cfg(test)]
mod tests;
