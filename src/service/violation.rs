//! What is wrong with the fields of a request, and where in its stream that request is.
//!
//! It does not know what is right: `path` finds that out, field by field. `status` makes a status of it.

use std::fmt;

use super::status::RpcError;

/// Which message of a call an error is about. Indices and offsets count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The only one.
    Request,
    /// The one with this index.
    Message(u64),
    /// The one whose first point has this offset in its path.
    From(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => Ok(()),
            Self::Message(index) => write!(f, "message {index}: "),
            Self::From(offset) => write!(f, "the message from point {offset} on: "),
        }
    }
}

impl Place {
    /// It as ErrorInfo metadata.
    pub(super) fn metadata(self) -> Option<(&'static str, u64)> {
        match self {
            Self::Request => None,
            Self::Message(index) => Some(("message_index", index)),
            Self::From(offset) => Some(("offset", offset)),
        }
    }
}

/// What is wrong with a field, by its path in the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {description}")]
pub struct FieldViolation {
    /// The path of the field, such as `points[3].y`.
    pub field: String,
    /// What is wrong with it, and what it must be.
    pub description: String,
}

impl FieldViolation {
    pub(super) fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }

    /// The same as the error of a stream.
    pub(super) fn at(self, place: Place) -> RpcError {
        RpcError::Fields { place, violations: vec![self] }
    }
}

/// Of a call with one request.
impl From<FieldViolation> for RpcError {
    fn from(violation: FieldViolation) -> Self {
        violation.at(Place::Request)
    }
}

/// All of them in one line.
pub(super) fn listed(violations: &[FieldViolation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
