//! Recordings of `waywiser.v1` as the client returns them.

use super::ClientError;
use super::paths::StoredPath;
use crate::contract::summary;
use crate::contract::time::unix_ms;
use crate::measure::PathSummary;
use crate::proto::waywiser_v1 as pb;

/// A recording.
pub(super) fn stored_path(path: pb::Path) -> Result<StoredPath, ClientError> {
    Ok(StoredPath {
        name: path.name,
        is_complete: path.complete,
        committed_points: path.committed_points,
        options: path.summary.as_ref().and_then(|summary| summary.options),
        summary: path.summary.as_ref().map(summary).transpose()?,
        create_unix_ms: path.create_time.map(unix_ms),
        update_unix_ms: path.update_time.map(unix_ms),
        expire_unix_ms: path.expire_time.map(unix_ms),
    })
}

/// Reads a summary.
pub(super) fn summary(message: &pb::PathSummary) -> Result<PathSummary, ClientError> {
    summary::from_message(message).map_err(|error| reply(error.to_string()))
}

pub(super) fn reply(what: String) -> ClientError {
    ClientError::Reply(what)
}
