//! The errors of calls: the message of each, its code, and its reason.
//!
//! [`super::error_info`] makes gRPC statuses with details of them.

use std::time::Duration;

use tonic::Code;

use super::violation::{FieldViolation, Place, listed};
use crate::contract::reason;
use crate::measure::{PathError, PointError};
use crate::recording::RecordingError;
use crate::recording::StoreError;
use crate::wire::{DecodeError, FrameErrorKind, GzipError, MessageError};

/// The encodings that requests may use, as `grpc-accept-encoding` tells them.
pub(super) const ACCEPTED_ENCODINGS: &str = "identity,gzip";

/// Why a call is not answered with a result. "Point" counts from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The bytes are not a request message.
    #[error("{0}")]
    Message(#[from] MessageError),
    /// The bytes are not a stream of points.
    #[error("point {index}, {0}", index = .0.message_index())]
    Stream(MessageError),
    /// A message of the stream is not a point.
    #[error("point {index}, {error}; send two int32 in the fields 1 and 2")]
    Decode {
        /// The index of the point.
        index: u64,
        /// What is wrong with its bytes.
        error: DecodeError,
    },
    /// A point is out of range.
    #[error("point {index}: {error}")]
    Point {
        /// The index of the point.
        index: u64,
        /// What is wrong with it.
        error: PointError,
    },
    /// Fields of a request are not what they must be.
    #[error("{place}{}", listed(.violations))]
    Fields {
        /// Which message of the call it is about.
        place: Place,
        /// What is wrong; not empty.
        violations: Vec<FieldViolation>,
    },
    /// A point of a request is none.
    #[error("point {offset}: {violation}")]
    Fix {
        /// Its offset in the path.
        offset: u64,
        /// The field, and what is wrong with it.
        violation: FieldViolation,
    },
    /// The stream does not fit the recording that it names.
    #[error("{0}")]
    Recording(#[from] RecordingError),
    /// The store could not do what the call needs.
    #[error("{name}: {error}{}", advice(.error))]
    Store {
        /// The recording.
        name: String,
        /// What it said.
        error: StoreError,
        /// How many points are known to be durable, if any recording was opened.
        committed_points: Option<u64>,
    },
    /// The options of a stream are not those of the recording.
    #[error(
        "{name}: the options differ from those of the recording: {}; leave options unset to use those of the recording",
        listed(.violations)
    )]
    OptionsDiffer {
        /// The recording.
        name: String,
        /// Each field that differs, with both values; not empty.
        violations: Vec<FieldViolation>,
    },
    /// The recording was deleted under its writer.
    #[error("{name} was deleted while it was being written")]
    Deleted {
        /// The recording.
        name: String,
    },
    /// A path of a batch was not ended.
    #[error("the path was not ended: set end_path in its last message")]
    PathNotEnded,
    /// The path's total is out of range.
    #[error("at or soon after point {index}: {error}")]
    Path {
        /// How many points were part of it before.
        index: u64,
        /// What is wrong.
        error: PathError,
    },
    /// A request does not decode.
    #[error("{place}the request is not the message this method takes ({error}); see its proto")]
    Request {
        /// Which message of the call it is.
        place: Place,
        /// What is wrong with its bytes.
        error: prost::DecodeError,
    },
    /// A unary method got no request or several.
    #[error("this method takes one request message, and {0} were sent")]
    RequestCount(u64),
    /// A result does not fit its field.
    #[error("the {what} {value} does not fit the int32 of the reply")]
    ReplyRange {
        /// Which result.
        what: &'static str,
        /// What it is.
        value: f64,
    },
    /// The request's `grpc-encoding` is not one we read.
    #[error("grpc-encoding {0} is not supported; use one of {ACCEPTED_ENCODINGS}")]
    Encoding(String),
    /// The `grpc-timeout` cannot be read.
    #[error("grpc-timeout {0} is not a number of at most 8 digits and one of H, M, S, m, u, n")]
    Timeout(String),
    /// The service or method does not exist here.
    #[error("there is no method {0}; reflection lists what there is")]
    UnknownMethod(String),
    /// The caller's deadline has passed.
    #[error("the deadline of the call has passed, {} in", points(*point_count))]
    Deadline {
        /// How many points had been folded.
        point_count: u64,
    },
    /// The client sent nothing for too long.
    #[error("nothing was sent for {} s, {} in", idle_time.as_secs_f64(), points(*point_count))]
    Idle {
        /// The limit.
        idle_time: Duration,
        /// How many points had been folded.
        point_count: u64,
    },
    /// The client did not read the answer.
    #[error("the client read nothing of the answer for {} s", unread_time.as_secs_f64())]
    Unread {
        /// The limit.
        unread_time: Duration,
    },
    /// The server holds as much unread input and as many unsent replies as it may.
    #[error(
        "the server has no memory left for another stream of this connection; try again later, with fewer streams at a time"
    )]
    Overloaded,
    /// The server closes the connection to make space for other clients.
    #[error(
        "the server has closed this connection, which only watched, to make space for others; call again"
    )]
    Evicted,
    /// The headers of the request are too long.
    #[error(
        "the metadata have {metadata_bytes} bytes, more than the {metadata_bytes_max} allowed (32 of them per field)"
    )]
    MetadataTooLarge {
        /// What they have.
        metadata_bytes: usize,
        /// The limit.
        metadata_bytes_max: u32,
    },
    /// A peer creates recordings too fast.
    #[error(
        "{name} was not created: this client has created recordings faster than {per_minute} a minute; try again later"
    )]
    CreationRate {
        /// The recording.
        name: String,
        /// The limit.
        per_minute: u32,
    },
    /// The server is shutting down and could not wait for the stream to end.
    #[error("the server is shutting down{}", shutdown_advice(*point_count))]
    ShuttingDown {
        /// How many points had been folded.
        point_count: u64,
    },
    /// The stream ended without having been closed.
    #[error("the stream was cut, {} in: {cut}", points(*point_count))]
    Cut {
        /// How many points had been folded.
        point_count: u64,
        /// How it ended.
        cut: StreamCut,
    },
}

/// What to do about an answer of the store that does not say it.
fn advice(error: &StoreError) -> &'static str {
    match error {
        StoreError::Damaged(_) => "; delete the recording and record it again",
        _ => "",
    }
}

/// What a client does about a server that shuts down.
fn shutdown_advice(point_count: u64) -> String {
    match point_count {
        0 => "; call again".to_owned(),
        count => format!(
            ", {} in; send the path again, a recording from its committed_points on",
            points(count)
        ),
    }
}

/// The beginning of a text that a client sent, for a message: what it sends is not to come back in
/// full.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 64;
    match text.char_indices().nth(CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// `1 point`, `2 points`.
fn points(count: u64) -> String {
    format!("{count} point{}", if count == 1 { "" } else { "s" })
}

/// How a stream ended that was not closed by END_STREAM. A reply finds nobody any more.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamCut {
    /// The client took the call back: RST_STREAM.
    #[error("the client reset it ({0})")]
    Reset(String),
    /// The client broke the rules of HTTP/2, and the server reset the stream.
    #[error("it broke the protocol and was reset ({0})")]
    Broken(String),
    /// The connection went away.
    #[error("the connection was lost ({0})")]
    Lost(String),
}

impl RpcError {
    /// The same error with a newer number of durable points, if it reports that number.
    pub(super) fn with_committed_points(self, points: u64) -> Self {
        match self {
            Self::Recording(error) => error.with_committed_points(points).into(),
            Self::Store { name, error, committed_points: Some(_) } => {
                Self::Store { name, error, committed_points: Some(points) }
            }
            other => other,
        }
    }

    /// The code, and the reason that ErrorInfo carries.
    pub(super) fn kind(&self) -> (Code, &'static str) {
        use FrameErrorKind as Frame;
        match self {
            Self::Message(error) | Self::Stream(error) => match error {
                MessageError::Frame(error) => match error.kind {
                    Frame::TooLarge { .. } => (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
                    Frame::Truncated { .. } => (Code::InvalidArgument, "MESSAGE_TRUNCATED"),
                    Frame::Flag(_) => (Code::InvalidArgument, "MESSAGE_MALFORMED"),
                },
                MessageError::Gzip { kind: GzipError::TooLarge { .. }, .. } => {
                    (Code::ResourceExhausted, "MESSAGE_TOO_LARGE")
                }
                MessageError::Gzip { .. } => (Code::InvalidArgument, "MESSAGE_MALFORMED"),
                MessageError::InflationRatio { .. } => (Code::ResourceExhausted, "INFLATION_RATIO"),
                // The code that the gRPC compression specification prescribes for this case.
                MessageError::Undeclared { .. } => (Code::Internal, "COMPRESSION_UNDECLARED"),
            },
            Self::Decode { .. } | Self::Request { .. } => {
                (Code::InvalidArgument, "MESSAGE_MALFORMED")
            }
            Self::Point { .. } => (Code::InvalidArgument, "POINT_INVALID"),
            Self::Fields { .. } => (Code::InvalidArgument, "FIELD_INVALID"),
            Self::Fix { .. } => (Code::InvalidArgument, "POINT_INVALID"),
            Self::Recording(error) => match error {
                RecordingError::Gap { .. } => (Code::OutOfRange, reason::OFFSET_GAP),
                RecordingError::PastEnd { .. } => (Code::FailedPrecondition, "PATH_COMPLETE"),
                RecordingError::AfterEnd { .. } => (Code::InvalidArgument, "FIELD_INVALID"),
                RecordingError::EndsBefore { .. } => (Code::FailedPrecondition, "PATH_LONGER"),
                RecordingError::OffsetRequired { .. } => {
                    (Code::FailedPrecondition, "OFFSET_REQUIRED")
                }
                RecordingError::OffsetMismatch { .. } => (Code::InvalidArgument, "OFFSET_MISMATCH"),
            },
            Self::Store { error, .. } => match error {
                StoreError::Fenced { .. } => (Code::Aborted, reason::WRITER_FENCED),
                StoreError::NotFound => (Code::NotFound, "PATH_NOT_FOUND"),
                StoreError::OptionsDiffer => (Code::FailedPrecondition, "OPTIONS_DIFFER"),
                StoreError::Damaged(_) => (Code::DataLoss, "CHECKPOINT_DAMAGED"),
                StoreError::Full(_) => (Code::ResourceExhausted, "STORE_FULL"),
                StoreError::Unavailable(_) => (Code::Unavailable, "STORE_UNAVAILABLE"),
                StoreError::Unknown(_) => (Code::Unavailable, "STORE_UNKNOWN"),
            },
            Self::OptionsDiffer { .. } => (Code::FailedPrecondition, "OPTIONS_DIFFER"),
            Self::Deleted { .. } => (Code::Aborted, reason::PATH_DELETED),
            Self::PathNotEnded => (Code::InvalidArgument, "PATH_NOT_ENDED"),
            Self::Path { .. } => (Code::OutOfRange, "LENGTH_OUT_OF_RANGE"),
            Self::RequestCount(_) => (Code::InvalidArgument, "REQUEST_COUNT"),
            Self::ReplyRange { .. } => (Code::OutOfRange, "REPLY_OUT_OF_RANGE"),
            Self::Encoding(_) => (Code::Unimplemented, "ENCODING_UNSUPPORTED"),
            Self::Timeout(_) => (Code::InvalidArgument, "TIMEOUT_INVALID"),
            Self::UnknownMethod(_) => (Code::Unimplemented, "METHOD_UNKNOWN"),
            Self::Deadline { .. } => (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            Self::Idle { .. } => (Code::DeadlineExceeded, "STREAM_IDLE"),
            Self::Unread { .. } => (Code::DeadlineExceeded, "REPLY_UNREAD"),
            Self::Evicted => (Code::Unavailable, "CONNECTION_EVICTED"),
            Self::Overloaded => (Code::ResourceExhausted, "SERVER_MEMORY"),
            Self::MetadataTooLarge { .. } => (Code::ResourceExhausted, "METADATA_TOO_LARGE"),
            Self::CreationRate { .. } => (Code::ResourceExhausted, "CREATION_RATE"),
            Self::ShuttingDown { .. } => (Code::Unavailable, "SHUTTING_DOWN"),
            Self::Cut { cut: StreamCut::Reset(_) | StreamCut::Broken(_), .. } => {
                (Code::Cancelled, "STREAM_RESET")
            }
            Self::Cut { cut: StreamCut::Lost(_), .. } => (Code::Unavailable, "CONNECTION_LOST"),
        }
    }
}
