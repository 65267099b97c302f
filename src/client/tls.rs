//! TLS of connections: the trusted CAs, the certificate of the client, and the reasons for which a handshake fails.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fault::ConnectionFault;
use super::identity::{Identity, IdentitySource};
use crate::contract::tls_error::{certificate_text, error_text, own_error_text, refusal_text};

/// The settings of TLS, ready for handshakes with one server.
pub(super) struct Tls {
    active: Mutex<Active>,
    roots: Arc<RootCertStore>,
    identity: Option<IdentitySource>,
    name: ServerName<'static>,
    host: Arc<str>,
}

/// What the next handshake uses.
struct Active {
    connector: TlsConnector,
    identity: Option<Identity>,
}

impl Tls {
    /// Creates the settings for the server `host`. Trusts `ca_pem`, or without it the CAs of the system.
    ///
    /// # Errors
    /// Returns the reason as text if a certificate or a key is not valid, or if the system has no CAs.
    pub(super) fn new(
        host: &str,
        ca_pem: &[Vec<u8>],
        identity: Option<IdentitySource>,
    ) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("{host} is not a name that a certificate can have"))?;
        let roots = match ca_pem {
            [] => system_roots()?,
            ca_pem => Arc::new(given_roots(ca_pem)?),
        };
        let read = identity.as_ref().map(IdentitySource::read).transpose()?;
        let connector = connector(Arc::clone(&roots), read.as_ref())?;
        let active = Mutex::new(Active { connector, identity: read });
        Ok(Self { active, roots, identity, name, host: host.into() })
    }

    /// Returns the settings of the next handshake, with the certificate that the files have now. If they cannot be used,
    /// which is so while they are replaced, the previous certificate stays.
    fn connector(&self) -> TlsConnector {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = self.identity.as_ref().filter(|source| source.may_change())
            && let Ok(identity) = source.read()
            && active.identity.as_ref() != Some(&identity)
            && let Ok(connector) = connector(Arc::clone(&self.roots), Some(&identity))
        {
            *active = Active { connector, identity: Some(identity) };
        }
        active.connector.clone()
    }

    /// Performs the handshake.
    ///
    /// # Errors
    /// Returns the fault, or an error of the transport.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, TlsError> {
        let stream =
            self.connector().connect(self.name.clone(), stream).await.map_err(|error| {
                self.fault(&error).map_or(TlsError::Transport(error), TlsError::Fault)
            })?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Ok(stream),
            _ => Err(TlsError::Fault(ConnectionFault::NoHttp2)),
        }
    }

    /// Returns the fault if TLS is the reason of an error. A server may refuse the certificate of the client after the
    /// handshake, so that reading fails.
    pub(super) fn fault(&self, error: &io::Error) -> Option<ConnectionFault> {
        let error = error.get_ref()?;
        let error = error.downcast_ref::<Error>().or_else(|| error.source()?.downcast_ref())?;
        Some(match error {
            Error::InvalidCertificate(error) => self.certificate_fault(error),
            Error::AlertReceived(AlertDescription::CertificateRequired) => {
                ConnectionFault::ClientCertificateRequired
            }
            Error::AlertReceived(AlertDescription::HandshakeFailure) if self.identity.is_none() => {
                let text = "the server refuses the handshake; it may require a client certificate (--cert FILE --key FILE)";
                ConnectionFault::Tls(text.to_owned())
            }
            Error::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::DecryptError
                | AlertDescription::AccessDenied),
            ) => ConnectionFault::ClientCertificateRefused(refusal_text(*alert)),
            Error::AlertReceived(AlertDescription::NoApplicationProtocol)
            | Error::NoApplicationProtocol => ConnectionFault::NoHttp2,
            Error::InvalidMessage(_) => ConnectionFault::NotTls,
            error => ConnectionFault::Tls(error_text(error)),
        })
    }

    fn certificate_fault(&self, error: &CertificateError) -> ConnectionFault {
        let host = self.host.to_string();
        match error {
            CertificateError::UnknownIssuer => ConnectionFault::UnknownIssuer,
            CertificateError::NotValidForName => {
                ConnectionFault::NameMismatch { host, names: Vec::new() }
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = presented.iter().map(|name| bare_name(name).to_owned()).collect();
                ConnectionFault::NameMismatch { host, names }
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                ConnectionFault::Expired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                ConnectionFault::NotYetValid
            }
            CertificateError::Other(other)
                if other.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity) =>
            {
                ConnectionFault::CaCertificate
            }
            error => {
                let reason = certificate_text(error);
                ConnectionFault::Tls(format!("the server's certificate is not valid: {reason}"))
            }
        }
    }
}

/// Returns the settings of handshakes with this certificate of the client.
fn connector(
    roots: Arc<RootCertStore>,
    identity: Option<&Identity>,
) -> Result<TlsConnector, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = read_identity(identity)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| match error {
                Error::InconsistentKeys(_) => {
                    "the private key does not belong to the client certificate".to_owned()
                }
                error => {
                    format!("the client certificate cannot be used: {}", own_error_text(&error))
                }
            })?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The error of a handshake.
pub(super) enum TlsError {
    Fault(ConnectionFault),
    Transport(io::Error),
}

/// Returns the name in a text such as `DnsName("example.org")`.
fn bare_name(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// Returns the CAs of the system. They are read once.
fn system_roots() -> Result<Arc<RootCertStore>, String> {
    static ROOTS: OnceLock<Result<Arc<RootCertStore>, String>> = OnceLock::new();
    let read = || {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // The store of a system may have certificates that are no longer valid syntax.
        let (added, _) = roots.add_parsable_certificates(found.certs);
        match (added, found.errors.first()) {
            (0, Some(error)) => Err(format!("the CA certificates of the system: {error}")),
            (0, None) => Err("this system has no CA certificates; install them (package \
                              ca-certificates), or pass those of the server (--ca-file FILE)"
                .to_owned()),
            _ => Ok(Arc::new(roots)),
        }
    };
    ROOTS.get_or_init(read).clone()
}

fn given_roots(ca_pem: &[Vec<u8>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for pem in ca_pem {
        for certificate in certificates("CA file", pem)? {
            roots.add(certificate).map_err(|error| {
                let reason = own_error_text(&error);
                format!("the CA file has a certificate that cannot be used: {reason}")
            })?;
        }
    }
    Ok(roots)
}

/// Reads all certificates of a PEM text, at least one.
fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| format!("the {what} is not PEM: {error}"))?;
    match certificates.is_empty() {
        true => Err(format!("the {what} has no certificate (-----BEGIN CERTIFICATE-----)")),
        false => Ok(certificates),
    }
}

fn read_identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = certificates("client certificate", &identity.certificates_pem)?;
    // The error of the parser does not contain the key.
    let key = PrivateKeyDer::from_pem_slice(&identity.key_pem).map_err(|_| {
        "the private key of the client certificate is not PEM, or is encrypted; \
         it starts with -----BEGIN PRIVATE KEY-----"
            .to_owned()
    })?;
    Ok((chain, key))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn error(ca: &[Vec<u8>], identity: Option<(&str, &str)>) -> String {
        let identity = identity.map(|(certificate, key)| {
            IdentitySource::Pem(Identity {
                certificates_pem: certificate.as_bytes().to_vec(),
                key_pem: key.as_bytes().to_vec(),
            })
        });
        Tls::new("localhost", ca, identity).map(|_| ()).unwrap_err()
    }

    #[test]
    fn invalid_certificates_and_keys_are_reported_without_their_content() {
        let keys = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
        let params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
        let certificate = params.self_signed(&keys[0]).unwrap().pem();
        let ca = [certificate.clone().into_bytes()];
        let key = |i: usize| keys[i].serialize_pem();
        assert!(Tls::new("localhost", &ca, None).is_ok());
        assert!(error(&[b"not PEM".to_vec()], None).contains("no certificate"));
        assert!(error(&[key(0).into_bytes()], None).contains("no certificate"));
        let half = certificate.as_bytes()[..certificate.len() / 2].to_vec();
        assert!(error(&[half], None).contains("the CA file"));
        let other = error(&ca, Some((&certificate, &key(1))));
        assert_eq!(other, "the private key does not belong to the client certificate");
        let text = error(&ca, Some((&certificate, "secret")));
        assert!(text.contains("is not PEM") && !text.contains("secret"), "{text}");
        assert!(error(&ca, Some(("", &key(0)))).contains("no certificate"));
        let name = Tls::new("a b", &ca, None).map(|_| ()).unwrap_err();
        assert!(name.contains("is not a name"), "{name}");
    }

    #[test]
    fn the_names_of_a_certificate_are_bare() {
        assert_eq!(bare_name("DnsName(\"example.org\")"), "example.org");
        assert_eq!(bare_name("IpAddress(127.0.0.1)"), "127.0.0.1");
        assert_eq!(bare_name("example.org"), "example.org");
    }

    #[test]
    fn files_of_the_certificate_are_read_for_each_handshake_and_used_when_they_are_a_pair() {
        let directory = tempfile::tempdir().unwrap();
        let (certificates, key) = (directory.path().join("a.pem"), directory.path().join("a.key"));
        let pair = || {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
            (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
        };
        let (first, second) = (pair(), pair());
        let files = || {
            let (certificates, key) = (certificates.clone(), key.clone());
            Some(IdentitySource::Files { certificates, key })
        };
        let ca = [first.0.clone().into_bytes()];
        let missing = Tls::new("localhost", &ca, files()).map(|_| ()).unwrap_err();
        assert!(missing.contains("a.pem cannot be read"), "{missing}");
        std::fs::write(&certificates, &first.0).unwrap();
        std::fs::write(&key, &first.1).unwrap();
        let tls = Tls::new("localhost", &ca, files()).unwrap();
        let active = || {
            let _ = tls.connector();
            tls.active.lock().unwrap().identity.clone().unwrap().certificates_pem
        };
        std::fs::write(&certificates, &second.0).unwrap();
        assert_eq!(active(), first.0.as_bytes(), "the key is not replaced yet");
        std::fs::remove_file(&key).unwrap();
        assert_eq!(active(), first.0.as_bytes());
        std::fs::write(&key, &second.1).unwrap();
        assert_eq!(active(), second.0.as_bytes());
    }
}
