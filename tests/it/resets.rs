//! Limits on resets: a client that resets too many streams, or makes the server reset them, loses its connection.

use bytes::Bytes;
use h2::Reason;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use waywiser::proto::waywiser_v1 as pb;

use crate::support::window::{connect, request};
use crate::support::{PATH_LENGTH, Server, frame, frames};

const WATCH_PATH: &str = "/waywiser.v1.PathService/WatchPath";

#[tokio::test]
async fn a_connection_that_resets_more_than_half_of_its_streams_is_closed() {
    let server = Server::start().await;
    let (send, connection, _) = connect(server.address, 1 << 16).await;
    let watch = pb::WatchPathRequest {
        name: "paths/none".into(),
        allow_missing: true,
        ..Default::default()
    };
    let watch = frame(&watch.encode_to_vec());
    let run = async |is_reset: bool| {
        let mut send = send.clone().ready().await?;
        let path = if is_reset { WATCH_PATH } else { PATH_LENGTH };
        let (response, mut body) = send.send_request(request(path), false)?;
        body.send_data(if is_reset { watch.clone() } else { Bytes::new() }, true)?;
        let response = response.await?;
        if is_reset {
            body.send_reset(Reason::CANCEL);
        } else {
            let mut reply = response.into_body();
            while let Some(data) = reply.data().await {
                data?;
            }
        }
        Ok::<_, h2::Error>(())
    };
    // Half of the streams is not more than half.
    for index in 0..1000 {
        run(index % 2 == 0).await.unwrap();
    }
    let mut count = 0;
    while run(true).await.is_ok() {
        count += 1;
    }
    assert!((900..=1100).contains(&count), "{count}");
    let end = connection.await.unwrap().unwrap_err();
    assert_eq!(end.reason(), Some(Reason::ENHANCE_YOUR_CALM), "{end:?}");
}

#[tokio::test]
async fn resets_during_the_request_count_too() {
    // The limit on resets before a stream starts would close the connection first, so it is raised.
    let server = Server::with(|config| config.max_pending_resets = 1_000_000).await;
    let (send, connection, _) = connect(server.address, 1 << 16).await;
    let reset = async || {
        let mut send = send.clone().ready().await?;
        let (_response, mut body) = send.send_request(request(PATH_LENGTH), false)?;
        body.send_data(frames(&[(0, 0)]), false)?;
        body.send_reset(Reason::CANCEL);
        // Lets the connection write.
        tokio::task::yield_now().await;
        Ok::<_, h2::Error>(())
    };
    while reset().await.is_ok() {}
    let end = connection.await.unwrap().unwrap_err();
    assert_eq!(end.reason(), Some(Reason::ENHANCE_YOUR_CALM), "{end:?}");
}

#[tokio::test]
async fn resets_before_the_server_accepts_a_stream_are_limited() {
    let server = Server::with(|config| config.max_pending_resets = 8).await;
    let mut raw = TcpStream::connect(server.address).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1..2001_u32).step_by(2) {
        bytes.extend(headers(stream));
        bytes.extend([0, 0, 4, 3, 0]); // RST_STREAM
        bytes.extend(stream.to_be_bytes());
        bytes.extend(8_u32.to_be_bytes()); // CANCEL
    }
    assert_eq!(goaway(&mut raw, &bytes).await, Some(11), "ENHANCE_YOUR_CALM");
    server.assert_works().await;
}

#[tokio::test]
async fn streams_with_protocol_errors_are_limited() {
    let server = Server::with(|config| config.max_error_resets = 8).await;
    let mut raw = TcpStream::connect(server.address).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1..401_u32).step_by(2) {
        // HEADERS with content-length: 0 and DATA of one byte, which is a stream error.
        bytes.extend([0, 0, 7, 1, 4]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend([0x83, 0x86, 0x84, 0x0f, 0x0d, 1, b'0']);
        bytes.extend([0, 0, 1, 0, 0]);
        bytes.extend(stream.to_be_bytes());
        bytes.push(0);
    }
    assert_eq!(goaway(&mut raw, &bytes).await, Some(11), "ENHANCE_YOUR_CALM");
    server.assert_works().await;
}

/// Returns a HEADERS frame with POST, http and the path /, by index in the static table.
fn headers(stream: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 3, 1, 4];
    bytes.extend(stream.to_be_bytes());
    bytes.extend([0x83, 0x86, 0x84]);
    bytes
}

/// Sends bytes and returns the error code of the GOAWAY that answers them.
async fn goaway(raw: &mut TcpStream, bytes: &[u8]) -> Option<u32> {
    let (mut reader, mut writer) = raw.split();
    let send = async {
        let _ = writer.write_all(bytes).await;
    };
    let mut received = Vec::new();
    let receive = async {
        let _ = reader.read_to_end(&mut received).await;
    };
    futures::future::join(send, receive).await;
    let mut rest = &received[..];
    let mut code = None;
    while let Some((&[a, b, c, kind, ..], payload)) = rest.split_first_chunk::<9>() {
        if kind == 7 {
            code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        rest = payload.get(u32::from_be_bytes([0, a, b, c]) as usize..).unwrap_or_default();
    }
    code
}
