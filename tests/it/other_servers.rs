//! The program with ports that are not those of a waywiser server. Each command fails at once with a clear error.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::program::run_async;
use crate::support::pki::{Ca, start};
use crate::support::reserved_address;
use waywiser::server::TlsSettings;

/// A server that sends the same bytes on every connection, after the first bytes of the client.
async fn answering(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(answer).await;
                // Closes the connection when the client does.
                while let Ok(1..) = stream.read(&mut buffer).await {}
            });
        }
    });
    address
}

/// A server that answers each HTTP/2 request with a page.
async fn pages(status: u16) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_request, mut respond))) = connection.accept().await {
                    let response = http::Response::builder().status(status);
                    let response = response.header("content-type", "text/html").body(()).unwrap();
                    let mut page = respond.send_response(response, false).unwrap();
                    let _ = page.send_data(bytes::Bytes::from_static(b"<html>"), true);
                }
            });
        }
    });
    address
}

/// The commands that need no other state, each with the server appended.
const COMMANDS: [&[&str]; 7] = [
    &["record", "--name", "paths/a", "examples/legs.csv"],
    &["record", "examples/legs.csv"],
    &["record", "--method", "record-route", "examples/legs.csv"],
    &["measure", "examples/legs.csv"],
    &["watch", "paths/a"],
    &["paths", "list"],
    &["paths", "delete", "paths/a", "paths/b"],
];

async fn each_fails_with(server: &str, message: &str) {
    for command in COMMANDS {
        let (code, out, errors) = run_async(&[command, &["--server", server]].concat()).await;
        assert_eq!(code, Some(1), "{command:?} {out} {errors}");
        assert!(errors.contains(message), "{command:?} {errors}");
        assert!(!errors.contains("retrying in"), "{command:?} {errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_protocol_is_reported() {
    for (answer, message) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..],
            "it answered with HTTP/1: HTTP/1.1 400 Bad Request",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "it does not speak HTTP/2"),
        (&[0x15, 3, 1, 0, 2, 2, 10], "the server speaks TLS: use https://"),
    ] {
        let address = answering(answer).await;
        each_fails_with(&format!("http://{address}"), message).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_pages_is_reported() {
    let address = pages(404).await;
    each_fails_with(&address.to_string(), "it answered with HTTP status 404 Not Found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_tls_are_reported() {
    let ca = Ca::new();
    let server = start(&TlsSettings::load(ca.server().config()).unwrap()).await;
    let secure = format!("https://{}", server.address);
    each_fails_with(&secure, "(--ca-file FILE)").await;
    each_fails_with(&server.address.to_string(), "the server speaks TLS: use https://").await;
    let plain = crate::support::Server::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, &ca.pem).unwrap();
    let file = file.to_str().unwrap();
    let url = format!("https://{}", plain.address);
    let list = ["paths", "list", "--server", &url, "--ca-file", file];
    let (code, _, errors) = run_async(&list).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("the server does not speak TLS; use http://"), "{errors}");
}

/// A watch retries, because a server may start later.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_without_a_server_is_reported() {
    let (_reserved, closed) = reserved_address();
    for command in COMMANDS.iter().filter(|command| command[0] != "watch") {
        let server = closed.to_string();
        let (code, _, errors) = run_async(&[*command, &["--server", &server]].concat()).await;
        assert_eq!(code, Some(1), "{command:?} {errors}");
        assert!(errors.contains("is a server running there?"), "{command:?} {errors}");
        assert_eq!(errors.lines().count(), 1, "{command:?} {errors}");
    }
}
