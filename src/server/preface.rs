//! Reads the first bytes of a connection: the HTTP/2 preface. A client that speaks HTTP/1 gets a readable answer.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::proxy_protocol::ProxyError;
#[cfg(feature = "tls")]
use super::tls::HandshakeError;

/// The client connection preface: RFC 9113, section 3.4.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The header of the SETTINGS frame that must follow it.
const SETTINGS_HEADER_BYTES: usize = 9;

/// Maximum number of bytes in which the method of an HTTP/1 request must end.
const HTTP1_BYTES_MAX: usize = 24;

const HTTP1_ANSWER: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 128\r\n\
    connection: close\r\n\
    \r\n\
    This port speaks gRPC over HTTP/2, not HTTP/1.1.\n\
    Use a gRPC client; for a browser, put a gRPC-Web proxy such as Envoy in front.\n";

/// The answer to a TLS handshake. Clients report that it is not TLS, which shows that the port has no TLS.
const TLS_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 22\r\n\
    connection: close\r\n\
    \r\n\
    This port has no TLS.\n";

/// The time for a client to read why it is refused, and to close its end.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// The reason why a connection does not become an HTTP/2 connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum PrefaceError {
    #[error("the connection did not start HTTP/2 within {} s", .0.as_secs_f64())]
    Late(Duration),
    #[error("the client closed the connection before its HTTP/2 preface")]
    Closed,
    #[error("the client speaks HTTP/1; it was sent a 505 answer")]
    Http1,
    #[error(
        "the client sent a TLS handshake to this plaintext port; enable TLS with --tls-cert and --tls-key"
    )]
    Tls,
    #[cfg(feature = "tls")]
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    #[error("the first bytes are not an HTTP/2 preface")]
    NotHttp2,
    #[error("{0}")]
    Proxy(#[from] ProxyError),
    #[error("the client that the proxy named has too many connections")]
    ConnectionsPerPeer,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

impl PrefaceError {
    /// Returns whether the client spoke another protocol, which the operator may want to know.
    pub(super) fn is_other_protocol(&self) -> bool {
        match self {
            Self::Http1 | Self::Tls | Self::NotHttp2 => true,
            #[cfg(feature = "tls")]
            Self::Handshake(_) => true,
            Self::Proxy(error) => !matches!(error, ProxyError::Io(_)),
            Self::Late(_) | Self::Closed | Self::ConnectionsPerPeer | Self::Io(_) => false,
        }
    }
}

/// Reads and returns the preface and the first frame header. The caller limits the time.
///
/// # Errors
/// If the stream ends or other bytes arrive. An HTTP/1 request and a TLS handshake are answered first.
pub(super) async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
) -> Result<Bytes, PrefaceError> {
    let result = recognize(stream).await;
    // The client may be gone. Its protocol is the reason in any case.
    let _ = match result {
        Err(PrefaceError::Http1) => answer(stream, HTTP1_ANSWER).await,
        Err(PrefaceError::Tls) => answer(stream, TLS_ANSWER).await,
        _ => Ok(()),
    };
    result
}

/// Reads the first bytes of a client of HTTP/1 or HTTP/2. Returns them, and whether they are the preface of HTTP/2. The
/// caller limits the time.
///
/// # Errors
/// If the stream ends, or begins with a TLS handshake, which is answered.
#[cfg(feature = "http")]
pub(super) async fn read_any<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
) -> Result<(Bytes, bool), PrefaceError> {
    let mut bytes = BytesMut::with_capacity(PREFACE.len());
    while bytes.len() < PREFACE.len() && PREFACE.starts_with(&bytes) {
        let missing = PREFACE.len() - bytes.len();
        if (&mut *stream).take(missing as u64).read_buf(&mut bytes).await? == 0 {
            return Err(PrefaceError::Closed);
        }
    }
    if let Some(PrefaceError::Tls) = classify(&bytes) {
        let _ = answer(stream, TLS_ANSWER).await;
        return Err(PrefaceError::Tls);
    }
    let is_http2 = bytes == PREFACE;
    Ok((bytes.freeze(), is_http2))
}

/// Does the same as [`read`] without an answer.
///
/// # Errors
/// If the stream ends or other bytes arrive.
pub(super) async fn recognize<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Bytes, PrefaceError> {
    let wanted = PREFACE.len() + SETTINGS_HEADER_BYTES;
    let mut bytes = BytesMut::with_capacity(wanted);
    while bytes.len() < wanted {
        let missing = wanted - bytes.len();
        let received = (&mut *stream).take(missing as u64).read_buf(&mut bytes).await?;
        let preface = &bytes[..bytes.len().min(PREFACE.len())];
        if !PREFACE.starts_with(preface) {
            // The method of an HTTP/1 request may have arrived in part.
            match classify(&bytes) {
                Some(error) => return Err(error),
                None if received > 0 => continue,
                None => return Err(PrefaceError::NotHttp2),
            }
        }
        if received == 0 {
            return Err(PrefaceError::Closed);
        }
    }
    Ok(bytes.freeze())
}

/// Classifies bytes that are not a preface. Returns `None` while more bytes are needed.
fn classify(bytes: &[u8]) -> Option<PrefaceError> {
    const TLS_HANDSHAKE: u8 = 0x16;
    if bytes.first() == Some(&TLS_HANDSHAKE) {
        return Some(PrefaceError::Tls);
    }
    // All methods in use consist of upper-case letters.
    let method_bytes = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    match bytes.get(method_bytes) {
        Some(b' ') if method_bytes > 0 => Some(PrefaceError::Http1),
        None if bytes.len() < HTTP1_BYTES_MAX => None,
        _ => Some(PrefaceError::NotHttp2),
    }
}

/// Answers, then reads the rest of the request: closing a socket with unread input could discard the answer.
///
/// # Errors
/// If the stream fails.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    answer: &[u8],
) -> io::Result<()> {
    const DISCARDED_BYTES_MAX: u64 = 64 * 1024;
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    let mut rest = (&mut *stream).take(DISCARDED_BYTES_MAX);
    // A client that does not close its end is closed.
    match timeout(CLOSE_TIME, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// Returns the result of reading bytes that arrive in pieces of this length, and the answer to the client.
    async fn outcome(bytes: &[u8], piece: usize) -> (Result<Bytes, PrefaceError>, String) {
        let (mut client, mut server) = duplex(4096);
        let server = async move {
            let outcome = read(&mut server).await;
            drop(server);
            outcome
        };
        let client = async move {
            for piece in bytes.chunks(piece) {
                // The reader may have closed its end.
                let _ = client.write_all(piece).await;
                tokio::task::yield_now().await;
            }
            let _ = client.shutdown().await;
            let mut answer = String::new();
            let _ = client.read_to_string(&mut answer).await;
            answer
        };
        futures::future::join(server, client).await
    }

    #[tokio::test]
    async fn a_preface_is_returned_with_exactly_the_first_frame_header() {
        let bytes = [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0], b"and more"].concat();
        for piece in [1, 7, 1000] {
            let (outcome, answer) = outcome(&bytes, piece).await;
            assert_eq!(outcome.unwrap(), bytes[..33]);
            assert_eq!(answer, "");
        }
    }

    #[tokio::test]
    async fn an_http1_request_is_answered_with_text() {
        for piece in [1, 3, 1000] {
            let (outcome, answer) = outcome(b"POST /metrics HTTP/1.1\r\n\r\n", piece).await;
            assert!(matches!(outcome, Err(PrefaceError::Http1)));
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 505 "), "{head}");
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
            assert!(body.contains("gRPC over HTTP/2"));
        }
    }

    #[tokio::test]
    async fn other_protocols_are_recognized() {
        let of = |bytes: &'static [u8]| async { outcome(bytes, 1000).await.0.unwrap_err() };
        assert!(matches!(of(&[0x16, 3, 1, 2, 0, 1]).await, PrefaceError::Tls));
        assert!(matches!(of(&[0; 99]).await, PrefaceError::NotHttp2));
        assert!(matches!(of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ").await, PrefaceError::NotHttp2));
        assert!(matches!(of(b"PRI * HTTP/2.0\r\n").await, PrefaceError::Closed));
        assert!(matches!(of(b"").await, PrefaceError::Closed));
    }
}
