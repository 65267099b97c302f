//! A recording while a stream writes it. Folding continues during a commit, and folded points are committed
//! also if the stream is cut.
//!
//! The rules are those of [`Recording`]; this drives it with a clock, a timer and the store. It reads no
//! stream.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::shared::{Shared, late, unix_ms};
use super::writers::Writing;
use crate::measure::Options;
use crate::recording::{Checkpoint, OpenRequest, RecordingName, StoreError};
use crate::recording::{NextStep, Recording};
use crate::service::status::RpcError;

/// A recording under a stream. Dropped before it is settled, it commits what it has in a task of its own.
pub(super) struct Live {
    writer: Option<Writer>,
}

/// The recording, and what the store was asked.
struct Writer {
    shared: Arc<Shared>,
    name: RecordingName,
    recording: Recording,
    asked: Asked,
    /// No more points will come: whatever is not durable is due.
    is_last: bool,
    /// The store was not available, and is given time.
    is_retrying: bool,
    timer: Pin<Box<Sleep>>,
    /// What the timer is set for.
    due_at: Option<i64>,
    /// Excludes the recording from the sweeps for abandoned ones.
    _writing: Writing,
    /// The end of the server waits for this writer: hyper may drop the stream later than its connection.
    _token: TaskTrackerToken,
}

type Request<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

enum Asked {
    Nothing,
    Commit(Request<()>, Arc<Checkpoint>),
    Load(Request<Option<Checkpoint>>),
}

impl Live {
    /// Opens the recording, which fences all writers before.
    ///
    /// # Errors
    /// When the store cannot, or the options are not those it was begun with.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        name: RecordingName,
        options: Option<Options>,
    ) -> Result<Self, RpcError> {
        let now_unix_ms = unix_ms();
        let retention_ms = shared.pace.retention.as_millis().try_into().unwrap_or(i64::MAX);
        let opening = OpenRequest {
            options,
            now_unix_ms,
            expire_unix_ms: now_unix_ms.saturating_add(retention_ms),
        };
        let (token, writing) = (shared.commits.token(), shared.writers.enter(name.clone()));
        let checkpoint = shared.open(&name, opening).await?;
        shared.watchers.report_stored(&name, &Arc::new(checkpoint.clone()));
        let recording = Recording::resume(checkpoint, shared.pace);
        let writer = Writer {
            shared: Arc::clone(shared),
            name,
            recording,
            asked: Asked::Nothing,
            is_last: false,
            is_retrying: false,
            timer: Box::pin(sleep(Duration::ZERO)),
            due_at: None,
            _writing: writing,
            _token: token,
        };
        Ok(Self { writer: Some(writer) })
    }

    /// The recording, until it is settled.
    pub(super) fn recording(&mut self) -> Option<&mut Recording> {
        self.writer.as_mut().map(|writer| &mut writer.recording)
    }

    /// Waits until something has happened between the recording and the store; cancel-safe.
    ///
    /// # Errors
    /// When this writer is over.
    pub(super) async fn progress(&mut self) -> Result<(), RpcError> {
        let Some(writer) = &mut self.writer else { return std::future::pending().await };
        let outcome = unconstrained(poll_fn(|cx| writer.poll(cx))).await;
        if outcome.is_err() {
            // There is nothing that it could still commit.
            self.writer = None;
        }
        outcome
    }

    /// Commits all there is, if the store does so in time; what it does not is tried once more behind the stream.
    pub(super) async fn settle(&mut self) {
        if let Some(writer) = &mut self.writer
            && !(writer.recording.is_settled() || writer.recording.is_over())
            && let Err(error) = writer.settle().await
        {
            tracing::debug!(name = %writer.name, %error, "what came before an error was not committed");
        }
    }

    /// The stream was closed. Commits all there is, the end too if the sender has told it, and gives the
    /// recording; `None` if [`Live::progress`] has told before that this writer is over.
    ///
    /// # Errors
    /// When this writer is over, or the store does not answer in time.
    pub(super) async fn close(mut self) -> Result<Option<Recording>, RpcError> {
        // It stays where `drop` finds it until all is done: this future may be dropped, too.
        if let Some(writer) = &mut self.writer {
            if writer.recording.has_end() {
                writer.recording.finish();
            } else if let Some(verdict) = writer.recording.verify() {
                writer.follow(verdict, Duration::ZERO)?;
            }
            writer.settle().await?;
        }
        Ok(self.writer.take().map(|writer| writer.recording))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let Some(mut writer) = self.writer.take() else { return };
        if writer.recording.is_settled() || writer.recording.is_over() {
            return;
        }
        let commits = writer.shared.commits.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            commits.spawn_on(
                async move {
                    if let Err(error) = writer.settle().await {
                        tracing::debug!(name = %writer.name, %error, "the rest of a cut stream was not committed");
                    }
                },
                &runtime,
            );
        }
    }
}

impl Writer {
    async fn settle(&mut self) -> Result<(), RpcError> {
        self.is_last = true;
        let store_time = self.shared.store_time;
        let settled = async {
            while !self.recording.is_settled() || self.recording.is_committing() {
                unconstrained(poll_fn(|cx| self.poll(cx))).await?;
            }
            Ok(())
        };
        match timeout(store_time, settled).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let text = late(store_time);
                Err(self.error(match self.recording.is_committing() {
                    true => StoreError::Unknown(text.into()),
                    false => StoreError::Unavailable(text.into()),
                }))
            }
        }
    }

    /// Ready when a request was answered, and with an error when this writer is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RpcError>> {
        loop {
            match &mut self.asked {
                Asked::Commit(request, checkpoint) => {
                    let outcome = ready!(request.as_mut().poll(cx));
                    let checkpoint = Arc::clone(checkpoint);
                    self.asked = Asked::Nothing;
                    self.is_retrying = outcome.is_err();
                    let Err(error) = outcome else {
                        self.recording.committed();
                        self.shared.watchers.report_stored(&self.name, &checkpoint);
                        return Poll::Ready(Ok(()));
                    };
                    if matches!(error, StoreError::Unavailable(_) | StoreError::Unknown(_)) {
                        tracing::warn!(name = %self.name, %error, "a commit failed and will be tried again");
                    }
                    let verdict = self.recording.refused(error, unix_ms());
                    return Poll::Ready(self.follow(verdict, Duration::ZERO));
                }
                Asked::Load(request) => {
                    let loaded = ready!(request.as_mut().poll(cx));
                    self.asked = Asked::Nothing;
                    let found = loaded.as_ref().ok().and_then(Option::as_ref).cloned();
                    let verdict = self.recording.reconcile(loaded, unix_ms());
                    if let (NextStep::Continue, Some(found)) = (&verdict, found) {
                        self.shared.watchers.report_stored(&self.name, &Arc::new(found));
                    }
                    self.is_retrying &= !self.recording.is_settled();
                    return Poll::Ready(self.follow(verdict, self.shared.pace.retry_pause()));
                }
                Asked::Nothing => {}
            }
            let now_unix_ms = unix_ms();
            let force = self.is_last && !self.is_retrying;
            if let Some(commit) = self.recording.next_commit(now_unix_ms, force) {
                let checkpoint = Arc::new(commit.checkpoint.clone());
                let (store, name) = (Arc::clone(&self.shared.store), self.name.clone());
                let request = answered(self.shared.store_time, async move {
                    store.commit(name, commit.precondition, commit.checkpoint).await
                });
                self.asked = Asked::Commit(request, checkpoint);
                continue;
            }
            let Some(due_at) = self.recording.due_at() else { return Poll::Pending };
            if self.due_at != Some(due_at) {
                self.due_at = Some(due_at);
                let wait = u64::try_from(due_at.saturating_sub(now_unix_ms)).unwrap_or_default();
                self.timer.as_mut().reset(Instant::now() + Duration::from_millis(wait));
            }
            ready!(self.timer.as_mut().poll(cx));
            // The clock may be a little behind the timer.
            self.due_at = None;
        }
    }

    fn follow(&mut self, verdict: NextStep, pause: Duration) -> Result<(), RpcError> {
        match verdict {
            NextStep::Continue => Ok(()),
            NextStep::Load => {
                let (store, name) = (Arc::clone(&self.shared.store), self.name.clone());
                self.asked = Asked::Load(answered(self.shared.store_time + pause, async move {
                    sleep(pause).await;
                    store.load(name).await
                }));
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

/// What the store answers, or that nobody knows when it does not in time: the conditions of the next request
/// make one harmless that is done late.
fn answered<T: Send + 'static>(
    time: Duration,
    request: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Request<T> {
    Box::pin(async move {
        let unknown = |_| Err(StoreError::Unknown(late(time).into()));
        timeout(time, request).await.unwrap_or_else(unknown)
    })
}

#[cfg(test)]
mod tests;
