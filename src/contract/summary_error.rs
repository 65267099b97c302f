//! The error of a summary that a server sent.

/// The error of an invalid summary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SummaryError {
    /// The model is unknown.
    #[error("its summary has the unknown model {0}")]
    Model(i32),
    /// A required field is not set.
    #[error("its summary has no {0}")]
    Missing(&'static str),
    /// A duration is negative or too long.
    #[error("the {0} of its summary is not a duration from 0 s to 584 years")]
    Duration(&'static str),
    /// A length is out of range.
    #[error("the {0} of its summary is not a length from 0 to 2^64")]
    Length(&'static str),
    /// An option is unknown.
    #[error("its summary has an unknown value of {0}")]
    Option(&'static str),
    /// A time is out of range.
    #[error("the {0} of its summary is not in the years 1678 to 2261")]
    Time(&'static str),
    /// The reason of a rejection is unknown.
    #[error("its summary has the unknown rejection reason {0}")]
    RejectionReason(i32),
}
