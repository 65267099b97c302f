//! The socket of a client: it must begin to speak in time, and is read a turn at a time.
//!
//! Knows how many bytes come and when, and nothing of what they say. [`super::accept`] puts it
//! between a connection and its HTTP/2, and so does `waywiser bench` where it only counts bytes.

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

/// How much is read in one go before the streams get to work on it.
///
/// HTTP/2 reads for as long as there is something to read, up to all the windows: a fast client's
/// points would be written to memory, a megabyte at a time, and read back from there. As much as
/// this is still in the second-level cache when it is folded, and the memory it was read into is
/// used again for what comes next. What is not read at once is read right after the
/// others on this thread have had their turn, so no byte waits for another to come.
const TURN_BYTES: usize = 128 * 1024;

/// A TCP stream whose client must send its HTTP/2 preface in time.
pub(crate) struct Socket {
    stream: TcpStream,
    /// Until the preface is there.
    waiting: Option<Waiting>,
    spoke: Spoke,
    /// What was read since this connection last let others have their turn.
    unbroken_bytes: usize,
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

impl Socket {
    pub(crate) fn new(stream: TcpStream, preface_time: Duration) -> Self {
        let timer = Box::pin(sleep(preface_time));
        let waiting = Some(Waiting { missing_bytes: PREFACE_BYTES, timer });
        Self { stream, waiting, spoke: Spoke::default(), unbroken_bytes: 0 }
    }

    pub(super) fn spoke(&self) -> Spoke {
        self.spoke.clone()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.unbroken_bytes >= TURN_BYTES {
            this.unbroken_bytes = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buf);
        let received = buf.filled().len() - before;
        this.unbroken_bytes = if result.is_pending() { 0 } else { this.unbroken_bytes + received };
        let Some(waiting) = &mut this.waiting else { return result };
        // What has come is read, however late this task was to look.
        if result.is_pending() && waiting.timer.as_mut().poll(cx).is_ready() {
            let message = "no HTTP/2 preface came in time";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)));
        }
        waiting.missing_bytes = waiting.missing_bytes.saturating_sub(received);
        if waiting.missing_bytes == 0 {
            this.waiting = None;
            this.spoke.0.store(true, Relaxed);
        }
        result
    }
}

impl AsyncWrite for Socket {
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn all_is_read_and_no_more_than_a_turn_of_it_in_one_go() {
        const BYTES: usize = 16 * TURN_BYTES;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = tokio::spawn(async move {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(&vec![7; BYTES]).await.unwrap();
        });
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = Socket::new(stream, Duration::from_secs(3600));
        let mut space = [0; 10_000];
        let (mut received, mut in_one_go, mut most) = (0, 0, 0);
        poll_fn(|cx| {
            in_one_go = 0;
            loop {
                let mut buf = ReadBuf::new(&mut space);
                match Pin::new(&mut socket).poll_read(cx, &mut buf) {
                    Poll::Ready(result) => result.unwrap(),
                    Poll::Pending => return Poll::Pending,
                }
                let bytes = buf.filled().len();
                if bytes == 0 {
                    return Poll::Ready(());
                }
                received += bytes;
                in_one_go += bytes;
                most = most.max(in_one_go);
            }
        })
        .await;
        assert_eq!(received, BYTES);
        assert!(most < TURN_BYTES + space.len(), "{most}");
        client.await.unwrap();
    }
}
