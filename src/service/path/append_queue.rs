//! The requests of AppendPoints that wait, and the queues of the appenders.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{mpsc, oneshot, watch};

use super::request::PathRequest as _;
use crate::measure::Options;
use crate::proto::waywiser_v1 as pb;
use crate::recording::RecordingName;
use crate::service::status::RpcError;
use crate::service::{Creations, LoadShare};
use crate::wire::MessageView;

/// The canonical bytes of a request.
#[derive(Debug)]
pub(super) struct AppendMessage(Vec<u8>);

impl AppendMessage {
    /// Returns a message of these bytes, which are canonical.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the fields. `None` is not possible, because the bytes were parsed before.
    pub(super) fn view(&self) -> Option<MessageView<'_>> {
        MessageView::parse(&self.0, &pb::AppendPointsRequest::FIELDS)
    }
}

/// A request that waits for its answer.
pub(super) struct Append {
    /// The call owns the message. If it ends early, its points are not added.
    pub message: Weak<AppendMessage>,
    pub opening: Opening,
    /// The part of the call in the load of the server, to which the work counts.
    pub load: Option<LoadShare>,
    /// Receives the number of durable points of the recording.
    pub answer: oneshot::Sender<Result<u64, RpcError>>,
}

/// How a request opens its recording.
pub(super) struct Opening {
    /// The options of a new recording.
    pub options: Options,
    /// The maximum number of recordings in the namespace.
    pub max_recordings: Option<u64>,
    /// The limit on new recordings of the caller. Without it there is no limit.
    pub creations: Option<Creations>,
}

/// The appenders of this server.
pub(super) struct Appenders {
    queues: Mutex<HashMap<RecordingName, mpsc::Sender<Append>>>,
    /// A new value ends the appenders that have no requests.
    end_idle: watch::Sender<()>,
    /// The bytes of the appenders that have no requests.
    idle_bytes: Arc<AtomicU64>,
}

impl Default for Appenders {
    fn default() -> Self {
        Self {
            queues: Mutex::default(),
            end_idle: watch::Sender::new(()),
            idle_bytes: Arc::default(),
        }
    }
}

impl Appenders {
    /// Returns a receiver that changes at each call of [`Appenders::end_idle`] from now on.
    pub(super) fn ends(&self) -> watch::Receiver<()> {
        self.end_idle.subscribe()
    }

    /// Ends the appenders without requests, and later each one that has answered its requests. Returns the bytes of those
    /// without requests that have not ended yet.
    pub(super) fn end_idle(&self) -> u64 {
        self.end_idle.send_replace(());
        self.idle_bytes.load(Ordering::Acquire)
    }

    /// Counts the bytes of an appender as those of one without requests, until the result is dropped.
    pub(super) fn idle(&self, bytes: u64) -> IdleBytes {
        self.idle_bytes.fetch_add(bytes, Ordering::Relaxed);
        IdleBytes { total: Arc::clone(&self.idle_bytes), bytes }
    }

    /// Returns the queues of the appenders. An appender enters and leaves it under this lock.
    pub(super) fn queues(&self) -> MutexGuard<'_, HashMap<RecordingName, mpsc::Sender<Append>>> {
        // No code panics while it holds the lock.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of an appender without requests, which count until this is dropped.
pub(super) struct IdleBytes {
    total: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for IdleBytes {
    fn drop(&mut self) {
        // If the charge of the appender ended before, a reader that does not count these bytes sees that too.
        self.total.fetch_sub(self.bytes, Ordering::Release);
    }
}
