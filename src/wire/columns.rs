//! Columns of numbers out of a packed `PointColumns`: whole messages of points at a few nanoseconds each.
//!
//! [`PackedColumns`] finds the columns and counts them, [`ColumnReader`] decodes them a block at a time,
//! undoing the delta coding. Both know nothing of what the numbers mean. Reads what prost would read;
//! what is encoded in another way is left to prost (see `piece.rs`).

use super::piece::small_varint;
use crate::measure::level::{Level, kernel};

/// How many points a [`ColumnBlock`] holds at the most.
pub const COLUMN_BLOCK: usize = 256;

/// The longest varint.
const VARINT_BYTES_MAX: usize = 10;

/// The bit that says that a varint goes on, in each of eight bytes.
const CONTINUED: u64 = 0x8080_8080_8080_8080;

/// The columns of one message, found and counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PackedColumns<'a> {
    /// By field number: x, y, z, time_ms, accuracy_mm, segment_starts.
    columns: [Column<'a>; COLUMNS.len()],
}

/// The names of the columns in the order of their field numbers, which begin at 1.
const COLUMNS: [&str; 6] = ["x", "y", "z", "time_ms", "accuracy_mm", "segment_starts"];
const X: usize = 0;
const Y: usize = 1;
const Z: usize = 2;
const TIME: usize = 3;
const ACCURACY: usize = 4;
const STARTS: usize = 5;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Column<'a> {
    bytes: &'a [u8],
    len: usize,
}

/// Columns that do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has {len} entries, and x has {points}; every column is empty or as long as x")]
pub struct ColumnLength {
    /// The name of the column that is too long or too short.
    pub column: &'static str,
    /// How many entries it has.
    pub len: usize,
    /// How many entries x has.
    pub points: usize,
}

/// Numbers that cannot be what they stand for, by column and index in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnError {
    /// The running sum of the differences leaves 64 bits.
    #[error("{column}[{index}]: the sum of the differences up to here leaves 64 bits")]
    Overflow {
        /// The name of the column.
        column: &'static str,
        /// The index of its entry.
        index: usize,
    },
    /// A segment starts at no point, or not behind the one before it.
    #[error("segment_starts[{index}] is {start}; the entries ascend and are below {points}")]
    Start {
        /// The index of the entry.
        index: usize,
        /// The entry.
        start: u64,
        /// How many points there are.
        points: usize,
    },
}

impl<'a> PackedColumns<'a> {
    /// Finds the columns; `None` if they are for prost to read.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let mut found = Self::default();
        let mut seen = 0_u16;
        let mut rest = message;
        while let Some((&key, behind)) = rest.split_first() {
            rest = behind;
            let field = usize::from(key >> 3);
            let is_packed = key & 7 == 2 && (1..=COLUMNS.len()).contains(&field);
            if !is_packed || seen & 1 << field != 0 {
                return None;
            }
            seen |= 1 << field;
            let length = usize::try_from(small_varint(&mut rest)?).ok()?;
            let (bytes, behind) = rest.split_at_checked(length)?;
            rest = behind;
            found.columns[field - 1] = Column { bytes, len: count(bytes)? };
        }
        Some(found)
    }

    /// How many points there are.
    ///
    /// # Errors
    /// When the columns are of different lengths.
    pub fn len(&self) -> Result<usize, ColumnLength> {
        let points = self.columns[X].len;
        for (index, column) in self.columns.iter().enumerate() {
            let is_free = index == STARTS || (column.len == 0 && index > Y);
            if column.len != points && !is_free {
                return Err(ColumnLength { column: COLUMNS[index], len: column.len, points });
            }
        }
        Ok(points)
    }

    /// Whether there is no entry in any column.
    pub fn is_empty(&self) -> bool {
        self.columns.iter().all(|column| column.len == 0)
    }

    /// Reads the points. The columns must fit together, see [`PackedColumns::len`]; where they do not,
    /// there are fewer.
    ///
    /// # Errors
    /// When the segment starts make no sense.
    pub fn reader(&self) -> Result<ColumnReader<'a>, ColumnError> {
        let points = self.columns[X].len.min(self.columns[Y].len);
        let mut starts = Cursor::new(self.columns[STARTS].bytes);
        let mut before = None;
        for index in 0..self.columns[STARTS].len {
            let start = starts.varint() & u64::from(u32::MAX);
            if start >= points as u64 || before.is_some_and(|before| start <= before) {
                return Err(ColumnError::Start { index, start, points });
            }
            before = Some(start);
        }
        let cursor = |column: usize| {
            let Column { bytes, len } = self.columns[column];
            (len == points && len > 0).then(|| Cursor::new(bytes))
        };
        let mut starts = Cursor::new(self.columns[STARTS].bytes);
        let next_start = starts.next_number();
        Ok(ColumnReader {
            x: Cursor::new(self.columns[X].bytes),
            y: Cursor::new(self.columns[Y].bytes),
            z: cursor(Z),
            time_ms: cursor(TIME),
            accuracy_mm: cursor(ACCURACY),
            starts,
            next_start,
            index: 0,
            len: points,
        })
    }
}

/// Up to [`COLUMN_BLOCK`] points of one segment.
#[derive(Clone, Debug)]
pub struct ColumnBlock {
    /// The index of the first one in its message.
    pub index: usize,
    /// How many there are.
    pub len: usize,
    /// Whether the first one starts a segment.
    pub starts_segment: bool,
    /// Which of the columns below are there.
    pub has_z: bool,
    /// See `has_z`.
    pub has_time: bool,
    /// See `has_z`.
    pub has_accuracy: bool,
    /// The numbers of the first `len` points.
    pub x: [i64; COLUMN_BLOCK],
    /// See `x`.
    pub y: [i64; COLUMN_BLOCK],
    /// See `x`.
    pub z: [i64; COLUMN_BLOCK],
    /// See `x`.
    pub time_ms: [i64; COLUMN_BLOCK],
    /// See `x`.
    pub accuracy_mm: [u32; COLUMN_BLOCK],
}

impl Default for ColumnBlock {
    fn default() -> Self {
        Self {
            index: 0,
            len: 0,
            starts_segment: false,
            has_z: false,
            has_time: false,
            has_accuracy: false,
            x: [0; COLUMN_BLOCK],
            y: [0; COLUMN_BLOCK],
            z: [0; COLUMN_BLOCK],
            time_ms: [0; COLUMN_BLOCK],
            accuracy_mm: [0; COLUMN_BLOCK],
        }
    }
}

/// Reads the points of a message, a block at a time.
#[derive(Clone, Debug)]
pub struct ColumnReader<'a> {
    x: Cursor<'a>,
    y: Cursor<'a>,
    z: Option<Cursor<'a>>,
    time_ms: Option<Cursor<'a>>,
    accuracy_mm: Option<Cursor<'a>>,
    starts: Cursor<'a>,
    next_start: Option<u64>,
    index: usize,
    len: usize,
}

impl ColumnReader<'_> {
    /// Fills `block` with the next points, none once all were read.
    ///
    /// # Errors
    /// When a sum of differences leaves 64 bits; the block then has the points before that one, and there are
    /// no more.
    pub fn next(&mut self, block: &mut ColumnBlock) -> Result<(), ColumnError> {
        block.index = self.index;
        block.starts_segment = self.next_start == Some(self.index as u64);
        if block.starts_segment {
            self.next_start = self.starts.next_number();
        }
        let end = self.next_start.map_or(self.len, |start| self.len.min(start as usize));
        let len = (end - self.index).min(COLUMN_BLOCK);
        block.len = len;
        let begun = self.clone();
        self.index += len;
        let level = Level::best().narrow();
        let (x, y) = (&mut block.x[..len], &mut block.y[..len]);
        let mut overflow = decode_pair(level, &mut self.x, &mut self.y, x, y);
        for (column, has, out) in [
            (&mut self.z, &mut block.has_z, &mut block.z),
            (&mut self.time_ms, &mut block.has_time, &mut block.time_ms),
        ] {
            *has = column.is_some();
            if let Some(cursor) = column {
                overflow |= decode_column(level, cursor, &mut out[..len]);
            }
        }
        block.has_accuracy = self.accuracy_mm.is_some();
        if let Some(cursor) = &mut self.accuracy_mm {
            for out in &mut block.accuracy_mm[..len] {
                *out = cursor.varint() as u32; // as prost has it: the low half
            }
        }
        if overflow < 0
            && let Some((index, column)) = begun.first_overflow(len)
        {
            (block.len, self.len) = (index, self.index);
            let index = block.index + index;
            return Err(ColumnError::Overflow { column: COLUMNS[column], index });
        }
        Ok(())
    }

    /// Which of the next `len` points is the first with a sum that leaves 64 bits, and in which column.
    #[cold]
    fn first_overflow(self, len: usize) -> Option<(usize, usize)> {
        let columns = [(X, Some(self.x)), (Y, Some(self.y)), (Z, self.z), (TIME, self.time_ms)];
        let first = |(column, cursor): (usize, Option<Cursor<'_>>)| {
            let mut cursor = cursor?;
            let leaves = |_: &usize| {
                let mut overflow = 0;
                cursor.next_sum(&mut overflow);
                overflow < 0
            };
            Some(((0..len).find(leaves)?, column))
        };
        columns.into_iter().filter_map(first).min()
    }
}

/// A place in a column whose varints have been found to be whole.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The sum of the differences so far.
    sum: i64,
}

impl<'a> Cursor<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, sum: 0 }
    }

    /// The next number, if there is one.
    fn next_number(&mut self) -> Option<u64> {
        (self.at < self.bytes.len()).then(|| self.varint() & u64::from(u32::MAX))
    }

    /// The next varint; 0 behind the last one.
    #[inline(always)]
    fn varint(&mut self) -> u64 {
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

    /// One of nine or ten bytes.
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

    /// The next sum. The sign of what is added to `overflow` tells whether it left 64 bits.
    #[inline(always)]
    fn next_sum(&mut self, overflow: &mut i64) -> i64 {
        let zigzag = self.varint();
        let difference = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        let sum = self.sum.wrapping_add(difference);
        // Two summands of one sign and a sum of the other.
        *overflow |= (self.sum ^ sum) & (difference ^ sum);
        self.sum = sum;
        sum
    }
}

kernel! {
    /// Both columns at once: the place of a number is known only when the one before it was read, and
    /// two columns keep the processor busy meanwhile. Negative if a sum left 64 bits.
    fn decode_pair(x: &mut Cursor<'_>, y: &mut Cursor<'_>, x_out: &mut [i64], y_out: &mut [i64]) -> i64 =
        pair_body
}

#[inline(always)]
fn pair_body(x: &mut Cursor<'_>, y: &mut Cursor<'_>, x_out: &mut [i64], y_out: &mut [i64]) -> i64 {
    // In locals, so that they stay in registers.
    let (mut a, mut b) = (x.clone(), y.clone());
    let mut overflow = 0;
    for (x_out, y_out) in x_out.iter_mut().zip(y_out) {
        *x_out = a.next_sum(&mut overflow);
        *y_out = b.next_sum(&mut overflow);
    }
    (*x, *y) = (a, b);
    overflow
}

kernel! {
    fn decode_column(cursor: &mut Cursor<'_>, out: &mut [i64]) -> i64 = column_body
}

#[inline(always)]
fn column_body(cursor: &mut Cursor<'_>, out: &mut [i64]) -> i64 {
    let mut local = cursor.clone();
    let mut overflow = 0;
    for out in out {
        *out = local.next_sum(&mut overflow);
    }
    *cursor = local;
    overflow
}

/// The last bytes of a column, with zeros behind them.
#[cold]
fn tail(rest: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(rest) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}

/// Eight groups of seven bits, drawn together.
#[inline(always)]
fn groups(word: u64) -> u64 {
    let word = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let word = (word & 0x0000_3fff_0000_3fff) | ((word & 0x3fff_0000_3fff_0000) >> 2);
    (word & 0x0fff_ffff) | ((word & 0x0fff_ffff_0000_0000) >> 4)
}

/// How many varints there are; `None` if one is cut short or too long.
fn count(bytes: &[u8]) -> Option<usize> {
    // The first one is a whole value and long; the others are differences and nearly always short.
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

/// How long the varint in front is: 0 of nothing, `None` if it is none.
fn varint_len(bytes: &[u8]) -> Option<usize> {
    if bytes.is_empty() {
        return Some(0);
    }
    let end = bytes.iter().take(VARINT_BYTES_MAX).position(|&byte| byte < 0x80)?;
    // The tenth byte has one bit left of the 64.
    (end + 1 < VARINT_BYTES_MAX || bytes[end] <= 1).then_some(end + 1)
}

kernel! {
    /// How many bytes end a varint, and whether there are four in a row that do not, as there must be
    /// in one of more than ten bytes, wherever it lies.
    fn survey(bytes: &[u8]) -> (u64, bool) = survey_body
}

#[inline(always)]
fn survey_body(bytes: &[u8]) -> (u64, bool) {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut ends = 0_u64;
    let mut long = 0_u32;
    // A counter of 32 bits a lane, emptied long before it is full.
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
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::proto::waywiser_v1 as pb;

    /// All points as a reader gives them: x, y, z, time_ms, accuracy_mm, whether a segment starts.
    type Row = (i64, i64, Option<i64>, Option<i64>, Option<u32>, bool);

    fn read(message: &[u8]) -> Option<Result<Vec<Row>, ColumnError>> {
        let columns = PackedColumns::parse(message)?;
        columns.len().ok()?;
        let mut reader = match columns.reader() {
            Ok(reader) => reader,
            Err(error) => return Some(Err(error)),
        };
        let mut block = ColumnBlock::default();
        let mut rows = Vec::new();
        loop {
            if let Err(error) = reader.next(&mut block) {
                return Some(Err(error));
            }
            if block.len == 0 {
                return Some(Ok(rows));
            }
            assert_eq!(block.index, rows.len());
            for i in 0..block.len {
                rows.push((
                    block.x[i],
                    block.y[i],
                    block.has_z.then_some(block.z[i]),
                    block.has_time.then_some(block.time_ms[i]),
                    block.has_accuracy.then_some(block.accuracy_mm[i]),
                    block.starts_segment && i == 0,
                ));
            }
        }
    }

    /// The same from what prost decodes.
    fn rows(columns: &pb::PointColumns) -> Option<Vec<Row>> {
        let sums = |column: &[i64]| {
            column
                .iter()
                .scan(0_i64, |sum, &difference| {
                    *sum = sum.checked_add(difference).unwrap_or(i64::MIN + 7);
                    Some(*sum)
                })
                .collect::<Vec<_>>()
        };
        let (x, y) = (sums(&columns.x), sums(&columns.y));
        let (z, time_ms) = (sums(&columns.z), sums(&columns.time_ms));
        (0..x.len())
            .map(|i| {
                let start = columns.segment_starts.iter().any(|&start| start as usize == i);
                let accuracy = columns.accuracy_mm.get(i).copied();
                Some((x[i], y[i], z.get(i).copied(), time_ms.get(i).copied(), accuracy, start))
            })
            .collect()
    }

    fn difference() -> impl Strategy<Value = i64> {
        // Every length of varint; sums stay inside 64 bits.
        (any::<i64>(), 10..64_u32).prop_map(|(value, shift)| value >> shift)
    }

    fn columns() -> impl Strategy<Value = pb::PointColumns> {
        (0..700_usize, any::<[bool; 3]>()).prop_flat_map(|(len, has)| {
            let column = |has: bool| prop::collection::vec(difference(), if has { len } else { 0 });
            let accuracy = prop::collection::vec(any::<u32>(), if has[2] { len } else { 0 });
            let starts = prop::collection::btree_set(0..len.max(1) as u32, 0..5);
            (column(true), column(true), column(has[0]), column(has[1]), accuracy, starts).prop_map(
                move |(x, y, z, time_ms, accuracy_mm, starts)| pb::PointColumns {
                    x,
                    y,
                    z,
                    time_ms,
                    accuracy_mm,
                    segment_starts: starts.into_iter().filter(|_| len > 0).collect(),
                },
            )
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn it_reads_what_prost_writes(columns in columns()) {
            let message = columns.encode_to_vec();
            prop_assert_eq!(read(&message).unwrap().unwrap(), rows(&columns).unwrap());
        }

        #[test]
        fn what_it_takes_prost_takes_to_the_same_numbers(
            columns in columns(), damage in any::<[(prop::sample::Index, u8); 3]>(),
        ) {
            let mut message = columns.encode_to_vec();
            for (at, byte) in damage {
                if !message.is_empty() {
                    let at = at.index(message.len());
                    message[at] = byte;
                }
            }
            if let Some(Ok(read)) = read(&message) {
                let by_prost = pb::PointColumns::decode(&message[..]);
                prop_assert!(by_prost.is_ok());
                prop_assert_eq!(read, rows(&by_prost.unwrap()).unwrap());
            }
        }

        #[test]
        fn every_level_surveys_the_same(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let surveys: Vec<_> = Level::all().into_iter().map(|level| survey(level, &bytes)).collect();
            prop_assert!(surveys.iter().all(|survey| *survey == surveys[0]));
            prop_assert_eq!(surveys[0].0, bytes.iter().filter(|&&byte| byte < 0x80).count() as u64);
        }

        #[test]
        fn a_count_is_that_of_whole_varints(
            pieces in prop::collection::vec((0..13_usize, any::<u8>()), 0..20),
        ) {
            let mut bytes = Vec::new();
            let mut is_good = true;
            for &(continued, last) in &pieces {
                bytes.extend(vec![0xff; continued]);
                bytes.push(last & 0x7f);
                is_good &= continued < 9 || (continued == 9 && last & 0x7f <= 1);
            }
            prop_assert_eq!(count(&bytes), is_good.then_some(pieces.len()));
            bytes.push(0x80);
            prop_assert_eq!(count(&bytes), None);
        }
    }

    #[test]
    fn columns_that_do_not_fit_together_are_named() {
        let fitting = |columns: &pb::PointColumns| {
            PackedColumns::parse(&columns.encode_to_vec()).unwrap().len()
        };
        let columns = pb::PointColumns { x: vec![1, 2], y: vec![1, 2], ..Default::default() };
        assert_eq!(fitting(&columns), Ok(2));
        insta::assert_snapshot!(
            fitting(&pb::PointColumns { z: vec![1], ..columns.clone() }).unwrap_err(),
            @"it has 1 entries, and x has 2; every column is empty or as long as x"
        );
        let bad = fitting(&pb::PointColumns { y: vec![], ..columns }).unwrap_err();
        assert_eq!((bad.column, bad.len, bad.points), ("y", 0, 2));
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        let columns = |x: Vec<i64>, segment_starts| {
            let y = vec![0; x.len()];
            read(&pb::PointColumns { x, y, segment_starts, ..Default::default() }.encode_to_vec())
        };
        let refused =
            |outcome: Option<Result<Vec<Row>, ColumnError>>| outcome.unwrap().unwrap_err();
        let error = refused(columns(vec![i64::MAX, 1], vec![]));
        assert_eq!(error, ColumnError::Overflow { column: "x", index: 1 });
        for starts in [vec![2], vec![1, 1], vec![1, 0]] {
            let error = refused(columns(vec![0, 0], starts));
            assert!(matches!(error, ColumnError::Start { points: 2, .. }), "{error}");
        }
        assert!(columns(vec![i64::MAX, i64::MIN, i64::MIN], vec![0, 2]).unwrap().is_err());
        assert!(columns(vec![i64::MIN, i64::MAX, i64::MAX], vec![]).unwrap().is_ok());
    }
}
