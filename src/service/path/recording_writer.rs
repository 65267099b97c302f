//! A recording while a stream writes it. Folding continues during a commit, and the points of a stream that is cut are
//! committed, too.
//!
//! [`Recording`] defines the rules; this file drives it with a clock, a timer and the store. It reads no stream.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::point_buffer::PointBuffer;
use super::recent::{Sampler, Samples};
use super::scope::PathName;
use super::shared::{Shared, unix_ms};
use super::sweep;
use super::writers::Writing;
use crate::measure::Options;
use crate::recording::{Checkpoint, NextStep, OpenRequest, Recording, StoreError};
use crate::service::status::RpcError;
use crate::service::work::Work;

/// The recording that a stream writes. If it is dropped before all points are durable, a task of its own commits them.
pub(super) struct RecordingWriter {
    /// `None` after the writer has ended.
    session: Option<Session>,
}

/// The recording and its pending request to the store.
struct Session {
    shared: Arc<Shared>,
    name: PathName,
    recording: Recording,
    sampler: Sampler,
    pending: Pending,
    /// No more points follow, so all that are not durable are due.
    is_last: bool,
    /// A commit failed, so the next one waits for a pause.
    is_retrying: bool,
    timer: Pin<Box<Sleep>>,
    /// The time for which the timer is set.
    due_at: Option<i64>,
    /// Excludes the recording from the sweeps for abandoned ones.
    _writing: Writing,
    /// Makes the shutdown of the server wait: a stream may be dropped later than its connection.
    _token: TaskTrackerToken,
}

type Request<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// A request that the store has not answered.
enum Pending {
    Nothing,
    Commit(Request<()>, Arc<Checkpoint>),
    Load(Request<Option<Checkpoint>>),
}

impl RecordingWriter {
    /// Opens the recording, which fences all earlier writers.
    ///
    /// # Errors
    /// If the store fails, or the options differ from those of the recording.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        name: PathName,
        options: Option<Options>,
        max_in_namespace: Option<u64>,
    ) -> Result<Self, RpcError> {
        let now_unix_ms = unix_ms();
        let retention_ms = shared.policy.retention.as_millis().try_into().unwrap_or(i64::MAX);
        let request = OpenRequest {
            options,
            now_unix_ms,
            expire_unix_ms: now_unix_ms.saturating_add(retention_ms),
            max_in_namespace,
        };
        let (token, writing) = (shared.commits.token(), shared.writers.enter(name.stored.clone()));
        let checkpoint = sweep::open(shared, &name, request).await?;
        shared.recent.opened(&name.stored, &checkpoint);
        shared.watchers.report_stored(&name.stored, &Arc::new(checkpoint.clone()));
        let recording = Recording::resume(checkpoint, shared.policy);
        let session = Session {
            shared: Arc::clone(shared),
            name,
            recording,
            sampler: Sampler::default(),
            pending: Pending::Nothing,
            is_last: false,
            is_retrying: false,
            timer: Box::pin(sleep(Duration::ZERO)),
            due_at: None,
            _writing: writing,
            _token: token,
        };
        Ok(Self { session: Some(session) })
    }

    /// Returns the recording, until the writer has ended.
    #[inline]
    pub(super) fn recording(&mut self) -> Option<&mut Recording> {
        self.session.as_mut().map(|session| &mut session.recording)
    }

    /// Returns an empty list for the samples of the points that are folded next.
    pub(super) fn samples(&mut self) -> Samples {
        let session = self.session.as_mut();
        session.map_or_else(|| Samples::new(0), |session| session.sampler.samples(unix_ms()))
    }

    /// Folds the points in the buffer, takes samples of them, and records the time in the recording.
    ///
    /// # Errors
    /// If a total is out of range.
    pub(super) fn fold(
        &mut self,
        buffer: &mut PointBuffer,
        work: &mut Work,
    ) -> Result<(), RpcError> {
        let Some(Session { recording, sampler, .. }) = &mut self.session else { return Ok(()) };
        let now_unix_ms = unix_ms();
        buffer.take_samples(sampler, recording.accumulator().point_count(), now_unix_ms);
        let result = buffer.flush(recording.accumulator_mut(), work);
        if result.is_err() {
            sampler.discard_from(recording.accumulator().point_count());
        }
        recording.folded(now_unix_ms);
        result
    }

    /// Returns the number of bytes of the path and of the samples that are not durable, in addition to their own sizes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.session.as_ref().map_or(0, |Session { recording, sampler, .. }| {
            recording.accumulator().heap_bytes() + sampler.heap_bytes()
        })
    }

    /// Waits for the next answer of the store. Never completes after the writer has ended. Cancel-safe.
    ///
    /// # Errors
    /// If the writer has ended: it was fenced, or the recording was deleted or lost.
    pub(super) async fn progress(&mut self) -> Result<(), RpcError> {
        let Some(session) = &mut self.session else { return std::future::pending().await };
        let result = unconstrained(poll_fn(|cx| session.poll(cx))).await;
        if result.is_err() {
            // The session can commit nothing any more.
            self.session = None;
        }
        result
    }

    /// Commits all points, within the time limit of the store. The task that follows the drop tries the rest again.
    pub(super) async fn flush(&mut self) {
        if let Some(session) = &mut self.session
            && !(session.recording.is_settled() || session.recording.is_over())
            && let Err(error) = session.flush().await
        {
            tracing::debug!(name = %session.name.stored, %error, "points before an error were not committed");
        }
    }

    /// Commits all points, and keeps the recording open. Returns the number of durable points.
    ///
    /// # Errors
    /// If the writer has ended, or the store does not answer in time.
    pub(super) async fn commit(&mut self) -> Result<u64, RpcError> {
        let Some(session) = &mut self.session else {
            return Err(RpcError::ShuttingDown { point_count: 0 });
        };
        session.flush().await?;
        Ok(session.recording.committed_points())
    }

    /// Commits all points of a stream that was closed, and the end of the recording if the client has set it. Returns
    /// the recording, or `None` if [`RecordingWriter::progress`] has already returned an error.
    ///
    /// # Errors
    /// If the writer has ended, or the store does not answer in time.
    pub(super) async fn close(mut self) -> Result<Option<Recording>, RpcError> {
        // The session stays in place until all is done, so that `drop` commits it if this future is dropped.
        if let Some(session) = &mut self.session {
            if session.recording.has_end() {
                session.recording.finish();
            } else if let Some(step) = session.recording.verify() {
                session.apply(step, Duration::ZERO)?;
            }
            session.flush().await?;
        }
        Ok(self.session.take().map(|session| session.recording))
    }
}

impl Drop for RecordingWriter {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        if session.recording.is_settled() || session.recording.is_over() {
            return;
        }
        let commits = session.shared.commits.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            commits.spawn_on(
                async move {
                    if let Err(error) = session.flush().await {
                        tracing::debug!(name = %session.name.stored, %error, "the last points of a cut stream were not committed");
                    }
                },
                &runtime,
            );
        }
    }
}

impl Session {
    async fn flush(&mut self) -> Result<(), RpcError> {
        self.is_last = true;
        let timeout = self.shared.store_timeout;
        let flushed = async {
            while !self.recording.is_settled() || self.recording.is_committing() {
                unconstrained(poll_fn(|cx| self.poll(cx))).await?;
            }
            Ok(())
        };
        match timeout.limit(flushed).await {
            Ok(result) => result,
            Err(late) => Err(self.error(match self.recording.is_committing() {
                true => StoreError::Unknown(late.to_string().into()),
                false => StoreError::Unavailable(late.to_string().into()),
            })),
        }
    }

    /// Completes when the store has answered a request, and with an error if the writer has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RpcError>> {
        loop {
            match &mut self.pending {
                Pending::Commit(request, checkpoint) => {
                    let result = ready!(request.as_mut().poll(cx));
                    let checkpoint = Arc::clone(checkpoint);
                    self.pending = Pending::Nothing;
                    self.is_retrying = result.is_err();
                    let Err(error) = result else {
                        self.recording.committed();
                        self.report_stored(&checkpoint);
                        return Poll::Ready(Ok(()));
                    };
                    if matches!(error, StoreError::Unavailable(_) | StoreError::Unknown(_)) {
                        tracing::warn!(name = %self.name.stored, %error, "a commit failed and will be retried");
                    }
                    let step = self.recording.refused(error, unix_ms());
                    return Poll::Ready(self.apply(step, Duration::ZERO));
                }
                Pending::Load(request) => {
                    let loaded = ready!(request.as_mut().poll(cx));
                    self.pending = Pending::Nothing;
                    let found = loaded.as_ref().ok().and_then(Option::as_ref).cloned();
                    let step = self.recording.reconcile(loaded, unix_ms());
                    if let (NextStep::Continue, Some(found)) = (&step, found) {
                        self.report_stored(&Arc::new(found));
                    }
                    self.is_retrying &= !self.recording.is_settled();
                    return Poll::Ready(self.apply(step, self.shared.policy.retry_pause()));
                }
                Pending::Nothing => {}
            }
            let now_unix_ms = unix_ms();
            let force = self.is_last && !self.is_retrying;
            if let Some(commit) = self.recording.next_commit(now_unix_ms, force) {
                let checkpoint = Arc::new(commit.checkpoint.clone());
                let (store, name) = (Arc::clone(&self.shared.store), self.name.stored.clone());
                // A commit that is done after the timeout is harmless: the next request has a precondition.
                let request = self.shared.store_timeout.call(async move {
                    store.commit(name, commit.precondition, commit.checkpoint).await
                });
                self.pending = Pending::Commit(Box::pin(request), checkpoint);
                continue;
            }
            let Some(due_at) = self.recording.due_at() else { return Poll::Pending };
            if self.due_at != Some(due_at) {
                self.due_at = Some(due_at);
                let wait = u64::try_from(due_at.saturating_sub(now_unix_ms)).unwrap_or_default();
                self.timer.as_mut().reset(Instant::now() + Duration::from_millis(wait));
            }
            ready!(self.timer.as_mut().poll(cx));
            // The system clock may be some milliseconds earlier than the timer, so the timer is set again.
            self.due_at = None;
        }
    }

    /// Reports a durable checkpoint of this writer, with its recent points.
    fn report_stored(&mut self, checkpoint: &Arc<Checkpoint>) {
        let Self { shared, name, sampler, .. } = self;
        let points = sampler.take_durable(checkpoint.committed_points());
        // Watchers that receive the checkpoint find the points.
        shared.recent.add(&name.stored, checkpoint, points);
        shared.watchers.report_stored(&name.stored, checkpoint);
    }

    /// Performs the next step of the recording, a load after `pause`.
    ///
    /// # Errors
    /// If the writer has ended.
    fn apply(&mut self, step: NextStep, pause: Duration) -> Result<(), RpcError> {
        match step {
            NextStep::Continue => Ok(()),
            NextStep::Load => {
                let (store, name) = (Arc::clone(&self.shared.store), self.name.stored.clone());
                let request = self.shared.store_timeout.plus(pause).call(async move {
                    sleep(pause).await;
                    store.load(name).await
                });
                self.pending = Pending::Load(Box::pin(request));
                Ok(())
            }
            NextStep::Fenced { epoch } => Err(self.error(StoreError::Fenced { epoch })),
            NextStep::Gone => Err(RpcError::Deleted { name: self.name.to_string() }),
            NextStep::Lost(error) => Err(self.error(error)),
        }
    }

    fn error(&self, error: StoreError) -> RpcError {
        let committed_points = Some(self.recording.committed_points());
        RpcError::Store { name: self.name.to_string(), error, committed_points }
    }
}

#[cfg(test)]
mod tests;
