//! Decodes the columns of a packed `PointColumns` message, at a few nanoseconds per point.
//!
//! [`PackedColumns`] finds the columns and counts their entries. [`ColumnReader`] decodes a block at a time
//! and reverses the delta coding. The results equal those of prost. Messages in a different encoding are
//! left to prost; see `message_view.rs`.

use super::varints::{Cursor, count, decode, small_varint};
use crate::measure::level::Level;

/// The maximum number of points in a [`ColumnBlock`].
pub const COLUMN_BLOCK: usize = 256;

/// The columns of one message, with their lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PackedColumns<'a> {
    /// By field number: x, y, z, time_ms, accuracy_mm, segment_starts.
    columns: [Column<'a>; COLUMNS.len()],
}

/// The names of the columns in the order of their field numbers, which start at 1.
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

/// A column whose length differs from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("it has {len} entries, and x has {points}; every column is empty or as long as x")]
pub struct ColumnLength {
    /// The name of the column.
    pub column: &'static str,
    /// The number of its entries.
    pub len: usize,
    /// The number of entries of x.
    pub points: usize,
}

/// An invalid entry of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnError {
    /// The running sum of the differences overflows 64 bits.
    #[error("{column}[{index}]: the sum of the differences up to here overflows 64 bits")]
    Overflow {
        /// The name of the column.
        column: &'static str,
        /// The index of the entry.
        index: usize,
    },
    /// The index of a segment start is not the index of a point, or not larger than the one before.
    #[error("segment_starts[{index}] is {start}; the entries must ascend and be below {points}")]
    Start {
        /// The index of the entry.
        index: usize,
        /// The entry.
        start: u64,
        /// The number of points.
        points: usize,
    },
}

impl<'a> PackedColumns<'a> {
    /// Finds the columns. Returns `None` if prost must read the message.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let mut found = Self::default();
        let mut seen = 0_u16;
        let mut rest = message;
        while let Some((&key, after_key)) = rest.split_first() {
            rest = after_key;
            let field = usize::from(key >> 3);
            let is_packed = key & 7 == 2 && (1..=COLUMNS.len()).contains(&field);
            if !is_packed || seen & 1 << field != 0 {
                return None;
            }
            seen |= 1 << field;
            let length = usize::try_from(small_varint(&mut rest)?).ok()?;
            let (bytes, after) = rest.split_at_checked(length)?;
            rest = after;
            found.columns[field - 1] = Column { bytes, len: count(bytes)? };
        }
        Some(found)
    }

    /// Returns the number of points.
    ///
    /// # Errors
    /// Returns an error if the lengths of the columns differ.
    pub fn len(&self) -> Result<usize, ColumnLength> {
        let points = self.columns[X].len;
        for (index, column) in self.columns.iter().enumerate() {
            let may_differ = index == STARTS || (column.len == 0 && index > Y);
            if column.len != points && !may_differ {
                return Err(ColumnLength { column: COLUMNS[index], len: column.len, points });
            }
        }
        Ok(points)
    }

    /// Returns the number of entries of x, whether or not the other columns have the same length.
    pub fn entry_count(&self) -> usize {
        self.columns[X].len
    }

    /// Returns whether all columns are empty.
    pub fn is_empty(&self) -> bool {
        self.columns.iter().all(|column| column.len == 0)
    }

    /// Returns a reader of the points. Call [`PackedColumns::len`] first to check that the lengths of the
    /// columns are equal. If they differ, the reader returns fewer points.
    ///
    /// # Errors
    /// Returns an error if the segment starts do not ascend or are not indices of points.
    pub fn reader(&self) -> Result<ColumnReader<'a>, ColumnError> {
        let points = self.columns[X].len.min(self.columns[Y].len);
        let mut starts = Cursor::new(self.columns[STARTS].bytes);
        let mut previous = None;
        for index in 0..self.columns[STARTS].len {
            let start = starts.varint() & u64::from(u32::MAX);
            if start >= points as u64 || previous.is_some_and(|previous| start <= previous) {
                return Err(ColumnError::Start { index, start, points });
            }
            previous = Some(start);
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
    /// The index of the first point in the message.
    pub index: usize,
    /// The number of points.
    pub len: usize,
    /// Whether the first point starts a segment.
    pub starts_segment: bool,
    /// Whether the message has elevations.
    pub has_z: bool,
    /// Whether the message has times.
    pub has_time: bool,
    /// Whether the message has accuracies.
    pub has_accuracy: bool,
    /// The first coordinates. In this and the other columns, the first `len` elements are valid.
    pub x: [i64; COLUMN_BLOCK],
    /// The second coordinates.
    pub y: [i64; COLUMN_BLOCK],
    /// The elevations, if `has_z`.
    pub z: [i64; COLUMN_BLOCK],
    /// The times, if `has_time`.
    pub time_ms: [i64; COLUMN_BLOCK],
    /// The accuracies, if `has_accuracy`.
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

/// Reads the points of a message in blocks.
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
    /// Fills `block` with the next points. At the end, the block is empty.
    ///
    /// # Errors
    /// Returns an error if a sum of differences overflows 64 bits. The block then has the points before this
    /// entry, and the next block is empty.
    pub fn next(&mut self, block: &mut ColumnBlock) -> Result<(), ColumnError> {
        block.index = self.index;
        block.starts_segment = self.next_start == Some(self.index as u64);
        if block.starts_segment {
            self.next_start = self.starts.next_number();
        }
        let end = self.next_start.map_or(self.len, |start| self.len.min(start as usize));
        let len = (end - self.index).min(COLUMN_BLOCK);
        block.len = len;
        let start = self.clone();
        self.index += len;
        let level = Level::best().narrow();
        let mut overflow = decode(level, &mut self.x, &mut block.x[..len]);
        overflow |= decode(level, &mut self.y, &mut block.y[..len]);
        for (column, has, out) in [
            (&mut self.z, &mut block.has_z, &mut block.z),
            (&mut self.time_ms, &mut block.has_time, &mut block.time_ms),
        ] {
            *has = column.is_some();
            if let Some(cursor) = column {
                overflow |= decode(level, cursor, &mut out[..len]);
            }
        }
        block.has_accuracy = self.accuracy_mm.is_some();
        if let Some(cursor) = &mut self.accuracy_mm {
            for out in &mut block.accuracy_mm[..len] {
                *out = cursor.varint() as u32; // prost also uses the low half
            }
        }
        if overflow < 0
            && let Some((index, column)) = start.first_overflow(len)
        {
            (block.len, self.len) = (index, self.index);
            let index = block.index + index;
            return Err(ColumnError::Overflow { column: COLUMNS[column], index });
        }
        Ok(())
    }

    /// Returns the index and the column of the first sum that overflows 64 bits, among the next `len` points.
    #[cold]
    fn first_overflow(self, len: usize) -> Option<(usize, usize)> {
        let columns = [(X, Some(self.x)), (Y, Some(self.y)), (Z, self.z), (TIME, self.time_ms)];
        let first = |(column, cursor): (usize, Option<Cursor<'_>>)| {
            let mut cursor = cursor?;
            let overflows = |_: &usize| {
                let mut overflow = 0;
                cursor.next_sum(&mut overflow);
                overflow < 0
            };
            Some(((0..len).find(overflows)?, column))
        };
        columns.into_iter().filter_map(first).min()
    }
}

#[cfg(test)]
mod tests;
