//! Reads messages of `waywiser.v1` with points, without a copy.
//!
//! In nearly every message each field occurs once and the rows are adjacent, in the canonical encoding. This
//! file reads such messages. For any other encoding, [`MessageView::parse`] returns `None`, and the caller
//! decodes the message with prost, which accepts every valid encoding and reports errors. The caller then
//! encodes the result canonically and parses it again. `columns.rs` and `row.rs` read the numbers.

use super::columns::PackedColumns;
use super::row::PackedRows;
use super::varints::small_varint;

/// The field numbers of a message that carries points of a path. All must be below 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageFields {
    /// A string: the name of the path.
    pub name: u8,
    /// A message: the options.
    pub options: u8,
    /// A `uint64`: the offset of the first point.
    pub write_offset: Option<u8>,
    /// Repeated messages: the points in rows.
    pub rows: u8,
    /// A message: the points in columns.
    pub columns: u8,
    /// A `bool`: whether the path ends after the points of this message.
    pub end: u8,
}

/// The fields of a message that carries points of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MessageView<'a> {
    /// The name of the path; empty if the message does not have it.
    pub name: &'a str,
    /// The encoded options.
    pub options: Option<&'a [u8]>,
    /// The offset of the first point, if the message has the field.
    pub write_offset: Option<u64>,
    /// The points in rows.
    pub rows: PackedRows<'a>,
    /// The points in columns.
    pub columns: Option<PackedColumns<'a>>,
    /// Whether the path ends after these points.
    pub is_end: bool,
}

impl<'a> MessageView<'a> {
    /// Parses a message. Returns `None` if prost must read it.
    ///
    /// ```
    /// use waywiser::internals::wire::{MessageFields, MessageView};
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
        while let Some((&key, after_key)) = rest.split_first() {
            let (field, wire_type) = (key >> 3, key & 7);
            // Prost merges repeated fields.
            if key >= 0x80 || seen & 1 << field != 0 {
                return None;
            }
            seen |= 1 << field;
            if field == fields.rows && wire_type == LENGTH_DELIMITED {
                (view.rows, rest) = PackedRows::split_from(rest, key)?;
                continue;
            }
            rest = after_key;
            let number = small_varint(&mut rest)?;
            let is_varint_of = |wanted: u8| field == wanted && wire_type == VARINT;
            if fields.write_offset.is_some_and(is_varint_of) {
                view.write_offset = Some(number);
            } else if is_varint_of(fields.end) {
                view.is_end = number != 0;
            } else if wire_type == LENGTH_DELIMITED {
                let (content, after) = rest.split_at_checked(usize::try_from(number).ok()?)?;
                rest = after;
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

    /// Checks that `parse` and prost agree. Returns whether `parse` reads the message.
    fn agrees(message: &[u8]) -> Result<bool, TestCaseError> {
        let Some(view) = MessageView::parse(message, &FIELDS) else { return Ok(false) };
        let by_prost = pb::RecordPathRequest::decode(message);
        prop_assert!(by_prost.is_ok(), "prost rejects it");
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
        fn messages_of_prost_are_read(request in request()) {
            // An offset of 64 bits has a varint of ten bytes.
            let is_common = request.write_offset.is_none_or(|offset| offset >> 63 == 0);
            prop_assert_eq!(agrees(&request.encode_to_vec())?, is_common);
        }

        #[test]
        fn a_damaged_message_is_left_to_prost_or_read_like_prost(
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
            // Prost decodes the options later and rejects damaged ones.
            if MessageView::parse(&message, &FIELDS).is_some_and(|view| {
                view.options.is_none_or(|bytes| pb::PathOptions::decode(bytes).is_ok())
            }) {
                agrees(&message)?;
            }
        }
    }

    #[test]
    fn repeated_fields_and_other_encodings_are_left_to_prost() {
        for message in [
            &[0x22, 0, 0x18, 1, 0x22, 0][..],   // rows in two places
            &[0x22, 1, 0x38],                   // a row with a field that is not canonical
            &[0x30, 1, 0x30, 0],                // a field twice
            &[0x38, 1],                         // an unknown field
            &[0x2a, 3, 0x08, 2, 0][..],         // a column that is not packed
            &[0x2a, 6, 0x0a, 1, 2, 0x0a, 1, 2], // a column in two parts
            &[0x0a, 2, 0xc3, 0x28],             // invalid UTF-8
            &[0x2a, 3, 0x0a, 1, 0x80],          // a number cut short
            &[0x80, 0x01, 0],                   // a key of two bytes
        ] {
            assert_eq!(MessageView::parse(message, &FIELDS), None, "{message:?}");
        }
    }
}
