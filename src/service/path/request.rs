//! A piece of a path out of the bytes of its message: by the fast path where it fits, by prost
//! where not.

use std::borrow::Cow;

use prost::Message;

use crate::measure::Options;
use crate::proto::waywiser_v1 as pb;
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, Place};
use crate::service::work::Work;
use crate::wire::{MessageFields, MessageView, PackedColumns, PackedRows};

use super::convert;

/// What a message says of a path, in either of the two methods that take points.
#[derive(Debug)]
pub(super) struct PathPiece<'a> {
    /// Which message of the stream it is.
    pub index: u64,
    /// The name of the recording, or the id of the path in a batch; empty if not given.
    pub name: Cow<'a, str>,
    /// Boxed, since nearly all messages have none.
    pub options: Option<Box<pb::PathOptions>>,
    /// The offset of the first point, if the message says it.
    pub write_offset: Option<u64>,
    pub points: Points<'a>,
    /// Whether the path ends with these points.
    pub is_end: bool,
}

/// The points of a message.
#[derive(Debug)]
pub(super) enum Points<'a> {
    Rows(PackedRows<'a>),
    Columns(PackedColumns<'a>),
    /// Rows that were not encoded as usual, encoded again as usual.
    RecodedRows(Vec<u8>),
    /// Columns that were not encoded as usual, encoded again as usual.
    RecodedColumns(Vec<u8>),
    /// Rows and columns, which do not go together.
    Mixed,
}

/// A message with a piece of a path.
pub(super) trait PieceMessage: Message + Default {
    const FIELDS: MessageFields;
    fn into_parts(self) -> Parts;
}

/// The fields of a decoded message.
pub(super) struct Parts {
    name: String,
    options: Option<pb::PathOptions>,
    write_offset: Option<u64>,
    rows: Vec<pb::Point>,
    columns: Option<pb::PointColumns>,
    is_end: bool,
}

impl PieceMessage for pb::RecordPathRequest {
    const FIELDS: MessageFields =
        MessageFields { name: 1, options: 2, write_offset: Some(3), rows: 4, columns: 5, end: 6 };

    fn into_parts(self) -> Parts {
        Parts {
            name: self.name,
            options: self.options,
            write_offset: self.write_offset,
            rows: self.points,
            columns: self.columns,
            is_end: self.finish_write,
        }
    }
}

impl PieceMessage for pb::MeasurePathsRequest {
    const FIELDS: MessageFields =
        MessageFields { name: 1, options: 2, write_offset: None, rows: 3, columns: 4, end: 5 };

    fn into_parts(self) -> Parts {
        Parts {
            name: self.path_id,
            options: self.options,
            write_offset: None,
            rows: self.points,
            columns: self.columns,
            is_end: self.end_path,
        }
    }
}

/// Reads the message of a stream that has this index; [`PathPiece::check`] checks what it says.
///
/// # Errors
/// When it does not decode.
pub(super) fn read<M: PieceMessage>(message: &[u8], index: u64) -> Result<PathPiece<'_>, RpcError> {
    match MessageView::parse(message, &M::FIELDS) {
        Some(piece) => in_place(piece, index),
        None => recode::<M>(message, index),
    }
}

/// Reads a message where it lies. Returns `None` if it is not encoded in the canonical way, for [`recode`].
///
/// # Errors
/// When it does not decode.
pub(super) fn read_in_place<M: PieceMessage>(
    message: &[u8],
    index: u64,
) -> Result<Option<PathPiece<'_>>, RpcError> {
    MessageView::parse(message, &M::FIELDS).map(|piece| in_place(piece, index)).transpose()
}

// Inlined, since the compiler otherwise copies both structures.
#[inline(always)]
fn in_place(piece: MessageView<'_>, index: u64) -> Result<PathPiece<'_>, RpcError> {
    let malformed = |error| RpcError::Request { place: Place::Message(index), error };
    let options = piece.options.map(pb::PathOptions::decode).transpose().map_err(malformed)?;
    Ok(PathPiece {
        index,
        name: Cow::Borrowed(piece.name),
        options: options.map(Box::new),
        write_offset: piece.write_offset,
        points: match piece.columns {
            Some(_) if !piece.rows.is_empty() => Points::Mixed,
            Some(columns) => Points::Columns(columns),
            None => Points::Rows(piece.rows),
        },
        is_end: piece.is_end,
    })
}

/// Reads a message in any encoding by prost, and encodes its points again in the canonical way. Costs up to 10 ns per
/// byte in one piece, so a stream yields before it.
///
/// # Errors
/// When it does not decode.
pub(super) fn recode<M: PieceMessage>(
    message: &[u8],
    index: u64,
) -> Result<PathPiece<'static>, RpcError> {
    let malformed = |error| RpcError::Request { place: Place::Message(index), error };
    let parts = M::decode(message).map_err(malformed)?.into_parts();
    let points = match parts.columns {
        Some(_) if !parts.rows.is_empty() => Points::Mixed,
        Some(columns) => Points::RecodedColumns(columns.encode_to_vec()),
        None => {
            let rows = pb::RecordPathRequest { points: parts.rows, ..Default::default() };
            Points::RecodedRows(rows.encode_to_vec())
        }
    };
    Ok(PathPiece {
        index,
        name: Cow::Owned(parts.name),
        options: parts.options.map(Box::new),
        write_offset: parts.write_offset,
        points,
        is_end: parts.is_end,
    })
}

impl PathPiece<'_> {
    /// Whether the points can be read, and the options if there are some. The first point has the offset `base`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn check(&self, base: u64) -> Result<Option<Box<Options>>, RpcError> {
        if let Points::Mixed = self.points {
            let text = "points and columns are in one message; send either";
            return Err(FieldViolation::new("columns", text).at(Place::From(base)));
        }
        if let Some(Err(error)) = self.points.columns().map(|columns| columns.len()) {
            let field = format!("columns.{}", error.column);
            return Err(FieldViolation::new(field, error.to_string()).at(Place::From(base)));
        }
        let options = self.options.as_ref().map(|options| convert::options(options).map(Box::new));
        options
            .transpose()
            .map_err(|violations| RpcError::Fields { place: self.place(), violations })
    }

    /// Counts what it costs to read this message of `bytes` bytes.
    pub(super) fn charge(&self, bytes: usize, work: &mut Work) {
        match self.points {
            Points::Rows(_) | Points::Columns(_) if self.options.is_none() => work.add_piece(bytes),
            _ => work.add_recoded(bytes),
        }
    }

    /// Where in the stream it is, for what is wrong with all of it.
    pub(super) fn place(&self) -> Place {
        Place::Message(self.index)
    }
}

/// The columns that prost wrote, which is the common form: a property test in `wire/columns.rs` holds
/// that.
fn packed_columns(bytes: &[u8]) -> PackedColumns<'_> {
    PackedColumns::parse(bytes).unwrap_or_default()
}

/// The same of rows, and of `wire/row.rs`.
fn packed_rows(bytes: &[u8]) -> PackedRows<'_> {
    PackedRows::parse(bytes).unwrap_or_default()
}

impl Points<'_> {
    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Mixed => 0,
            Self::Rows(rows) => rows.len() as u64,
            Self::RecodedRows(bytes) => packed_rows(bytes).len() as u64,
            Self::Columns(columns) => columns.len().unwrap_or_default() as u64,
            Self::RecodedColumns(bytes) => packed_columns(bytes).len().unwrap_or_default() as u64,
        }
    }

    /// The points as columns, if that is how they came.
    pub(super) fn columns(&self) -> Option<Cow<'_, PackedColumns<'_>>> {
        match self {
            Self::Rows(_) | Self::RecodedRows(_) | Self::Mixed => None,
            Self::Columns(columns) => Some(Cow::Borrowed(columns)),
            Self::RecodedColumns(bytes) => Some(Cow::Owned(packed_columns(bytes))),
        }
    }

    /// The points as rows, if that is how they came.
    pub(super) fn rows(&self) -> Option<PackedRows<'_>> {
        match self {
            Self::Columns(_) | Self::RecodedColumns(_) | Self::Mixed => None,
            Self::Rows(rows) => Some(*rows),
            Self::RecodedRows(bytes) => Some(packed_rows(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> pb::PointColumns {
        pb::PointColumns { x: vec![1, 2], y: vec![3, 4], ..Default::default() }
    }

    #[test]
    fn both_ways_through_a_message_say_the_same() {
        let request = pb::RecordPathRequest {
            name: "paths/a".to_owned(),
            options: Some(pb::PathOptions { model: 3, ..Default::default() }),
            write_offset: Some(7),
            columns: Some(columns()),
            finish_write: true,
            ..Default::default()
        };
        let common = request.encode_to_vec();
        // A field that is not known makes it another form.
        let odd = [&common[..], &[0x78, 1]].concat();
        for message in [&common, &odd] {
            let piece = read::<pb::RecordPathRequest>(message, 0).unwrap();
            assert_eq!(
                (&*piece.name, piece.write_offset, piece.is_end),
                ("paths/a", Some(7), true)
            );
            let options = piece.check(7).unwrap().unwrap();
            assert_eq!(options.metric(), crate::measure::Metric::Planar);
            assert_eq!(piece.points.len(), 2);
            assert_eq!(
                piece.points.columns(),
                read::<pb::RecordPathRequest>(&common, 0).unwrap().points.columns()
            );
        }
    }

    fn complaint(request: &pb::MeasurePathsRequest) -> RpcError {
        let message = request.encode_to_vec();
        read::<pb::MeasurePathsRequest>(&message, 1).unwrap().check(9).unwrap_err()
    }

    #[test]
    fn rows_and_columns_do_not_go_together() {
        let request = pb::MeasurePathsRequest {
            points: vec![pb::Point::default()],
            columns: Some(columns()),
            ..Default::default()
        };
        insta::assert_snapshot!(
            complaint(&request),
            @"the message from point 9 on: columns: points and columns are in one message; send either"
        );
        let uneven = pb::PointColumns { z: vec![1], ..columns() };
        let request = pb::MeasurePathsRequest { columns: Some(uneven), ..Default::default() };
        insta::assert_snapshot!(
            complaint(&request),
            @"the message from point 9 on: columns.z: it has 1 entries, and x has 2; every column is empty or as long as x"
        );
    }

    #[test]
    fn what_is_no_request_is_named_by_its_index_and_in_full() {
        // A name that is longer than its message; options that are none.
        let cut: &[u8] = &[0x0a, 200, 1, b'p'];
        let odd: &[u8] = &[0x12, 2, 0x08, 0x80];
        let text = |message| read::<pb::RecordPathRequest>(message, 3).unwrap_err().to_string();
        insta::assert_snapshot!([text(cut), text(odd)].join("\n"), @r"
        message 3: the request is not the message this method takes (failed to decode Protobuf message: RecordPathRequest.name: buffer underflow); see its proto
        message 3: the request is not the message this method takes (failed to decode Protobuf message: PathOptions.model: invalid varint); see its proto
        ");
        let bad = pb::PathOptions { min_step: 1.0, ..Default::default() };
        let request = pb::MeasurePathsRequest { options: Some(bad), ..Default::default() };
        insta::assert_snapshot!(
            complaint(&request),
            @"message 1: options.min_step: it does not apply to geographic paths; set min_step_m"
        );
    }
}
