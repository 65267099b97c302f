//! Client certificates: which are accepted, and the names that authenticators get.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use tonic::Code;
use waywiser::auth::{AuthError, Authenticator, Credentials, PeerCertificate, Session};
use waywiser::server::{self, TlsSettings};

use crate::support::Server;
use crate::support::pki::{Ca, Client, Pair, TLS12, TLS13, start};

/// Records the certificates of callers, and accepts no call.
#[derive(Default)]
struct Recorder(Mutex<Vec<Option<PeerCertificate>>>);

impl Authenticator for Recorder {
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Session, AuthError> {
        self.0.lock().unwrap().push(credentials.certificate.cloned());
        Err(AuthError::Missing)
    }
}

/// A server that records the certificates of its callers.
async fn recorded(settings: TlsSettings) -> (Server, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let authenticator = Arc::clone(&recorder);
    let adapt =
        |server: server::Server| server.with_tls(settings).with_authenticator(authenticator);
    let server = Server::in_memory(|_| {}, adapt).await;
    (server, recorder)
}

fn names(uri: &str) -> PeerCertificate {
    PeerCertificate {
        uri_names: vec![uri.to_owned()],
        dns_names: vec!["van.example.org".to_owned()],
        // 4096-01-01, the default of rcgen.
        not_after: Some(UNIX_EPOCH + Duration::from_secs(776_506 * 86_400)),
    }
}

#[tokio::test]
async fn the_names_of_a_client_certificate_reach_the_authenticator() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let config = ca.server().config().with_client_ca_pem(clients.pem.clone());
    let (server, recorder) = recorded(TlsSettings::load(config).unwrap()).await;
    let pair = clients.client("spiffe://example.org/van-7");
    for versions in [TLS12, TLS13] {
        let client = Client::with(&ca, Some(&pair), versions, &["h2"]);
        for _ in 0..2 {
            assert_eq!(client.call(server.address).await, Ok(Code::Unauthenticated));
        }
    }
    let expected = Some(names("spiffe://example.org/van-7"));
    assert_eq!(*recorder.0.lock().unwrap(), vec![expected; 4]);
}

#[tokio::test]
async fn a_certificate_is_required_with_client_cas() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let config = ca.server().config().with_client_ca_pem(clients.pem.clone());
    let settings = TlsSettings::load(config).unwrap();
    let server = start(&settings).await;
    let year = |from, to| {
        clients.issue(&["van.example.org"], |params| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
        })
    };
    let server_only = clients.issue(&["van.example.org"], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    let refused: [(&str, Option<Pair>); 5] = [
        ("missing", None),
        ("another CA", Some(ca.client("spiffe://example.org/van-7"))),
        ("expired", Some(year(2001, 2002))),
        ("not valid yet", Some(year(2090, 2091))),
        ("for servers", Some(server_only)),
    ];
    for (index, (case, pair)) in refused.iter().enumerate() {
        for versions in [TLS12, TLS13] {
            let client = Client::with(&ca, pair.as_ref(), versions, &["h2"]);
            client.call(server.address).await.expect_err(case);
        }
        assert_eq!(settings.handshake_failures(), 2 * (index as u64 + 1), "{case}");
    }
    let good = clients.client("spiffe://example.org/van-7");
    let client = Client::with(&ca, Some(&good), TLS13, &["h2"]);
    assert_eq!(client.call(server.address).await, Ok(Code::Ok));
}

#[tokio::test]
async fn an_optional_certificate_may_be_missing_but_not_wrong() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let config = ca.server().config().with_client_ca_pem(clients.pem.clone());
    let settings = TlsSettings::load(config.with_optional_client_certificates()).unwrap();
    let (server, recorder) = recorded(settings).await;
    let call = |pair: Option<Pair>| {
        let client = Client::with(&ca, pair.as_ref(), TLS13, &["h2"]);
        async move { client.call(server.address).await }
    };
    assert_eq!(call(None).await, Ok(Code::Unauthenticated));
    let good = clients.client("spiffe://example.org/van-7");
    assert_eq!(call(Some(good)).await, Ok(Code::Unauthenticated));
    call(Some(ca.client("spiffe://example.org/van-7"))).await.unwrap_err();
    let expected = [None, Some(names("spiffe://example.org/van-7"))];
    assert_eq!(*recorder.0.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_certificate_without_client_cas_is_ignored() {
    let ca = Ca::new();
    let (server, recorder) = recorded(TlsSettings::load(ca.server().config()).unwrap()).await;
    let pair = ca.client("spiffe://example.org/van-7");
    let client = Client::with(&ca, Some(&pair), TLS13, &["h2"]);
    assert_eq!(client.call(server.address).await, Ok(Code::Unauthenticated));
    assert_eq!(*recorder.0.lock().unwrap(), [None]);
}
