//! Loading and replacing certificates in files.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::*;

/// A directory with a certificate and its key.
struct Files(tempfile::TempDir);

struct Pair {
    certificate: String,
    key: String,
}

fn pair() -> Pair {
    pair_of(&KeyPair::generate().unwrap(), |_| {})
}

fn pair_of(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Pair {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    change(&mut params);
    let certificate = params.self_signed(key).unwrap();
    Pair { certificate: certificate.pem(), key: key.serialize_pem() }
}

impl Files {
    fn new(pair: &Pair) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write(&pair.certificate, &pair.key);
        files
    }

    fn write(&self, certificate: &str, key: &str) {
        fs::write(self.certificate(), certificate).unwrap();
        fs::write(self.key(), key).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn certificate(&self) -> PathBuf {
        self.path("server.pem")
    }

    fn key(&self) -> PathBuf {
        self.path("server.key")
    }

    fn config(&self) -> TlsConfig {
        TlsConfig::from_files(self.certificate(), self.key())
    }

    /// Returns the message of the error of loading, with the name of the directory replaced.
    fn error(&self) -> String {
        error_of(self.config(), self.0.path())
    }
}

fn error_of(config: TlsConfig, directory: &Path) -> String {
    let error = TlsSettings::load(config).unwrap_err().to_string();
    error.replace(directory.to_str().unwrap(), "DIR")
}

#[test]
fn each_kind_of_key_is_loaded() {
    let keys = [
        KeyPair::generate().unwrap(),
        KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
    ];
    for key in keys {
        let pair = pair_of(&key, |_| {});
        TlsSettings::load(TlsConfig::from_pem(pair.certificate, pair.key)).unwrap();
    }
    let pair = pair();
    // One file with both, and Windows line ends.
    let both = format!("{}{}", pair.key, pair.certificate).replace('\n', "\r\n");
    TlsSettings::load(TlsConfig::from_pem(both.clone(), both)).unwrap();
}

#[test]
fn errors_name_the_file_and_the_reason() {
    let good = pair();
    let files = Files::new(&good);
    let with = |certificate: &str, key: &str| {
        files.write(certificate, key);
        files.error()
    };
    let half = &good.certificate[..good.certificate.len() / 2];
    insta::assert_snapshot!(with(half, &good.key), @"TLS certificate file DIR/server.pem: is cut off: the last PEM section has no END line");
    insta::assert_snapshot!(with("", &good.key), @"TLS certificate file DIR/server.pem: is empty");
    insta::assert_snapshot!(with(&good.key, &good.certificate), @"TLS certificate file DIR/server.pem: contains no certificate; a certificate begins with -----BEGIN CERTIFICATE-----");
    insta::assert_snapshot!(with(&good.certificate, &good.certificate), @"TLS key file DIR/server.key: contains no private key; a key begins with -----BEGIN PRIVATE KEY-----, or RSA or EC PRIVATE KEY");
    insta::assert_snapshot!(with(&good.certificate, &good.key.replace(" PRIVATE", " ENCRYPTED PRIVATE")), @"TLS key file DIR/server.key: the private key is encrypted; decrypt it with: openssl pkey -in FILE -out NEW_FILE");
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    insta::assert_snapshot!(with(&good.certificate, old), @"TLS key file DIR/server.key: the private key is encrypted; decrypt it with: openssl pkey -in FILE -out NEW_FILE");
    insta::assert_snapshot!(with(&good.certificate, &good.key.repeat(2)), @"TLS key file DIR/server.key: contains more than one private key");
    insta::assert_snapshot!(with(&good.certificate, &pair().key), @"TLS key file DIR/server.key: the key does not belong to the first certificate of TLS certificate file DIR/server.pem");
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    insta::assert_snapshot!(with(&format!("{}{junk}", good.certificate), &good.key), @"TLS certificate file DIR/server.pem: certificate 2 is not a valid X.509 certificate: TrailingData(SignedData)");
    let key = junk.replace("CERTIFICATE", "PRIVATE KEY");
    insta::assert_snapshot!(with(&good.certificate, &key), @"TLS key file DIR/server.key: the private key cannot be used: failed to parse private key as RSA, ECDSA, or EdDSA; use RSA with 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519");
    files.write(&good.certificate, &good.key);
    fs::write(files.certificate(), [0x30, 0x82, 1, 2, 3]).unwrap();
    insta::assert_snapshot!(files.error(), @"TLS certificate file DIR/server.pem: contains DER, not PEM; convert it with openssl, such as: openssl x509 -inform der -in FILE");
    fs::write(files.certificate(), vec![b'\n'; (1 << 20) + 1]).unwrap();
    insta::assert_snapshot!(files.error(), @"TLS certificate file DIR/server.pem: is larger than 1048576 bytes");
    fs::remove_file(files.certificate()).unwrap();
    insta::assert_snapshot!(files.error(), @"TLS certificate file DIR/server.pem: cannot be read: No such file or directory (os error 2)");
    fs::create_dir(files.certificate()).unwrap();
    insta::assert_snapshot!(files.error(), @"TLS certificate file DIR/server.pem: is not a regular file");
    let client_ca = files.path("ca.pem");
    fs::write(&client_ca, &good.key).unwrap();
    let config = TlsConfig::from_pem(good.certificate, good.key).with_client_ca_file(client_ca);
    insta::assert_snapshot!(error_of(config, files.0.path()), @"TLS client CA file DIR/ca.pem: contains no certificate; a certificate begins with -----BEGIN CERTIFICATE-----");
}

#[test]
fn no_error_and_no_debug_output_contains_key_bytes() {
    let good = pair();
    let secret = good.key.lines().nth(1).unwrap();
    for key in [good.key.replace("-----END", "END"), good.key.replace('M', "!")] {
        let error = TlsSettings::load(TlsConfig::from_pem(good.certificate.clone(), key.clone()));
        let error = error.unwrap_err();
        let shown = format!("{error} {error:?} {:?}", TlsConfig::from_pem("", key));
        assert!(!shown.contains(&secret[..16]), "{shown}");
        assert!(!shown.contains('!'), "{shown}");
    }
}

#[test]
fn changed_files_are_used_and_unusable_ones_change_nothing() {
    let (first, second) = (pair(), pair());
    let files = Files::new(&first);
    let settings = TlsSettings::load(files.config()).unwrap();
    assert_eq!(settings.reload().unwrap(), Reloaded::Unchanged);
    let before = Arc::clone(settings.active().server_config());
    let half = &second.certificate[..second.certificate.len() / 2];
    for (certificate, key) in [
        (half, &first.key),
        (&second.certificate, &first.key),
        ("", &first.key),
        ("junk", &"".to_owned()),
    ] {
        files.write(certificate, key);
        settings.reload().unwrap_err();
        assert!(Arc::ptr_eq(&before, settings.active().server_config()));
    }
    fs::remove_file(files.key()).unwrap();
    settings.reload().unwrap_err();
    assert_eq!(settings.reload_failures(), 5);
    assert!(Arc::ptr_eq(&before, settings.active().server_config()));
    files.write(&second.certificate, &second.key);
    assert_eq!(settings.reload().unwrap(), Reloaded::Changed);
    assert!(!Arc::ptr_eq(&before, settings.active().server_config()));
    assert_eq!(settings.reload().unwrap(), Reloaded::Unchanged);
    assert_eq!(settings.reload_failures(), 5);
}

#[test]
fn regular_reads_report_a_failure_once_and_only_if_it_persists() {
    let (first, second) = (pair(), pair());
    let files = Files::new(&first);
    let settings = TlsSettings::load(files.config()).unwrap();
    // A writer that replaces the certificate first, and the key a moment later.
    files.write(&second.certificate, &first.key);
    settings.follow_once();
    files.write(&second.certificate, &second.key);
    settings.follow_once();
    settings.follow_once();
    assert_eq!(settings.reload_failures(), 0);
    assert_eq!(settings.reload().unwrap(), Reloaded::Unchanged);
    files.write(&second.certificate, &first.key);
    for _ in 0..100 {
        settings.follow_once();
    }
    assert_eq!(settings.reload_failures(), 1);
    assert!(!settings.is_last_reload_successful(), "as long as the failure lasts");
    files.write("", &first.key);
    for _ in 0..100 {
        settings.follow_once();
    }
    assert_eq!(settings.reload_failures(), 2, "another reason is reported");
    settings.reload().unwrap_err();
    for _ in 0..LOG_ATTEMPTS {
        settings.follow_once();
    }
    assert_eq!(settings.reload_failures(), 4, "a long failure is reported again");
    assert!(!settings.is_last_reload_successful());
    files.write(&first.certificate, &first.key);
    settings.follow_once();
    settings.follow_once();
    assert!(settings.is_last_reload_successful());
}

#[test]
fn regular_reads_apply_no_file_that_is_half_written() {
    let (server, first, second) = (pair(), pair(), pair());
    let files = Files::new(&server);
    let ca = files.path("ca.pem");
    // A half of this file is a valid file with one of the CAs.
    let both = format!("{}{}", first.certificate, second.certificate);
    fs::write(&ca, &both).unwrap();
    let settings = TlsSettings::load(files.config().with_client_ca_file(&ca)).unwrap();
    let config = || Arc::clone(settings.active().server_config());
    let before = config();
    fs::write(&ca, &first.certificate).unwrap();
    settings.follow_once();
    fs::write(&ca, &both).unwrap();
    settings.follow_once();
    settings.follow_once();
    assert!(Arc::ptr_eq(&before, &config()), "the CAs are those of before");
    // The half is a change if it stays.
    fs::write(&ca, &first.certificate).unwrap();
    settings.follow_once();
    assert!(Arc::ptr_eq(&before, &config()));
    settings.follow_once();
    assert!(!Arc::ptr_eq(&before, &config()));
    // A file that is replaced at each read, and one that is absent in between.
    let before = config();
    for text in [&both, &first.certificate, &second.certificate] {
        fs::write(&ca, text).unwrap();
        settings.follow_once();
    }
    fs::remove_file(&ca).unwrap();
    settings.follow_once();
    fs::write(&ca, &second.certificate).unwrap();
    settings.follow_once();
    assert!(Arc::ptr_eq(&before, &config()));
    settings.follow_once();
    assert!(!Arc::ptr_eq(&before, &config()));
    assert_eq!(settings.reload_failures(), 0);
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn replaced_links_are_followed_as_in_kubernetes() {
    let (first, second) = (pair(), pair());
    let files = Files::new(&first);
    for (name, pair) in [("one", &first), ("two", &second)] {
        fs::create_dir(files.path(name)).unwrap();
        fs::write(files.path(name).join("tls.crt"), &pair.certificate).unwrap();
        fs::write(files.path(name).join("tls.key"), &pair.key).unwrap();
    }
    let link = |target: &str| {
        std::os::unix::fs::symlink(target, files.path("new")).unwrap();
        fs::rename(files.path("new"), files.path("data")).unwrap();
    };
    link("one");
    let data = files.path("data");
    let config = TlsConfig::from_files(data.join("tls.crt"), data.join("tls.key"));
    let settings = TlsSettings::load(config).unwrap();
    let before = Arc::clone(settings.active().server_config());
    let follower = tokio::spawn(settings.clone().follow_files());
    tokio::time::sleep(2 * FOLLOW_INTERVAL).await;
    assert!(Arc::ptr_eq(&before, settings.active().server_config()));
    link("two");
    tokio::time::sleep(2 * FOLLOW_INTERVAL).await;
    assert!(!Arc::ptr_eq(&before, settings.active().server_config()));
    assert_eq!(settings.reload().unwrap(), Reloaded::Unchanged);
    follower.abort();
}

#[test]
fn sessions_are_resumed_after_a_new_certificate_but_never_with_client_cas() {
    let (first, second) = (pair(), pair());
    let files = Files::new(&first);
    let client_ca = files.path("ca.pem");
    fs::write(&client_ca, &first.certificate).unwrap();
    let plain = TlsSettings::load(files.config()).unwrap();
    let secured = TlsSettings::load(files.config().with_client_ca_file(&client_ca)).unwrap();
    let ticketer = || Arc::clone(&plain.active().server_config().ticketer);
    let before = ticketer();
    files.write(&second.certificate, &second.key);
    assert_eq!(plain.reload().unwrap(), Reloaded::Changed);
    assert!(before.enabled() && Arc::ptr_eq(&before, &ticketer()));
    for _ in 0..2 {
        let active = secured.active();
        assert!(!active.server_config().ticketer.enabled());
        assert_eq!(active.server_config().send_tls13_tickets, 0);
        secured.reload().unwrap();
    }
}

#[test]
fn the_end_of_the_active_certificate_is_known_and_an_expired_one_is_used() {
    let end = |year| {
        pair_of(&KeyPair::generate().unwrap(), |params| {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
        })
    };
    let (expired, good) = (end(2002), end(2090));
    let files = Files::new(&expired);
    let settings = TlsSettings::load(files.config()).unwrap();
    let active = settings.active();
    assert_eq!(active.built.problem(SystemTime::now()), Some("the certificate has expired"));
    let before = SystemTime::UNIX_EPOCH;
    assert_eq!(active.built.problem(before), Some("the certificate is not valid yet"));
    files.write(&good.certificate, &good.key);
    settings.reload().unwrap();
    assert_eq!(settings.active().built.problem(SystemTime::now()), None);
    let seconds = settings.expires_at().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(seconds, 3_786_912_000);
}

#[test]
fn the_certificate_of_a_ca_causes_a_warning() {
    let ca = pair_of(&KeyPair::generate().unwrap(), |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let files = Files::new(&ca);
    let settings = TlsSettings::load(files.config()).unwrap();
    let warning = "the certificate is that of a CA; most clients will refuse it";
    assert!(
        settings.warnings().iter().any(|text| text.ends_with(warning)),
        "{:?}",
        settings.warnings()
    );
    let pair = pair();
    files.write(&pair.certificate, &pair.key);
    settings.reload().unwrap();
    assert!(!settings.warnings().iter().any(|text| text.ends_with(warning)));
}

#[test]
fn a_chain_with_the_certificates_in_the_wrong_order_does_not_match_its_key() {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let ca = CertificateParams::new(vec!["ca".to_owned()]).unwrap();
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &Issuer::new(ca, &ca_key)).unwrap().pem();
    TlsSettings::load(TlsConfig::from_pem(format!("{leaf}{ca_pem}"), key.serialize_pem())).unwrap();
    let config = TlsConfig::from_pem(format!("{ca_pem}{leaf}"), key.serialize_pem());
    let error = TlsSettings::load(config).unwrap_err();
    insta::assert_snapshot!(error, @"TLS key: the key does not belong to the first certificate of TLS certificate");
}
