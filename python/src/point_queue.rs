//! The points between the caller of a recorder and its task, and the progress of the task.
//!
//! The queue is bounded. Every change that a caller may wait for increases a version: a caller reads the version,
//! checks what it waits for, and waits until the version differs.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio_stream::Stream;
use waywiser::Fix;
use waywiser::client::{RecordError, RecordEvent, Recorded};

/// Maximum number of points in the queue. The task moves as many at once.
const POINTS_MAX: usize = 16 << 10;
/// Maximum number of events that wait. Older ones are dropped.
const EVENTS_MAX: usize = 1024;

/// The queue and the progress of a recording.
pub(crate) struct PointQueue {
    state: Mutex<State>,
    changed: Condvar,
    /// The end of a socket pair whose other end an event loop of Python watches.
    #[cfg(unix)]
    wakeup: Option<std::os::unix::net::UnixStream>,
}

#[derive(Default)]
struct State {
    version: u64,
    points: VecDeque<Fix>,
    /// Whether a caller waits for space.
    is_full: bool,
    /// Whether no more points follow.
    is_ended: bool,
    sent_points: u64,
    committed_points: u64,
    events: VecDeque<RecordEvent>,
    outcome: Option<Result<Recorded, String>>,
    task: Option<Waker>,
}

/// The reason why a queue accepts no points.
pub(crate) enum PushError {
    /// The recording has failed.
    Failed(String),
    /// No more points follow, and the recording is not finished yet.
    Finishing,
    /// The recording is finished.
    Finished,
}

impl PointQueue {
    /// Creates a queue. If an event loop of Python uses it, also returns the file descriptor that becomes readable
    /// after each change.
    ///
    /// # Errors
    /// If the process has too many open files.
    #[cfg(unix)]
    pub(crate) fn new(has_wakeup_fd: bool) -> std::io::Result<(Arc<Self>, Option<i32>)> {
        use std::os::fd::IntoRawFd as _;
        use std::os::unix::net::UnixStream;
        let (wakeup, reader) = match has_wakeup_fd {
            false => (None, None),
            true => {
                let (wakeup, reader) = UnixStream::pair()?;
                wakeup.set_nonblocking(true)?;
                reader.set_nonblocking(true)?;
                (Some(wakeup), Some(reader.into_raw_fd()))
            }
        };
        Ok((Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), wakeup }), reader))
    }

    /// Creates a queue. There is no file descriptor for event loops on this system.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub(crate) fn new(_: bool) -> std::io::Result<(Arc<Self>, Option<i32>)> {
        Ok((Arc::new(Self { state: Mutex::default(), changed: Condvar::new() }), None))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it has the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, state: &mut State) {
        state.version += 1;
        self.changed.notify_all();
        #[cfg(unix)]
        if let Some(mut wakeup) = self.wakeup.as_ref() {
            // If the buffer is full, the event loop is woken already.
            let _ = std::io::Write::write(&mut wakeup, &[0]);
        }
    }

    /// Adds points from the start of a list while there is space. Returns their number.
    ///
    /// # Errors
    /// If the recording has failed, or no more points follow: the task may not read them.
    pub(crate) fn push(&self, points: &[Fix]) -> Result<usize, PushError> {
        let mut state = self.lock();
        match &state.outcome {
            Some(Err(message)) => return Err(PushError::Failed(message.clone())),
            Some(Ok(_)) => return Err(PushError::Finished),
            None if state.is_ended => return Err(PushError::Finishing),
            None => {}
        }
        let count = points.len().min(POINTS_MAX - state.points.len());
        state.is_full = count < points.len();
        state.points.extend(&points[..count]);
        state.sent_points += count as u64;
        let task = state.task.take();
        drop(state);
        task.into_iter().for_each(Waker::wake);
        Ok(count)
    }

    /// Declares that no more points follow.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.is_ended = true;
        let task = state.task.take();
        drop(state);
        task.into_iter().for_each(Waker::wake);
    }

    /// Adds an event of the task.
    pub(crate) fn add_event(&self, event: RecordEvent) {
        let mut state = self.lock();
        if let RecordEvent::Connected { committed_points }
        | RecordEvent::Committed { committed_points } = event
        {
            state.committed_points = committed_points;
        }
        if state.events.len() == EVENTS_MAX {
            state.events.pop_front();
        }
        state.events.push_back(event);
        self.change(&mut state);
    }

    /// Stores the outcome of the task, if it has none.
    pub(crate) fn set_outcome(&self, outcome: Result<Recorded, String>) {
        let mut state = self.lock();
        if state.outcome.is_none() {
            if let Ok(recorded) = &outcome {
                state.committed_points = recorded.point_count;
            }
            state.outcome = Some(outcome);
            self.change(&mut state);
        }
    }

    /// Waits until the version differs from `seen`, or for `timeout`.
    pub(crate) fn wait(&self, seen: u64, timeout: Duration) {
        let is_same = |state: &mut State| state.version == seen;
        // Without a result: the caller checks what it waits for.
        drop(self.changed.wait_timeout_while(self.lock(), timeout, is_same));
    }

    /// Returns the version.
    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    /// Returns the number of points that were added, and of those that are durable.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.sent_points, state.committed_points)
    }

    /// Returns the outcome, if the task has ended.
    pub(crate) fn outcome(&self) -> Option<Result<Recorded, String>> {
        self.lock().outcome.clone()
    }

    /// Removes the events.
    pub(crate) fn take_events(&self) -> VecDeque<RecordEvent> {
        std::mem::take(&mut self.lock().events)
    }
}

/// The points of a queue, for the task.
pub(crate) struct Points {
    queue: Arc<PointQueue>,
    batch: VecDeque<Fix>,
}

impl Points {
    pub(crate) fn of(queue: Arc<PointQueue>) -> Self {
        Self { queue, batch: VecDeque::new() }
    }
}

impl Stream for Points {
    type Item = Fix;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Fix>> {
        if let Some(point) = self.batch.pop_front() {
            return Poll::Ready(Some(point));
        }
        let Self { queue, batch } = &mut *self;
        let mut state = queue.lock();
        if state.points.is_empty() {
            if state.is_ended {
                return Poll::Ready(None);
            }
            state.task = Some(cx.waker().clone());
            return Poll::Pending;
        }
        std::mem::swap(&mut state.points, batch);
        if std::mem::take(&mut state.is_full) {
            queue.change(&mut state);
        }
        drop(state);
        Poll::Ready(self.batch.pop_front())
    }
}

/// Sets an outcome if the task ends without one: it was aborted, or has panicked.
pub(crate) struct TaskEnd(pub(crate) Arc<PointQueue>);

impl TaskEnd {
    /// Stores the outcome of the recording.
    pub(crate) fn finish(self, outcome: Result<Recorded, RecordError>) {
        self.0.set_outcome(outcome.map_err(|error| error.to_string()));
    }
}

impl Drop for TaskEnd {
    fn drop(&mut self) {
        self.0.set_outcome(Err("the recording was stopped".to_owned()));
    }
}
