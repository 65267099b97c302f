//! Detects a client that does not read its socket, as opposed to one that only keeps its HTTP/2 windows closed.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::socket::Traffic;

/// Measures the time since the system last accepted bytes, while more are waiting.
pub(super) struct WriteStall {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    /// The number of bytes that had been written when writes began to block.
    written_bytes: Option<u64>,
}

impl WriteStall {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, timer: Box::pin(sleep(limit)), written_bytes: None }
    }

    /// Completes when the system has accepted no bytes for the limit. Call it after the connection was polled.
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
