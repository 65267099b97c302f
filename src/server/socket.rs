//! The byte stream between a connection and HTTP/2. It limits reads per poll and counts bytes and frames.
//!
//! It does not interpret the bytes. [`super::connection`] uses it below HTTP/2, and `waywiser bench` uses it where it
//! only counts bytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::FrameCounter;
use super::preface::PREFACE;

/// Maximum number of bytes that are read per poll of the connection.
///
/// HTTP/2 reads as long as bytes are available, up to its windows. With a fast client, a megabyte of points would be
/// written to main memory and read back from there. This number of bytes is still in the second-level cache when its
/// points are folded, and its buffers are reused for the following bytes. The rest is read after the other tasks of
/// the thread have run, so no byte waits for another one to arrive.
const READ_BUDGET_BYTES: usize = 128 * 1024;

/// A byte stream that ends each read burst after [`READ_BUDGET_BYTES`].
pub(crate) struct Socket<S> {
    stream: S,
    /// Bytes that were read before HTTP/2 started. They are returned first.
    prefix: Bytes,
    /// Bytes that were read since a read was last pending.
    burst_bytes: usize,
    frames: FrameCounter,
    traffic: Arc<Traffic>,
}

/// Counts the bytes that were read from and written to a socket.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    bytes: AtomicU64,
    data_frames: AtomicU64,
    written_bytes: AtomicU64,
    /// The last write found no space in the buffers of the system.
    is_write_blocked: AtomicBool,
    /// The last read was pending because the burst had reached its budget, not for lack of input.
    has_paused: AtomicBool,
}

impl Traffic {
    /// Returns the bytes that arrived, without the connection preface.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Returns the number of DATA frames whose header has arrived.
    pub(super) fn data_frames(&self) -> u64 {
        self.data_frames.load(Relaxed)
    }

    /// Returns the bytes that were written to the system.
    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Relaxed)
    }

    /// Returns whether the buffers of the system are full, because the client or the network is slow.
    pub(super) fn is_write_blocked(&self) -> bool {
        self.is_write_blocked.load(Relaxed)
    }

    fn record_write(&self, result: &Poll<io::Result<usize>>) {
        self.is_write_blocked.store(result.is_pending(), Relaxed);
        if let Poll::Ready(Ok(bytes)) = result {
            self.written_bytes.store(self.written_bytes() + *bytes as u64, Relaxed);
        }
    }

    /// Returns whether a burst reached its budget since the last call.
    pub(super) fn take_pause(&self) -> bool {
        self.has_paused.swap(false, Relaxed)
    }
}

impl<S> Socket<S> {
    /// Wraps a stream from which nothing was read.
    #[cfg(feature = "cli")]
    pub(crate) fn new(stream: S) -> Self {
        Self::with_prefix(stream, Bytes::new())
    }

    /// Wraps a stream from which `prefix` was already read: the connection preface, and the first bytes of the frames
    /// after it.
    pub(super) fn with_prefix(stream: S, prefix: Bytes) -> Self {
        let mut frames = FrameCounter::default();
        // The prefix may end within a frame.
        let data_frames = frames.count(prefix.get(PREFACE.len()..).unwrap_or_default());
        let traffic = Arc::new(Traffic::default());
        traffic.data_frames.store(data_frames, Relaxed);
        Self { stream, prefix, burst_bytes: 0, frames, traffic }
    }

    /// Returns the counters, which outlive the socket.
    pub(super) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.prefix.is_empty() {
            let length = this.prefix.len().min(buf.remaining());
            buf.put_slice(&this.prefix[..length]);
            this.prefix.advance(length);
            return Poll::Ready(Ok(()));
        }
        if this.burst_bytes >= READ_BUDGET_BYTES {
            this.burst_bytes = 0;
            this.traffic.has_paused.store(true, Relaxed);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buf);
        let new = &buf.filled()[before..];
        this.burst_bytes = if result.is_pending() { 0 } else { this.burst_bytes + new.len() };
        if !new.is_empty() {
            // Only one task writes, so a load and a store are enough.
            let traffic = &this.traffic;
            traffic.bytes.store(traffic.bytes() + new.len() as u64, Relaxed);
            let data_frames = this.frames.count(new);
            traffic.data_frames.store(traffic.data_frames() + data_frames, Relaxed);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.traffic.record_write(&result);
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.traffic.record_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_flush(cx);
        // TLS keeps bytes that the system does not accept. HTTP/2 flushes only after all its writes have succeeded.
        this.traffic.is_write_blocked.store(result.is_pending(), Relaxed);
        result
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::FutureExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn data_frames_are_counted_from_the_end_of_the_preface() {
        let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
        let data = [0, 0, 1, 0, 0, 0, 0, 0, 1, 7];
        let (head, payload) = settings.split_at(9);
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&[payload, &data, &data].concat()).await.unwrap();
        let prefix = Bytes::from([PREFACE, head].concat());
        let mut socket = Socket::with_prefix(server, prefix);
        let mut bytes = vec![0; PREFACE.len() + settings.len() + 2 * data.len()];
        tokio::io::AsyncReadExt::read_exact(&mut socket, &mut bytes).await.unwrap();
        assert_eq!(socket.traffic().data_frames(), 2);
    }

    #[tokio::test]
    async fn a_flush_that_waits_counts_as_blocked() {
        let (mut client, server) = tokio::io::duplex(4);
        // Accepts bytes that it cannot send.
        let mut socket = Socket::with_prefix(tokio::io::BufWriter::new(server), Bytes::new());
        socket.write_all(&[0; 10]).await.unwrap();
        assert!(!socket.traffic().is_write_blocked());
        assert!(socket.flush().now_or_never().is_none());
        assert!(socket.traffic().is_write_blocked());
        let mut bytes = [0; 10];
        let read = tokio::io::AsyncReadExt::read_exact(&mut client, &mut bytes);
        let (flushed, read) = futures::future::join(socket.flush(), read).await;
        flushed.unwrap();
        read.unwrap();
        assert!(!socket.traffic().is_write_blocked());
    }

    #[tokio::test]
    async fn everything_is_read_and_no_burst_exceeds_its_budget() {
        const BYTES: usize = 16 * READ_BUDGET_BYTES;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = tokio::spawn(async move {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(&vec![7; BYTES]).await.unwrap();
        });
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = Socket::with_prefix(stream, Bytes::from_static(b"PRI"));
        let mut space = [0; 10_000];
        let (mut read, mut burst, mut longest) = (0, 0, 0);
        poll_fn(|cx| {
            burst = 0;
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
                read += bytes;
                burst += bytes;
                longest = longest.max(burst);
            }
        })
        .await;
        assert_eq!(read, 3 + BYTES);
        assert_eq!(socket.traffic().bytes(), BYTES as u64);
        assert!(longest < READ_BUDGET_BYTES + space.len(), "{longest}");
        client.await.unwrap();
    }
}
