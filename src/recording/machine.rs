//! The state machine of one writer of one recording. Between opening the recording and being told that it
//! is over, it is driven by whoever holds the stream; `mod.rs` has the rules.

use std::time::Duration;

use super::error::RecordingError;
use super::position::{Admitted, Position};
use crate::measure::PathAccumulator;
use crate::recording::{Checkpoint, CommitPrecondition, StoreError};

/// When a checkpoint falls due, and how long recordings are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointPolicy {
    /// This long after the first point that is not durable.
    pub interval: Duration,
    /// As soon as so many points are not durable, but not more often than 50 times a second.
    pub points: u64,
    /// How long after a commit the recording expires.
    pub retention: Duration,
}

impl Default for CheckpointPolicy {
    /// A second or 100 000 points; a week.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            points: 100_000,
            retention: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// A stream at full speed is not to spend its time on commits: each costs as much as some ten thousand points.
const COMMIT_PAUSE: Duration = Duration::from_millis(20);

impl CheckpointPolicy {
    /// The least time between two commits that are due by the number of points.
    fn commit_pause(&self) -> Duration {
        self.interval.min(COMMIT_PAUSE)
    }

    /// The pause before a commit is tried again that the store was not available for: the interval, but
    /// no more than a second, however seldom checkpoints are wanted.
    pub fn retry_pause(&self) -> Duration {
        self.interval.min(Duration::from_secs(1))
    }
}

/// What the store is to be asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// The conditions.
    pub precondition: CommitPrecondition,
    /// What is to be stored.
    pub checkpoint: Checkpoint,
}

/// What an answer of the store means for this writer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum NextStep {
    /// Go on: [`Recording::next_commit`] and [`Recording::due_at`] say how.
    GoOn,
    /// Load the checkpoint and hand it to [`Recording::reconcile`]; nothing is committed before.
    Load,
    /// A newer writer has taken over, under this epoch. This one is over.
    Fenced {
        /// The epoch that is stored.
        epoch: u64,
    },
    /// The recording was deleted or has expired. This writer is over.
    Gone,
    /// What is stored cannot be gone on with. This writer is over.
    Lost(StoreError),
}

/// One writer of one recording. All times are milliseconds since 1970-01-01T00:00:00Z by a clock of the
/// caller's; one that goes back makes a commit due and does no other harm.
#[derive(Clone, Debug)]
pub struct Recording {
    pace: CheckpointPolicy,
    epoch: u64,
    accumulator: PathAccumulator,
    position: Position,
    /// The sender has said that the path ends with the points that it has.
    has_end: bool,
    /// It does: the stream was closed after that.
    is_ended: bool,
    /// What the store has said that it has.
    durable: Mark,
    create_unix_ms: i64,
    update_unix_ms: i64,
    expire_unix_ms: i64,
    store: Store,
    /// When the first point was folded that neither the store nor a commit on its way has.
    dirty_since: Option<i64>,
    /// When the last commit was handed out.
    last_commit_at: Option<i64>,
    /// A commit was refused and may be tried again from then on.
    retry_at: Option<i64>,
}

/// How far a recording has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    points: u64,
    complete: bool,
}

/// What is known of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    /// It has been asked nothing that it has not answered.
    Idle,
    /// A commit is on its way.
    Committing { to: Mark, update_unix_ms: i64, expire_unix_ms: i64 },
    /// It may or may not have done a commit.
    Unknown,
    /// There is nothing more to ask.
    Over,
}

impl Recording {
    /// Goes on from a checkpoint as the store has opened it.
    pub fn resume(checkpoint: Checkpoint, pace: CheckpointPolicy) -> Self {
        let durable = Mark { points: checkpoint.committed_points(), complete: checkpoint.complete };
        Self {
            pace,
            epoch: checkpoint.epoch,
            position: Position::new(checkpoint.committed_points()),
            has_end: checkpoint.complete,
            is_ended: checkpoint.complete,
            durable,
            create_unix_ms: checkpoint.create_unix_ms,
            update_unix_ms: checkpoint.update_unix_ms,
            expire_unix_ms: checkpoint.expire_unix_ms,
            store: if checkpoint.complete { Store::Over } else { Store::Idle },
            accumulator: checkpoint.accumulator,
            dirty_since: None,
            last_commit_at: None,
            retry_at: None,
        }
    }

    /// Admits a message of `count` points and returns where they belong. The driver folds all but the skipped
    /// ones, in order. Without `write_offset` the message continues where the message before it ended.
    ///
    /// # Errors
    /// When the offset leaves out points, does not continue the stream, or is missing in the first message of a
    /// stream for a path that has points; and when the path ends before the last of the points.
    pub fn admit(
        &mut self,
        write_offset: Option<u64>,
        count: u64,
    ) -> Result<Admitted, RecordingError> {
        let committed_points = self.durable.points;
        let start = self.position.start(write_offset, committed_points)?;
        let point_count = self.position.point_count();
        // The largest offset is past every end.
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

    /// The offset at which the next message of the stream starts; 0 before the first message.
    pub fn next_offset(&self) -> u64 {
        self.position.next()
    }

    /// How many points the stream sent that were durable before it was opened.
    pub fn skipped_points(&self) -> u64 {
        self.position.skipped()
    }

    /// The fold.
    pub fn accumulator(&self) -> &PathAccumulator {
        &self.accumulator
    }

    /// The fold, for points that were admitted. Call [`Recording::folded`] afterwards, also when some of
    /// them could not be folded.
    pub fn accumulator_mut(&mut self) -> &mut PathAccumulator {
        &mut self.accumulator
    }

    /// Notes that points were folded.
    pub fn folded(&mut self, now_unix_ms: i64) {
        if self.accumulator.point_count() > self.covered().points {
            self.dirty_since.get_or_insert(now_unix_ms);
        }
    }

    /// Notes that the path ends with the last admitted message. Later points are refused. A stream that is lost
    /// after this does not finish the path; only [`Recording::finish`] does.
    ///
    /// # Errors
    /// When the path already has points after that message.
    pub fn end_here(&mut self) -> Result<(), RecordingError> {
        let (point_count, got) = (self.position.point_count(), self.position.next());
        if got < point_count {
            let committed_points = self.durable.points;
            return Err(RecordingError::EndsBefore { point_count, got, committed_points });
        }
        self.has_end = true;
        Ok(())
    }

    /// Whether the sender has said that the path ends with the points that it has.
    pub fn has_end(&self) -> bool {
        self.has_end
    }

    /// The path ends here; a commit that says so is due at once.
    pub fn finish(&mut self) {
        (self.has_end, self.is_ended) = (true, true);
    }

    /// Asks for the stored checkpoint to be compared, where this writer has nothing to commit and would not
    /// otherwise hear that another has taken over: load it and hand it to [`Recording::reconcile`]. `None` where
    /// a commit will tell, or nothing can change any more.
    #[must_use]
    pub fn verify(&mut self) -> Option<NextStep> {
        if self.store != Store::Idle || !self.is_settled() {
            return None;
        }
        self.store = Store::Unknown;
        Some(NextStep::Load)
    }

    /// The commit that is due, or that is forced because there is no later time for it. `None` when all is
    /// on its way or durable, when the store has to be asked something else first, and when this writer
    /// is over.
    ///
    /// Tell its outcome by [`Recording::committed`] or [`Recording::refused`]. A forced commit does not
    /// wait for a store that was not available: bound the number of tries.
    pub fn next_commit(&mut self, now_unix_ms: i64, force: bool) -> Option<Commit> {
        if self.store != Store::Idle || !(force || self.is_due(now_unix_ms)) {
            return None;
        }
        let to = Mark { points: self.accumulator.point_count(), complete: self.is_ended };
        if to == self.durable {
            return None;
        }
        let update_unix_ms = self.update_unix_ms.max(now_unix_ms);
        let expire_unix_ms =
            self.expire_unix_ms.max(update_unix_ms.saturating_add(whole_ms(self.pace.retention)));
        self.store = Store::Committing { to, update_unix_ms, expire_unix_ms };
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

    /// When [`Recording::next_commit`] will have one, if nothing else happens; it may be in the past.
    pub fn due_at(&self) -> Option<i64> {
        if self.store != Store::Idle {
            return None;
        }
        if self.retry_at.is_some() {
            return self.retry_at;
        }
        if self.is_end_due() {
            return Some(self.dirty_since.unwrap_or(self.update_unix_ms));
        }
        let since = self.dirty_since?;
        let by_time = since.saturating_add(whole_ms(self.pace.interval));
        let points = self.accumulator.point_count() - self.durable.points;
        if points < self.pace.points.max(1) {
            return Some(by_time);
        }
        let pause = whole_ms(self.pace.commit_pause());
        let by_points = self.last_commit_at.map_or(since, |last| last.saturating_add(pause));
        Some(by_points.min(by_time))
    }

    /// Whether the path has an end that is not durable.
    fn is_end_due(&self) -> bool {
        self.is_ended != self.durable.complete
    }

    fn is_due(&self, now_unix_ms: i64) -> bool {
        let Some(due_at) = self.due_at() else { return false };
        let is_at_once = self.retry_at.is_none() && self.is_end_due();
        let begun_at = due_at.saturating_sub(whole_ms(self.pace.interval));
        is_at_once || now_unix_ms >= due_at || now_unix_ms < begun_at
    }

    /// The commit was done.
    pub fn committed(&mut self) {
        let Store::Committing { to, update_unix_ms, expire_unix_ms } = self.store else {
            debug_assert!(false, "no commit was on its way");
            return;
        };
        self.durable = to;
        (self.update_unix_ms, self.expire_unix_ms) = (update_unix_ms, expire_unix_ms);
        self.store = if to.complete { Store::Over } else { Store::Idle };
    }

    /// The commit was refused, or nobody knows.
    pub fn refused(&mut self, error: StoreError, now_unix_ms: i64) -> NextStep {
        match error {
            StoreError::Unavailable(_) => self.try_again(now_unix_ms),
            // Under our own epoch no other writer commits: one of ours came through whose answer was lost.
            StoreError::Fenced { epoch } if epoch != self.epoch => {
                self.over(NextStep::Fenced { epoch })
            }
            StoreError::Unknown(_) | StoreError::Fenced { .. } => {
                self.store = Store::Unknown;
                NextStep::Load
            }
            StoreError::NotFound => self.over(NextStep::Gone),
            error => self.over(NextStep::Lost(error)),
        }
    }

    /// Compares with what the store has, after [`NextStep::Load`].
    ///
    /// Whatever of ours is stored is durable, whichever commit has brought it there. A commit that is
    /// still on its way to the store can do no harm either: the next one goes on from the same offset, so
    /// that of the two only the first is done.
    pub fn reconcile(
        &mut self,
        loaded: Result<Option<Checkpoint>, StoreError>,
        now_unix_ms: i64,
    ) -> NextStep {
        let stored = match loaded {
            Ok(Some(stored)) => stored,
            Ok(None) => return self.over(NextStep::Gone),
            Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => return NextStep::Load,
            Err(error) => return self.over(NextStep::Lost(error)),
        };
        if stored.epoch != self.epoch {
            return self.over(NextStep::Fenced { epoch: stored.epoch });
        }
        let found = Mark { points: stored.committed_points(), complete: stored.complete };
        let is_ours = (self.durable.points..=self.accumulator.point_count())
            .contains(&found.points)
            && (self.is_ended || !found.complete);
        if !is_ours {
            let message = format!(
                "the store has {} points under our epoch, of which {} were sent and {} durable",
                found.points,
                self.accumulator.point_count(),
                self.durable.points
            );
            return self.over(NextStep::Lost(StoreError::Damaged(message.into())));
        }
        self.durable = found;
        (self.update_unix_ms, self.expire_unix_ms) = (stored.update_unix_ms, stored.expire_unix_ms);
        if found.complete {
            self.store = Store::Over;
            return NextStep::GoOn;
        }
        self.try_again(now_unix_ms)
    }

    fn try_again(&mut self, now_unix_ms: i64) -> NextStep {
        self.store = Store::Idle;
        (self.dirty_since, self.retry_at) = (None, None);
        if !self.is_settled() {
            self.dirty_since = Some(now_unix_ms);
            self.retry_at = Some(now_unix_ms.saturating_add(whole_ms(self.pace.retry_pause())));
        }
        NextStep::GoOn
    }

    fn over(&mut self, verdict: NextStep) -> NextStep {
        self.store = Store::Over;
        verdict
    }

    /// What is durable or on its way to be.
    fn covered(&self) -> Mark {
        match self.store {
            Store::Committing { to, .. } => to,
            _ => self.durable,
        }
    }

    /// Under which this writer commits.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many points are durable.
    pub fn committed_points(&self) -> u64 {
        self.durable.points
    }

    /// Whether it is finished, durably.
    pub fn is_complete(&self) -> bool {
        self.durable.complete
    }

    /// Whether all that was folded is durable, and the end if it has one.
    pub fn is_settled(&self) -> bool {
        let all = Mark { points: self.accumulator.point_count(), complete: self.is_ended };
        self.durable == all
    }

    /// Whether there is nothing that this writer could still commit.
    pub fn is_over(&self) -> bool {
        self.store == Store::Over
    }

    /// Whether a commit is on its way or its outcome unknown.
    pub fn is_committing(&self) -> bool {
        matches!(self.store, Store::Committing { .. } | Store::Unknown)
    }

    /// When its first stream was opened.
    pub fn create_unix_ms(&self) -> i64 {
        self.create_unix_ms
    }

    /// When it last grew or was finished, durably.
    pub fn update_unix_ms(&self) -> i64 {
        self.update_unix_ms
    }

    /// From when on it may be deleted, as the store has it.
    pub fn expire_unix_ms(&self) -> i64 {
        self.expire_unix_ms
    }
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
