//! The wire formats: gRPC framing, gzip, and the protobuf encodings of points.
//!
//! The module is sans-IO. It uses no sockets, HTTP or runtime. [`crate::service`] passes the bytes of a
//! request body in chunks of any size. Errors have a position: the index of the message in its stream, and
//! the index of the byte in the stream or in the message.
//!
//! `frame.rs`, `gzip.rs` and `message.rs` turn chunks into messages. `point.rs` decodes one point of the
//! published contracts, and `run.rs` decodes runs of them on the fast path. `message_view.rs`, `columns.rs`,
//! `row.rs` and `varints.rs` read the messages of `waywiser.v1` in place.

mod columns;
mod frame;
mod gzip;
mod message;
mod message_view;
mod point;
mod row;
mod run;
mod varints;

pub use columns::{
    COLUMN_BLOCK, ColumnBlock, ColumnError, ColumnLength, ColumnReader, PackedColumns,
};
pub(crate) use frame::HEADER_BYTES;
pub use frame::{Deframer, Frame, FrameError, FrameErrorKind};
#[cfg(test)]
pub(crate) use gzip::empty_dynamic_blocks;
pub use gzip::{GzipError, InflateStep};
pub use message::{Encoding, MessageError, Messages};
pub use message_view::{MessageFields, MessageView};
pub use point::{DecodeError, DecodeErrorKind, decode_point};
pub use row::{PackedRows, Row, Rows};
