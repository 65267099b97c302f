//! The client over TLS: certificates, tokens, and the errors of wrong settings.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use waywiser::auth::{
    AuthError, Authenticator, Credentials, Principal, PrincipalSource, Quota, Revocation, Role,
    Session,
};
use waywiser::client::{
    Client, ClientError, ConnectionFault, RecordError, RecordEvent, TokenSource,
};
use waywiser::server::TlsSettings;
use waywiser::{Metric, Options, Point};

use crate::support::live_recording::{LiveRecording, fix};
use crate::support::pki::{Ca, Pair, start};
use crate::support::{Listener, Server};

fn points() -> impl futures::Stream<Item = Point> + Send + 'static {
    stream::iter((0..3).map(|i| Point::from_e7(i * 10_000_000, 0).unwrap()))
}

/// Connects and makes a call.
async fn call(builder: waywiser::client::ClientBuilder) -> Result<u32, ClientError> {
    Ok(builder.connect().await?.record_route(points()).await?.point_count)
}

/// Returns the fault of a call.
async fn fault(builder: waywiser::client::ClientBuilder) -> ConnectionFault {
    match call(builder).await.unwrap_err() {
        ClientError::Connection { source, .. } => *source,
        error => panic!("{error}: {error:?}"),
    }
}

async fn server(pair: &Pair) -> Server {
    start(&TlsSettings::load(pair.config()).unwrap()).await
}

fn url(server: &Server, host: &str) -> String {
    format!("https://{host}:{}", server.address.port())
}

#[tokio::test]
async fn a_call_over_tls_trusts_the_given_ca() {
    let ca = Ca::new();
    let server = server(&ca.server()).await;
    for host in ["localhost", "127.0.0.1"] {
        let builder = Client::builder(url(&server, host)).ca_pem(ca.pem.clone());
        assert_eq!(call(builder).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn an_invalid_certificate_is_reported_with_its_reason() {
    let (ca, other) = (Ca::new(), Ca::new());
    let year = |year| rcgen::date_time_ymd(year, 1, 1);
    let expired = ca.issue(&["localhost"], |params| params.not_after = year(2000));
    let early = ca.issue(&["localhost"], |params| params.not_before = year(4000));
    let named = ca.issue(&["example.org", "*.example.net"], |_| {});
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = params.self_signed(&key).unwrap().pem();
    let own = Pair { certificate: own, key: key.serialize_pem() };
    let mismatch = ConnectionFault::NameMismatch {
        host: "localhost".to_owned(),
        names: vec!["example.org".to_owned(), "*.example.net".to_owned()],
    };
    for (pair, pem, expected) in [
        (&ca.server(), &other.pem, ConnectionFault::UnknownIssuer),
        (&expired, &ca.pem, ConnectionFault::Expired),
        (&early, &ca.pem, ConnectionFault::NotYetValid),
        (&named, &ca.pem, mismatch),
        (&own, &own.certificate, ConnectionFault::CaCertificate),
    ] {
        let server = server(pair).await;
        let builder = Client::builder(url(&server, "localhost")).ca_pem(pem.clone());
        assert_eq!(fault(builder).await, expected);
    }
}

#[tokio::test]
async fn a_wrong_scheme_is_reported() {
    let ca = Ca::new();
    // A server that answers in plaintext.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 1024];
        let _ = stream.read(&mut hello).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        while let Ok(1..) = stream.read(&mut hello).await {}
    });
    let builder = Client::builder(format!("https://localhost:{port}")).ca_pem(ca.pem.clone());
    assert_eq!(fault(builder).await, ConnectionFault::NotTls);
    let plain = Server::start().await;
    let builder = Client::builder(url(&plain, "localhost")).ca_pem(ca.pem.clone());
    assert_eq!(fault(builder).await, ConnectionFault::NotTls);
    // One that reads the first message and closes the connection.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read(&mut [0; 4096]).await
    });
    let builder = Client::builder(format!("https://localhost:{port}")).ca_pem(ca.pem.clone());
    let error = call(builder).await.unwrap_err();
    assert!(error.to_string().contains("it may not speak TLS (http://)"), "{error}");
    let secure = server(&ca.server()).await;
    let builder = Client::builder(format!("http://{}", secure.address));
    assert_eq!(fault(builder).await, ConnectionFault::NeedsTls);
}

#[tokio::test]
async fn a_server_may_require_a_client_certificate() {
    let (ca, other) = (Ca::new(), Ca::new());
    let settings = TlsSettings::load(ca.server().config().with_client_ca_pem(ca.pem.clone()));
    let server = start(&settings.unwrap()).await;
    let builder = || Client::builder(url(&server, "localhost")).ca_pem(ca.pem.clone());
    let pair = ca.client("spiffe://example.org/van-7");
    let known = builder().client_identity_pem(pair.certificate, pair.key);
    assert_eq!(call(known).await.unwrap(), 3);
    assert_eq!(fault(builder()).await, ConnectionFault::ClientCertificateRequired);
    let pair = other.client("spiffe://example.org/van-7");
    let unknown = fault(builder().client_identity_pem(pair.certificate, pair.key)).await;
    assert!(matches!(unknown, ConnectionFault::ClientCertificateRefused(_)), "{unknown}");
}

/// Accepts one token, which the test replaces.
struct Gate(Mutex<(String, Revocation)>);

impl Gate {
    fn new(token: &str) -> Arc<Self> {
        Arc::new(Self(Mutex::new((token.to_owned(), Revocation::new()))))
    }

    /// Replaces the token and ends the sessions of the old one.
    fn replace(&self, token: &str) {
        let new = (token.to_owned(), Revocation::new());
        let (_, old) = std::mem::replace(&mut *self.0.lock().unwrap(), new);
        old.change();
    }
}

impl Authenticator for Gate {
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Session, AuthError> {
        let (token, revoked) = &*self.0.lock().unwrap();
        let Some(header) = credentials.authorization else { return Err(AuthError::Missing) };
        if header != format!("Bearer {token}").as_bytes() {
            return Err(AuthError::Invalid("the token is not known"));
        }
        let principal = Principal {
            source: PrincipalSource::Configuration,
            name: "van-7".into(),
            namespace: None,
            role: Role::Writer,
            quota: Quota::default(),
        };
        let principal = Arc::new(principal);
        Ok(Session { principal, expires_at: None, revoked: revoked.clone() })
    }
}

/// Starts a server with TLS that accepts the tokens of the gate.
async fn guarded(ca: &Ca, gate: &Arc<Gate>) -> Server {
    let settings = TlsSettings::load(ca.server().config()).unwrap();
    let gate = Arc::clone(gate);
    Server::in_memory(|_| {}, |server| server.with_tls(settings).with_authenticator(gate)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_continues_with_the_token_that_replaces_an_expired_one() {
    let (ca, gate) = (Ca::new(), Gate::new("first"));
    let server = guarded(&ca, &gate).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let client = Client::builder(url(&server, "localhost"))
        .ca_pem(ca.pem.clone())
        .token(TokenSource::file(&file))
        .connect()
        .await
        .unwrap();
    let mut recording = LiveRecording::start(&client);
    recording.send(0..3);
    recording.committed(3).await;
    // The token expires. The file still has it, so that the recorder waits.
    gate.replace("second");
    recording
        .event(|event| {
            matches!(event, RecordEvent::Retrying { reason, .. } if reason.contains("there is no other one yet"))
        })
        .await;
    std::fs::write(&file, "second\n").unwrap();
    recording.connected(3).await;
    recording.send(3..5);
    let recorded = recording.finish().await.unwrap();
    assert_eq!((recorded.point_count, recorded.summary.length), (5, 20.0));
}

/// Cannot check a token the first times.
struct Unchecked(AtomicUsize, Arc<Gate>);

impl Authenticator for Unchecked {
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Session, AuthError> {
        if self.0.fetch_add(1, Relaxed) < 3 {
            let reason = "the keys are being fetched";
            return Err(AuthError::Unavailable { reason, retry_after: Duration::from_millis(50) });
        }
        self.1.authenticate(credentials)
    }
}

/// The key of the token may be new, so that the server fetches the keys of its issuer first.
#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_repeats_a_token_that_cannot_be_checked_yet() {
    let gate = Unchecked(AtomicUsize::new(0), Gate::new("good"));
    let server =
        Server::in_memory(|_| {}, |server| server.with_authenticator(Arc::new(gate))).await;
    let client = Client::builder(format!("http://{}", server.address))
        .token(TokenSource::value("good"))
        .connect()
        .await
        .unwrap();
    let mut recording = LiveRecording::start(&client);
    for _ in 0..3 {
        recording
            .event(|event| match event {
                RecordEvent::Retrying { wait, reason } => {
                    assert!(*wait >= Duration::from_millis(50), "{wait:?}");
                    reason.contains("the keys are being fetched")
                }
                other => panic!("{other:?}"),
            })
            .await;
    }
    recording.connected(0).await;
    recording.send(0..5);
    assert_eq!(recording.finish().await.unwrap().summary.length, 20.0);
}

#[tokio::test]
async fn wrong_credentials_fail_at_once() {
    let (ca, gate) = (Ca::new(), Gate::new("good"));
    let server = guarded(&ca, &gate).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "wrong").unwrap();
    for token in [None, Some(TokenSource::value("wrong")), Some(TokenSource::file(&file))] {
        let mut builder = Client::builder(url(&server, "localhost")).ca_pem(ca.pem.clone());
        if let Some(token) = token {
            builder = builder.token(token);
        }
        let client = builder.connect().await.unwrap();
        let recorder = client.recorder("paths/van".parse().unwrap(), Options::new(Metric::Planar));
        let error = recorder.record(stream::iter([fix(0)])).await.unwrap_err();
        let RecordError::Refused { source: ClientError::Status(status), .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
}

#[tokio::test]
async fn a_token_is_not_sent_in_plaintext_to_another_machine() {
    let token = || TokenSource::value("secret");
    for host in ["192.0.2.1", "example.org", "[2001:db8::1]:5"] {
        let error = Client::builder(host).token(token()).connect_lazy().unwrap_err();
        assert!(matches!(error, ClientError::PlaintextToken { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"));
        Client::builder(host).token(token()).allow_plaintext_token().connect_lazy().unwrap();
        Client::builder(format!("https://{host}")).token(token()).connect_lazy().unwrap();
    }
    let (server, local) = (Server::start().await, Client::builder);
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("http://{host}:{}", server.address.port());
        assert_eq!(call(local(url).token(token())).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn a_token_that_never_changes_is_checked_before_the_first_call() {
    for token in ["", "secret\n", "secret token", "Bearer secret"] {
        let builder = Client::builder("http://127.0.0.1:1").token(TokenSource::value(token));
        let error = builder.connect_lazy().unwrap_err();
        assert!(matches!(error, ClientError::Token(_)), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}

#[tokio::test]
async fn every_call_has_the_headers_and_the_token() {
    let mut listener = Listener::start().await;
    let client = Client::builder(format!("http://{}", listener.address))
        .header("X-Fleet", "north")
        .header("x-fleet", "south")
        .token(TokenSource::callback(|| Ok("secret".to_owned())))
        .connect()
        .await
        .unwrap();
    assert!(!format!("{client:?}").contains("secret"));
    let name = "paths/a".parse().unwrap();
    let calls = [
        tokio::spawn({
            let client = client.clone();
            async move { client.record_route(stream::pending()).await.map(drop) }
        }),
        tokio::spawn({
            let client = client.clone();
            async move { client.get_path(&name).await.map(drop) }
        }),
    ];
    for _ in &calls {
        let (request, _respond) = listener.next().await;
        let values: Vec<_> = request.headers().get_all("x-fleet").iter().collect();
        assert_eq!(values, ["north", "south"]);
        assert_eq!(request.headers()["authorization"], "Bearer secret");
        let agent = request.headers()["user-agent"].to_str().unwrap();
        assert!(agent.starts_with("waywiser/"), "{agent}");
    }
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_source_without_a_token_fails_the_call() {
    let server = Server::start().await;
    let failing = TokenSource::callback(|| Err("the vault is sealed".into()));
    let builder = Client::builder(format!("http://{}", server.address)).token(failing);
    let client = builder.connect().await.unwrap();
    let error = client.record_route(points()).await.unwrap_err();
    assert!(matches!(error, ClientError::Token(_)), "{error:?}");
    assert_eq!(error.to_string(), "no token: the vault is sealed");
    let error = client.measure_paths(stream::empty()).await.err();
    assert!(matches!(error, Some(ClientError::Token(_))));
}
