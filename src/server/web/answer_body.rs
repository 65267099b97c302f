//! The bodies of answers: counted, charged to the memory budget until they are sent, and dropped if their clients do not read
//! them.
//!
//! A client of HTTP/1.1 that does not read stops its whole connection, which `connection` then ends. A client of HTTP/2 can
//! stop each stream alone, with its flow control window. So [`StreamTasks`] ends each stream whose client takes nothing of
//! the answer for too long.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Instant, sleep_until};
use tonic::Status;
use tonic::body::Body;

use super::counters::{ByteCounter, OpenCount};
use super::gate::Gate;
use crate::server::memory::Charge;
use crate::server::stream::{ChargedBytes, PART_BYTES_MAX};

tokio::task_local! {
    /// The progress of the answer of a stream of HTTP/2, in the task of the stream.
    static PROGRESS: Arc<Progress>;
}

/// Whether an answer waits for its client.
#[derive(Debug, Default)]
struct Progress {
    /// The time since which the server has had bytes that the client does not take. `None` while it has none.
    unread_since: Mutex<Option<Instant>>,
}

impl Progress {
    fn set(&self, since: Option<Instant>) {
        *self.unread_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn get(&self) -> Option<Instant> {
        *self.unread_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the client has taken nothing for this time.
    async fn stalled(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            // A wait that begins after this moment ends at or after the next one.
            let due = self.get().unwrap_or(now) + limit;
            if due <= now {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// Runs the streams of a connection of HTTP/2 as tasks. Drops a stream whose client does not read its answer, which resets it.
#[derive(Clone, Debug)]
pub(super) struct StreamTasks {
    /// The time for which a client may leave an answer unread.
    pub(super) unread_time: Duration,
}

impl<F> Executor<F> for StreamTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let unread_time = self.unread_time;
        let progress = Arc::<Progress>::default();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = PROGRESS.scope(Arc::clone(&progress), stream) => {}
                () = progress.stalled(unread_time) => {
                    tracing::debug!("a client did not read its answer; the stream was reset");
                }
            }
        });
    }
}

/// The body of an answer.
pub(super) struct AnswerBody {
    body: Body,
    /// The rest of the current frame. It is sent in parts that are copies, so that one that waits in h2 does not keep the
    /// memory of all of them.
    rest: Bytes,
    /// Whether parts of the current frame were sent.
    is_split: bool,
    /// The bytes that are held for the answer.
    charge: Charge,
    gate: Gate,
    progress: Option<Arc<Progress>>,
    bytes: ByteCounter,
    _count: OpenCount,
    _open: OpenAnswer,
}

impl AnswerBody {
    /// Returns the body of an answer that is complete or begins. If it belongs to HTTP/2, this is called in the task of its stream.
    pub(super) fn new(body: Body, bytes: ByteCounter, count: OpenCount, open: OpenAnswer) -> Self {
        let gate = open.0.clone();
        let charge = gate.charge(body.size_hint().lower());
        let progress = PROGRESS.try_with(Arc::clone).ok();
        let this = Self {
            body,
            rest: Bytes::new(),
            is_split: false,
            charge,
            gate,
            progress,
            bytes,
            _count: count,
            _open: open,
        };
        this.set_unread_since(Some(Instant::now()));
        this
    }

    fn set_unread_since(&self, since: Option<Instant>) {
        if let Some(progress) = &self.progress {
            progress.set(since);
        }
    }

    /// Removes the next part from the current frame, with its charge. Parts are copies with charges of their own: the frame
    /// keeps its memory until its last part was copied.
    fn take_part(&mut self) -> ChargedBytes {
        let is_last = self.rest.len() <= PART_BYTES_MAX;
        if is_last && !self.is_split {
            let part = std::mem::take(&mut self.rest);
            let charge = self.charge.split(part.len() as u64);
            return ChargedBytes::new(part, charge);
        }
        let part = Bytes::copy_from_slice(&self.rest[..self.rest.len().min(PART_BYTES_MAX)]);
        let charge = self.gate.charge(part.len() as u64);
        if is_last {
            self.rest = Bytes::new();
            self.gate.set_charge(&mut self.charge, self.body.size_hint().lower());
        } else {
            self.rest.advance(part.len());
        }
        self.is_split = !is_last;
        ChargedBytes::new(part, charge)
    }
}

impl http_body::Body for AnswerBody {
    type Data = ChargedBytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<ChargedBytes>, Status>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            this.set_unread_since(None);
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            // Trailers follow the last part, and no service sends any.
            let Ok(data) = frame.into_data() else { return Poll::Ready(None) };
            this.rest = data;
            // A stream of events does not know its size before.
            let held = this.rest.len() as u64 + this.body.size_hint().lower();
            this.gate.set_charge(&mut this.charge, held);
        }
        let part = this.take_part();
        this.bytes.add_sent(part.remaining() as u64);
        this.set_unread_since(Some(Instant::now()));
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, of_body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower() + rest);
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

/// Counts as an open request of its connection until it is dropped.
pub(super) struct OpenAnswer(Gate);

impl OpenAnswer {
    pub(super) fn new(gate: &Gate) -> Self {
        gate.opened();
        Self(gate.clone())
    }
}

impl Drop for OpenAnswer {
    fn drop(&mut self) {
        self.0.ended();
    }
}
