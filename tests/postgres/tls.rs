//! TLS: the store verifies the certificate of the server, also when it changes while the store runs.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, date_time_ymd,
};
use waywiser::recording::CheckpointStore;
use waywiser::store::PostgresStore;
use waywiser::store::contract::check_store;

use crate::cluster::{Cluster, DATABASE, PASSWORD, USER};
use crate::fixtures::{migrated, settings, unavailable};
use crate::skip::skipped;
use crate::walk::{name, recorded};

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Ca {
    fn new(name: &str) -> Self {
        Self::with_key(name, KeyPair::generate().unwrap())
    }

    fn with_key(name: &str, key: KeyPair) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Issues a certificate for a name or an address. Returns it and its key in PEM.
    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

struct Tls {
    cluster: Cluster,
    ca: Ca,
    roots: PathBuf,
}

impl Tls {
    /// Starts a cluster that accepts TLS only. Returns `None`, after printing so, without PostgreSQL or its TLS.
    async fn start() -> Option<Self> {
        let cluster = Cluster::start().await?;
        if !cluster.binaries.have_tls() {
            skipped(format_args!(
                "TLS of PostgreSQL {}, which was compiled without it",
                cluster.binaries.version
            ));
            return None;
        }
        let ca = Ca::new("the CA of the database");
        let roots = cluster.folder().join("ca.pem");
        std::fs::write(&roots, &ca.pem).unwrap();
        let tls = Self { cluster, ca, roots };
        tls.use_certificate(tls.ca.issue("localhost", |_| {})).await;
        tls.cluster.configure("ssl = on\nssl_ca_file = 'client-ca.crt'");
        tls.cluster.write("client-ca.crt", &tls.ca.pem);
        tls.cluster
            .authenticate(
                "hostssl all all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 reject",
            )
            .await;
        Some(tls)
    }

    async fn use_certificate(&self, (certificate, key): (String, String)) {
        self.cluster.write("server.crt", &certificate);
        self.cluster.write("server.key", &key);
        self.cluster.reload().await;
    }

    fn url(&self, host: &str, mode: &str, roots: Option<&Path>) -> String {
        let port = self.cluster.address.port();
        let roots =
            roots.map(|roots| format!("&sslrootcert={}", roots.display())).unwrap_or_default();
        format!("postgres://{USER}:{PASSWORD}@{host}:{port}/{DATABASE}?sslmode={mode}{roots}")
    }

    async fn refused(&self, url: &str) -> String {
        PostgresStore::connect(settings(url)).await.map(drop).unwrap_err().to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_over_tls() {
    let Some(tls) = Tls::start().await else { return };
    let store = migrated(&tls.url("localhost", "verify-full", Some(&tls.roots))).await;
    check_store(&*store).await;
    let encrypted = "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'waywiser'";
    assert_eq!(tls.cluster.value(encrypted).await, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_verified_as_the_mode_says() {
    let Some(tls) = Tls::start().await else { return };
    let roots = Some(tls.roots.as_path());
    drop(migrated(&tls.url("localhost", "verify-full", roots)).await);
    let accepts = async |url: String| {
        drop(
            PostgresStore::connect(settings(&url))
                .await
                .unwrap_or_else(|error| panic!("{url}: {error}")),
        );
    };
    // The certificate does not name the address.
    let text = tls.refused(&tls.url("127.0.0.1", "verify-full", roots)).await;
    assert!(text.contains("certificate") && text.contains("127.0.0.1"), "{text}");
    accepts(tls.url("127.0.0.1", "verify-ca", roots)).await;
    accepts(tls.url("127.0.0.1", "require", None)).await;
    accepts(tls.url("127.0.0.1", "prefer", None)).await;
    let text = tls.refused(&tls.url("localhost", "disable", None)).await;
    assert!(text.contains("pg_hba") || text.contains("encryption"), "{text}");
    // Another CA, and the CAs of the system.
    let other = tls.cluster.folder().join("other.pem");
    std::fs::write(&other, Ca::new("another CA").pem).unwrap();
    for roots in [Some(other.as_path()), None] {
        for mode in ["verify-ca", "verify-full"] {
            let text = tls.refused(&tls.url("localhost", mode, roots)).await;
            assert!(text.contains("certificate"), "{mode}: {text}");
        }
    }
    // A file that is missing or has no certificate.
    let text =
        tls.refused(&tls.url("localhost", "verify-full", Some(Path::new("/absent.pem")))).await;
    assert!(text.contains("/absent.pem"), "{text}");
    std::fs::write(&other, "no certificate").unwrap();
    let text = tls.refused(&tls.url("localhost", "verify-full", Some(&other))).await;
    assert!(text.contains("other.pem"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused() {
    let Some(tls) = Tls::start().await else { return };
    let url = tls.url("localhost", "verify-full", Some(&tls.roots));
    let store = migrated(&url).await;
    recorded(&*store, 1, 10).await;
    let expired = tls.ca.issue("localhost", |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    tls.use_certificate(expired).await;
    let text = tls.refused(&url).await;
    assert!(text.contains("expired"), "{text}");
    // The store that runs notices it when it connects again, and works when the certificate is renewed.
    tls.cluster
        .sql(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'waywiser'",
        )
        .await;
    loop {
        match store.load(name(1)).await {
            // The session was not terminated yet.
            Ok(_) => {}
            Err(error) => {
                unavailable::<()>(Err(error));
                if store.status().error.is_some_and(|text| text.contains("expired")) {
                    break;
                }
            }
        }
    }
    tls.use_certificate(tls.ca.issue("localhost", |_| {})).await;
    loop {
        match store.load(name(1)).await {
            Ok(stored) => break assert_eq!(stored.unwrap().committed_points(), 10),
            Err(error) => drop(unavailable::<()>(Err(error))),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_refused_when_tls_is_required() {
    let Some(cluster) = Cluster::start().await else { return };
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = format!("{}?sslmode={mode}", cluster.url());
        let text = PostgresStore::connect(settings(&url)).await.map(drop).unwrap_err().to_string();
        assert!(text.contains("TLS"), "{mode}: {text}");
    }
    // A password without TLS cannot be bound to it.
    let url = format!("{}?channel_binding=require", cluster.url());
    let text = PostgresStore::connect(settings(&url)).await.map(drop).unwrap_err().to_string();
    assert!(text.contains("channel binding"), "{text}");
    drop(migrated(&format!("{}?sslmode=prefer", cluster.url())).await);
}

/// The hash of the certificate depends on the algorithm of its signature.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_bound_to_the_tls_connection() {
    let Some(tls) = Tls::start().await else { return };
    let bound = |roots: &Path| {
        format!("{}&channel_binding=require", tls.url("localhost", "verify-full", Some(roots)))
    };
    drop(migrated(&bound(&tls.roots)).await);
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let ca = Ca::with_key("another CA", key);
        let roots = tls.cluster.folder().join("signed.pem");
        std::fs::write(&roots, &ca.pem).unwrap();
        tls.use_certificate(ca.issue("localhost", |_| {})).await;
        let connected = PostgresStore::connect(settings(&bound(&roots))).await;
        // An Ed25519 signature has no hash, so RFC 5929 defines no binding.
        match algorithm == &PKCS_ED25519 {
            true => assert!(connected.is_err()),
            false => assert_eq!(connected.unwrap().load(name(1)).await, Ok(None)),
        }
    }
    // A server that does not ask for the password cannot prove that it knows it.
    tls.use_certificate(tls.ca.issue("localhost", |_| {})).await;
    tls.cluster.authenticate("hostssl all all 127.0.0.1/32 trust").await;
    let text = tls.refused(&bound(&tls.roots)).await;
    assert!(text.contains("channel binding"), "{text}");
}

/// The server authenticates the store by a certificate instead of a password.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_replaces_the_password() {
    let Some(tls) = Tls::start().await else { return };
    drop(migrated(&tls.url("localhost", "verify-full", Some(&tls.roots))).await);
    tls.cluster.authenticate("hostssl all all 127.0.0.1/32 cert").await;
    let (certificate, key) = tls.ca.issue(USER, |_| {});
    let file = |name: &str, text: &str| {
        let path = tls.cluster.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (certificate, key) = (file("client.crt", &certificate), file("client.key", &key));
    let url = format!(
        "postgres://{USER}@localhost:{}/{DATABASE}?sslmode=verify-full&sslrootcert={}",
        tls.cluster.address.port(),
        tls.roots.display(),
    );
    let text = tls.refused(&url).await;
    assert!(text.contains("certificate"), "{text}");
    let url = format!("{url}&sslcert={}&sslkey={}", certificate.display(), key.display());
    let store = PostgresStore::connect(settings(&url)).await.unwrap();
    assert_eq!(store.load(name(1)).await, Ok(None));
}
