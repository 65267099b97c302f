//! The values of `google.rpc.ErrorInfo` that the service sets and the client handles.

/// The `domain` of every ErrorInfo.
pub const DOMAIN: &str = "waywiser";

/// The credentials have expired.
pub(crate) const CREDENTIALS_EXPIRED: &str = "CREDENTIALS_EXPIRED";
/// The credentials are not known, or were withdrawn.
pub(crate) const CREDENTIALS_INVALID: &str = "CREDENTIALS_INVALID";
/// The call has no credentials.
pub(crate) const CREDENTIALS_MISSING: &str = "CREDENTIALS_MISSING";
/// The first offset of a stream is greater than the number of durable points.
pub(crate) const OFFSET_GAP: &str = "OFFSET_GAP";
/// The recording was deleted while the stream wrote it.
pub(crate) const PATH_DELETED: &str = "PATH_DELETED";
/// The call was closed before the last path of a batch ended.
pub(crate) const PATH_NOT_ENDED: &str = "PATH_NOT_ENDED";
/// A newer stream writes the recording.
pub(crate) const WRITER_FENCED: &str = "WRITER_FENCED";
