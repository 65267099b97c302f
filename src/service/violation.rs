//! Errors about the fields of a request, and the position of that request in its stream.
//!
//! The modules that check requests create them; `status` and `error_info` convert them to a status.

use std::fmt;

/// The message of a call that an error is about. Indices and offsets count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageRef {
    /// The only message.
    Request,
    /// The message with this index.
    Message(u64),
    /// The message whose first point has this offset in its path.
    From(u64),
}

impl fmt::Display for MessageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => Ok(()),
            Self::Message(index) => write!(f, "message {index}: "),
            Self::From(offset) => write!(f, "the message from point {offset} on: "),
        }
    }
}

impl MessageRef {
    /// Returns the position as ErrorInfo metadata.
    pub(super) fn metadata(self) -> Option<(&'static str, u64)> {
        match self {
            Self::Request => None,
            Self::Message(index) => Some(("message_index", index)),
            Self::From(offset) => Some(("offset", offset)),
        }
    }
}

/// An invalid field of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {description}")]
pub struct FieldViolation {
    /// The path of the field, such as `points[3].y`.
    pub field: String,
    /// The error, and the valid values.
    pub description: String,
}

impl FieldViolation {
    pub(super) fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

/// Formats all violations in one line.
pub(super) fn listed(violations: &[FieldViolation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
