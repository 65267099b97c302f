//! The connection that never speaks: reading from it fails once its time is up.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// The client's connection preface (24 bytes) and the header of the SETTINGS frame that must
/// follow it (9 bytes): RFC 9113, section 3.4.
const PREFACE_BYTES: usize = 24 + 9;

/// A TCP stream whose client must send its HTTP/2 preface in time.
pub(super) struct PrefaceGuard {
    stream: TcpStream,
    waiting: Option<Waiting>,
    spoke: Spoke,
}

struct Waiting {
    missing_bytes: usize,
    timer: Pin<Box<Sleep>>,
}

/// Whether the preface has arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Spoke(Arc<AtomicBool>);

impl Spoke {
    pub(super) fn yet(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl PrefaceGuard {
    pub(super) fn new(stream: TcpStream, preface_time: Duration) -> Self {
        let timer = Box::pin(sleep(preface_time));
        let waiting = Some(Waiting { missing_bytes: PREFACE_BYTES, timer });
        Self { stream, waiting, spoke: Spoke::default() }
    }

    pub(super) fn spoke(&self) -> Spoke {
        self.spoke.clone()
    }
}

impl AsyncRead for PrefaceGuard {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(waiting) = &mut this.waiting else {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        };
        let before = buf.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buf);
        // What has come is read, however late this task was to look.
        if result.is_pending() && waiting.timer.as_mut().poll(cx).is_ready() {
            let message = "no HTTP/2 preface came in time";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)));
        }
        let received = buf.filled().len() - before;
        waiting.missing_bytes = waiting.missing_bytes.saturating_sub(received);
        if waiting.missing_bytes == 0 {
            this.waiting = None;
            this.spoke.0.store(true, Relaxed);
        }
        result
    }
}

impl AsyncWrite for PrefaceGuard {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
