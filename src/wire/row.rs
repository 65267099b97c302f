//! Points in rows: each a message of its own with all that is known of it, read in place.
//!
//! [`PackedRows`] are the rows of a message as every encoder writes them, behind one another; [`Row`] is one of
//! them. What is encoded in another way is left to prost (see `message_view.rs`). Knows nothing of what the numbers
//! mean.

/// The key of the field that the rows are in, as a canonical message has it.
const KEY: u8 = 0x22;

/// A point as its message has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Row {
    /// The first coordinate.
    pub x: f64,
    /// The second.
    pub y: f64,
    /// The third, or nothing.
    pub z: Option<f64>,
    /// Seconds and nanoseconds of a `Timestamp`, as they are.
    pub time: Option<(i64, i32)>,
    /// The accuracy, or nothing.
    pub accuracy_m: Option<f64>,
    /// Whether it starts a segment.
    pub starts_segment: bool,
}

impl Row {
    /// Reads a message; `None` if it is for prost to read.
    ///
    /// ```
    /// use waywiser::internals::wire::Row;
    ///
    /// let message = [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x22, 2, 0x08, 7, 0x30, 1];
    /// let row = Row::parse(&message).unwrap();
    /// assert_eq!((row.x, row.time, row.starts_segment), (1.0, Some((7, 0)), true));
    /// ```
    // Where it is called it is to end in registers: an own function would write it and have it read in other
    // widths, which costs more than all the rest.
    #[inline(always)]
    pub fn parse(message: &[u8]) -> Option<Self> {
        let mut rest = message;
        // In this order, and no field twice: prost would merge two times.
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

/// Reads a field if it is the next one; `None` if it is for prost to read.
#[inline(always)]
fn field<T>(
    bytes: &mut &[u8],
    key: u8,
    read: impl FnOnce(&mut &[u8]) -> Option<T>,
) -> Option<Option<T>> {
    match bytes.split_first() {
        Some((first, behind)) if *first == key => {
            *bytes = behind;
            Some(Some(read(bytes)?))
        }
        _ => Some(None),
    }
}

#[inline(always)]
fn double(bytes: &mut &[u8]) -> Option<f64> {
    let (double, behind) = bytes.split_first_chunk()?;
    *bytes = behind;
    Some(f64::from_le_bytes(*double))
}

#[inline]
fn timestamp(bytes: &mut &[u8]) -> Option<(i64, i32)> {
    let (&length, behind) = bytes.split_first()?;
    let (mut content, behind) = behind.split_at_checked(usize::from(length))?;
    *bytes = behind;
    let seconds = field(&mut content, 0x08, varint)?.unwrap_or_default() as i64;
    let nanos = field(&mut content, 0x10, varint)?.unwrap_or_default() as i32; // prost takes the low half, too
    // A length of 128 and more has two bytes, of which the first is no length; then something is left, too.
    content.is_empty().then_some((seconds, nanos))
}

#[inline]
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            // Of the tenth byte there is room for one bit.
            *bytes = &bytes[index + 1..];
            return (index < 9 || byte < 2).then_some(value);
        }
    }
    None
}

/// The rows of one message, each behind its key and its length.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PackedRows<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> PackedRows<'a> {
    /// The rows at the beginning of a message or of the rest of one, up to the first key that is another one,
    /// and what follows them; `None` if they are for prost to read.
    pub(super) fn split_from(message: &'a [u8], key: u8) -> Option<(Self, &'a [u8])> {
        let (mut rest, mut len) = (message, 0);
        while let [first, length, behind @ ..] = rest
            && *first == key
        {
            let (row, behind) = behind.split_at_checked(usize::from(*length))?;
            // Longer ones than 127 bytes are not usual.
            if *length >= 0x80 || Row::parse(row).is_none() {
                return None;
            }
            (rest, len) = (behind, len + 1);
        }
        let bytes = &message[..message.len() - rest.len()];
        Some((Self { bytes, len }, rest))
    }

    /// Rows alone, as a canonical message has them: field 4; `None` if they are for prost to read.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        Self::split_from(message, KEY).filter(|(_, rest)| rest.is_empty()).map(|(rows, _)| rows)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The rows in their order.
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

/// The rows of a message, one by one.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    rest: &'a [u8],
}

impl Iterator for Rows<'_> {
    type Item = Row;

    // As Row::parse.
    #[inline(always)]
    fn next(&mut self) -> Option<Row> {
        // All were read once, so that this ends with the last one.
        let [_, length, behind @ ..] = self.rest else { return None };
        let (row, behind) = behind.split_at_checked(usize::from(*length))?;
        self.rest = behind;
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

    fn as_prost_has_it(row: &Row) -> pb::Point {
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
        fn it_reads_what_prost_writes(rows in prop::collection::vec(row(), 0..20)) {
            let points: Vec<_> = rows.iter().map(as_prost_has_it).collect();
            let message = pb::RecordPathRequest { points, ..Default::default() }.encode_to_vec();
            let packed = PackedRows::parse(&message);
            prop_assert!(packed.is_some());
            let packed = packed.unwrap();
            prop_assert_eq!(packed.len(), rows.len());
            let read: Vec<_> = packed.iter().map(|row| bits(&as_prost_has_it(&row))).collect();
            let expected: Vec<_> = rows.iter().map(|row| bits(&as_prost_has_it(row))).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn what_it_reads_prost_reads_the_same(
            row in row(), at in any::<prop::sample::Index>(), byte: u8, cut: bool, more: Vec<u8>,
        ) {
            let mut message = bits(&as_prost_has_it(&row));
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
                prop_assert!(by_prost.is_ok(), "prost refuses it");
                prop_assert_eq!(bits(&as_prost_has_it(&row)), bits(&by_prost.unwrap()));
            }
        }
    }

    #[test]
    fn what_is_not_usual_is_for_prost() {
        for message in [
            &[0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0x09, 0, 0, 0, 0, 0, 0, 0, 0][..], // y before x
            &[0x22, 0, 0x22, 0],                                               // two times
            &[0x22, 2, 0x10, 1, 0x08, 1], // more than its length says
            &[0x22, 4, 0x10, 1, 0x08, 1], // nanoseconds before seconds
            &[0x22, 0x80, 0x01],          // a length of two bytes
            &[0x38, 1],                   // an unknown field
            &[0x09, 0, 0],                // a number cut short
            &[0x30, 0x80],                // the same
            &[0x30, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], // past 64 bits
        ] {
            assert_eq!(Row::parse(message), None, "{message:?}");
        }
        assert_eq!(PackedRows::parse(&[KEY, 1]), None);
        assert_eq!(PackedRows::parse(&[KEY, 0, 0x30, 1]), None);
        assert_eq!(PackedRows::parse(&[KEY]), None);
        assert_eq!(PackedRows::parse(&[KEY, 0, KEY, 0]).unwrap().len(), 2);
    }
}
