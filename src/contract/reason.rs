//! The values of `google.rpc.ErrorInfo` that the service sets and the client handles.

/// The `domain` of every ErrorInfo.
pub const DOMAIN: &str = "waywiser";

/// The first offset of a stream is greater than the number of durable points.
pub(crate) const OFFSET_GAP: &str = "OFFSET_GAP";
/// The recording was deleted while the stream wrote it.
pub(crate) const PATH_DELETED: &str = "PATH_DELETED";
/// The call was closed before the last path of a batch ended.
pub(crate) const PATH_NOT_ENDED: &str = "PATH_NOT_ENDED";
/// A newer stream writes the recording.
pub(crate) const WRITER_FENCED: &str = "WRITER_FENCED";
