//! Certificates for tests, and clients that speak TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use waywiser::Config;
use waywiser::server::{TlsConfig, TlsSettings};

use super::{Raw, Server};

/// The number of CAs that exist.
static CAS: AtomicUsize = AtomicUsize::new(0);

/// A CA that issues certificates.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate and its key in PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Ca {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        // Verifiers find the CA of a certificate by its name.
        let number = CAS.fetch_add(1, Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("test CA {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Issues the certificate of a server on this machine.
    pub fn server(&self) -> Pair {
        self.issue(&["localhost", "127.0.0.1"], |_| {})
    }

    /// Issues a certificate for the DNS names and addresses.
    pub fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let key = KeyPair::generate().unwrap();
        let names = names.iter().map(|&name| name.to_owned());
        let mut params = CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "a test");
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// Issues the certificate of a client with a URI.
    pub fn client(&self, uri: &str) -> Pair {
        let uri = Ia5String::try_from(uri).unwrap();
        self.issue(&["van.example.org"], |params| {
            params.subject_alt_names.push(SanType::URI(uri));
        })
    }
}

impl Pair {
    pub fn config(&self) -> TlsConfig {
        TlsConfig::from_pem(self.certificate.clone(), self.key.clone())
    }
}

/// Starts a server with TLS.
pub async fn start(settings: &TlsSettings) -> Server {
    start_with(settings, |_| {}).await
}

pub async fn start_with(settings: &TlsSettings, configure: impl FnOnce(&mut Config)) -> Server {
    let settings = settings.clone();
    Server::in_memory(configure, |server| server.with_tls(settings)).await
}

/// A client that speaks TLS.
#[derive(Clone)]
pub struct Client {
    pub config: Arc<ClientConfig>,
    pub name: &'static str,
}

pub const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
pub const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];

impl Client {
    pub fn new(ca: &Ca) -> Self {
        Self::with(ca, None, BOTH, &["h2"])
    }

    pub fn with(
        ca: &Ca,
        pair: Option<&Pair>,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self { config: Arc::new(config), name: "localhost" }
    }

    /// Performs a handshake.
    pub async fn handshake(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(self.name).unwrap();
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await
    }

    /// Connects and starts HTTP/2.
    pub async fn connect(&self, address: SocketAddr) -> Result<Raw, String> {
        let stream = self.handshake(address).await.map_err(|error| error.to_string())?;
        let peer = stream.get_ref().0.local_addr().unwrap();
        Raw::over_stream(stream, peer).await.map_err(|error| error.to_string())
    }

    /// Connects and performs a call. Returns the error of the handshake or of the connection.
    pub async fn call(&self, address: SocketAddr) -> Result<tonic::Code, String> {
        let mut raw = self.connect(address).await?;
        let answer = raw.try_call(super::PATH_LENGTH).await.map_err(|error| error.to_string())?;
        Ok(answer.code)
    }
}
