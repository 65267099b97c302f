//! The state machine of one writer of one recording. The code that serves the stream drives it from the opening of the
//! recording until the writer has ended. `mod.rs` has the rules.

use super::error::RecordingError;
use super::policy::{CheckpointPolicy, whole_ms};
use super::position::{Admitted, Position};
use super::{Checkpoint, CommitPrecondition, StoreError};
use crate::measure::PathAccumulator;

/// A commit that the caller has to send to the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// The conditions.
    pub precondition: CommitPrecondition,
    /// The checkpoint to store.
    pub checkpoint: Checkpoint,
}

/// The next action of the caller after an answer of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum NextStep {
    /// Continue with [`Recording::next_commit`] and [`Recording::due_at`].
    Continue,
    /// Load the checkpoint and pass it to [`Recording::reconcile`]. No commit is returned before.
    Load,
    /// A newer writer has taken over. This writer has ended.
    Fenced {
        /// The stored epoch.
        epoch: u64,
    },
    /// The recording was deleted or has expired. This writer has ended.
    Gone,
    /// The stored checkpoint cannot be continued. This writer has ended.
    Lost(StoreError),
}

/// One writer of one recording. All times are milliseconds since 1970-01-01T00:00:00Z, from a clock of the caller. If
/// the clock goes back, a commit is due earlier or later, by at most the interval.
#[derive(Clone, Debug)]
pub struct Recording {
    policy: CheckpointPolicy,
    epoch: u64,
    accumulator: PathAccumulator,
    position: Position,
    /// Whether the client has set the end of the path after its current points.
    has_end: bool,
    /// Whether the stream was closed after the end was set.
    is_ended: bool,
    /// The progress that the store has confirmed.
    durable: Progress,
    create_unix_ms: i64,
    update_unix_ms: i64,
    expire_unix_ms: i64,
    store: StoreState,
    /// The time when the first point was folded that is neither durable nor part of the pending commit.
    dirty_since: Option<i64>,
    /// The time when the last commit was returned to the caller.
    last_commit_at: Option<i64>,
    /// The time when a failed commit may be tried again.
    retry_at: Option<i64>,
}

/// The progress of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    points: u64,
    complete: bool,
}

/// The state of the store as this writer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreState {
    /// It has answered all requests.
    Idle,
    /// A commit is pending.
    Committing { to: Progress, update_unix_ms: i64, expire_unix_ms: i64 },
    /// It may or may not have carried out a commit.
    Unknown,
    /// This writer has ended. It sends no more requests.
    Ended,
}

/// Returns the step after the store has lost what it had reported as durable. A failover to a standby that does not
/// have the last commits is an example. The client sends the missing points again when it opens the recording.
fn gone_back() -> NextStep {
    let message = "it has gone back to an earlier state; open the recording again";
    NextStep::Lost(StoreError::Unavailable(message.into()))
}

impl Recording {
    /// Continues from the checkpoint that the store returned when it opened the recording.
    pub fn resume(checkpoint: Checkpoint, policy: CheckpointPolicy) -> Self {
        let durable =
            Progress { points: checkpoint.committed_points(), complete: checkpoint.complete };
        Self {
            policy,
            epoch: checkpoint.epoch,
            position: Position::new(checkpoint.committed_points()),
            has_end: checkpoint.complete,
            is_ended: checkpoint.complete,
            durable,
            create_unix_ms: checkpoint.create_unix_ms,
            update_unix_ms: checkpoint.update_unix_ms,
            expire_unix_ms: checkpoint.expire_unix_ms,
            store: if checkpoint.complete { StoreState::Ended } else { StoreState::Idle },
            accumulator: checkpoint.accumulator,
            dirty_since: None,
            last_commit_at: None,
            retry_at: None,
        }
    }

    /// Admits a message of `count` points and returns where they belong. The caller then folds all points except
    /// the skipped ones, in order. Without `write_offset` the message continues where the message before it ended.
    ///
    /// # Errors
    /// If the offset leaves out points, does not continue the stream, or is missing in the first message of a
    /// stream for a path that has points. Also if the path ends before the last of the points.
    pub fn admit(
        &mut self,
        write_offset: Option<u64>,
        count: u64,
    ) -> Result<Admitted, RecordingError> {
        let committed_points = self.durable.points;
        let start = self.position.start(write_offset, committed_points)?;
        let point_count = self.position.point_count();
        let got = start.saturating_add(count);
        if self.has_end && got > point_count {
            return Err(match self.durable.complete {
                true => RecordingError::PastEnd { point_count, got, committed_points },
                false => RecordingError::AfterEnd { point_count, got, committed_points },
            });
        }
        if start > point_count {
            let (expected, got) = (point_count, start);
            return Err(RecordingError::Gap { expected, got, committed_points });
        }
        Ok(self.position.advance(start, count))
    }

    /// Returns the offset at which the next message of the stream starts; 0 before the first message.
    pub fn next_offset(&self) -> u64 {
        self.position.next()
    }

    /// Returns the number of points that the stream sent, and that were durable before it was opened.
    pub fn skipped_points(&self) -> u64 {
        self.position.skipped()
    }

    /// Returns the accumulator.
    pub fn accumulator(&self) -> &PathAccumulator {
        &self.accumulator
    }

    /// Returns the accumulator, to fold admitted points into it. Call [`Recording::folded`] afterwards, also if
    /// folding has failed.
    pub fn accumulator_mut(&mut self) -> &mut PathAccumulator {
        &mut self.accumulator
    }

    /// Records that points were folded.
    pub fn folded(&mut self, now_unix_ms: i64) {
        if self.accumulator.point_count() > self.covered().points {
            self.dirty_since.get_or_insert(now_unix_ms);
        }
    }

    /// Sets the end of the path after the last admitted message. Later points are refused. A stream that is lost
    /// after this does not finish the path. Only [`Recording::finish`] does.
    ///
    /// # Errors
    /// If the path already has points after that message.
    pub fn end_here(&mut self) -> Result<(), RecordingError> {
        let (point_count, got) = (self.position.point_count(), self.position.next());
        if got < point_count {
            let committed_points = self.durable.points;
            return Err(RecordingError::EndsBefore { point_count, got, committed_points });
        }
        self.has_end = true;
        Ok(())
    }

    /// Returns whether the client has set the end of the path.
    pub fn has_end(&self) -> bool {
        self.has_end
    }

    /// Finishes the path with its current points. A commit is due at once.
    pub fn finish(&mut self) {
        (self.has_end, self.is_ended) = (true, true);
    }

    /// Requests a comparison with the stored checkpoint: load it and pass it to [`Recording::reconcile`]. A writer
    /// without points to commit detects by this that another writer has taken over. Returns `None` if a commit or a
    /// requested comparison will detect it, or if this writer has ended.
    #[must_use]
    pub fn verify(&mut self) -> Option<NextStep> {
        if self.store != StoreState::Idle || !self.is_settled() {
            return None;
        }
        self.store = StoreState::Unknown;
        Some(NextStep::Load)
    }

    /// Returns the commit that is due. With `force`, returns it early. Returns `None` if everything is durable, if a
    /// commit is pending, if the stored checkpoint has to be loaded first, or if this writer has ended.
    ///
    /// Report the result with [`Recording::committed`] or [`Recording::refused`]. A forced commit does not wait for
    /// [`CheckpointPolicy::retry_pause`], so the caller must bound the number of attempts.
    pub fn next_commit(&mut self, now_unix_ms: i64, force: bool) -> Option<Commit> {
        if self.store != StoreState::Idle || !(force || self.is_due(now_unix_ms)) {
            return None;
        }
        let to = Progress { points: self.accumulator.point_count(), complete: self.is_ended };
        if to == self.durable {
            return None;
        }
        let update_unix_ms = self.update_unix_ms.max(now_unix_ms);
        let expire_unix_ms =
            self.expire_unix_ms.max(update_unix_ms.saturating_add(whole_ms(self.policy.retention)));
        self.store = StoreState::Committing { to, update_unix_ms, expire_unix_ms };
        (self.dirty_since, self.retry_at) = (None, None);
        self.last_commit_at = Some(now_unix_ms);
        Some(Commit {
            precondition: CommitPrecondition {
                epoch: self.epoch,
                committed_points: self.durable.points,
            },
            checkpoint: Checkpoint {
                epoch: self.epoch,
                complete: to.complete,
                accumulator: self.accumulator.clone(),
                create_unix_ms: self.create_unix_ms,
                update_unix_ms,
                expire_unix_ms,
            },
        })
    }

    /// Returns when the next commit is due if nothing else happens. The time can be in the past.
    pub fn due_at(&self) -> Option<i64> {
        if self.store != StoreState::Idle {
            return None;
        }
        if self.retry_at.is_some() {
            return self.retry_at;
        }
        if self.is_end_due() {
            return Some(self.dirty_since.unwrap_or(self.update_unix_ms));
        }
        let since = self.dirty_since?;
        let by_time = since.saturating_add(whole_ms(self.policy.interval));
        let points = self.accumulator.point_count() - self.durable.points;
        if points < self.policy.points.max(1) {
            return Some(by_time);
        }
        let pause = whole_ms(self.policy.commit_pause());
        let by_points = self.last_commit_at.map_or(since, |last| last.saturating_add(pause));
        Some(by_points.min(by_time))
    }

    /// Returns whether the path has an end that is not durable.
    fn is_end_due(&self) -> bool {
        self.is_ended != self.durable.complete
    }

    fn is_due(&self, now_unix_ms: i64) -> bool {
        let Some(due_at) = self.due_at() else { return false };
        let is_immediate = self.retry_at.is_none() && self.is_end_due();
        let earliest_start = due_at.saturating_sub(whole_ms(self.policy.interval));
        is_immediate || now_unix_ms >= due_at || now_unix_ms < earliest_start
    }

    /// Records that the pending commit was carried out.
    pub fn committed(&mut self) {
        let StoreState::Committing { to, update_unix_ms, expire_unix_ms } = self.store else {
            debug_assert!(false, "no commit is pending");
            return;
        };
        self.durable = to;
        (self.update_unix_ms, self.expire_unix_ms) = (update_unix_ms, expire_unix_ms);
        self.store = if to.complete { StoreState::Ended } else { StoreState::Idle };
    }

    /// Records that the pending commit failed, or that its result is unknown.
    pub fn refused(&mut self, error: StoreError, now_unix_ms: i64) -> NextStep {
        match error {
            StoreError::Unavailable(_) => self.retry_later(now_unix_ms),
            StoreError::Fenced { epoch } if epoch != self.epoch => self.end(self.fenced(epoch)),
            // `Fenced` with the same epoch: a commit of this writer was carried out, and its answer was lost.
            StoreError::Unknown(_) | StoreError::Fenced { .. } => {
                self.store = StoreState::Unknown;
                NextStep::Load
            }
            StoreError::NotFound => self.end(NextStep::Gone),
            error => self.end(NextStep::Lost(error)),
        }
    }

    /// Compares the stored checkpoint with the points of this writer, after [`NextStep::Load`].
    ///
    /// Stored points of this writer are durable, whichever commit has stored them. An earlier commit may still arrive
    /// at the store. The next commit continues from the same offset, so only the first of the two is carried out.
    pub fn reconcile(
        &mut self,
        loaded: Result<Option<Checkpoint>, StoreError>,
        now_unix_ms: i64,
    ) -> NextStep {
        let stored = match loaded {
            Ok(Some(stored)) => stored,
            Ok(None) => return self.end(NextStep::Gone),
            Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => return NextStep::Load,
            Err(error) => return self.end(NextStep::Lost(error)),
        };
        if stored.epoch != self.epoch {
            return self.end(self.fenced(stored.epoch));
        }
        let found = Progress { points: stored.committed_points(), complete: stored.complete };
        let is_ours = (self.durable.points..=self.accumulator.point_count())
            .contains(&found.points)
            && (self.is_ended || !found.complete);
        if found.points < self.durable.points {
            return self.end(gone_back());
        }
        if !is_ours {
            let message = format!(
                "it has {} points with the epoch of this writer, which has {} points, {} of them durable",
                found.points,
                self.accumulator.point_count(),
                self.durable.points
            );
            return self.end(NextStep::Lost(StoreError::Damaged(message.into())));
        }
        self.durable = found;
        (self.update_unix_ms, self.expire_unix_ms) = (stored.update_unix_ms, stored.expire_unix_ms);
        if found.complete {
            self.store = StoreState::Ended;
            return NextStep::Continue;
        }
        self.retry_later(now_unix_ms)
    }

    /// Returns the step after another epoch was found. Epochs grow, unless the store has lost its last transactions.
    fn fenced(&self, epoch: u64) -> NextStep {
        match epoch > self.epoch {
            true => NextStep::Fenced { epoch },
            false => gone_back(),
        }
    }

    fn retry_later(&mut self, now_unix_ms: i64) -> NextStep {
        self.store = StoreState::Idle;
        (self.dirty_since, self.retry_at) = (None, None);
        if !self.is_settled() {
            self.dirty_since = Some(now_unix_ms);
            self.retry_at = Some(now_unix_ms.saturating_add(whole_ms(self.policy.retry_pause())));
        }
        NextStep::Continue
    }

    fn end(&mut self, step: NextStep) -> NextStep {
        self.store = StoreState::Ended;
        step
    }

    /// Returns the progress that is durable or part of the pending commit.
    fn covered(&self) -> Progress {
        match self.store {
            StoreState::Committing { to, .. } => to,
            _ => self.durable,
        }
    }

    /// Returns the epoch of this writer.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the number of durable points.
    pub fn committed_points(&self) -> u64 {
        self.durable.points
    }

    /// Returns whether the recording is finished and its end is durable.
    pub fn is_complete(&self) -> bool {
        self.durable.complete
    }

    /// Returns whether all folded points are durable, and the end of the path if it is finished.
    pub fn is_settled(&self) -> bool {
        let all = Progress { points: self.accumulator.point_count(), complete: self.is_ended };
        self.durable == all
    }

    /// Returns whether this writer has ended. It then commits nothing more.
    pub fn is_over(&self) -> bool {
        self.store == StoreState::Ended
    }

    /// Returns whether a commit is pending or its result is unknown.
    pub fn is_committing(&self) -> bool {
        matches!(self.store, StoreState::Committing { .. } | StoreState::Unknown)
    }

    /// Returns when the first stream of the recording was opened.
    pub fn create_unix_ms(&self) -> i64 {
        self.create_unix_ms
    }

    /// Returns when the recording last changed, as far as it is durable.
    pub fn update_unix_ms(&self) -> i64 {
        self.update_unix_ms
    }

    /// Returns when the recording expires, as far as it is durable.
    pub fn expire_unix_ms(&self) -> i64 {
        self.expire_unix_ms
    }
}
