//! Recognizes clients that speak another protocol to a port with TLS. The answers to them are in their own protocol where
//! possible.

use tokio::io::{AsyncRead, AsyncWrite};

use super::read_ahead::ReadAhead;
use crate::server::preface::{self, PrefaceError};

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

const HTTP1_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 80\r\n\
    connection: close\r\n\
    \r\n\
    This port speaks gRPC over HTTP/2 with TLS. Use an https:// address and HTTP/2.\n";

/// The answer of a listener for HTTP/1.1 and HTTP/2.
#[cfg(feature = "http")]
pub(super) const ANY_HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 49\r\n\
    connection: close\r\n\
    \r\n\
    This port requires TLS. Use an https:// address.\n";

/// The name of HTTP/1 in the log.
pub(super) const HTTP1: &str = "HTTP/1";

/// A GOAWAY frame with INADEQUATE_SECURITY (0xc) and a text: RFC 9113, section 6.8.
///
/// SETTINGS must not precede it. Clients built on the C core of gRPC regard a connection as usable after SETTINGS: they
/// would reconnect at once, hundreds of times per second, and their calls would wait until their deadlines. Without
/// SETTINGS the attempt to connect fails, so the calls end with UNAVAILABLE, and the next attempt waits.
const HTTP2_ANSWER: &[u8] = b"\0\0\x29\x07\0\0\0\0\0\
    \0\0\0\0\0\0\0\x0c\
    this port requires TLS; use https";

/// The alert "unexpected_message" (10).
const UNEXPECTED_MESSAGE: &[u8] = &[21, 3, 3, 0, 2, 2, 10];

/// A client that does not speak TLS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plaintext {
    /// The protocol of the client.
    pub(super) protocol: &'static str,
    /// The bytes that the client receives before the connection is closed.
    pub(super) answer: &'static [u8],
}

/// Returns `None` if the client begins with a TLS handshake.
///
/// # Errors
/// If the stream ends or fails.
pub(super) async fn recognize<S>(
    stream: &mut ReadAhead<S>,
) -> Result<Option<Plaintext>, PrefaceError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match stream.peek(1).await? {
        [] => return Err(PrefaceError::Closed),
        [TLS_HANDSHAKE, ..] => return Ok(None),
        _ => {}
    }
    let (protocol, answer) = match preface::recognize(stream).await {
        Ok(_) => ("HTTP/2", HTTP2_ANSWER),
        Err(PrefaceError::Http1) => (HTTP1, HTTP1_ANSWER),
        Err(PrefaceError::NotHttp2) => ("an unknown protocol", UNEXPECTED_MESSAGE),
        Err(error) => return Err(error),
    };
    Ok(Some(Plaintext { protocol, answer }))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Returns the protocol of a client that sends these bytes, and what it receives.
    async fn answer_to(bytes: &[u8]) -> (&'static str, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(4096);
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut server = ReadAhead::new(server, 4096);
        let plaintext = recognize(&mut server).await.unwrap().unwrap();
        preface::answer(&mut server, plaintext.answer).await.unwrap();
        drop(server);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        (plaintext.protocol, answer)
    }

    #[tokio::test]
    async fn a_tls_handshake_is_left_unread() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&[TLS_HANDSHAKE, 3, 1]).await.unwrap();
        drop(client);
        let mut server = ReadAhead::new(server, 64);
        assert!(recognize(&mut server).await.unwrap().is_none());
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, [TLS_HANDSHAKE, 3, 1]);
    }

    #[tokio::test]
    async fn an_http1_client_gets_a_readable_answer() {
        let (protocol, answer) = answer_to(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(protocol, "HTTP/1");
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
    }

    #[tokio::test]
    async fn an_http2_client_gets_only_a_goaway_frame_that_h2_understands() {
        let (client, server) = tokio::io::duplex(4096);
        let mut server = ReadAhead::new(server, 4096);
        let client = async {
            let (mut send, connection) = h2::client::handshake(client).await.unwrap();
            let request = http::Request::get("http://localhost/").body(()).unwrap();
            let _ = send.send_request(request, true);
            connection.await.unwrap_err()
        };
        let answer = async {
            let plaintext = recognize(&mut server).await.unwrap().unwrap();
            assert_eq!(plaintext.protocol, "HTTP/2");
            // The type of the first frame.
            assert_eq!(plaintext.answer[3], 7);
            preface::answer(&mut server, plaintext.answer).await.unwrap();
        };
        let (error, ()) = futures::future::join(client, answer).await;
        assert_eq!(error.reason(), Some(h2::Reason::INADEQUATE_SECURITY));
        assert!(error.to_string().contains("this port requires TLS; use https"), "{error}");
    }

    #[tokio::test]
    async fn other_bytes_get_an_alert() {
        for bytes in [&[0; 99][..], b"SSH-2.0-OpenSSH_9.6\r\n", &[0x17, 3, 3, 0, 9]] {
            let (protocol, answer) = answer_to(bytes).await;
            assert_eq!((protocol, &answer[..]), ("an unknown protocol", UNEXPECTED_MESSAGE));
        }
        let mut empty = ReadAhead::new(tokio::io::empty(), 4096);
        assert!(matches!(recognize(&mut empty).await, Err(PrefaceError::Closed)));
    }
}
