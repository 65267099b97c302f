//! The end of client certificates: they expire, or their CA is removed.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::HandshakeKind;
use tonic::Code;
use waywiser::auth::{AuthError, Authenticator, Credentials, Revocation, Role, Session};
use waywiser::client;
use waywiser::server::{self, Monitor, TlsConfig, TlsSettings};

use crate::support::callers::caller;
use crate::support::pki::{Ca, Client, Pair, TLS12, TLS13, start};
use crate::support::{PATH_LENGTH, Raw, Server, frames};

/// Accepts each token until it is revoked, and each certificate until it expires.
struct AnyCaller;

impl Authenticator for AnyCaller {
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Session, AuthError> {
        let expires_at = match (credentials.authorization, credentials.certificate) {
            (None, None) => return Err(AuthError::Missing),
            (Some(_), _) => None,
            (None, Some(certificate)) => certificate.not_after,
        };
        if expires_at.is_some_and(|end| SystemTime::now() > end) {
            return Err(AuthError::Expired);
        }
        let principal = Arc::new(caller("van-7", None, Role::Writer));
        Ok(Session { principal, expires_at, revoked: Revocation::new() })
    }
}

/// Starts a server that accepts any caller, and returns its counts.
async fn server(settings: &TlsSettings) -> (Server, Monitor) {
    let (settings, mut monitor) = (settings.clone(), None);
    let adapt = |server: server::Server| {
        monitor = Some(server.monitor());
        server.with_tls(settings).with_authenticator(Arc::new(AnyCaller))
    };
    let server = Server::in_memory(|_| {}, adapt).await;
    (server, monitor.unwrap())
}

/// Attempts with another certificate. On a slow machine one can expire before the server has admitted a call.
const ATTEMPTS: usize = 20;

/// Issues a certificate that expires in one to two seconds: the times in certificates are whole seconds.
fn short_lived(ca: &Ca) -> Pair {
    ca.issue(&["van.example.org"], |params| {
        params.not_after = (SystemTime::now() + Duration::from_secs(2)).into();
    })
}

async fn is_closed(raw: &mut Raw) {
    // The connection accepts no stream when it has read the GOAWAY frame.
    while raw.try_call(PATH_LENGTH).await.is_ok() {}
}

fn ended_by_certificate(monitor: &Monitor) -> u64 {
    let ended = monitor.stats().connections_ended;
    ended.iter().find(|(reason, _)| *reason == "certificate").unwrap().1
}

#[tokio::test]
async fn a_removed_client_ca_ends_the_calls_and_connections_of_its_certificates() {
    let (ca, removed, kept) = (Ca::new(), Ca::new(), Ca::new());
    let directory = tempfile::tempdir().unwrap();
    let clients = directory.path().join("clients.pem");
    fs::write(&clients, format!("{}{}", removed.pem, kept.pem)).unwrap();
    let config = ca.server().config().with_client_ca_file(&clients);
    let settings = TlsSettings::load(config.with_optional_client_certificates()).unwrap();
    let (server, monitor) = server(&settings).await;
    let connect = |pair: Option<Pair>| {
        let client = Client::with(&ca, pair.as_ref(), TLS13, &["h2"]);
        async move { client.connect(server.address).await.unwrap() }
    };
    let uri = "spiffe://example.org/a";
    let mut ended = connect(Some(removed.client(uri))).await;
    let mut idle = connect(Some(removed.client(uri))).await;
    let mut other = connect(Some(kept.client(uri))).await;
    let mut without = connect(None).await;
    let token = [("authorization", "Bearer any")];
    // A call with a token depends on its connection too.
    let (mut first, mut second) = (ended.call(PATH_LENGTH), ended.call_with(PATH_LENGTH, &token));
    let mut continues = [other.call(PATH_LENGTH), without.call_with(PATH_LENGTH, &token)];
    for call in [&mut first, &mut second].into_iter().chain(&mut continues) {
        call.send(frames(&[(0, 0), (3, 4)]));
    }
    assert_eq!(idle.try_call(PATH_LENGTH).await.unwrap().code, Code::Ok);
    fs::write(&clients, &kept.pem).unwrap();
    settings.reload().unwrap();
    for call in [&mut first, &mut second] {
        let answer = call.answer().await.unwrap();
        assert_eq!(answer.code, Code::Unavailable, "{answer:?}");
        assert_eq!(answer.reason.as_deref(), Some("CERTIFICATE_ENDED"));
    }
    is_closed(&mut ended).await;
    is_closed(&mut idle).await;
    for call in &mut continues {
        call.close();
        assert_eq!(call.answer().await.unwrap().code, Code::Ok);
    }
    assert_eq!(other.try_call(PATH_LENGTH).await.unwrap().code, Code::Ok);
    drop((ended, idle));
    while ended_by_certificate(&monitor) < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_expired_certificate_ends_its_calls_and_closes_its_connection_gracefully() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let config = ca.server().config().with_client_ca_pem(clients.pem.clone());
    let settings = TlsSettings::load(config).unwrap();
    let (server, monitor) = server(&settings).await;
    let mut attempts = 0;
    let (mut raw, mut by_token, before) = loop {
        attempts += 1;
        let before = ended_by_certificate(&monitor);
        let client = Client::with(&ca, Some(&short_lived(&clients)), TLS13, &["h2"]);
        let connected = client.connect(server.address).await;
        let Ok(mut raw) = connected else {
            assert!(attempts < ATTEMPTS, "{:?}", connected.err());
            continue;
        };
        let mut by_certificate = raw.call(PATH_LENGTH);
        let mut by_token = raw.call_with(PATH_LENGTH, &[("authorization", "Bearer any")]);
        by_token.send(frames(&[(0, 0), (3, 4)]));
        let answer = by_certificate.answer().await;
        if attempts < ATTEMPTS
            && !answer.as_ref().is_ok_and(|answer| answer.code == Code::Unavailable)
        {
            continue;
        }
        let answer = answer.unwrap();
        assert_eq!(answer.code, Code::Unavailable, "{answer:?}");
        assert_eq!(answer.reason.as_deref(), Some("CERTIFICATE_ENDED"));
        break (raw, by_token, before);
    };
    // A call that the client has begun before it reads the GOAWAY frame is not refused for good either.
    while let Ok(answer) = raw.try_call(PATH_LENGTH).await {
        assert_eq!(answer.code, Code::Unavailable, "{answer:?}");
    }
    by_token.close();
    assert_eq!(by_token.answer().await.unwrap().code, Code::Ok);
    while ended_by_certificate(&monitor) <= before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_presents_the_renewed_certificate_in_its_next_connection() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let config = ca.server().config().with_client_ca_pem(clients.pem.clone());
    let settings = TlsSettings::load(config).unwrap();
    let (server, _) = server(&settings).await;
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("a.pem"), directory.path().join("a.key"));
    let write = |pair: &Pair| {
        fs::write(&certificate, &pair.certificate).unwrap();
        fs::write(&key, &pair.key).unwrap();
    };
    let url = format!("https://localhost:{}", server.address.port());
    let mut attempts = 0;
    let client = loop {
        attempts += 1;
        write(&short_lived(&clients));
        let client = client::Client::builder(&url)
            .ca_pem(ca.pem.clone())
            .client_identity_files(&certificate, &key)
            .connect()
            .await;
        let error = match client {
            Ok(client) => {
                // The certificate expires during this call.
                let (_points, never_ending) = tokio::sync::mpsc::channel::<waywiser::Point>(1);
                let never_ending = tokio_stream::wrappers::ReceiverStream::new(never_ending);
                let error = client.record_route(never_ending).await.unwrap_err();
                if error.to_string().contains("connect again with a valid certificate") {
                    break client;
                }
                error
            }
            Err(error) => error,
        };
        assert!(attempts < ATTEMPTS, "{error}");
    };
    write(&clients.client("spiffe://example.org/van-7"));
    let summary = loop {
        let points = futures::stream::iter([waywiser::Point::from_e7(0, 0).unwrap()]);
        match client.record_route(points).await {
            Ok(summary) => break summary,
            // The call was sent before the client had seen that the server closes the connection. The server may have
            // received it.
            Err(error) => {
                let text = format!("{error:?}");
                let ends = [
                    "connection closed",
                    "transport error",
                    "connect again with a valid certificate",
                ];
                assert!(ends.iter().any(|end| text.contains(end)), "{text}");
            }
        }
    };
    assert_eq!(summary.point_count, 1);
}

fn config(directory: &Path) -> TlsConfig {
    TlsConfig::from_files(directory.join("server.pem"), directory.join("server.key"))
}

#[tokio::test]
async fn sessions_are_resumed_without_client_cas_only() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let directory = tempfile::tempdir().unwrap();
    let pair = ca.server();
    fs::write(directory.path().join("server.pem"), &pair.certificate).unwrap();
    fs::write(directory.path().join("server.key"), &pair.key).unwrap();
    let plain = config(directory.path());
    let required = plain.clone().with_client_ca_pem(clients.pem.clone());
    let optional = required.clone().with_optional_client_certificates();
    for (config, expected) in [
        (plain, HandshakeKind::Resumed),
        (required, HandshakeKind::Full),
        (optional, HandshakeKind::Full),
    ] {
        let server = start(&TlsSettings::load(config).unwrap()).await;
        for versions in [TLS12, TLS13] {
            let pair = clients.client("spiffe://example.org/a");
            let client = Client::with(&ca, Some(&pair), versions, &["h2"]);
            // The client receives a ticket with the answer.
            assert_eq!(client.call(server.address).await, Ok(Code::Ok));
            let stream = client.handshake(server.address).await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected));
        }
    }
}
