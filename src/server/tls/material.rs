//! The files of one configuration as they were read, and the rustls configuration that is built from them.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};

use super::config::{Source, TlsConfig};
use super::error::{Problem, TlsError};
use super::pem;
use super::validity::{self, Validity};
use crate::contract::tls_error::own_error_text;

/// The only protocol that a client may negotiate.
pub(super) const ALPN_HTTP2: &[u8] = b"h2";

/// The PEM texts of a configuration, all read at the same time.
pub(super) struct Material {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// Identifies the content of PEM texts without keeping them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    all: u64,
    client_ca: u64,
}

impl Fingerprint {
    pub(super) fn has_same_client_ca(self, other: Self) -> bool {
        self.client_ca == other.client_ca
    }
}

impl Material {
    /// Reads all files.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: config.certificate.read()?,
            key: config.key.read()?,
            client_ca: config.client_ca.as_ref().map(Source::read).transpose()?,
        })
    }

    pub(super) fn fingerprint(&self, hasher: &RandomState) -> Fingerprint {
        Fingerprint {
            all: hasher.hash_one((&self.certificate, &self.key, &self.client_ca)),
            client_ca: hasher.hash_one(&self.client_ca),
        }
    }

    /// Checks the texts and builds the configuration of new connections.
    ///
    /// # Errors
    /// If a text is not what its file must contain, or the key does not belong to the certificate.
    pub(super) fn build(
        &self,
        config: &TlsConfig,
        tickets: Arc<dyn ProducesTickets>,
    ) -> Result<Built, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let (certified, validity) = self.certified_key(config, &provider)?;
        let is_ca = certified.cert.first().is_some_and(|first| is_ca(first, validity, &provider));
        let problem = |source: &Source, error: &dyn std::fmt::Display| {
            TlsError::new(&source.subject(), Problem::Rustls(error.to_string()))
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| problem(&config.certificate, &error))?;
        let mut client_verifier = None;
        let builder = match (&config.client_ca, &self.client_ca) {
            (Some(source), Some(text)) => {
                let roots = roots(text).map_err(|error| TlsError::new(&source.subject(), error))?;
                let mut verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                if config.are_client_certificates_optional {
                    verifier = verifier.allow_unauthenticated();
                }
                let verifier = verifier.build().map_err(|error| problem(source, &error))?;
                client_verifier = Some(Arc::clone(&verifier));
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut built = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        built.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
        // Resumption needs no memory of the server: the tickets contain the session.
        built.session_storage = Arc::new(NoServerSessionStorage {});
        if client_verifier.is_some() {
            // A session that is resumed would have the certificate of its first handshake, whatever the client presents
            // now, and rustls would not verify it again.
            built.send_tls13_tickets = 0;
        } else {
            built.ticketer = tickets;
        }
        Ok(Built {
            #[cfg(feature = "http")]
            web_config: {
                let mut config = built.clone();
                config.alpn_protocols.push(b"http/1.1".to_vec());
                Arc::new(config)
            },
            config: Arc::new(built),
            client_verifier,
            validity,
            is_ca,
        })
    }

    fn certified_key(
        &self,
        config: &TlsConfig,
        provider: &CryptoProvider,
    ) -> Result<(CertifiedKey, Validity), TlsError> {
        let of_certificate = |problem| TlsError::new(&config.certificate.subject(), problem);
        let of_key = |problem| TlsError::new(&config.key.subject(), problem);
        let chain = pem::certificates(&self.certificate).map_err(of_certificate)?;
        let key = pem::private_key(&self.key).map_err(of_key)?;
        let validity = check_chain(&chain).map_err(of_certificate)?;
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| of_key(Problem::UnusableKey(own_error_text(&error))))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            // The key type of some signers is unknown to rustls.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok((certified, validity))
            }
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(of_key(Problem::KeyMismatch(config.certificate.subject().to_string())))
            }
            Err(error) => Err(of_certificate(bad_certificate(0, &error))),
        }
    }
}

/// A configuration that new connections can use.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) config: Arc<ServerConfig>,
    /// The same for a listener for HTTP/1.1 and HTTP/2.
    #[cfg(feature = "http")]
    pub(super) web_config: Arc<ServerConfig>,
    /// Verifies client certificates, if there are client CAs.
    pub(super) client_verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// The period of the first certificate.
    pub(super) validity: Validity,
    /// Whether the first certificate is that of a CA.
    is_ca: bool,
}

impl Built {
    /// Returns the reason for which clients refuse the certificate, if it is known. The server uses it in any case:
    /// clients decide whether they accept it.
    pub(super) fn problem(&self, now: SystemTime) -> Option<&'static str> {
        if self.is_ca {
            Some("the certificate is that of a CA")
        } else if now > self.validity.not_after {
            Some("the certificate has expired")
        } else if now < self.validity.not_before {
            Some("the certificate is not valid yet")
        } else {
            None
        }
    }
}

/// Checks that all certificates can be parsed. Returns the period of the first one.
fn check_chain(chain: &[CertificateDer<'static>]) -> Result<Validity, Problem> {
    for (index, certificate) in chain.iter().enumerate() {
        webpki::EndEntityCert::try_from(certificate)
            .map_err(|error| bad_certificate(index, &error))?;
    }
    chain
        .first()
        .and_then(|certificate| validity::of(certificate))
        .ok_or_else(|| bad_certificate(0, &"its period of validity cannot be read"))
}

/// Returns whether clients refuse a certificate because it is that of a CA.
fn is_ca(certificate: &CertificateDer<'_>, validity: Validity, provider: &CryptoProvider) -> bool {
    let (Ok(anchor), Ok(parsed)) = (
        webpki::anchor_from_trusted_cert(certificate),
        webpki::EndEntityCert::try_from(certificate),
    ) else {
        return false;
    };
    let anchors = [anchor];
    let since = validity.not_before.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let verified = parsed.verify_for_usage(
        provider.signature_verification_algorithms.all,
        &anchors,
        &[],
        UnixTime::since_unix_epoch(since),
        webpki::KeyUsage::server_auth(),
        None,
        None,
    );
    matches!(verified, Err(webpki::Error::CaUsedAsEndEntity))
}

fn roots(text: &[u8]) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in pem::certificates(text)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| bad_certificate(index, &own_error_text(&error)))?;
    }
    Ok(roots)
}

fn bad_certificate(index: usize, reason: &dyn std::fmt::Display) -> Problem {
    Problem::BadCertificate { number: index + 1, reason: reason.to_string() }
}
