//! A connection whose client takes no bytes: not because of HTTP/2 windows, but because it does not read its socket.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::socket::Traffic;

/// The time since the system took the last bytes, while there are more.
pub(super) struct WriteStall {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    /// What had been written when the writes began to block.
    written_bytes: Option<u64>,
}

impl WriteStall {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, timer: Box::pin(sleep(limit)), written_bytes: None }
    }

    /// Ready when bytes have waited for as long as the limit without any being taken. To be called after the
    /// connection was polled.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, traffic: &Traffic) -> Poll<()> {
        if !traffic.is_write_blocked() {
            self.written_bytes = None;
            return Poll::Pending;
        }
        let written_bytes = traffic.written_bytes();
        if self.written_bytes != Some(written_bytes) {
            self.written_bytes = Some(written_bytes);
            self.timer.as_mut().reset(Instant::now() + self.limit);
        }
        self.timer.as_mut().poll(cx)
    }
}
