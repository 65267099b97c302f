//! The body of a request. It fails if the client sends it too slowly.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::counters::ByteCounter;

/// The least rate of a body, on average after the idle timeout. Slower clients would hold connections for hours.
const BYTES_PER_SECOND_MIN: u64 = 1024;

/// The error of a body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The client sends too slowly.
    #[error("the request body arrived too slowly: {received} bytes in {} s", .time.as_secs_f64())]
    Slow {
        /// The bytes that have arrived.
        received: u64,
        /// The time since the start of the request.
        time: Duration,
    },
    /// The client disconnected, or violated the protocol.
    #[error("the request body ended early: {0}")]
    Failed(#[from] hyper::Error),
}

/// The body of a request to the HTTP listener.
#[derive(Debug)]
pub struct WebBody {
    inner: Incoming,
    start: Instant,
    idle_timeout: Duration,
    received: u64,
    timer: Pin<Box<Sleep>>,
    counter: ByteCounter,
}

impl WebBody {
    pub(super) fn new(inner: Incoming, idle_timeout: Duration, counter: ByteCounter) -> Self {
        let start = Instant::now();
        let timer = Box::pin(sleep_until(start + idle_timeout));
        Self { inner, start, idle_timeout, received: 0, timer, counter }
    }

    /// Returns the time at which the bytes so far are too few.
    fn due(&self) -> Instant {
        let paid = Duration::from_secs(self.received / BYTES_PER_SECOND_MIN);
        self.start + self.idle_timeout + paid
    }
}

impl Body for WebBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            let Some(frame) = frame else { return Poll::Ready(None) };
            let frame = frame?;
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            this.received += bytes;
            this.counter.add_received(bytes);
            return Poll::Ready(Some(Ok(frame)));
        }
        loop {
            if this.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let due = this.due();
            if due <= this.timer.deadline() {
                let time = this.start.elapsed();
                return Poll::Ready(Some(Err(BodyError::Slow { received: this.received, time })));
            }
            this.timer.as_mut().reset(due);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
