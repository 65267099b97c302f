//! Errors of stores, with the errors that caused them.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The error of a request to a store.
///
/// [`Error::source`] returns the error of the database or of the system if there is one. The text of this error already
/// contains its message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// Another writer has opened the recording, or another commit has changed it.
    Fenced {
        /// The stored epoch.
        epoch: u64,
    },
    /// The recording does not exist: it was never created, was deleted, or has expired.
    NotFound,
    /// The recording was created with other options.
    OptionsDiffer,
    /// The stored bytes are not valid. The recording is lost. Others are not affected.
    Damaged(StoreErrorCause),
    /// Nothing was changed. The same request can succeed later.
    Unavailable(StoreErrorCause),
    /// The store holds its maximum number of recordings. Nothing was changed. Delete recordings, or wait until
    /// some expire.
    Full(StoreErrorCause),
    /// The namespace of the recording holds its maximum number of recordings. Nothing was changed. Delete recordings
    /// of the namespace, or wait until some expire.
    NamespaceFull(StoreErrorCause),
    /// The request may have been carried out. Load the checkpoint and compare it before the next commit.
    Unknown(StoreErrorCause),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Without the epoch: all namespaces share one sequence of epochs, so it would reveal the activity of others.
            Self::Fenced { .. } => f.write_str("a newer writer has taken over"),
            Self::NotFound => f.write_str("there is no such recording"),
            Self::OptionsDiffer => {
                f.write_str("the options differ from those that the recording was created with")
            }
            Self::Damaged(cause) => write!(f, "its checkpoint is damaged: {cause}"),
            Self::Unavailable(cause) => write!(f, "the store is not available: {cause}"),
            Self::Full(cause) => write!(f, "the store is full: {cause}"),
            Self::NamespaceFull(cause) => write!(f, "the quota of recordings is used up: {cause}"),
            Self::Unknown(cause) => {
                write!(f, "the store did not report whether the request was carried out: {cause}")
            }
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Damaged(cause)
            | Self::Unavailable(cause)
            | Self::Full(cause)
            | Self::NamespaceFull(cause)
            | Self::Unknown(cause) => cause.source(),
            Self::Fenced { .. } | Self::NotFound | Self::OptionsDiffer => None,
        }
    }
}

/// The cause of a [`StoreError`]: a message, and the underlying error if there is one.
///
/// Two causes are equal if their messages are.
#[derive(Clone, Debug)]
pub struct StoreErrorCause {
    message: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreErrorCause {
    /// Makes a cause from an underlying error, with its message.
    pub fn from_error(source: impl Error + Send + Sync + 'static) -> Self {
        Self::with_source(source.to_string(), source)
    }

    /// Makes a cause from an underlying error, with another message.
    pub fn with_source(
        message: impl Into<String>,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self { message: message.into(), source: Some(Arc::new(source)) }
    }

    /// Returns the underlying error.
    pub fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source: &(dyn Error + 'static) = self.source.as_deref()?;
        Some(source)
    }
}

impl From<String> for StoreErrorCause {
    fn from(message: String) -> Self {
        Self { message, source: None }
    }
}

impl From<&str> for StoreErrorCause {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

impl PartialEq for StoreErrorCause {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

impl Eq for StoreErrorCause {}

impl fmt::Display for StoreErrorCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_underlying_error_is_kept() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = StoreError::Unavailable(StoreErrorCause::from_error(full));
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::StorageFull));
        assert_eq!(error.to_string(), "the store is not available: no storage space");
        assert_eq!(error, StoreError::Unavailable("no storage space".into()));
        assert!(StoreError::Full("a text".into()).source().is_none());
    }
}
