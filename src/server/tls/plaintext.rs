//! Answers clients that speak another protocol to a port with TLS, each in its own protocol as far as possible.

use tokio::io::{AsyncRead, AsyncWrite};

use super::read_ahead::ReadAhead;
use crate::server::preface::{self, PrefaceError};

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

const HTTP1_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 71\r\n\
    connection: close\r\n\
    \r\n\
    This port speaks gRPC over HTTP/2 with TLS. Use https:// and HTTP/2.   \n";

/// An empty SETTINGS frame, then a GOAWAY frame with INADEQUATE_SECURITY (0xc) and a text: RFC 9113, sections 6.5 and
/// 6.8. gRPC clients show the text.
const HTTP2_ANSWER: &[u8] = b"\0\0\0\x04\0\0\0\0\0\
    \0\0\x23\x07\0\0\0\0\0\
    \0\0\0\0\0\0\0\x0c\
    this port requires TLS; use https";

/// The alert "unexpected_message" (10).
const UNEXPECTED_MESSAGE: &[u8] = &[21, 3, 3, 0, 2, 2, 10];

/// Returns `Ok` if the client begins with a TLS handshake. Answers other clients.
///
/// # Errors
/// If the client speaks another protocol, or the stream ends.
pub(super) async fn expect_tls<S>(stream: &mut ReadAhead<S>) -> Result<(), PrefaceError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match stream.peek(1).await? {
        [] => return Err(PrefaceError::Closed),
        [TLS_HANDSHAKE, ..] => return Ok(()),
        _ => {}
    }
    let (protocol, answer) = match preface::recognize(stream).await {
        Ok(_) => ("HTTP/2", HTTP2_ANSWER),
        Err(PrefaceError::Http1) => ("HTTP/1", HTTP1_ANSWER),
        Err(PrefaceError::NotHttp2) => ("an unknown protocol", UNEXPECTED_MESSAGE),
        Err(error) => return Err(error),
    };
    // The client may be gone. The reason for the log is the protocol in any case.
    let _ = preface::answer(stream, answer).await;
    Err(PrefaceError::Plaintext(protocol))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn answer_to(bytes: &[u8]) -> (Result<(), PrefaceError>, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(4096);
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut server = ReadAhead::new(server, 4096);
        let result = expect_tls(&mut server).await;
        drop(server);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        (result, answer)
    }

    #[tokio::test]
    async fn a_tls_handshake_is_left_unread() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&[TLS_HANDSHAKE, 3, 1]).await.unwrap();
        drop(client);
        let mut server = ReadAhead::new(server, 64);
        expect_tls(&mut server).await.unwrap();
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, [TLS_HANDSHAKE, 3, 1]);
    }

    #[tokio::test]
    async fn an_http1_client_gets_a_readable_answer() {
        let (result, answer) = answer_to(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        insta::assert_snapshot!(result.unwrap_err(), @"the client speaks HTTP/1 without TLS; this port requires TLS");
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
    }

    #[tokio::test]
    async fn an_http2_client_gets_a_goaway_frame_that_h2_understands() {
        let (client, server) = tokio::io::duplex(4096);
        let mut server = ReadAhead::new(server, 4096);
        let client = async {
            let (mut send, connection) = h2::client::handshake(client).await.unwrap();
            let request = http::Request::get("http://localhost/").body(()).unwrap();
            let _ = send.send_request(request, true);
            connection.await.unwrap_err()
        };
        let (error, result) = futures::future::join(client, expect_tls(&mut server)).await;
        insta::assert_snapshot!(result.unwrap_err(), @"the client speaks HTTP/2 without TLS; this port requires TLS");
        assert_eq!(error.reason(), Some(h2::Reason::INADEQUATE_SECURITY));
        assert!(error.to_string().contains("requires TLS"), "{error}");
    }

    #[tokio::test]
    async fn other_bytes_get_an_alert() {
        for bytes in [&[0; 99][..], b"SSH-2.0-OpenSSH_9.6\r\n", &[0x17, 3, 3, 0, 9]] {
            let (result, answer) = answer_to(bytes).await;
            assert!(matches!(result, Err(PrefaceError::Plaintext(_))), "{result:?}");
            assert_eq!(answer, UNEXPECTED_MESSAGE);
        }
        let (result, answer) = answer_to(b"").await;
        assert!(matches!(result, Err(PrefaceError::Closed)));
        assert_eq!(answer, b"");
    }
}
