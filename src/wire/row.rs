//! Reads points in rows in place. Each row is a message with the coordinates and attributes of one point.
//!
//! [`PackedRows`] are the adjacent rows of a message in the canonical encoding, and [`Row`] is one of them. Other
//! encodings are left to prost; see `message_view.rs`.

/// The key of the field of the rows in a canonical message.
const KEY: u8 = 0x22;

/// The fields of the message of one point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Row {
    /// The first coordinate.
    pub x: f64,
    /// The second coordinate.
    pub y: f64,
    /// The elevation, if present.
    pub z: Option<f64>,
    /// Seconds and nanoseconds of the `Timestamp`, unchecked, if present.
    pub time: Option<(i64, i32)>,
    /// The accuracy, if present.
    pub accuracy_m: Option<f64>,
    /// Whether the point starts a segment.
    pub starts_segment: bool,
}

impl Row {
    /// Parses a message. Returns `None` if prost must read it.
    ///
    /// ```
    /// use waywiser::internals::wire::Row;
    ///
    /// let message = [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x22, 2, 0x08, 7, 0x30, 1];
    /// let row = Row::parse(&message).unwrap();
    /// assert_eq!((row.x, row.time, row.starts_segment), (1.0, Some((7, 0)), true));
    /// ```
    // Inlined, so that the result stays in registers. A call would store it and load it with other widths, which
    // costs more than the parsing.
    #[inline(always)]
    pub fn parse(message: &[u8]) -> Option<Self> {
        let mut rest = message;
        // Each field at most once and in this order: prost merges repeated times.
        let row = Self {
            x: field(&mut rest, 0x09, double)?.unwrap_or_default(),
            y: field(&mut rest, 0x11, double)?.unwrap_or_default(),
            z: field(&mut rest, 0x19, double)?,
            time: field(&mut rest, 0x22, timestamp)?,
            accuracy_m: field(&mut rest, 0x29, double)?,
            starts_segment: field(&mut rest, 0x30, varint)?.is_some_and(|flag| flag != 0),
        };
        rest.is_empty().then_some(row)
    }
}

/// Reads a field if it is the next one. Returns `None` if prost must read the message.
#[inline(always)]
fn field<T>(
    bytes: &mut &[u8],
    key: u8,
    read: impl FnOnce(&mut &[u8]) -> Option<T>,
) -> Option<Option<T>> {
    match bytes.split_first() {
        Some((first, after_key)) if *first == key => {
            *bytes = after_key;
            Some(Some(read(bytes)?))
        }
        _ => Some(None),
    }
}

#[inline(always)]
fn double(bytes: &mut &[u8]) -> Option<f64> {
    let (double, after) = bytes.split_first_chunk()?;
    *bytes = after;
    Some(f64::from_le_bytes(*double))
}

#[inline]
fn timestamp(bytes: &mut &[u8]) -> Option<(i64, i32)> {
    let (&length, after_length) = bytes.split_first()?;
    let (mut content, after) = after_length.split_at_checked(usize::from(length))?;
    *bytes = after;
    let seconds = field(&mut content, 0x08, varint)?.unwrap_or_default() as i64;
    let nanos = field(&mut content, 0x10, varint)?.unwrap_or_default() as i32; // prost also uses the low half
    // A length byte of 128 or more is the first of two. The content then has at least 128 bytes, which is more than
    // two fields have, and this check fails.
    content.is_empty().then_some((seconds, nanos))
}

#[inline]
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            // The tenth byte can have one bit, the last of the 64.
            *bytes = &bytes[index + 1..];
            return (index < 9 || byte < 2).then_some(value);
        }
    }
    None
}

/// The rows of one message, each with its key and length.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PackedRows<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> PackedRows<'a> {
    /// Returns the rows at the start of `message`, up to the first other key, and the bytes after them. Returns
    /// `None` if prost must read the message.
    pub(super) fn split_from(message: &'a [u8], key: u8) -> Option<(Self, &'a [u8])> {
        let (mut rest, mut len) = (message, 0);
        while let [first, length, after @ ..] = rest
            && *first == key
        {
            let (row, after) = after.split_at_checked(usize::from(*length))?;
            // A row in the canonical encoding has at most 127 bytes.
            if *length >= 0x80 || Row::parse(row).is_none() {
                return None;
            }
            (rest, len) = (after, len + 1);
        }
        let bytes = &message[..message.len() - rest.len()];
        Some((Self { bytes, len }, rest))
    }

    /// Parses a message that has only rows, in field 4. Returns `None` if prost must read it.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        Self::split_from(message, KEY).filter(|(_, rest)| rest.is_empty()).map(|(rows, _)| rows)
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns an iterator over the rows.
    pub fn iter(&self) -> Rows<'a> {
        Rows { rest: self.bytes }
    }
}

impl<'a> IntoIterator for &PackedRows<'a> {
    type Item = Row;
    type IntoIter = Rows<'a>;

    fn into_iter(self) -> Rows<'a> {
        self.iter()
    }
}

/// An iterator over the rows of a message.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    rest: &'a [u8],
}

impl Iterator for Rows<'_> {
    type Item = Row;

    // Inlined for the same reason as `Row::parse`.
    #[inline(always)]
    fn next(&mut self) -> Option<Row> {
        // `split_from` parsed all rows, so this ends after the last one.
        let [_, length, after @ ..] = self.rest else { return None };
        let (row, after) = after.split_at_checked(usize::from(*length))?;
        self.rest = after;
        Row::parse(row)
    }
}

#[cfg(test)]
mod tests;
