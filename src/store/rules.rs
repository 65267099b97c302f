//! The conditions of opening, committing and sweeping, shared by all stores. Sans-IO: each function gets the stored
//! data and returns the data to store. The store reads and writes them atomically.

use crate::measure::{Options, PathAccumulator};

use crate::recording::{
    Checkpoint, CommitPrecondition, OpenRequest, RecordingName, StoreError, StoreErrorCause, Sweep,
};

/// The part of a checkpoint on which the rules depend. A store can read it without decoding the fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) epoch: u64,
    pub(super) complete: bool,
    pub(super) committed_points: u64,
    pub(super) create_unix_ms: i64,
    pub(super) update_unix_ms: i64,
    pub(super) expire_unix_ms: i64,
}

impl From<&Checkpoint> for Header {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            epoch: checkpoint.epoch,
            complete: checkpoint.complete,
            committed_points: checkpoint.committed_points(),
            create_unix_ms: checkpoint.create_unix_ms,
            update_unix_ms: checkpoint.update_unix_ms,
            expire_unix_ms: checkpoint.expire_unix_ms,
        }
    }
}

/// The result of [`open`].
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a decision is matched at once and never stored")]
pub(super) enum OpenDecision {
    /// Store and return this new recording. It replaces one that has expired.
    Create(Checkpoint),
    /// Store the recording with this header, and return it. The fold does not change.
    Resume(Header),
    /// Return the finished recording as it is stored.
    Finished,
}

/// Decides how a recording is opened. `epoch` must be larger than every epoch that the store has assigned. `options`
/// returns the options of the stored recording. It is called only if the request has options to compare.
///
/// # Errors
/// [`StoreError::OptionsDiffer`], and the errors of `options`.
pub(super) fn open(
    stored: Option<Header>,
    options: impl FnOnce() -> Result<Options, StoreError>,
    request: &OpenRequest,
    epoch: u64,
) -> Result<OpenDecision, StoreError> {
    // An expired recording counts as deleted, even if no sweep has removed it yet.
    let Some(stored) = stored.filter(|stored| stored.expire_unix_ms > request.now_unix_ms) else {
        let options = request.options.unwrap_or_default();
        return Ok(OpenDecision::Create(Checkpoint {
            epoch,
            complete: false,
            accumulator: PathAccumulator::new(options),
            create_unix_ms: request.now_unix_ms,
            update_unix_ms: request.now_unix_ms,
            expire_unix_ms: request.expire_unix_ms,
        }));
    };
    if let Some(requested) = request.options
        && requested != options()?
    {
        return Err(StoreError::OptionsDiffer);
    }
    if stored.complete {
        return Ok(OpenDecision::Finished);
    }
    // Without this, a recording could expire right after its writer has returned.
    let expire_unix_ms = stored.expire_unix_ms.max(request.expire_unix_ms);
    Ok(OpenDecision::Resume(Header { epoch, expire_unix_ms, ..stored }))
}

/// Checks that `next` may replace what is stored.
///
/// # Errors
/// [`StoreError::NotFound`] or [`StoreError::Fenced`].
pub(super) fn check_commit(
    stored: Option<Header>,
    precondition: CommitPrecondition,
    next: Header,
) -> Result<(), StoreError> {
    let stored = stored.ok_or(StoreError::NotFound)?;
    let continues = precondition.epoch == stored.epoch
        && precondition.committed_points == stored.committed_points
        && next.epoch == stored.epoch
        && next.committed_points >= stored.committed_points;
    if stored.complete || !continues {
        return Err(StoreError::Fenced { epoch: stored.epoch });
    }
    Ok(())
}

/// Returns the error of a store that holds its maximum number of recordings.
fn full(max_recordings: u64) -> StoreError {
    let text = format!(
        "it holds {max_recordings} recordings, its maximum: delete some, wait until some expire, or raise the maximum"
    );
    StoreError::Full(StoreErrorCause::from(text))
}

/// Checks that the store and the namespace have space for a new recording.
///
/// # Errors
/// [`StoreError::NamespaceFull`] or [`StoreError::Full`]. The first one depends on recordings of the namespace only.
pub(super) fn check_space(
    request: &OpenRequest,
    in_namespace: u64,
    in_store: u64,
    max_recordings: u64,
) -> Result<(), StoreError> {
    match request.max_in_namespace {
        Some(max) if in_namespace >= max => Err(namespace_full(max)),
        _ if in_store >= max_recordings => Err(full(max_recordings)),
        _ => Ok(()),
    }
}

fn namespace_full(max_recordings: u64) -> StoreError {
    let text =
        format!("you may keep {max_recordings} recordings: delete some, or wait until some expire");
    StoreError::NamespaceFull(StoreErrorCause::from(text))
}

/// Returns whether a sweep removes a recording.
pub(super) fn is_selected(sweep: &Sweep, name: &RecordingName, stored: Header) -> bool {
    if stored.expire_unix_ms <= sweep.now_unix_ms {
        return true;
    }
    sweep.abandoned.as_ref().is_some_and(|abandoned| {
        name.namespace() == abandoned.namespace.as_ref()
            && !stored.complete
            && stored.committed_points <= abandoned.points_max
            && stored.update_unix_ms <= abandoned.update_unix_ms
            && !(abandoned.has_writer)(name)
    })
}
