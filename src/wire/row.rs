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
    /// The elevation, if the message has it.
    pub z: Option<f64>,
    /// Seconds and nanoseconds of the `Timestamp`, unchecked, if the message has it.
    pub time: Option<(i64, i32)>,
    /// The accuracy, if the message has it.
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
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;
    use prost_types::Timestamp;

    use super::*;
    use crate::proto::waywiser_v1 as pb;

    fn to_prost(row: &Row) -> pb::Point {
        pb::Point {
            x: row.x,
            y: row.y,
            z: row.z,
            time: row.time.map(|(seconds, nanos)| Timestamp { seconds, nanos }),
            accuracy_m: row.accuracy_m,
            starts_segment: row.starts_segment,
        }
    }

    fn bits(point: &pb::Point) -> Vec<u8> {
        point.encode_to_vec()
    }

    fn row() -> impl Strategy<Value = Row> {
        let number = || prop_oneof![Just(0.0), any::<f64>()];
        let time = (any::<i64>(), any::<i32>(), 0..64_u32)
            .prop_map(|(seconds, nanos, shift)| (seconds >> shift, nanos >> (shift / 2)));
        let (z, accuracy_m) = (prop::option::of(number()), prop::option::of(number()));
        (number(), number(), z, prop::option::of(time), accuracy_m, any::<bool>()).prop_map(
            |(x, y, z, time, accuracy_m, starts_segment)| Row {
                x,
                y,
                z,
                time,
                accuracy_m,
                starts_segment,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn rows_of_prost_are_read(rows in prop::collection::vec(row(), 0..20)) {
            let points: Vec<_> = rows.iter().map(to_prost).collect();
            let message = pb::RecordPathRequest { points, ..Default::default() }.encode_to_vec();
            let packed = PackedRows::parse(&message);
            prop_assert!(packed.is_some());
            let packed = packed.unwrap();
            prop_assert_eq!(packed.len(), rows.len());
            let read: Vec<_> = packed.iter().map(|row| bits(&to_prost(&row))).collect();
            let expected: Vec<_> = rows.iter().map(|row| bits(&to_prost(row))).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn a_damaged_row_is_left_to_prost_or_read_like_prost(
            row in row(), at in any::<prop::sample::Index>(), byte: u8, cut: bool, more: Vec<u8>,
        ) {
            let mut message = bits(&to_prost(&row));
            if !message.is_empty() {
                let at = at.index(message.len());
                message[at] = byte;
                if cut {
                    message.truncate(at);
                }
            }
            message.extend(more);
            if let Some(row) = Row::parse(&message) {
                let by_prost = pb::Point::decode(&message[..]);
                prop_assert!(by_prost.is_ok(), "prost rejects it");
                prop_assert_eq!(bits(&to_prost(&row)), bits(&by_prost.unwrap()));
            }
        }
    }

    #[test]
    fn other_encodings_are_left_to_prost() {
        for message in [
            &[0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0x09, 0, 0, 0, 0, 0, 0, 0, 0][..], // y before x
            &[0x22, 0, 0x22, 0],                                               // two times
            &[0x22, 2, 0x10, 1, 0x08, 1], // a length that ends inside the time
            &[0x22, 4, 0x10, 1, 0x08, 1], // nanoseconds before seconds
            &[0x22, 0x80, 0x01],          // a length of two bytes
            &[0x38, 1],                   // an unknown field
            &[0x09, 0, 0],                // a number cut short
            &[0x30, 0x80],                // the same
            &[0x30, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], // more than 64 bits
        ] {
            assert_eq!(Row::parse(message), None, "{message:?}");
        }
        assert_eq!(PackedRows::parse(&[KEY, 1]), None);
        assert_eq!(PackedRows::parse(&[KEY, 0, 0x30, 1]), None);
        assert_eq!(PackedRows::parse(&[KEY]), None);
        assert_eq!(PackedRows::parse(&[KEY, 0, KEY, 0]).unwrap().len(), 2);
    }
}
