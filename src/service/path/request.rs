//! Reads the messages of the methods that take points.
//!
//! Nearly all messages are encoded in the canonical way and are read in place by [`MessageView`]. prost decodes any
//! other message; [`recode`] then encodes its points again in the canonical way, so that the code after it reads one
//! form only.

use prost::Message;

use crate::measure::Options;
use crate::proto::waywiser_v1 as pb;
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, MessageRef};
use crate::service::work::Work;
use crate::wire::{MessageFields, MessageView};

use super::convert;

/// A message of a stream.
#[derive(Debug)]
pub(super) struct PathMessage<'a> {
    /// The index of the message in the stream.
    pub index: u64,
    /// The fields of the message. [`PathMessage::check`] decodes the options.
    pub view: MessageView<'a>,
    /// Boxed, since nearly all messages have none.
    options: Option<Box<pb::PathOptions>>,
    is_recoded: bool,
}

/// A request that carries points.
pub(super) trait PathRequest: Message + Default {
    const FIELDS: MessageFields;

    fn options(&mut self) -> &mut Option<pb::PathOptions>;

    /// Takes the offset of the first point, if the message has one.
    fn take_write_offset(&mut self) -> Option<u64> {
        None
    }
}

/// The fields of a message without an offset.
const FIELDS_WITHOUT_OFFSET: MessageFields =
    MessageFields { name: 1, options: 2, write_offset: None, rows: 3, columns: 4, end: 5 };

impl PathRequest for pb::RecordPathRequest {
    const FIELDS: MessageFields =
        MessageFields { name: 1, options: 2, write_offset: Some(3), rows: 4, columns: 5, end: 6 };

    fn options(&mut self) -> &mut Option<pb::PathOptions> {
        &mut self.options
    }

    fn take_write_offset(&mut self) -> Option<u64> {
        self.write_offset.take()
    }
}

impl PathRequest for pb::AppendPointsRequest {
    // It has no end. The field of this number would be one of a later version.
    const FIELDS: MessageFields = FIELDS_WITHOUT_OFFSET;

    fn options(&mut self) -> &mut Option<pb::PathOptions> {
        &mut self.options
    }
}

impl PathRequest for pb::MeasurePathsRequest {
    const FIELDS: MessageFields = FIELDS_WITHOUT_OFFSET;

    fn options(&mut self) -> &mut Option<pb::PathOptions> {
        &mut self.options
    }
}

/// Reads the message with this index in any encoding; see [`read_in_place`] and [`recode`].
///
/// # Errors
/// If the message or its options do not decode.
#[inline]
pub(super) fn read<'a, M: PathRequest>(
    message: &'a [u8],
    index: u64,
    recoded: &'a mut Vec<u8>,
) -> Result<PathMessage<'a>, RpcError> {
    match read_in_place::<M>(message, index)? {
        Some(message) => Ok(message),
        None => recode::<M>(message, index, recoded),
    }
}

/// Reads a message without a copy. Returns `None` if it is not encoded in the canonical way; use [`recode`] then.
///
/// # Errors
/// If the options do not decode.
// Inlined, since the compiler otherwise copies the view.
#[inline(always)]
pub(super) fn read_in_place<M: PathRequest>(
    message: &[u8],
    index: u64,
) -> Result<Option<PathMessage<'_>>, RpcError> {
    let Some(view) = MessageView::parse(message, &M::FIELDS) else { return Ok(None) };
    let options = view.options.map(|bytes| decode_options(bytes, index)).transpose()?;
    Ok(Some(PathMessage { index, view, options, is_recoded: false }))
}

fn decode_options(bytes: &[u8], index: u64) -> Result<Box<pb::PathOptions>, RpcError> {
    pb::PathOptions::decode(bytes).map(Box::new).map_err(|error| malformed(error, index))
}

fn malformed(error: prost::DecodeError, index: u64) -> RpcError {
    RpcError::Request { place: MessageRef::Message(index), error }
}

/// Decodes a message in any encoding by prost, and encodes it again into `recoded` in the canonical way. Takes up to
/// 10 ns per byte without a yield, so a stream yields before it.
///
/// # Errors
/// If the message does not decode.
pub(super) fn recode<'a, M: PathRequest>(
    message: &[u8],
    index: u64,
    recoded: &'a mut Vec<u8>,
) -> Result<PathMessage<'a>, RpcError> {
    let mut request = M::decode(message).map_err(|error| malformed(error, index))?;
    let options = request.options().take().map(Box::new);
    // An offset of 2^63 or more has no canonical form, so it is not encoded again.
    let write_offset = request.take_write_offset();
    *recoded = request.encode_to_vec();
    // A property test of the view checks that it reads all messages that prost encodes.
    let Some(view) = MessageView::parse(recoded, &M::FIELDS) else {
        let text = "the message cannot be read; send each field once";
        return Err(FieldViolation::new("points", text).at(MessageRef::Message(index)));
    };
    Ok(PathMessage { index, view: MessageView { write_offset, ..view }, options, is_recoded: true })
}

impl PathMessage<'_> {
    /// Checks that the points can be read, and returns the options if there are any. The first point has the offset
    /// `base`.
    ///
    /// # Errors
    /// If the message has both rows and columns, its columns differ in length, or its options are not valid.
    #[inline]
    pub(super) fn check(&self, base: u64) -> Result<Option<Options>, RpcError> {
        if let Some(columns) = &self.view.columns {
            if !self.view.rows.is_empty() {
                let text = "points and columns are in one message; send either";
                return Err(FieldViolation::new("columns", text).at(MessageRef::From(base)));
            }
            if let Err(error) = columns.len() {
                let field = format!("columns.{}", error.column);
                return Err(
                    FieldViolation::new(field, error.to_string()).at(MessageRef::From(base))
                );
            }
        }
        let options = self.options.as_ref().map(|options| convert::options(options));
        options
            .transpose()
            .map_err(|violations| RpcError::Fields { place: self.place(), violations })
    }

    /// Returns the number of points.
    pub(super) fn point_count(&self) -> u64 {
        match &self.view.columns {
            Some(columns) => columns.len().unwrap_or_default() as u64,
            None => self.view.rows.len() as u64,
        }
    }

    /// Returns the number of points that the message begins, also if it is not valid.
    fn entry_count(&self) -> u64 {
        let columns = self.view.columns.as_ref().map_or(0, |columns| columns.entry_count());
        (self.view.rows.len() + columns) as u64
    }

    /// Adds the cost of reading this message of `bytes` bytes, and counts its points.
    pub(super) fn charge(&self, bytes: usize, work: &mut Work) {
        work.count_points(self.entry_count());
        if self.is_recoded || self.options.is_some() {
            work.add_recoded(bytes);
        } else {
            work.add_in_place(bytes);
        }
    }

    /// Returns the position of the message in the stream, for errors about the whole message.
    pub(super) fn place(&self) -> MessageRef {
        MessageRef::Message(self.index)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn columns() -> pb::PointColumns {
        pb::PointColumns { x: vec![1, 2], y: vec![3, 4], ..Default::default() }
    }

    proptest! {
        #[test]
        fn a_recoded_message_equals_one_that_is_read_in_place(
            name in "[a-z]{0,9}",
            write_offset in any::<Option<u64>>(),
            rows in prop::collection::vec(any::<(f64, f64, Option<f64>, bool)>(), 0..9),
            x in prop::collection::vec(any::<i64>(), 0..9),
            in_columns: bool,
            finish_write: bool,
        ) {
            let row = |(x, y, z, starts_segment)| pb::Point { x, y, z, starts_segment, ..Default::default() };
            let columns = pb::PointColumns { y: x.clone(), x, ..Default::default() };
            let request = pb::RecordPathRequest {
                name,
                options: Some(pb::PathOptions { model: 3, ..Default::default() }),
                write_offset,
                points: if in_columns { Vec::new() } else { rows.into_iter().map(row).collect() },
                columns: in_columns.then_some(columns),
                finish_write,
            };
            let bytes = request.encode_to_vec();
            // A field with an unknown number makes the encoding another one.
            let odd = [&bytes[..], &[0x78, 1]].concat();
            prop_assert!(read_in_place::<pb::RecordPathRequest>(&odd, 0).unwrap().is_none());
            let (mut first, mut second) = (Vec::new(), Vec::new());
            let recoded = read::<pb::RecordPathRequest>(&odd, 0, &mut first).unwrap();
            prop_assert_eq!(recoded.view.write_offset, write_offset);
            let plain = read::<pb::RecordPathRequest>(&bytes, 0, &mut second).unwrap();
            let of = |message: &PathMessage<'_>| {
                let MessageView { name, write_offset, columns, is_end, .. } = message.view;
                // Compares the bits, as a coordinate may not be a number.
                let bits = |row: crate::wire::Row| (row.x.to_bits(), row.y.to_bits(), row.z.map(f64::to_bits), row.starts_segment);
                let rows: Vec<_> = message.view.rows.iter().map(bits).collect();
                (name.to_owned(), write_offset, format!("{columns:?}"), is_end, rows, message.point_count())
            };
            prop_assert_eq!(of(&recoded), of(&plain));
            prop_assert_eq!(recoded.check(7).unwrap(), plain.check(7).unwrap());
        }
    }

    fn refusal(request: &pb::MeasurePathsRequest) -> RpcError {
        let message = request.encode_to_vec();
        let mut recoded = Vec::new();
        let message = read::<pb::MeasurePathsRequest>(&message, 1, &mut recoded).unwrap();
        message.check(9).unwrap_err()
    }

    #[test]
    fn a_message_with_rows_and_columns_or_uneven_columns_is_refused() {
        let request = pb::MeasurePathsRequest {
            points: vec![pb::Point::default()],
            columns: Some(columns()),
            ..Default::default()
        };
        insta::assert_snapshot!(
            refusal(&request),
            @"the message from point 9 on: columns: points and columns are in one message; send either"
        );
        let uneven = pb::PointColumns { z: vec![1], ..columns() };
        let request = pb::MeasurePathsRequest { columns: Some(uneven), ..Default::default() };
        insta::assert_snapshot!(
            refusal(&request),
            @"the message from point 9 on: columns.z: it has 1 entries, and x has 2; every column is empty or as long as x"
        );
    }

    #[test]
    fn a_message_that_does_not_decode_is_reported_with_its_index() {
        // A name that is longer than its message, and options that end within a number.
        let cut: &[u8] = &[0x0a, 200, 1, b'p'];
        let odd: &[u8] = &[0x12, 2, 0x08, 0x80];
        let text = |message| {
            read::<pb::RecordPathRequest>(message, 3, &mut Vec::new()).unwrap_err().to_string()
        };
        insta::assert_snapshot!([text(cut), text(odd)].join("\n"), @r"
        message 3: the request is not the message that this method takes (failed to decode Protobuf message: RecordPathRequest.name: buffer underflow); see the proto file
        message 3: the request is not the message that this method takes (failed to decode Protobuf message: PathOptions.model: invalid varint); see the proto file
        ");
        let bad = pb::PathOptions { min_step: 1.0, ..Default::default() };
        let request = pb::MeasurePathsRequest { options: Some(bad), ..Default::default() };
        insta::assert_snapshot!(
            refusal(&request),
            @"message 1: options.min_step: it does not apply to geographic paths; set min_step_m"
        );
    }
}
