//! Tests of the chain: which credential decides, what the errors are, and reloads under load.

mod certificates;

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::*;
use crate::auth::testing::{TestKey, key_set};
use crate::auth::{Algorithm, KeySource, PrincipalSource};

/// A token file, a key set, and an authenticator that uses both and certificates.
struct Fixture {
    folder: tempfile::TempDir,
    token: Token,
    key: TestKey,
    access: Arc<Access>,
}

const DERIVED: Option<CertificateNames> = Some(CertificateNames::Derived);

fn entry(name: &str, token: &Token) -> String {
    format!(
        "[[principal]]\nname = '{name}'\ntoken_sha256 = ['{}']\ncertificate_names = ['{name}.example']\n",
        token.hash()
    )
}

fn write_secret(path: &Path, text: &str) {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    std::io::Write::write_all(&mut file.unwrap(), text.as_bytes()).unwrap();
}

fn jwt_settings(keys: &Path) -> JwtSettings {
    JwtSettings {
        keys: KeySource::File(keys.to_owned()),
        issuer: "issuer".to_owned(),
        audience: "waywiser".to_owned(),
        algorithms: Algorithm::DEFAULT.to_vec(),
        clock_skew: Duration::ZERO,
        namespace_claim: "namespace".to_owned(),
        role_claim: "role".to_owned(),
    }
}

fn claims(sub: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({"iss": "issuer", "aud": "waywiser", "sub": sub, "exp": now + 3600})
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (token, key) = (Token::generate().unwrap(), TestKey::ed25519("a"));
        let (tokens, keys) = (folder.path().join("tokens"), folder.path().join("keys"));
        write_secret(&tokens, &entry("van", &token));
        write_secret(&keys, &key_set(&[&key]));
        let jwt = Some(jwt_settings(&keys));
        let settings = AccessSettings { tokens: Some(tokens), jwt, certificates: DERIVED };
        let access = Arc::new(Access::load(settings).unwrap());
        Self { folder, token, key, access }
    }

    fn write_tokens(&self, text: &str) {
        write_secret(&self.folder.path().join("tokens"), text);
    }

    fn write_keys(&self, text: &str) {
        fs::write(self.folder.path().join("keys"), text).unwrap();
    }

    fn principal(&self) -> Arc<Principal> {
        bearer(&self.access, self.token.as_str()).unwrap().principal
    }
}

fn bearer(access: &Access, token: &str) -> Result<Session, AuthError> {
    let header = format!("Bearer {token}");
    let credentials =
        Credentials { authorization: Some(header.as_bytes()), ..Credentials::default() };
    access.authenticate(&credentials)
}

fn named(name: &str) -> PeerCertificate {
    PeerCertificate { dns_names: vec![name.to_owned()], ..PeerCertificate::default() }
}

fn certificate(access: &Access, name: &str) -> Result<Session, AuthError> {
    let certificate = Some(&named(name));
    access.authenticate(&Credentials { certificate, ..Credentials::default() })
}

#[test]
fn each_kind_of_credential_names_its_principal() {
    let fixture = Fixture::new();
    let Fixture { access, key, .. } = &fixture;
    assert_eq!(&*fixture.principal().name, "van");
    assert_eq!(&*bearer(access, &key.token(&claims("bike"))).unwrap().principal.name, "bike");
    let van = certificate(access, "van.example").unwrap();
    assert!(Arc::ptr_eq(&van.principal, &fixture.principal()));
    assert_eq!(van.principal.namespace, None);
    let other = certificate(access, "other.example").unwrap().principal;
    assert_eq!(&*other.name, "other.example");
    assert_eq!(other.namespace.as_ref().unwrap().as_str(), "~dns.other.example");
}

#[test]
fn equal_names_of_different_credentials_are_different_principals() {
    let fixture = Fixture::new();
    let Fixture { access, key, token, .. } = &fixture;
    fixture.write_tokens(&format!("{}namespace = 'bike'\n", entry("bike", token)));
    access.reload().unwrap();
    let uri = PeerCertificate { uri_names: vec!["bike".to_owned()], ..PeerCertificate::default() };
    let by_uri = Credentials { certificate: Some(&uri), ..Credentials::default() };
    let principals = [
        fixture.principal(),
        bearer(access, &key.token(&claims("bike"))).unwrap().principal,
        certificate(access, "bike").unwrap().principal,
        access.authenticate(&by_uri).unwrap().principal,
    ];
    assert!(principals.iter().all(|principal| &*principal.name == "bike"));
    for (index, one) in principals.iter().enumerate() {
        for other in &principals[..index] {
            assert_ne!(one.source, other.source);
            assert_ne!(one.namespace, other.namespace);
        }
    }
}

#[test]
fn a_wrong_token_is_not_replaced_by_a_certificate() {
    let Fixture { access, token, .. } = &Fixture::new();
    let with = |authorization: &str| {
        let authorization = Some(authorization.as_bytes());
        access.authenticate(&Credentials {
            authorization,
            certificate: Some(&named("van.example")),
            ..Credentials::default()
        })
    };
    assert!(with(&format!("Bearer {}", token.as_str())).is_ok());
    for wrong in ["", "Basic YTpi", "Bearer x", &format!("Bearer {}x", token.as_str())] {
        assert!(with(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn refusals_name_the_remedy_and_never_the_token() {
    let Fixture { access, token, key, .. } = &Fixture::new();
    assert_eq!(access.authenticate(&Credentials::default()).unwrap_err(), AuthError::Missing);
    let unknown = Token::generate().unwrap();
    let truncated = &token.as_str()[..45];
    let mut old = claims("bike");
    old["exp"] = json!(1);
    let jwt = key.token(&claims("bike"));
    let tokens = [
        (unknown.as_str().to_owned(), "unknown or was revoked"),
        (truncated.to_owned(), "unknown or was revoked"),
        ("secret-but-short".to_owned(), "fewer than 32 characters"),
        (key.token(&old), "expired"),
        (format!("{jwt}AAAA"), "signature"),
        (jwt.replace('.', "_"), "unknown or was revoked"),
        ("x".repeat(8193), "longer than 8 KiB"),
        (format!("{} {}", token.as_str(), token.as_str()), "other characters"),
    ];
    for (token, reason) in tokens {
        let error = bearer(access, &token).unwrap_err();
        let texts = [error.to_string(), format!("{error:?}")];
        assert!(texts[0].contains(reason), "{texts:?}");
        assert!(texts.iter().all(|text| !text.contains(&token[..10])), "{texts:?}");
    }
}

#[test]
fn credentials_that_a_server_does_not_accept_are_refused() {
    let Fixture { folder, token, key, .. } = &Fixture::new();
    let load = |settings| Access::load(settings).unwrap();
    let tokens = Some(folder.path().join("tokens"));
    let jwt = Some(jwt_settings(&folder.path().join("keys")));
    let jwt_token = key.token(&claims("bike"));

    let only_tokens = load(AccessSettings { tokens, ..AccessSettings::default() });
    assert!(bearer(&only_tokens, token.as_str()).is_ok());
    assert!(bearer(&only_tokens, &jwt_token).unwrap_err().to_string().contains("unknown"));
    assert_eq!(certificate(&only_tokens, "van.example").unwrap_err(), AuthError::Missing);

    let only_jwt = load(AccessSettings { jwt, ..AccessSettings::default() });
    assert!(bearer(&only_jwt, &jwt_token).is_ok());
    let error = bearer(&only_jwt, token.as_str()).unwrap_err().to_string();
    assert!(error.contains("not a JSON Web Token"), "{error}");

    let certificates = load(AccessSettings { certificates: DERIVED, ..AccessSettings::default() });
    assert!(certificate(&certificates, "van.example").is_ok());
    let error = bearer(&certificates, token.as_str()).unwrap_err().to_string();
    assert!(error.contains("client certificates and no tokens"), "{error}");
}

#[test]
fn a_file_that_cannot_be_loaded_at_the_start_is_an_error_that_names_it() {
    let Fixture { folder, .. } = &Fixture::new();
    let path = folder.path().join("absent");
    let tokens = AccessSettings { tokens: Some(path.clone()), ..AccessSettings::default() };
    let jwt = AccessSettings { jwt: Some(jwt_settings(&path)), ..AccessSettings::default() };
    for settings in [tokens, jwt] {
        let error = Access::load(settings).err().unwrap().to_string();
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn keys_that_were_not_fetched_yet_are_an_outage_that_is_total_without_other_credentials() {
    let fixture = Fixture::new();
    assert_eq!(fixture.access.outage(), None);
    let keys = "http://127.0.0.1:9/keys".parse().unwrap();
    let jwt = Some(JwtSettings { keys, ..jwt_settings(Path::new("")) });
    let tokens = Some(fixture.folder.path().join("tokens"));
    let outage = |tokens, certificates| {
        let settings = AccessSettings { tokens, jwt: jwt.clone(), certificates };
        Access::load(settings).unwrap().outage().unwrap()
    };
    let only = outage(None, None);
    assert_eq!(only.reason, "the keys for JSON Web Tokens are being fetched");
    assert!(only.is_total);
    assert!(!outage(tokens, None).is_total && !outage(None, DERIVED).is_total);
}

#[test]
fn a_wrong_file_changes_nothing_and_the_other_one_is_loaded() {
    let fixture = Fixture::new();
    let Fixture { access, key, .. } = &fixture;
    let (van, bike) = (fixture.principal(), key.token(&claims("bike")));
    assert!(bearer(access, &bike).is_ok());
    fixture.write_tokens("[[principal");
    fixture.write_keys(&key_set(&[&TestKey::ed25519("b")]));
    let error = access.reload().unwrap_err();
    assert_eq!(error.line, Some(1));
    assert!(Arc::ptr_eq(&fixture.principal(), &van));
    assert!(bearer(access, &bike).is_err());
    let counts = access.counts();
    assert_eq!((counts.tokens.loaded, counts.tokens.failed), (0, 1));
    assert_eq!((counts.keys.loaded, counts.keys.failed), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn changes_of_the_files_are_applied_without_a_signal() {
    let fixture = Fixture::new();
    let session = bearer(&fixture.access, fixture.token.as_str()).unwrap();
    let bike = fixture.key.token(&claims("bike"));
    let bike_session = bearer(&fixture.access, &bike).unwrap();
    tokio::spawn(Arc::clone(&fixture.access).maintain());
    fixture.write_tokens(&entry("bus", &Token::generate().unwrap()));
    fixture.write_keys(&key_set(&[&TestKey::ed25519("b")]));
    session.revoked.ended().await;
    bike_session.revoked.ended().await;
    assert!(bearer(&fixture.access, fixture.token.as_str()).is_err());
    assert!(bearer(&fixture.access, &bike).is_err());
}

/// One thread changes the file, others authenticate: a principal that stays is always accepted and never revoked, and
/// a session of a principal that was removed is always revoked.
#[test]
fn reloads_under_load_affect_only_what_has_changed() {
    let fixture = Fixture::new();
    let Fixture { access, token: kept, .. } = &fixture;
    let other = Token::generate().unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut sessions = Vec::new();
                    while !is_done.load(Relaxed) {
                        assert!(!bearer(access, kept.as_str()).unwrap().revoked.is_revoked());
                        sessions.extend(bearer(access, other.as_str()));
                        sessions.truncate(1000);
                    }
                    sessions
                })
            })
            .collect();
        for round in 0..50 {
            let text = entry("van", kept);
            fixture.write_tokens(&match round % 2 {
                0 => text + &entry("other", &other),
                _ => text,
            });
            access.reload().unwrap();
        }
        is_done.store(true, Relaxed);
        for sessions in threads {
            let sessions = sessions.join().unwrap();
            assert!(sessions.iter().all(|session| session.revoked.is_revoked()));
        }
    });
    assert!(bearer(access, other.as_str()).is_err());
}

/// Counts failures up to a maximum.
#[derive(Default)]
struct Failures {
    count: std::cell::Cell<usize>,
    max: usize,
}

impl FailureLimit for Failures {
    fn is_reached(&self) -> bool {
        self.count.get() >= self.max
    }

    fn add(&self) {
        self.count.set(self.count.get() + 1);
    }
}

#[test]
fn only_checks_of_signatures_that_fail_are_limited() {
    let Fixture { access, token, key, .. } = &Fixture::new();
    let failures = Failures { max: 2, ..Failures::default() };
    let call = |token: &str| {
        let header = format!("Bearer {token}");
        let authorization = Some(header.as_bytes());
        let failures = Some(&failures as &dyn FailureLimit);
        access.authenticate(&Credentials { authorization, failures, ..Credentials::default() })
    };
    let (known, new) = (key.token(&claims("bike")), key.token(&claims("bus")));
    let mut old = claims("bike");
    old["exp"] = json!(1);
    for cheap in ["x".repeat(40), format!("{}.a.b", "x".repeat(40)), token.as_str().to_owned()] {
        let _ = call(&cheap);
    }
    assert!(call(&known).is_ok());
    assert_eq!(failures.count.get(), 0);
    assert!(call(&format!("{new}AAAA")).unwrap_err().to_string().contains("signature"));
    assert_eq!(call(&key.token(&old)).unwrap_err(), AuthError::Expired);
    assert_eq!(failures.count.get(), 2);
    // No signature is checked now, whether or not it is valid. Known tokens need no check.
    assert_eq!(call(&new).unwrap_err(), AuthError::Throttled);
    assert_eq!(call(&format!("{new}AAAA")).unwrap_err(), AuthError::Throttled);
    assert!(call(&known).is_ok() && call(token.as_str()).is_ok());
    assert_eq!(failures.count.get(), 2);
}
