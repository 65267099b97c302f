//! The fast path of a view of a path: the message around its points, taken apart without a copy.
//!
//! A message of `waywiser.v1` that carries points nearly always has each field once, and its rows behind one
//! another, in the form in which every encoder writes them. Such a message is read here; whatever looks
//! different is left to prost ([`MessageView::parse`] gives `None`), which takes every legal encoding and knows the
//! errors. The caller makes a canonical message of what prost gives, and comes back. `columns.rs` and `row.rs`
//! read the numbers.

use super::columns::PackedColumns;
use super::row::PackedRows;

/// The field numbers of a message that carries a view of a path; all of them below 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageFields {
    /// A string that names the path.
    pub name: u8,
    /// The message with the options.
    pub options: u8,
    /// A `uint64`, the offset of the first point.
    pub write_offset: Option<u8>,
    /// The messages with the points in rows.
    pub rows: u8,
    /// The message with the columns.
    pub columns: u8,
    /// A `bool`, whether the path ends with the points of this message.
    pub end: u8,
}

/// A view of a path as its message has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MessageView<'a> {
    /// The name of the path, or nothing.
    pub name: &'a str,
    /// The encoded message with the options.
    pub options: Option<&'a [u8]>,
    /// The offset of the first point, if the message has the field.
    pub write_offset: Option<u64>,
    /// The points in rows.
    pub rows: PackedRows<'a>,
    /// The points in columns.
    pub columns: Option<PackedColumns<'a>>,
    /// Whether the path ends with them.
    pub is_end: bool,
}

impl<'a> MessageView<'a> {
    /// Takes a message apart; `None` if it is for prost to read.
    ///
    /// ```
    /// use waywiser::internals::wire::{MessageView, MessageFields};
    ///
    /// let fields =
    ///     MessageFields { name: 1, options: 2, write_offset: Some(3), rows: 4, columns: 5, end: 6 };
    /// let message = [0x0a, 1, b'p', 0x18, 7, 0x2a, 6, 0x0a, 1, 2, 0x12, 1, 4, 0x30, 1];
    /// let view = MessageView::parse(&message, &fields).unwrap();
    /// assert_eq!((view.name, view.write_offset, view.is_end), ("p", Some(7), true));
    /// assert_eq!(view.columns.unwrap().len(), Ok(1));
    /// ```
    pub fn parse(message: &'a [u8], fields: &MessageFields) -> Option<Self> {
        const VARINT: u8 = 0;
        const LENGTH_DELIMITED: u8 = 2;
        let mut view = Self::default();
        let mut seen = 0_u16;
        let mut rest = message;
        while let Some((&key, behind)) = rest.split_first() {
            let (field, wire_type) = (key >> 3, key & 7);
            // A field that comes twice is merged by rules of its own.
            if key >= 0x80 || seen & 1 << field != 0 {
                return None;
            }
            seen |= 1 << field;
            if field == fields.rows && wire_type == LENGTH_DELIMITED {
                (view.rows, rest) = PackedRows::split_from(rest, key)?;
                continue;
            }
            rest = behind;
            let number = small_varint(&mut rest)?;
            let number_at = |wanted: u8| field == wanted && wire_type == VARINT;
            if fields.write_offset.is_some_and(number_at) {
                view.write_offset = Some(number);
            } else if number_at(fields.end) {
                view.is_end = number != 0;
            } else if wire_type == LENGTH_DELIMITED {
                let (content, behind) = rest.split_at_checked(usize::try_from(number).ok()?)?;
                rest = behind;
                if field == fields.name {
                    view.name = std::str::from_utf8(content).ok()?;
                } else if field == fields.options {
                    view.options = Some(content);
                } else if field == fields.columns {
                    view.columns = Some(PackedColumns::parse(content)?);
                } else {
                    return None;
                }
            } else {
                return None;
            }
        }
        Some(view)
    }
}

/// A varint of at most nine bytes; a longer one is for prost.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::proto::waywiser_v1 as pb;

    const FIELDS: MessageFields =
        MessageFields { name: 1, options: 2, write_offset: Some(3), rows: 4, columns: 5, end: 6 };

    fn columns() -> impl Strategy<Value = pb::PointColumns> {
        let column = || prop::collection::vec(any::<i64>(), 0..20);
        let small = || prop::collection::vec(any::<u32>(), 0..20);
        (column(), column(), column(), column(), small(), small()).prop_map(
            |(x, y, z, time_ms, accuracy_mm, segment_starts)| pb::PointColumns {
                x,
                y,
                z,
                time_ms,
                accuracy_mm,
                segment_starts,
            },
        )
    }

    fn request() -> impl Strategy<Value = pb::RecordPathRequest> {
        let options = prop::option::of((0..4_i32, any::<u32>()).prop_map(|(model, count)| {
            pb::PathOptions { model, reanchor_count: count, ..Default::default() }
        }));
        let row = (any::<i32>(), any::<bool>()).prop_map(|(x, starts_segment)| pb::Point {
            x: x.into(),
            starts_segment,
            ..Default::default()
        });
        let points = (prop::collection::vec(row, 0..9), prop::option::of(columns()));
        ("[a-z/ü]{0,9}", options, any::<Option<u64>>(), points, any::<bool>()).prop_map(
            |(name, options, write_offset, (points, columns), finish_write)| {
                pb::RecordPathRequest { name, options, write_offset, points, columns, finish_write }
            },
        )
    }

    /// What `parse` says is what prost says.
    fn agrees(message: &[u8]) -> Result<bool, TestCaseError> {
        let Some(view) = MessageView::parse(message, &FIELDS) else { return Ok(false) };
        let by_prost = pb::RecordPathRequest::decode(message);
        prop_assert!(by_prost.is_ok(), "prost refuses it");
        let by_prost = by_prost.unwrap();
        prop_assert_eq!(view.name, by_prost.name);
        prop_assert_eq!(view.write_offset, by_prost.write_offset);
        prop_assert_eq!(view.is_end, by_prost.finish_write);
        let rows: Vec<_> = view.rows.iter().map(|row| (row.x, row.starts_segment)).collect();
        let points = by_prost.points.iter().map(|point| (point.x, point.starts_segment));
        prop_assert!(points.clone().any(|(x, _)| x.is_nan()) || points.eq(rows));
        let options = view.options.map(|bytes| pb::PathOptions::decode(bytes).unwrap());
        prop_assert_eq!(options, by_prost.options);
        prop_assert_eq!(view.columns.is_some(), by_prost.columns.is_some());
        Ok(true)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn it_reads_what_prost_writes(request in request()) {
            // An offset past 63 bits takes ten bytes.
            let is_common = request.write_offset.is_none_or(|offset| offset >> 63 == 0);
            prop_assert_eq!(agrees(&request.encode_to_vec())?, is_common);
        }

        #[test]
        fn what_it_reads_prost_reads_the_same(
            request in request(), at in any::<prop::sample::Index>(), byte: u8, cut: bool,
        ) {
            let mut message = request.encode_to_vec();
            if !message.is_empty() {
                let at = at.index(message.len());
                message[at] = byte;
                if cut {
                    message.truncate(at);
                }
            }
            // A damaged options message is read by prost later, and refused then.
            if MessageView::parse(&message, &FIELDS).is_some_and(|view| {
                view.options.is_none_or(|bytes| pb::PathOptions::decode(bytes).is_ok())
            }) {
                agrees(&message)?;
            }
        }
    }

    #[test]
    fn what_comes_twice_and_what_is_not_usual_is_for_prost() {
        for message in [
            &[0x22, 0, 0x18, 1, 0x22, 0][..],   // rows in two places
            &[0x22, 1, 0x38],                   // a row that is not usual
            &[0x30, 1, 0x30, 0],                // a field twice
            &[0x38, 1],                         // an unknown field
            &[0x2a, 3, 0x08, 2, 0][..],         // a column that is not packed
            &[0x2a, 6, 0x0a, 1, 2, 0x0a, 1, 2], // a column in two parts
            &[0x0a, 2, 0xc3, 0x28],             // no UTF-8
            &[0x2a, 3, 0x0a, 1, 0x80],          // a number cut short
            &[0x80, 0x01, 0],                   // a key of two bytes
        ] {
            assert_eq!(MessageView::parse(message, &FIELDS), None, "{message:?}");
        }
    }
}
