//! Key sets over HTTPS, and client certificates over TLS.

use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::Code;
use waywiser::auth::{Access, AccessSettings, CertificateNames};
use waywiser::client::RecordError;
use waywiser::server::{self, TlsSettings};

use super::{Issuer, bearer, write_secret};
use crate::program::waywiser;
use crate::serve_process::Serve;
use crate::support::live_recording::LiveRecording;
use crate::support::pki::{Ca, Client, TLS13};
use crate::support::{PATH_LENGTH, Raw, Server, frames};

/// Serves the key set over HTTPS. Returns the URL.
async fn publish(issuer: &Issuer, ca: &Ca) -> String {
    let pair = ca.server();
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config =
        ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/keys", listener.local_addr().unwrap().port());
    let body = issuer.key_set();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust the certificate ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    url
}

fn serve(url: &str, roots: &str) -> Command {
    let mut command = waywiser(&["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
    command.args(["--jwks", url, "--jwt-issuer", "issuer", "--jwt-audience", "waywiser"]);
    command.env("SSL_CERT_FILE", roots).env_remove("SSL_CERT_DIR");
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_set_is_fetched_over_https_from_a_server_that_the_system_trusts() {
    let (issuer, ca, other) = (Issuer::new(), Ca::new(), Ca::new());
    let url = publish(&issuer, &ca).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, ca: &Ca| {
        let path = folder.path().join(name);
        std::fs::write(&path, &ca.pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let token = bearer(&issuer.token(json!({})));
    let answer = async |serve: &Serve| {
        let mut raw = Raw::connect(serve.address).await;
        let mut call = raw.call_with(PATH_LENGTH, &[("authorization", &token)]);
        call.close();
        call.answer().await.unwrap()
    };
    let trusting = Serve::spawn(&mut serve(&url, &file("ca", &ca))).unwrap();
    // The keys are fetched after the start.
    let code = loop {
        let answer = answer(&trusting).await;
        if answer.code != Code::Unavailable {
            break answer.code;
        }
        assert_eq!(answer.reason.as_deref(), Some("CREDENTIALS_UNCHECKED"));
    };
    assert_eq!(code, Code::Ok);

    let mut command = serve(&url, &file("other", &other));
    let mut suspicious = Serve::spawn(command.stderr(Stdio::piped())).unwrap();
    let log = std::io::BufReader::new(suspicious.process.stderr.take().unwrap());
    let line = std::io::BufRead::lines(log).find_map(|line| {
        let line = line.unwrap();
        line.contains("credentials cannot be loaded").then_some(line)
    });
    let line = line.unwrap();
    assert!(line.contains(&url) && line.contains("invalid peer certificate"), "{line}");
    assert_eq!(answer(&suspicious).await.code, Code::Unavailable);
}

#[tokio::test]
async fn a_client_certificate_authenticates_and_its_absence_does_not() {
    let ca = Ca::new();
    let config = ca.server().config().with_client_ca_pem(ca.pem.clone());
    let tls = TlsSettings::load(config.with_optional_client_certificates()).unwrap();
    let settings = AccessSettings {
        certificates: Some(CertificateNames::Derived),
        ..AccessSettings::default()
    };
    let access = Arc::new(Access::load(settings).unwrap());
    let adapt = |server: server::Server| server.with_tls(tls).with_authenticator(access);
    let server = Server::in_memory(|_| {}, adapt).await;
    let pair = ca.client("spiffe://example.org/van-7");
    let with = Client::with(&ca, Some(&pair), TLS13, &["h2"]);
    assert_eq!(with.call(server.address).await, Ok(Code::Ok));
    let without = Client::with(&ca, None, TLS13, &["h2"]);
    assert_eq!(without.call(server.address).await, Ok(Code::Unauthenticated));
}

/// The removal of an entry ends the calls of its certificate, and no later call is accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_whose_entry_is_removed_is_refused_for_good() {
    let ca = Ca::new();
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens.toml");
    let entry = |name| {
        format!("[[principal]]\nname = '{name}'\ncertificate_names = ['spiffe://x/{name}']\n")
    };
    write_secret(&tokens, &(entry("van") + &entry("bus")));
    let tls = TlsSettings::load(ca.server().config().with_client_ca_pem(ca.pem.clone())).unwrap();
    let certificates = Some(CertificateNames::Listed);
    let settings = AccessSettings { tokens: Some(tokens.clone()), certificates, jwt: None };
    let access = Arc::new(Access::load(settings).unwrap());
    let authenticator = Arc::clone(&access);
    let adapt = |server: server::Server| server.with_tls(tls).with_authenticator(authenticator);
    let server = Server::in_memory(|_| {}, adapt).await;
    let connect = async |name: &str| {
        let pair = ca.client(&format!("spiffe://x/{name}"));
        Client::with(&ca, Some(&pair), TLS13, &["h2"]).connect(server.address).await.unwrap()
    };
    let (mut van, mut bus, mut other) =
        (connect("van").await, connect("bus").await, connect("other").await);
    let refusal = other.try_call(PATH_LENGTH).await.unwrap();
    assert_eq!(refusal.code, Code::Unauthenticated);
    assert!(refusal.message.contains("no entry of the token file names"), "{}", refusal.message);
    let (mut removed, mut kept) = (van.call(PATH_LENGTH), bus.call(PATH_LENGTH));
    for (raw, call) in [(&mut van, &mut removed), (&mut bus, &mut kept)] {
        call.send(frames(&[(0, 0), (3, 4)]));
        // A connection admits its calls in order: after this answer, the other call has a session.
        assert_eq!(raw.try_call(PATH_LENGTH).await.unwrap().code, Code::Ok);
    }
    let pair = ca.client("spiffe://x/van");
    let client =
        waywiser::client::Client::builder(format!("https://localhost:{}", server.address.port()))
            .ca_pem(ca.pem.clone())
            .client_identity_pem(pair.certificate, pair.key)
            .connect()
            .await
            .unwrap();
    let mut recording = LiveRecording::start(&client);
    recording.send(0..3);
    recording.committed(3).await;
    write_secret(&tokens, &entry("bus"));
    access.reload().unwrap();
    let answer = removed.answer().await.unwrap();
    assert_eq!(answer.code, Code::Unauthenticated, "{}", answer.message);
    assert_eq!(answer.reason.as_deref(), Some("CREDENTIALS_INVALID"));
    assert_eq!(van.try_call(PATH_LENGTH).await.unwrap().code, Code::Unauthenticated);
    // The recorder does not try again.
    let error = recording.failure().await;
    assert!(matches!(error, RecordError::Refused { .. }), "{error:?}");
    kept.close();
    assert_eq!(kept.answer().await.unwrap().code, Code::Ok);
}
