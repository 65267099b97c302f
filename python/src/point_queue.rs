//! The points between the caller of a recorder and its task, and the progress of the task.
//!
//! The queue limits the number of points that were accepted and are not durable, wherever they are: in the queue or in
//! the buffer of the task. The task reads the queue only while it has a connection. Every change that a caller may wait
//! for increases a version: a caller reads the version, checks what it waits for, and waits until the version differs.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::vec;

use tokio_stream::Stream;
use waywiser::Fix;
use waywiser::client::{RecordError, RecordEvent, Recorded};

use crate::messages;

/// Maximum number of points in a block of the queue. The task takes one block at once.
const BLOCK_POINTS: usize = 1024;
/// Maximum number of events that wait. Older ones are dropped.
const EVENTS_MAX: usize = 1024;

/// The queue and the progress of a recording.
pub(crate) struct PointQueue {
    state: Mutex<State>,
    /// Maximum number of points that are not durable.
    capacity: usize,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    version: u64,
    /// The points that the task has not taken. A block is freed when the task has read it.
    blocks: VecDeque<Vec<Fix>>,
    /// Whether a caller waits for space.
    is_full: bool,
    /// Whether a caller is adding the points of an array, which stay together.
    is_in_array: bool,
    /// Whether no more points follow.
    is_ended: bool,
    sent_points: u64,
    /// The number of points that the task has taken.
    taken_points: u64,
    /// The number of points that the task has taken and processed. Those that the server had already were compared.
    processed_points: u64,
    /// The number of points that the server had before the task took as many.
    stored_points: u64,
    /// The number of durable points, also those of an earlier recorder that the task has not compared yet.
    committed_points: u64,
    /// The number of points that a caller wants to be durable at once.
    flush_points: u64,
    events: VecDeque<RecordEvent>,
    outcome: Option<Result<Recorded, String>>,
    points_task: Option<Waker>,
    flush_task: Option<Waker>,
    /// The end of a socket pair whose other end an event loop of Python watches. It is closed with the task.
    #[cfg(unix)]
    wakeup: Option<std::os::unix::net::UnixStream>,
}

impl State {
    /// Returns the number of points that were accepted and are in memory.
    fn held_points(&self) -> u64 {
        self.sent_points - self.committed_points.min(self.taken_points)
    }
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
    /// after each change. `capacity` is the maximum number of points that are not durable.
    ///
    /// # Errors
    /// If the process has too many open files.
    #[cfg(unix)]
    pub(crate) fn new(
        capacity: usize,
        has_wakeup_fd: bool,
    ) -> std::io::Result<(Arc<Self>, Option<i32>)> {
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
        let state = Mutex::new(State { wakeup, ..State::default() });
        Ok((Arc::new(Self { state, capacity, changed: Condvar::new() }), reader))
    }

    /// Creates a queue. There is no file descriptor for event loops on this system.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub(crate) fn new(capacity: usize, _: bool) -> std::io::Result<(Arc<Self>, Option<i32>)> {
        Ok((Arc::new(Self { state: Mutex::default(), capacity, changed: Condvar::new() }), None))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it has the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, state: &mut State) {
        state.version += 1;
        self.changed.notify_all();
        #[cfg(unix)]
        if let Some(wakeup) = &mut state.wakeup {
            // If the buffer is full, the event loop is woken already.
            let _ = std::io::Write::write(wakeup, &[0]);
        }
    }

    /// Starts or ends an array. While a caller adds an array, no other points are added.
    pub(crate) fn set_in_array(&self, is_in_array: bool) {
        let mut state = self.lock();
        state.is_in_array = is_in_array;
        self.change(&mut state);
    }

    /// Adds one point. Returns whether it was added: there is space, and no array is being added.
    ///
    /// # Errors
    /// If the recording has failed, or no more points follow: the task may not read them.
    pub(crate) fn push_one(&self, point: Fix) -> Result<bool, PushError> {
        let state = self.lock();
        if state.is_in_array && state.outcome.is_none() {
            return Ok(false);
        }
        Ok(self.push_to(state, &[point])? == 1)
    }

    /// Adds points from the start of a list while there is space. Returns their number.
    ///
    /// # Errors
    /// If the recording has failed, or no more points follow: the task may not read them.
    pub(crate) fn push(&self, points: &[Fix]) -> Result<usize, PushError> {
        self.push_to(self.lock(), points)
    }

    fn push_to(
        &self,
        mut state: MutexGuard<'_, State>,
        points: &[Fix],
    ) -> Result<usize, PushError> {
        match &state.outcome {
            Some(Err(message)) => return Err(PushError::Failed(message.clone())),
            Some(Ok(_)) => return Err(PushError::Finished),
            None if state.is_ended => return Err(PushError::Finishing),
            None => {}
        }
        let held = usize::try_from(state.held_points()).unwrap_or(usize::MAX);
        let count = points.len().min(self.capacity.saturating_sub(held));
        let mut rest = &points[..count];
        while !rest.is_empty() {
            let block = match state.blocks.back_mut() {
                Some(last) if last.len() < BLOCK_POINTS => last,
                _ => {
                    state.blocks.push_back(Vec::new());
                    continue;
                }
            };
            let (first, others) = rest.split_at(rest.len().min(BLOCK_POINTS - block.len()));
            block.extend(first);
            rest = others;
        }
        state.sent_points += count as u64;
        let mut tasks = [state.points_task.take(), None];
        if count < points.len() {
            state.is_full = true;
            // A server commits once a second by default. The caller waits for less time.
            state.flush_points = state.sent_points;
            tasks[1] = state.flush_task.take();
        }
        drop(state);
        tasks.into_iter().flatten().for_each(Waker::wake);
        Ok(count)
    }

    /// Requests that the first `points` points become durable at once.
    pub(crate) fn flush(&self, points: u64) {
        let mut state = self.lock();
        state.flush_points = state.flush_points.max(points);
        let task = state.flush_task.take();
        drop(state);
        task.into_iter().for_each(Waker::wake);
    }

    /// Declares that no more points follow.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.is_ended = true;
        let task = state.points_task.take();
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
            if committed_points > state.taken_points {
                state.stored_points = committed_points;
            }
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
            #[cfg(unix)]
            drop(state.wakeup.take());
        }
    }

    /// Waits until the version differs from `seen`, or for `timeout`.
    pub(crate) fn wait(&self, seen: u64, timeout: Duration) {
        let is_same = |state: &mut State| state.version == seen;
        // Without a result: the caller checks what it waits for.
        drop(self.changed.wait_timeout_while(self.lock(), timeout, is_same));
    }

    /// Returns whether the first `points` points are durable. Points that the server had already were compared.
    pub(crate) fn is_durable(&self, points: u64) -> bool {
        let state = self.lock();
        let is_compared = points > state.stored_points || points <= state.processed_points;
        points <= state.committed_points && is_compared
    }

    /// Returns whether `end` was called.
    pub(crate) fn is_ended(&self) -> bool {
        self.lock().is_ended
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
    block: vec::IntoIter<Fix>,
}

impl Points {
    pub(crate) fn of(queue: Arc<PointQueue>) -> Self {
        Self { queue, block: Vec::new().into_iter() }
    }
}

impl Stream for Points {
    type Item = Fix;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Fix>> {
        let Self { queue, block } = &mut *self;
        if let Some(point) = block.next() {
            return Poll::Ready(Some(point));
        }
        let mut state = queue.lock();
        if state.processed_points < state.taken_points {
            // The task asks for the next point after it has processed the one before.
            let is_comparing = state.processed_points < state.stored_points;
            state.processed_points = state.taken_points;
            if is_comparing && state.flush_points > 0 {
                queue.change(&mut state);
            }
        }
        let Some(next) = state.blocks.pop_front() else {
            if state.is_ended {
                return Poll::Ready(None);
            }
            state.points_task = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.taken_points += next.len() as u64;
        if std::mem::take(&mut state.is_full) {
            queue.change(&mut state);
        }
        drop(state);
        *block = next.into_iter();
        Poll::Ready(block.next())
    }
}

/// The requests of a queue to make points durable, for the task.
pub(crate) struct Flushes {
    queue: Arc<PointQueue>,
    /// The number of points of the last request.
    points: u64,
}

impl Flushes {
    pub(crate) fn of(queue: Arc<PointQueue>) -> Self {
        Self { queue, points: 0 }
    }
}

impl Stream for Flushes {
    type Item = u64;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u64>> {
        let Self { queue, points } = &mut *self;
        let mut state = queue.lock();
        if state.flush_points > *points {
            *points = state.flush_points;
            return Poll::Ready(Some(*points));
        }
        state.flush_task = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Sets an outcome if the task ends without one: it was aborted, or has panicked.
pub(crate) struct TaskEnd(pub(crate) Arc<PointQueue>);

impl TaskEnd {
    /// Stores the outcome of the recording.
    pub(crate) fn finish(self, outcome: Result<Recorded, RecordError>) {
        let outcome = outcome.map_err(|error| messages::with_python_names(&error.to_string()));
        self.0.set_outcome(outcome);
    }
}

impl Drop for TaskEnd {
    fn drop(&mut self) {
        self.0.set_outcome(Err("the recording was stopped".to_owned()));
    }
}
