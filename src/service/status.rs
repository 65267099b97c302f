//! The errors of calls: the message of each, its code, and its reason.
//!
//! [`super::error_info`] converts them to gRPC statuses with details.

use std::time::Duration;

use tonic::Code;

use super::permission::PermissionError;
use super::quota_error::QuotaError;
use super::violation::{FieldViolation, MessageRef, listed};
use crate::auth::AuthError;
use crate::contract::reason;
use crate::measure::{PathError, PointError};
use crate::recording::RecordingError;
use crate::recording::StoreError;
use crate::wire::{DecodeError, FrameErrorKind, GzipError, MessageError};

/// The supported encodings of requests, as in the header `grpc-accept-encoding`.
pub(super) const ACCEPTED_ENCODINGS: &str = "identity,gzip";

/// The error of a call. Indices of points count from 0.
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
        /// The error of its bytes.
        error: DecodeError,
    },
    /// A point is out of range.
    #[error("point {index}: {error}")]
    Point {
        /// The index of the point.
        index: u64,
        /// The reason.
        error: PointError,
    },
    /// Fields of a request are not valid.
    #[error("{place}{}", listed(.violations))]
    Fields {
        /// The message that the error is about.
        place: MessageRef,
        /// The invalid fields; not empty.
        violations: Vec<FieldViolation>,
    },
    /// A point of a request is not valid.
    #[error("point {offset}: {violation}")]
    Fix {
        /// Its offset in the path.
        offset: u64,
        /// The invalid field.
        violation: FieldViolation,
    },
    /// The stream does not continue the recording that it names.
    #[error("{error}")]
    Recording {
        /// The recording. `None` for a path without a name.
        name: Option<String>,
        /// The reason.
        error: RecordingError,
    },
    /// The store has failed.
    #[error("{name}: {error}{}", advice(.error))]
    Store {
        /// The recording.
        name: String,
        /// The error of the store.
        error: StoreError,
        /// Number of points that are known to be durable, if the recording was opened.
        committed_points: Option<u64>,
    },
    /// The options of a stream are not those of the recording.
    #[error(
        "{name}: the options differ from those of the recording: {}; send the options of the recording, or none",
        listed(.violations)
    )]
    OptionsDiffer {
        /// The recording.
        name: String,
        /// Each field that differs, with both values; not empty.
        violations: Vec<FieldViolation>,
    },
    /// The recording was deleted while it was written.
    #[error("{name} was deleted while it was being written")]
    Deleted {
        /// The recording.
        name: String,
    },
    /// A path of a batch was not ended.
    #[error("the path was not ended: set end_path in its last message")]
    PathNotEnded,
    /// The total of the path is out of range.
    #[error("at or soon after point {index}: {error}")]
    Path {
        /// Number of points that were part of the path before.
        index: u64,
        /// The reason.
        error: PathError,
    },
    /// A request does not decode.
    #[error(
        "{place}the request is not the message that this method takes ({error}); see the proto file"
    )]
    Request {
        /// The message that does not decode.
        place: MessageRef,
        /// The error of its bytes.
        error: prost::DecodeError,
    },
    /// A unary method received no request or several.
    #[error("this method takes one request message, and {0} were sent")]
    RequestCount(u64),
    /// A result does not fit its field.
    #[error("the {what} {value} does not fit the int32 of the reply")]
    ReplyRange {
        /// The name of the result.
        what: &'static str,
        /// The value of the result.
        value: f64,
    },
    /// The `grpc-encoding` of the request is not supported.
    #[error("grpc-encoding {0} is not supported; use one of {ACCEPTED_ENCODINGS}")]
    Encoding(String),
    /// The `grpc-timeout` is not valid.
    #[error("grpc-timeout {0} is not a number of at most 8 digits and one of H, M, S, m, u, n")]
    Timeout(String),
    /// The server does not have this service or method.
    #[error("unknown method {0}; reflection lists all methods")]
    UnknownMethod(String),
    /// The deadline of the caller has passed.
    #[error("the deadline of the call passed after {}", points(*point_count))]
    Deadline {
        /// Number of points that were folded.
        point_count: u64,
    },
    /// The server has so much work that the call would probably miss its deadline.
    #[error(
        "the server has too much work to end this call before its deadline; call again later, or with more time"
    )]
    Busy,
    /// Too many requests wait for the same recording.
    #[error("{name}: too many requests wait for this recording; send the request again later")]
    QueueFull {
        /// The recording.
        name: String,
    },
    /// The client sent nothing for too long.
    #[error("the client sent nothing for {} s after {}", idle_timeout.as_secs_f64(), points(*point_count))]
    Idle {
        /// The limit.
        idle_timeout: Duration,
        /// Number of points that were folded.
        point_count: u64,
    },
    /// The client did not read the answer.
    #[error("the client did not read the answer for {} s", unread_time.as_secs_f64())]
    Unread {
        /// The limit.
        unread_time: Duration,
    },
    /// The unread input, the unsent replies and the open recordings of the server have reached their limit.
    #[error(
        "the server has no memory left for another stream of this connection; try again later, with fewer streams at a time"
    )]
    Overloaded,
    /// The server closes the connection to make space for other clients.
    #[error(
        "the server has closed this connection to make space for others, because it only watched; call again"
    )]
    Evicted,
    /// The client certificate of the connection has expired, or its CA was removed.
    #[error(
        "the client certificate of this connection has expired or is no longer accepted; connect again with a valid certificate"
    )]
    CertificateEnded,
    /// The credentials of the caller were withdrawn, or have other rights now. A new call finds out which.
    #[error(
        "the credentials of this call were withdrawn or have other rights now; call again to use the new rights"
    )]
    SessionEnded,
    /// The caller is not authenticated.
    #[error("{0}")]
    Unauthenticated(#[from] AuthError),
    /// The caller may not do this. The text does not depend on what the server stores.
    #[error("{0}")]
    PermissionDenied(PermissionError),
    /// The headers of the request are too large.
    #[error(
        "the metadata have {metadata_bytes} bytes, more than the limit of {metadata_bytes_max}; each field adds 32 bytes to its text"
    )]
    MetadataTooLarge {
        /// The size of the metadata.
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
    /// The caller has used up a quota.
    #[error("{0}")]
    Quota(#[from] QuotaError),
    /// The server is shutting down and cannot wait for the end of the stream.
    #[error("the server is shutting down{}", shutdown_advice(*point_count))]
    ShuttingDown {
        /// Number of points that were folded.
        point_count: u64,
    },
    /// The stream ended without having been closed.
    #[error("the stream was cut after {}: {cut}", points(*point_count))]
    Cut {
        /// Number of points that were folded.
        point_count: u64,
        /// The end of the stream.
        cut: StreamCut,
    },
}

/// Returns the advice to a client for an error of the store.
fn advice(error: &StoreError) -> &'static str {
    match error {
        StoreError::Damaged(_) => "; delete the recording and record it again",
        _ => "",
    }
}

/// Returns the advice to a client of a server that shuts down.
fn shutdown_advice(point_count: u64) -> String {
    match point_count {
        0 => "; call again".to_owned(),
        count => format!(
            " after {}; send the path again, or a recording from its committed_points",
            points(count)
        ),
    }
}

/// Returns the beginning of a text that a client sent. Messages do not repeat such a text in full.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 64;
    match text.char_indices().nth(CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Formats a number of points: `1 point`, `2 points`.
fn points(count: u64) -> String {
    format!("{count} point{}", if count == 1 { "" } else { "s" })
}

/// The end of a stream that was not closed by END_STREAM. No client receives the error.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamCut {
    /// The client cancelled the call by RST_STREAM.
    #[error("the client reset it ({0})")]
    Reset(String),
    /// The client violated HTTP/2, and the server reset the stream.
    #[error("the client violated the protocol, and the server reset it ({0})")]
    Broken(String),
    /// The connection was lost.
    #[error("the connection was lost ({0})")]
    Lost(String),
}

impl FieldViolation {
    /// Converts the violation to the error of a call, about this message.
    pub(super) fn at(self, place: MessageRef) -> RpcError {
        RpcError::Fields { place, violations: vec![self] }
    }
}

/// Converts a violation in the only request of a call.
impl From<FieldViolation> for RpcError {
    fn from(violation: FieldViolation) -> Self {
        violation.at(MessageRef::Request)
    }
}

impl From<RecordingError> for RpcError {
    fn from(error: RecordingError) -> Self {
        Self::Recording { name: None, error }
    }
}

impl RpcError {
    /// Adds the name of the recording, if the error is about one.
    pub(super) fn named(self, recording: &impl ToString) -> Self {
        match self {
            Self::Recording { error, .. } => {
                Self::Recording { name: Some(recording.to_string()), error }
            }
            other => other,
        }
    }

    /// Replaces the name of the recording by the one that the caller uses.
    pub(super) fn of_recording(self, recording: &impl ToString) -> Self {
        let name = recording.to_string();
        match self {
            Self::Store { error, committed_points, .. } => {
                Self::Store { name, error, committed_points }
            }
            Self::OptionsDiffer { violations, .. } => Self::OptionsDiffer { name, violations },
            Self::CreationRate { per_minute, .. } => Self::CreationRate { name, per_minute },
            Self::Deleted { .. } => Self::Deleted { name },
            other => other.named(recording),
        }
    }

    /// Replaces the number of durable points, if the error reports it.
    pub(super) fn with_committed_points(self, points: u64) -> Self {
        match self {
            Self::Recording { name, error } => {
                Self::Recording { name, error: error.with_committed_points(points) }
            }
            Self::Store { name, error, committed_points: Some(_) } => {
                Self::Store { name, error, committed_points: Some(points) }
            }
            other => other,
        }
    }

    /// Returns the status code, and the reason for ErrorInfo.
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
            Self::Recording { error, .. } => match error {
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
                StoreError::NamespaceFull(_) => (Code::ResourceExhausted, "RECORDINGS_QUOTA"),
                StoreError::Unavailable(_) => (Code::Unavailable, "STORE_UNAVAILABLE"),
                StoreError::Unknown(_) => (Code::Unavailable, "STORE_UNKNOWN"),
            },
            Self::OptionsDiffer { .. } => (Code::FailedPrecondition, "OPTIONS_DIFFER"),
            Self::Deleted { .. } => (Code::Aborted, reason::PATH_DELETED),
            Self::PathNotEnded => (Code::InvalidArgument, reason::PATH_NOT_ENDED),
            Self::Path { .. } => (Code::OutOfRange, "LENGTH_OUT_OF_RANGE"),
            Self::RequestCount(_) => (Code::InvalidArgument, "REQUEST_COUNT"),
            Self::ReplyRange { .. } => (Code::OutOfRange, "REPLY_OUT_OF_RANGE"),
            Self::Encoding(_) => (Code::Unimplemented, "ENCODING_UNSUPPORTED"),
            Self::Timeout(_) => (Code::InvalidArgument, "TIMEOUT_INVALID"),
            Self::UnknownMethod(_) => (Code::Unimplemented, "METHOD_UNKNOWN"),
            Self::Deadline { .. } => (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            Self::Busy => (Code::Unavailable, "SERVER_BUSY"),
            Self::QueueFull { .. } => (Code::Unavailable, "RECORDING_BUSY"),
            Self::Idle { .. } => (Code::DeadlineExceeded, "STREAM_IDLE"),
            Self::Unread { .. } => (Code::DeadlineExceeded, "REPLY_UNREAD"),
            Self::Evicted => (Code::Unavailable, "CONNECTION_EVICTED"),
            Self::CertificateEnded => (Code::Unavailable, "CERTIFICATE_ENDED"),
            Self::SessionEnded => (Code::Unavailable, "CREDENTIALS_CHANGED"),
            Self::Overloaded => (Code::ResourceExhausted, "SERVER_MEMORY"),
            Self::Unauthenticated(error) => match error {
                AuthError::Missing => (Code::Unauthenticated, reason::CREDENTIALS_MISSING),
                AuthError::Expired => (Code::Unauthenticated, reason::CREDENTIALS_EXPIRED),
                AuthError::Unavailable { .. } => (Code::Unavailable, "CREDENTIALS_UNCHECKED"),
                _ => (Code::Unauthenticated, reason::CREDENTIALS_INVALID),
            },
            Self::PermissionDenied(error) => (Code::PermissionDenied, error.reason()),
            Self::MetadataTooLarge { .. } => (Code::ResourceExhausted, "METADATA_TOO_LARGE"),
            Self::CreationRate { .. } => (Code::ResourceExhausted, "CREATION_RATE"),
            Self::Quota(error) => (Code::ResourceExhausted, error.reason()),
            Self::ShuttingDown { .. } => (Code::Unavailable, "SHUTTING_DOWN"),
            Self::Cut { cut: StreamCut::Reset(_) | StreamCut::Broken(_), .. } => {
                (Code::Cancelled, "STREAM_RESET")
            }
            Self::Cut { cut: StreamCut::Lost(_), .. } => (Code::Unavailable, "CONNECTION_LOST"),
        }
    }
}
