//! A byte stream whose first bytes from the server are checked. A server of another protocol is then reported as such,
//! and not as a broken HTTP/2 connection.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::fault::ConnectionFault;

/// The timeout for the first byte of the server. An HTTP/2 server sends its settings at once.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of bytes that decide: the header of an HTTP/2 frame.
const HEAD_BYTES: usize = 9;
/// Maximum length of the status line of HTTP/1 in an error.
const STATUS_LINE_MAX: usize = 60;

/// The fault of the latest connection, for the calls that fail because of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastFault(Arc<Mutex<Option<ConnectionFault>>>);

impl LastFault {
    pub(super) fn get(&self) -> Option<ConnectionFault> {
        // A poisoned lock has a complete value.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, fault: Option<ConnectionFault>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// Explains errors of reading, such as alerts of TLS.
pub(super) type Explain = Box<dyn Fn(&io::Error) -> Option<ConnectionFault> + Send>;

/// The stream of a connection.
pub(crate) struct CheckedStream<S> {
    stream: S,
    /// The check, until it has passed.
    check: Option<Check>,
}

struct Check {
    head: [u8; HEAD_BYTES],
    len: usize,
    timeout: Pin<Box<Sleep>>,
    /// `None` without TLS.
    explain: Option<Explain>,
    last_fault: LastFault,
}

impl<S> CheckedStream<S> {
    /// Checks the stream. `explain` is `None` for one without TLS. The fault is also stored in `last_fault`, because the transport reports it as text.
    pub(super) fn new(stream: S, explain: Option<Explain>, last_fault: LastFault) -> Self {
        let timeout = Box::pin(sleep(FIRST_BYTE_TIMEOUT));
        let check = Check { head: [0; HEAD_BYTES], len: 0, timeout, explain, last_fault };
        Self { stream, check: Some(check) }
    }
}

impl Check {
    /// Returns the error for a connection that has ended before the first byte of the server.
    fn closed(&self) -> io::Error {
        match self.explain.is_none() {
            true => fail(self, ConnectionFault::Closed),
            false => {
                let text = "the server closed the connection before it answered";
                io::Error::new(io::ErrorKind::ConnectionReset, text)
            }
        }
    }

    /// Explains an error of reading or writing.
    fn explained(&self, error: io::Error) -> io::Error {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        let is_closed = [BrokenPipe, ConnectionAborted, ConnectionReset].contains(&error.kind());
        match self.explain.as_ref().and_then(|explain| explain(&error)) {
            Some(fault) => fail(self, fault),
            None if is_closed && self.len == 0 => self.closed(),
            None => error,
        }
    }

    /// Checks bytes that were read. Returns whether they are those of HTTP/2, or `None` if more bytes decide.
    fn add(&mut self, bytes: &[u8]) -> Result<Option<()>, ConnectionFault> {
        let taken = bytes.len().min(HEAD_BYTES - self.len);
        self.head[self.len..self.len + taken].copy_from_slice(&bytes[..taken]);
        self.len += taken;
        let head = &self.head[..self.len];
        match head {
            // A TLS record: an alert or a handshake of version 3.x.
            [0x15 | 0x16, 3, ..] => Err(ConnectionFault::NeedsTls),
            [b'H', b'T', b'T', b'P', b'/', ..] => {
                // The line is complete unless it arrives in pieces.
                let line = if taken == self.len { bytes } else { head };
                Err(ConnectionFault::Http1(status_line(line)))
            }
            // SETTINGS is the first frame of a server. One that refuses the connection may send GOAWAY.
            [_, _, _, kind, ..] if !matches!(kind, 4 | 7) && !b"HTTP".starts_with(&head[..4]) => {
                Err(ConnectionFault::NotHttp2)
            }
            head if head.len() < HEAD_BYTES => Ok(None),
            // The frames after the first one are checked only if they arrived with it.
            _ if taken == HEAD_BYTES && requires_tls(bytes) => Err(ConnectionFault::NeedsTls),
            _ => Ok(Some(())),
        }
    }
}

/// Returns whether a server refuses a connection without TLS in HTTP/2: it sends GOAWAY with INADEQUATE_SECURITY, after
/// its settings or without them.
fn requires_tls(mut bytes: &[u8]) -> bool {
    while let [a, b, c, kind, _, _, _, _, _, payload @ ..] = bytes {
        if let (7, [_, _, _, _, code @ ..]) = (kind, payload) {
            return code.starts_with(&u32::from(h2::Reason::INADEQUATE_SECURITY).to_be_bytes());
        }
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = payload.get(length..).unwrap_or_default();
    }
    false
}

/// Returns the first line of a reply, without characters that could control a terminal.
fn status_line(bytes: &[u8]) -> String {
    let line = bytes.split(|&byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let line = &line[..line.len().min(STATUS_LINE_MAX)];
    let shown = |&byte: &u8| if (b' '..=b'~').contains(&byte) { byte.into() } else { '?' };
    line.iter().map(shown).collect()
}

impl<S: AsyncRead + Unpin> AsyncRead for CheckedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(check) = &mut this.check else {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        };
        let before = buf.filled().len();
        let read = match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Pending if check.len > 0 => return Poll::Pending,
            Poll::Pending => {
                ready!(check.timeout.as_mut().poll(cx));
                return Poll::Ready(Err(fail(check, ConnectionFault::Silent)));
            }
            Poll::Ready(read) => read,
        };
        if let Err(error) = read {
            return Poll::Ready(Err(check.explained(error)));
        }
        let bytes = &buf.filled()[before..];
        if bytes.is_empty() && buf.remaining() > 0 {
            return Poll::Ready(Err(check.closed()));
        }
        match check.add(bytes) {
            Err(fault) => return Poll::Ready(Err(fail(check, fault))),
            Ok(None) => {}
            Ok(Some(())) => {
                check.last_fault.set(None);
                this.check = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Explains an error of writing. TLS reports an alert only to the reader.
fn explained(check: Option<&Check>, error: io::Error) -> io::Error {
    match check {
        Some(check) if check.explain.is_none() => check.explained(error),
        _ => error,
    }
}

/// Stores a fault and returns it as an error of the stream.
fn fail(check: &Check, fault: ConnectionFault) -> io::Error {
    check.last_fault.set(Some(fault.clone()));
    io::Error::other(fault)
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CheckedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        written.map_err(|error| explained(this.check.as_ref(), error))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, buffers);
        written.map_err(|error| explained(this.check.as_ref(), error))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        flushed.map_err(|error| explained(this.check.as_ref(), error))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Sends the parts one by one and returns what the client reads.
    async fn read(parts: &[&[u8]]) -> (Result<Vec<u8>, String>, Option<ConnectionFault>) {
        let (near, mut far) = duplex(1024);
        let last_fault = LastFault::default();
        let mut stream = CheckedStream::new(near, None, last_fault.clone());
        let mut taken = Vec::new();
        for part in parts {
            far.write_all(part).await.unwrap();
            if let Err(error) = stream.read_buf(&mut taken).await {
                return (Err(error.to_string()), last_fault.get());
            }
        }
        drop(far);
        let rest = stream.read_to_end(&mut taken).await;
        (rest.map(|_| taken).map_err(|error| error.to_string()), last_fault.get())
    }

    #[tokio::test]
    async fn http2_passes_however_it_is_cut() {
        let bytes = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5];
        for cut in 1..bytes.len() {
            let (taken, fault) = read(&[&bytes[..cut], &bytes[cut..]]).await;
            assert_eq!((taken, fault), (Ok(bytes.to_vec()), None), "{cut}");
        }
    }

    #[tokio::test]
    async fn other_protocols_are_recognized_however_they_are_cut() {
        for (reply, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "answered with HTTP/1: HTTP/"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP/2"),
            (b"220 mail.example.org\r\n", "does not speak HTTP/2"),
            (&[0x15, 3, 1, 0, 2, 2, 70], "the server speaks TLS: use https://"),
            (&[0x4a, 0, 0, 0, 10, 56, 46, 48, 46, 51], "does not speak HTTP/2"),
        ] {
            for cut in 1..reply.len() {
                let (taken, fault) = read(&[&reply[..cut], &reply[cut..]]).await;
                let text = taken.unwrap_err();
                assert!(text.contains(expected), "{cut}: {text}");
                assert_eq!(fault.unwrap().to_string(), text);
            }
        }
        let (text, _) = read(&[b"HTTP/1.1 400 \x1b[2JBad\r\nsecond"]).await;
        assert!(text.unwrap_err().ends_with("HTTP/1.1 400 ?[2JBad"));
    }

    #[tokio::test]
    async fn a_server_may_require_tls_in_http2() {
        let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0];
        let goaway = |code| [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, code];
        for before in [&settings[..], &[]] {
            let (taken, fault) = read(&[&[before, &goaway(0xc)].concat()]).await;
            assert_eq!(taken.unwrap_err(), "the server speaks TLS: use https://");
            assert_eq!(fault, Some(ConnectionFault::NeedsTls));
        }
        for other in [&goaway(0xb)[..], &goaway(0xc)[..12], &[0, 0, 200, 4], &[]] {
            let (taken, _) = read(&[&[&settings[..], other].concat()]).await;
            assert!(taken.is_ok());
        }
    }

    /// A proxy with TLS closes a connection whose client does not speak it.
    #[tokio::test]
    async fn a_connection_that_ends_before_an_answer_names_the_other_scheme() {
        let advice =
            "the server closed the connection before it answered; it may speak TLS (https://)";
        let (text, fault) = read(&[]).await;
        assert_eq!(text.unwrap_err(), advice);
        assert_eq!(fault, Some(ConnectionFault::Closed));
        let (near, far) = duplex(1024);
        drop(far);
        let mut stream = CheckedStream::new(near, None, LastFault::default());
        let error = stream.write_all(b"PRI").await.unwrap_err();
        assert_eq!(error.to_string(), advice);
        let (near, far) = duplex(1024);
        drop(far);
        let explain = |_: &io::Error| None;
        let mut stream = CheckedStream::new(near, Some(Box::new(explain)), LastFault::default());
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.to_string(), "the server closed the connection before it answered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_sends_nothing_is_reported() {
        let (near, _far) = duplex(1024);
        let last_fault = LastFault::default();
        let mut stream = CheckedStream::new(near, None, last_fault.clone());
        let error = stream.read_u8().await.unwrap_err();
        assert!(error.to_string().contains("no server answers there"), "{error}");
        assert_eq!(last_fault.get(), Some(ConnectionFault::Silent));
    }
}
