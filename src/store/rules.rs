//! The conditions of opening and committing, once for all stores. Pure: what is stored comes in, what is
//! to be stored goes out. The stores bring the atomicity.

use crate::measure::PathAccumulator;

use crate::recording::{
    Checkpoint, CommitPrecondition, OpenRequest, RecordingName, StoreError, Sweep,
};

/// What a commit is weighed against, which a store may know without reading the fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) epoch: u64,
    pub(super) complete: bool,
    pub(super) committed_points: u64,
}

impl From<&Checkpoint> for Standing {
    fn from(stored: &Checkpoint) -> Self {
        Self {
            epoch: stored.epoch,
            complete: stored.complete,
            committed_points: stored.committed_points(),
        }
    }
}

/// What an opening comes to.
#[derive(Debug)]
pub(super) enum Opened {
    /// It is finished and stays as it is.
    Finished(Checkpoint),
    /// It is to be stored and then returned.
    Stored { checkpoint: Checkpoint },
}

/// Opens under `epoch`, which has to be greater than any that the store has given out.
pub(super) fn open(
    stored: Option<Checkpoint>,
    opening: &OpenRequest,
    epoch: u64,
) -> Result<Opened, StoreError> {
    // What has expired is gone, whether it has been deleted yet or not.
    let stored = stored.filter(|stored| stored.expire_unix_ms > opening.now_unix_ms);
    let Some(stored) = stored else {
        let options = opening.options.unwrap_or_default();
        let checkpoint = Checkpoint {
            epoch,
            complete: false,
            accumulator: PathAccumulator::new(options),
            create_unix_ms: opening.now_unix_ms,
            update_unix_ms: opening.now_unix_ms,
            expire_unix_ms: opening.expire_unix_ms,
        };
        return Ok(Opened::Stored { checkpoint });
    };
    if opening.options.is_some_and(|options| options != *stored.accumulator.options()) {
        return Err(StoreError::OptionsDiffer);
    }
    if stored.complete {
        return Ok(Opened::Finished(stored));
    }
    // A writer that comes back at the last moment is not to lose the ground under its feet.
    let expire_unix_ms = stored.expire_unix_ms.max(opening.expire_unix_ms);
    let checkpoint = Checkpoint { epoch, expire_unix_ms, ..stored };
    Ok(Opened::Stored { checkpoint })
}

/// Whether `next` may take the place of what is stored.
pub(super) fn check_commit(
    stored: Option<Standing>,
    precondition: CommitPrecondition,
    next: Standing,
) -> Result<(), StoreError> {
    let stored = stored.ok_or(StoreError::NotFound)?;
    let goes_on = precondition.epoch == stored.epoch
        && precondition.committed_points == stored.committed_points
        && next.epoch == stored.epoch
        && next.committed_points >= stored.committed_points;
    if stored.complete || !goes_on {
        return Err(StoreError::Fenced { epoch: stored.epoch });
    }
    Ok(())
}

/// The error of a store that holds its maximum number of recordings.
pub(super) fn full(max_recordings: u64) -> StoreError {
    StoreError::Full(format!(
        "it holds {max_recordings} recordings, its maximum: delete some, wait until some expire, or raise the maximum"
    ))
}

/// Whether a sweep removes a recording.
pub(super) fn is_selected(
    sweep: &Sweep,
    name: &RecordingName,
    stored: Standing,
    update_unix_ms: i64,
    expire_unix_ms: i64,
) -> bool {
    if expire_unix_ms <= sweep.now_unix_ms {
        return true;
    }
    sweep.abandoned.as_ref().is_some_and(|abandoned| {
        !stored.complete
            && stored.committed_points <= abandoned.points_max
            && update_unix_ms <= abandoned.update_unix_ms
            && !(abandoned.has_writer)(name)
    })
}
