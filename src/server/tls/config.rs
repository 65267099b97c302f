//! Where the certificate, the key and the client CAs come from, and who must present a certificate.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Problem, Role, Subject, TlsError};

/// Maximum size of a PEM file. A bundle of all public CAs has less than 300 KB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The certificates of a server, and those that it accepts from clients.
///
/// Certificates and keys are PEM. The certificate file contains the certificate of the server, then the intermediate
/// certificates. The key is PKCS#8, PKCS#1 or SEC1, and not encrypted. Clients may use TLS 1.2 and 1.3, and must
/// negotiate HTTP/2 (ALPN `h2`).
///
/// ```no_run
/// use waywiser::server::{TlsConfig, TlsSettings};
///
/// # fn example() -> Result<(), waywiser::server::TlsError> {
/// let config = TlsConfig::from_files("server.pem", "server.key").with_client_ca_file("clients.pem");
/// let settings = TlsSettings::load(config)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TlsConfig {
    pub(super) certificate: Source,
    pub(super) key: Source,
    pub(super) client_ca: Option<Source>,
    pub(super) are_client_certificates_optional: bool,
}

impl TlsConfig {
    /// Reads the certificate and the key from files. [`TlsSettings`](super::TlsSettings) follows their changes.
    pub fn from_files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::new(Content::File(certificate.into()), Content::File(key.into()))
    }

    /// Takes the PEM text of the certificate and of the key.
    pub fn from_pem(certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self::new(Content::pem(certificate), Content::pem(key))
    }

    fn new(certificate: Content, key: Content) -> Self {
        Self {
            certificate: Source { role: Role::Certificate, content: certificate },
            key: Source { role: Role::Key, content: key },
            client_ca: None,
            are_client_certificates_optional: false,
        }
    }

    /// Requires a certificate of each client, issued by a CA in this file. Revocation lists are not supported.
    #[must_use]
    pub fn with_client_ca_file(self, path: impl Into<PathBuf>) -> Self {
        self.with_client_ca(Content::File(path.into()))
    }

    /// Requires a certificate of each client, issued by a CA in this PEM text. Revocation lists are not supported.
    #[must_use]
    pub fn with_client_ca_pem(self, pem: impl Into<Vec<u8>>) -> Self {
        self.with_client_ca(Content::pem(pem))
    }

    fn with_client_ca(mut self, content: Content) -> Self {
        self.client_ca = Some(Source { role: Role::ClientCa, content });
        self
    }

    /// Accepts clients without a certificate too. A certificate that a client presents must still be valid. Without
    /// client CAs, this has no effect.
    #[must_use]
    pub fn with_optional_client_certificates(mut self) -> Self {
        self.are_client_certificates_optional = true;
        self
    }

    /// Returns whether at least one source is a file.
    pub(super) fn has_files(&self) -> bool {
        let sources = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        sources.into_iter().flatten().any(|source| source.path().is_some())
    }
}

/// Where PEM text comes from, and its purpose.
#[derive(Clone, Debug)]
pub(super) struct Source {
    role: Role,
    content: Content,
}

#[derive(Clone)]
enum Content {
    File(PathBuf),
    Pem(Arc<[u8]>),
}

impl Content {
    fn pem(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Pem(bytes.into().into())
    }
}

/// Never prints PEM text, which may be a key.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Pem(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

impl Source {
    /// Returns the name for error messages.
    pub(super) fn subject(&self) -> Subject {
        Subject { role: self.role, path: self.path().cloned() }
    }

    pub(super) fn path(&self) -> Option<&PathBuf> {
        match &self.content {
            Content::File(path) => Some(path),
            Content::Pem(_) => None,
        }
    }

    /// Reads the PEM text.
    ///
    /// # Errors
    /// If the file cannot be read or is too large.
    pub(super) fn read(&self) -> Result<Vec<u8>, TlsError> {
        match &self.content {
            Content::Pem(bytes) => Ok(bytes.to_vec()),
            Content::File(path) => {
                read_file(path).map_err(|problem| TlsError::new(&self.subject(), problem))
            }
        }
    }

    /// Returns whether every user of the system may read the file.
    #[cfg(unix)]
    pub(super) fn is_readable_by_others(&self) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = self.path().and_then(|path| std::fs::metadata(path).ok());
        metadata.is_some_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
    }

    #[cfg(not(unix))]
    pub(super) fn is_readable_by_others(&self) -> bool {
        false
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(Problem::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Problem::TooLarge(FILE_BYTES_MAX));
    }
    Ok(bytes)
}
