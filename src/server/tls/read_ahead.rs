//! The stream between the socket and rustls. It limits the bytes of a handshake, and makes large reads
//! afterwards.
//!
//! rustls reads at most 4 KiB at a time, which would cost a system call each. Once a read has filled the space that it
//! got, more bytes probably wait, and the next read takes up to [`AHEAD_BYTES`]. A connection that sends little needs no
//! buffer here.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::server::transport_buffer::TransportBuffer;

/// Maximum number of bytes that are read at once.
const AHEAD_BYTES: usize = 64 * 1024;

/// A stream with a buffer for bytes that were read before they were needed.
pub(in crate::server) struct ReadAhead<S> {
    stream: S,
    buffer: Vec<u8>,
    /// Reports the size of the buffer.
    held: Arc<TransportBuffer>,
    /// The bytes of the buffer that were read and not yet returned.
    unread: Range<usize>,
    /// The number of bytes that may still be returned in the handshake; `None` after it.
    handshake_bytes: Option<usize>,
    /// The last read filled the space that it got.
    has_filled: bool,
    /// The buffer was filled since a read was last pending.
    is_buffer_in_use: bool,
}

impl<S> ReadAhead<S> {
    /// Wraps a stream whose handshake may read this number of bytes.
    pub(super) fn new(stream: S, handshake_bytes: usize) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            held: Arc::default(),
            unread: 0..0,
            handshake_bytes: Some(handshake_bytes),
            has_filled: false,
            is_buffer_in_use: false,
        }
    }

    /// Returns the report of the memory that this stream holds.
    pub(super) fn held(&self) -> &Arc<TransportBuffer> {
        &self.held
    }

    /// Ends the limit on the bytes of the handshake.
    pub(super) fn end_handshake(&mut self) {
        self.handshake_bytes = None;
    }
}

impl<S: AsyncRead + Unpin> ReadAhead<S> {
    /// Reads until `count` bytes have arrived, and returns them. The next reads return them again. Returns fewer bytes
    /// if the stream ends.
    pub(super) async fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        let end = self.unread.start + count;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        while self.unread.end < end {
            let read = self.stream.read(&mut self.buffer[self.unread.end..end]).await?;
            if read == 0 {
                break;
            }
            self.unread.end += read;
        }
        Ok(&self.buffer[self.unread.clone()])
    }

    /// Reads as much as the buffer can hold.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.buffer.len() < AHEAD_BYTES {
            self.buffer = vec![0; AHEAD_BYTES];
            self.held.set(AHEAD_BYTES);
        }
        let mut ahead = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut ahead))?;
        self.unread = 0..ahead.filled().len();
        self.has_filled = self.unread.end == AHEAD_BYTES;
        self.is_buffer_in_use = true;
        Poll::Ready(Ok(()))
    }

    fn poll_any(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            if !self.has_filled || self.handshake_bytes.is_some() {
                ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
                self.has_filled = buf.remaining() == 0;
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_fill(cx))?;
        }
        let length = self.unread.len().min(buf.remaining());
        let end = self.unread.start + length;
        buf.put_slice(&self.buffer[self.unread.start..end]);
        self.unread.start = end;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.handshake_bytes == Some(0) {
            let message = "the client sent too many bytes before the end of its TLS handshake";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        let before = buf.filled().len();
        let result = this.poll_any(cx, buf);
        if result.is_pending() {
            this.has_filled = false;
            let is_in_use = std::mem::replace(&mut this.is_buffer_in_use, false);
            if !is_in_use && !this.buffer.is_empty() {
                this.buffer = Vec::new();
                this.held.set(0);
            }
        }
        let read = buf.filled().len() - before;
        if let Some(rest) = &mut this.handshake_bytes {
            *rest = rest.saturating_sub(read);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
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
    use futures::FutureExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn peeked_bytes_are_read_again() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut stream = ReadAhead::new(server, 100);
        client.write_all(b"ab").await.unwrap();
        {
            let peek = stream.peek(3);
            tokio::pin!(peek);
            assert!(peek.as_mut().now_or_never().is_none());
            client.write_all(b"cdef").await.unwrap();
            assert_eq!(peek.await.unwrap(), b"abc");
        }
        drop(client);
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "abcdef");
        assert_eq!(stream.peek(1).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn a_handshake_of_too_many_bytes_fails_and_later_bytes_are_not_limited() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut stream = ReadAhead::new(server, 10);
        client.write_all(&[1; 20]).await.unwrap();
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).await.unwrap();
        stream.read_exact(&mut bytes).await.unwrap();
        let error = stream.read_exact(&mut bytes).await.unwrap_err();
        insta::assert_snapshot!(error, @"the client sent too many bytes before the end of its TLS handshake");
        stream.end_handshake();
        stream.read_exact(&mut [0; 10]).await.unwrap();
    }

    #[tokio::test]
    async fn all_bytes_arrive_in_order_and_an_idle_stream_has_no_buffer() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|index| (index / 3) as u8).collect();
        let (mut client, server) = tokio::io::duplex(200_000);
        let mut stream = ReadAhead::new(server, 0);
        stream.end_handshake();
        let sent = bytes.clone();
        let client = tokio::spawn(async move {
            client.write_all(&sent).await.unwrap();
            client
        });
        let mut received = Vec::new();
        let mut has_read_ahead = false;
        let mut space = [0; 4096];
        while received.len() < bytes.len() {
            let read = stream.read(&mut space).await.unwrap();
            received.extend_from_slice(&space[..read]);
            has_read_ahead |= !stream.unread.is_empty();
        }
        assert!(received == bytes);
        assert!(has_read_ahead);
        let mut client = client.await.unwrap();
        for _ in 0..2 {
            assert!(stream.read(&mut space).now_or_never().is_none());
            client.write_all(b"x").await.unwrap();
            assert_eq!(stream.read(&mut space).await.unwrap(), 1);
        }
        assert_eq!(stream.buffer.capacity(), 0);
    }

    #[tokio::test]
    async fn the_buffer_is_charged_while_it_exists() {
        use crate::server::memory::Memory;

        let memory = Memory::new(1 << 20);
        let usage = memory.connection([127, 0, 0, 1].into());
        let idle = memory.used();
        let (mut client, server) = tokio::io::duplex(200_000);
        let mut stream = ReadAhead::new(server, 0);
        stream.end_handshake();
        stream.held().charge_to(&usage);
        client.write_all(&[1; 9_000]).await.unwrap();
        let mut space = [0; 4096];
        stream.read_exact(&mut space).await.unwrap();
        assert_eq!(memory.used(), idle);
        stream.read_exact(&mut space).await.unwrap();
        assert_eq!(memory.used(), idle + AHEAD_BYTES as u64);
        // A client that stops sending keeps the buffer allocated, and charged.
        stream.read_exact(&mut space[..808]).await.unwrap();
        assert!(stream.read(&mut space).now_or_never().is_none());
        assert_eq!(stream.buffer.len(), AHEAD_BYTES);
        assert_eq!(memory.used(), idle + AHEAD_BYTES as u64);
        assert!(stream.read(&mut space).now_or_never().is_none());
        assert_eq!((stream.buffer.len(), memory.used()), (0, idle));
        client.write_all(&[1; 9_000]).await.unwrap();
        for _ in 0..2 {
            stream.read_exact(&mut space).await.unwrap();
        }
        assert_eq!(memory.used(), idle + AHEAD_BYTES as u64);
        drop(stream);
        assert_eq!(memory.used(), idle);
    }
}
