//! The HTTP listener of a server with TLS.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use waywiser::server::TlsSettings;

use super::Web;
use crate::support::pki::{Ca, Client, TLS13};

async fn web(ca: &Ca) -> Web {
    let settings = TlsSettings::load(ca.server().config()).unwrap();
    Web::with(|_| {}, |server| server.with_tls(settings)).await
}

async fn get(client: &Client, web: &Web) -> std::io::Result<String> {
    let mut stream = client.handshake(web.address).await?;
    stream
        .write_all(b"GET /api/paths HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn clients_choose_http_1_or_2_and_need_tls() {
    let ca = Ca::new();
    let web = web(&ca).await;
    for protocols in [&["http/1.1"][..], &[]] {
        let client = Client::with(&ca, None, TLS13, protocols);
        let answer = get(&client, &web).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{protocols:?}: {answer}");
    }
    for protocols in [&["h2"][..], &["h2", "http/1.1"], &["http/1.1", "h2"]] {
        let client = Client::with(&ca, None, TLS13, protocols);
        let stream = client.handshake(web.address).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("https://localhost/api/paths").body(()).unwrap();
        let (response, _) = requests.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
    }
    // The other listener still speaks HTTP/2 only.
    let client = Client::with(&ca, None, TLS13, &["http/1.1"]);
    assert!(client.handshake(web.server.address).await.is_err());
}

#[tokio::test]
async fn plaintext_gets_a_readable_answer() {
    let ca = Ca::new();
    let web = web(&ca).await;
    for _ in 0..20 {
        let mut client = web.connect().await;
        client.send("GET", "/api/paths", &[], b"").await;
        let answer = client.closed().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.ends_with("This port requires TLS. Use an https:// address.\n"), "{answer}");
    }
}

#[tokio::test]
async fn tls_to_a_listener_without_tls_gets_an_answer() {
    let web = Web::start().await;
    let error = get(&Client::new(&Ca::new()), &web).await.unwrap_err();
    assert!(error.to_string().contains("InvalidContentType"), "{error}");
    assert_eq!(web.get("/api/paths").await.status, 200);
}
