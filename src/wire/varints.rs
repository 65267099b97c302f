//! Decodes packed columns of varints and of differences in bulk, for `columns.rs`.
//!
//! The position of a varint depends on the length of the one before, which stalls the processor. Therefore the
//! code first finds the ends of all varints in 64 bytes, as a bit mask, and then reads the numbers from known
//! positions. Runs of varints of one length, which are common in tracks, are decoded with loops over lanes.

use crate::measure::level::{Level, kernel};

/// The maximum length of a varint.
const VARINT_BYTES_MAX: usize = 10;

/// The continuation bit of a varint, in each of eight bytes.
const CONTINUED: u64 = 0x8080_8080_8080_8080;

/// The number of bytes that are examined together.
const WINDOW: usize = 64;
/// The number of bytes after the window that are loaded with the last varint.
const OVERHANG: usize = 8;

/// A position in a column. [`count`] must have checked that all its varints are complete.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The sum of the differences so far.
    sum: i64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, sum: 0 }
    }

    /// Returns the next 32-bit number, or `None` at the end.
    pub(super) fn next_number(&mut self) -> Option<u64> {
        (self.at < self.bytes.len()).then(|| self.varint() & u64::from(u32::MAX))
    }

    /// Returns the next varint, or 0 at the end.
    #[inline(always)]
    pub(super) fn varint(&mut self) -> u64 {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => tail(rest),
        };
        let ends = !word & CONTINUED;
        if ends == 0 {
            return self.long_varint(word);
        }
        self.at += ends.trailing_zeros() as usize / 8 + 1;
        groups(word & (ends ^ (ends - 1)))
    }

    /// Reads a varint of nine or ten bytes.
    #[cold]
    fn long_varint(&mut self, word: u64) -> u64 {
        let byte = |at: usize| u64::from(self.bytes.get(at).copied().unwrap_or_default());
        let (ninth, tenth) = (byte(self.at + 8), byte(self.at + 9));
        let low = groups(word) | (ninth & 0x7f) << 56;
        if ninth < 0x80 {
            self.at += 9;
            return low;
        }
        self.at += VARINT_BYTES_MAX;
        low | tenth << 63
    }

    /// Returns the next sum. Makes `overflow` negative if the sum overflows 64 bits.
    #[inline(always)]
    pub(super) fn next_sum(&mut self, overflow: &mut i64) -> i64 {
        let difference = unzigzag(self.varint());
        self.sum_with(difference, overflow)
    }

    /// Adds a difference to the sum; see [`Cursor::next_sum`].
    #[inline(always)]
    fn sum_with(&mut self, difference: i64, overflow: &mut i64) -> i64 {
        let sum = self.sum.wrapping_add(difference);
        // Overflow: both summands have the same sign and the sum has the other.
        *overflow |= (self.sum ^ sum) & (difference ^ sum);
        self.sum = sum;
        sum
    }
}

kernel! {
    /// Decodes the next sums of the differences. Returns a negative number if a sum overflows 64 bits.
    pub(super) fn decode(cursor: &mut Cursor<'_>, out: &mut [i64]) -> i64 = decode_body
}

#[inline(always)]
fn decode_body(cursor: &mut Cursor<'_>, out: &mut [i64]) -> i64 {
    // A local copy stays in registers.
    let mut local = cursor.clone();
    let mut overflow = 0;
    let mut done = 0;
    while done < out.len() {
        let out = &mut out[done..];
        let rest = local.bytes.get(local.at..).unwrap_or_default();
        // Not a closure, because a closure is a separate function that is compiled for the portable level.
        let count = match rest.first_chunk::<{ WINDOW + OVERHANG }>() {
            Some(bytes) => local.window(bytes, out, &mut overflow),
            None => 0,
        };
        if count == 0 {
            out[0] = local.next_sum(&mut overflow);
        }
        done += count.max(1);
    }
    *cursor = local;
    overflow
}

impl Cursor<'_> {
    /// Decodes the sums whose varints are complete in the window. Returns their number. It is 0 if the first
    /// varint is longer than eight bytes.
    #[inline(always)]
    fn window(
        &mut self,
        bytes: &[u8; WINDOW + OVERHANG],
        out: &mut [i64],
        overflow: &mut i64,
    ) -> usize {
        let ends = ends(bytes);
        // A sum in this range cannot overflow with a run of small differences.
        let is_far_from_overflow = self.sum.unsigned_abs() < 1 << 62;
        if ends == ENDS_OF_TWO && is_far_from_overflow && out.len() >= WINDOW / 2 {
            let mut differences = [0; WINDOW / 2];
            let (pairs, _) = bytes.as_chunks::<2>();
            for (difference, pair) in differences.iter_mut().zip(pairs) {
                let pair = u16::from_le_bytes(*pair);
                *difference = unzigzag(u64::from((pair & 0x7f) | ((pair >> 1) & 0x3f80)));
            }
            return self.add(&differences, out);
        }
        if ends == ENDS_OF_ONE && is_far_from_overflow && out.len() >= WINDOW {
            let mut differences = [0; WINDOW];
            for (difference, &byte) in differences.iter_mut().zip(bytes) {
                *difference = unzigzag(byte.into());
            }
            return self.add(&differences, out);
        }
        let (mut ends, mut start, mut done) = (ends, 0, 0);
        for out in out {
            let end = ends.trailing_zeros() as usize;
            let len = (end + 1).saturating_sub(start);
            // The window ends, or the varint is longer than eight bytes.
            if end >= WINDOW || len > 8 {
                break;
            }
            let Some(word) = bytes[start..].first_chunk() else { break };
            let word = u64::from_le_bytes(*word);
            let difference = unzigzag(groups(word & (u64::MAX >> (64 - 8 * len))));
            *out = self.sum_with(difference, overflow);
            ends &= ends - 1;
            start = end + 1;
            done += 1;
        }
        self.at += start;
        done
    }

    /// Adds differences from varints of one or two bytes. No sum can overflow.
    #[inline(always)]
    fn add<const N: usize>(&mut self, differences: &[i64; N], out: &mut [i64]) -> usize {
        for (out, difference) in out.iter_mut().zip(differences) {
            self.sum += difference;
            *out = self.sum;
        }
        self.at += WINDOW;
        N
    }
}

/// The result of [`ends`] if every varint has one byte.
const ENDS_OF_ONE: u64 = u64::MAX;
/// The result of [`ends`] if every varint has two bytes.
const ENDS_OF_TWO: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// Returns a mask with a bit for each byte of the window that ends a varint. The lowest bit is the first byte.
#[inline(always)]
fn ends(bytes: &[u8; WINDOW + OVERHANG]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    let mut mask = 0;
    for (index, word) in words[..WINDOW / 8].iter().enumerate() {
        // Collect the highest bits of eight bytes in the highest byte.
        let continued = u64::from_le_bytes(*word) & CONTINUED;
        mask |= (continued.wrapping_mul(0x0002_0408_1020_4081) >> 56) << (8 * index);
    }
    !mask
}

#[inline(always)]
fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Loads the last bytes of a column, padded with zeros.
#[cold]
fn tail(rest: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(rest) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}

/// Combines eight groups of seven bits.
#[inline(always)]
fn groups(word: u64) -> u64 {
    let word = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let word = (word & 0x0000_3fff_0000_3fff) | ((word & 0x3fff_0000_3fff_0000) >> 2);
    (word & 0x0fff_ffff) | ((word & 0x0fff_ffff_0000_0000) >> 4)
}

/// Reads a varint of at most nine bytes. Prost must read a longer one.
pub(super) fn small_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Some(value);
        }
    }
    None
}

/// Returns the number of varints, or `None` if one is incomplete or too long.
pub(super) fn count(bytes: &[u8]) -> Option<usize> {
    // The first number is an absolute value and long. The others are differences and nearly always short.
    let first = varint_len(bytes)?;
    let rest = &bytes[first..];
    let (ends, has_long) = survey(Level::best(), rest);
    if has_long {
        let mut rest = rest;
        while !rest.is_empty() {
            rest = &rest[varint_len(rest)?..];
        }
    } else if rest.last().is_some_and(|&last| last >= 0x80) {
        return None;
    }
    Some(usize::from(first > 0) + ends as usize)
}

/// Returns the length of the first varint: 0 if there are no bytes, `None` if the varint is invalid.
fn varint_len(bytes: &[u8]) -> Option<usize> {
    if bytes.is_empty() {
        return Some(0);
    }
    let end = bytes.iter().take(VARINT_BYTES_MAX).position(|&byte| byte < 0x80)?;
    // The tenth byte can have one bit, the last of the 64.
    (end + 1 < VARINT_BYTES_MAX || bytes[end] <= 1).then_some(end + 1)
}

kernel! {
    /// Returns the number of bytes that end a varint, and whether an aligned group of four bytes has no end. Every
    /// varint of more than ten bytes contains such a group.
    fn survey(bytes: &[u8]) -> (u64, bool) = survey_body
}

#[inline(always)]
fn survey_body(bytes: &[u8]) -> (u64, bool) {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut ends = 0_u64;
    let mut long = 0_u32;
    // One 32-bit counter per lane, added to the total before it can overflow.
    for words in words.chunks(1 << 20) {
        let mut count = 0_u32;
        for word in words {
            let continued = u32::from_le_bytes(*word) & 0x8080_8080;
            long |= u32::from(continued == 0x8080_8080);
            count += 4 - ((continued >> 7).wrapping_mul(0x0101_0101) >> 24);
        }
        ends += u64::from(count);
    }
    ends += rest.iter().filter(|&&byte| byte < 0x80).count() as u64;
    (ends, long != 0)
}

#[cfg(test)]
mod tests;
