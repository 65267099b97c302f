//! From bytes to messages to points: gRPC framing and the protobuf of one point.
//!
//! The room is pure. It knows no sockets, no HTTP and no runtime: [`crate::service`] hands it the
//! bytes of a request body in whatever chunks they arrive. Errors say where: the index of the
//! message in its stream and of the byte in the stream or the message.

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
