//! The writers of AppendPoints: a task for each recording, which adds the points of all requests that wait, and commits
//! them together.
//!
//! An appender is the writer of its recording, like a stream of RecordPath. If another writer takes over, or the recording
//! is deleted, it opens the recording again and adds the points again: the recording drops the duplicates.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::append_queue::{Append, AppendMessage, IdleBytes, Opening};
use super::point_buffer::PointBuffer;
use super::recording_writer::RecordingWriter;
use super::scope::PathName;
use super::shared::Shared;
use crate::measure::{Options, PathAccumulator};
use crate::recording::{Recording, StoreError};
use crate::service::memory_budget::MemoryCharge;
use crate::service::status::RpcError;
use crate::service::violation::FieldViolation;
use crate::service::work::{Step, Work};
use crate::service::{CallLoad, Progress};
use crate::wire::MessageView;

/// Maximum number of requests that wait for one recording, and that share a commit.
const QUEUE_MAX: usize = 64;
/// An appender without requests keeps its recording open for this time. The next request then needs one transaction of the
/// store, not two.
const IDLE_TIME: Duration = Duration::from_secs(10);
/// While more recordings than this are open, none stays open without requests.
const IDLE_MAX: usize = 1024;
/// The part of the memory budget for recordings without requests, if it is for fewer than [`IDLE_MAX`].
const IDLE_BUDGET_PART: u64 = 16;
/// The bytes of a recording without windows, estimated: its task, its queue and its writer. They are charged to the memory
/// budget, with those of the path.
const APPENDER_BYTES: u64 = 12 * 1024;
/// Number of times that the points are added again, after another writer has taken over.
const ATTEMPTS: u32 = 6;
/// The pause before the second attempt. Each later one is twice as long.
const PAUSE: Duration = Duration::from_millis(20);

/// Passes a request to the appender of its recording, and starts it if necessary.
///
/// # Errors
/// If too many requests wait for the recording, or the memory budget is used up.
pub(super) fn append(
    shared: &Arc<Shared>,
    name: &PathName,
    append: Append,
) -> Result<(), RpcError> {
    let mut queues = shared.appenders.queues();
    let append = match queues.get(&name.stored) {
        None => append,
        Some(queue) => match queue.try_send(append) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(_)) => {
                return Err(RpcError::QueueFull { name: name.to_string() });
            }
            // Its task was cancelled, together with its runtime.
            Err(TrySendError::Closed(append)) => append,
        },
    };
    let charge = MemoryCharge::try_new(&shared.memory, APPENDER_BYTES);
    let charge = charge.ok_or(RpcError::Overloaded)?;
    let (sender, queue) = mpsc::channel(QUEUE_MAX);
    queues.insert(name.stored.clone(), sender);
    drop(queues);
    let appender = Appender {
        shared: Arc::clone(shared),
        // Each call replaces the name in errors by the one that its caller uses.
        name: name.clone(),
        queue,
        end_idle: shared.appenders.ends(),
        writer: None,
        waiting: vec![append],
        charge,
        idle: None,
    };
    shared.commits.spawn(appender.run());
    Ok(())
}

/// The writer of a recording for all its requests.
struct Appender {
    shared: Arc<Shared>,
    name: PathName,
    queue: mpsc::Receiver<Append>,
    end_idle: watch::Receiver<()>,
    /// `None` before the recording was opened, and after the writer has ended.
    writer: Option<RecordingWriter>,
    /// The requests of the next commit.
    waiting: Vec<Append>,
    charge: MemoryCharge,
    /// `Some` without requests. An appender that ends drops it after its charge.
    idle: Option<IdleBytes>,
}

/// Why no points were committed.
enum Failure {
    /// Another writer has taken over, or the recording was removed or created meanwhile. Another attempt can succeed.
    Replaced(RpcError),
    /// All requests fail with the same error.
    Failed(RpcError),
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        match &error {
            RpcError::Deleted { .. }
            | RpcError::Store {
                error: StoreError::Fenced { .. } | StoreError::NotFound | StoreError::OptionsDiffer,
                ..
            } => Self::Replaced(error),
            _ => Self::Failed(error),
        }
    }
}

impl Appender {
    async fn run(mut self) {
        while !self.waiting.is_empty() || self.receive().await {
            while self.waiting.len() < QUEUE_MAX
                && let Ok(append) = self.queue.try_recv()
            {
                self.waiting.push(append);
            }
            let result = self.append_waiting().await;
            self.update_charge();
            for append in self.waiting.drain(..) {
                // The call may have ended.
                let _ = append.answer.send(result.clone());
            }
        }
    }

    /// Waits for a request. Returns false after the appender was removed, because no request waits.
    async fn receive(&mut self) -> bool {
        let most = self.shared.memory.limit() / IDLE_BUDGET_PART / APPENDER_BYTES;
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(IDLE_MAX);
        let is_crowded = self.shared.appenders.queues().len() > most;
        let idle_time = if is_crowded { Duration::ZERO } else { IDLE_TIME };
        self.idle = Some(self.shared.appenders.idle(self.charge.bytes()));
        tokio::select! {
            biased;
            Some(append) = self.queue.recv() => {
                self.idle = None;
                self.waiting.push(append);
                return true;
            }
            _ = self.end_idle.changed() => {}
            () = sleep(idle_time) => {}
        }
        let mut queues = self.shared.appenders.queues();
        // Requests enter the queue under the same lock, so none is lost.
        match self.queue.try_recv() {
            Ok(append) => {
                self.idle = None;
                self.waiting.push(append);
                true
            }
            Err(_) => {
                queues.remove(&self.name.stored);
                false
            }
        }
    }

    /// Adds the points of the requests and commits them. Returns the number of durable points.
    async fn append_waiting(&mut self) -> Result<u64, RpcError> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let error = match self.try_append().await {
                Ok(committed_points) => return Ok(committed_points),
                Err(Failure::Replaced(error)) if attempt < ATTEMPTS => error,
                Err(Failure::Replaced(error) | Failure::Failed(error)) => {
                    // The next request finds out what is stored.
                    self.writer = None;
                    return Err(error);
                }
            };
            tracing::debug!(name = %self.name.stored, %error, "points are added again");
            self.writer = None;
            // Two servers that take the recording from each other do not wait for the same time.
            sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause *= 2;
        }
        Ok(0)
    }

    /// Charges what the recording holds: its path, and the checkpoint of a commit.
    fn update_charge(&mut self) {
        let path = self.writer.as_ref().map_or(0, RecordingWriter::heap_bytes);
        self.charge.set(APPENDER_BYTES + 2 * path as u64);
    }

    async fn try_append(&mut self) -> Result<u64, Failure> {
        self.open().await?;
        self.update_charge();
        let Some(writer) = &mut self.writer else { return Ok(0) };
        let mut added = Vec::with_capacity(self.waiting.len());
        let mut work = Work::default();
        for append in self.waiting.drain(..) {
            // Without a message its call has ended.
            let Some(message) = append.message.upgrade() else { continue };
            let progress: Arc<Progress> = Arc::default();
            work.continue_for(Arc::clone(&progress));
            let load = append.load.as_ref().map(|share| share.begin(Arc::clone(&progress)));
            let result = in_load(load, add(writer, &message, &mut work, &progress)).await;
            // The requests of a batch share the time slice, and each is charged only for its own work.
            work.continue_for(Arc::default());
            work.pause_if_spent().await;
            match result {
                Ok(()) => added.push(append),
                Err(error) => {
                    let _ = append.answer.send(Err(error));
                }
            }
        }
        self.waiting = added;
        Ok(writer.commit().await?)
    }

    /// Opens the recording for the first request that can open it. The others fail. Without requests nothing is opened.
    async fn open(&mut self) -> Result<(), Failure> {
        self.waiting.retain(|append| !append.answer.is_closed());
        while self.writer.is_none()
            && let Some(first) = self.waiting.first()
        {
            match open(&self.shared, &self.name, &first.opening).await {
                Ok(writer) => self.writer = Some(writer),
                Err(
                    error @ (RpcError::CreationRate { .. }
                    | RpcError::Store { error: StoreError::NamespaceFull(_), .. }),
                ) => {
                    let _ = self.waiting.remove(0).answer.send(Err(error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Opens a recording, or creates it.
///
/// # Errors
/// If the recording cannot be opened, is finished, or does not drop duplicates. The last two do not end its writer.
async fn open(
    shared: &Arc<Shared>,
    name: &PathName,
    opening: &Opening,
) -> Result<RecordingWriter, RpcError> {
    let Opening { options, max_recordings, creations } = opening;
    if let Some(stored) = shared.stored(name).await? {
        let options = *stored.accumulator.options();
        check_stored(name, &options)?;
        let mut recording = Recording::resume(stored, shared.policy);
        recording.admit(Some(recording.committed_points()), 1)?;
        // With its own options a recording that is removed now is created as it was.
        return RecordingWriter::open(shared, name.clone(), Some(options), *max_recordings).await;
    }
    let reservation = creations.as_ref().map(|creations| (creations.reserve(), creations));
    if let Some((None, creations)) = &reservation {
        let per_minute = creations.per_minute();
        return Err(RpcError::CreationRate { name: name.to_string(), per_minute });
    }
    let mut writer =
        RecordingWriter::open(shared, name.clone(), Some(*options), *max_recordings).await?;
    let is_new = |recording: &mut Recording| recording.committed_points() == 0;
    if let Some((Some(reservation), _)) = reservation
        && writer.recording().is_some_and(is_new)
    {
        reservation.keep();
    }
    Ok(writer)
}

/// Checks the options of a recording that exists.
fn check_stored(name: &PathName, options: &Options) -> Result<(), RpcError> {
    if options.drop_duplicates() {
        return Ok(());
    }
    let text =
        "it is not set in the recording, so that a request that is sent again would count twice";
    let violations = vec![FieldViolation::new("options.drop_duplicates", text)];
    Err(RpcError::OptionsDiffer { name: name.to_string(), violations })
}

/// Adds the points of a request as a part of its call in the load of the server.
///
/// # Errors
/// The error of the request, and that of a server with too much load.
async fn in_load(
    load: Option<CallLoad>,
    add: impl Future<Output = Result<(), RpcError>>,
) -> Result<(), RpcError> {
    let Some(mut load) = load else { return add.await };
    let mut add = pin!(add);
    let result = poll_fn(|cx| match load.poll(|| add.as_mut().poll(cx)) {
        Poll::Pending if load.is_refused() => Poll::Ready(Err(RpcError::Busy)),
        result => result,
    })
    .await;
    if result.is_ok() {
        load.complete();
    }
    result
}

/// Adds the points of a request to the recording, or none of them.
///
/// # Errors
/// If a point is not valid or a total is out of range.
async fn add(
    writer: &mut RecordingWriter,
    message: &AppendMessage,
    work: &mut Work,
    progress: &Progress,
) -> Result<(), RpcError> {
    let ended = || RpcError::ShuttingDown { point_count: 0 };
    let view = message.view().ok_or_else(ended)?;
    let samples = writer.samples();
    let recording = writer.recording().ok_or_else(ended)?;
    // An error leaves the recording as it is.
    let before = recording.accumulator().point_count();
    let mut checked = recording.accumulator().clone();
    let mut buffer = PointBuffer::default();
    add_all(&mut buffer, &mut checked, &view, work).await?;
    buffer.flush(&mut checked, work)?;
    work.pause_if_spent().await;

    recording.admit(Some(before), checked.point_count() - before)?;
    // A call that was refused from here on would have an effect.
    progress.keep();
    let mut buffer = PointBuffer::sampled(samples);
    add_all(&mut buffer, recording.accumulator_mut(), &view, work).await?;
    writer.fold(&mut buffer, work)?;
    work.report();
    Ok(())
}

/// Adds the points of a message. Some may still be in the buffer afterwards.
///
/// # Errors
/// At the first point that is not valid.
async fn add_all(
    buffer: &mut PointBuffer,
    accumulator: &mut PathAccumulator,
    view: &MessageView<'_>,
    work: &mut Work,
) -> Result<(), RpcError> {
    let mut adder = buffer.begin(accumulator, view, 0)?;
    while buffer.add(accumulator, &mut adder, work)? == Step::Spent {
        work.pause().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
