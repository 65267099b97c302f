//! The reasons why certificates and keys cannot be used. No message contains bytes of a file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A certificate, key or CA file that cannot be used. The message names the file and the reason.
#[derive(Debug, thiserror::Error)]
#[error("{subject}: {problem}")]
pub struct TlsError {
    subject: Subject,
    problem: Problem,
}

impl TlsError {
    pub(super) fn new(subject: &Subject, problem: Problem) -> Self {
        Self { subject: subject.clone(), problem }
    }

    /// Returns the file that cannot be used, or `None` if its content was passed as bytes.
    pub fn path(&self) -> Option<&Path> {
        self.subject.path.as_deref()
    }
}

/// The file or the bytes that an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) role: Role,
    pub(super) path: Option<PathBuf>,
}

/// The purpose of a PEM file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Certificate,
    Key,
    ClientCa,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.role {
            Role::Certificate => "TLS certificate",
            Role::Key => "TLS key",
            Role::ClientCa => "TLS client CA",
        })?;
        match &self.path {
            Some(path) => write!(f, " file {}", path.display()),
            None => Ok(()),
        }
    }
}

/// The reason without the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is not a regular file")]
    NotAFile,
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    #[error("is empty")]
    Empty,
    #[error(
        "contains DER, not PEM; convert it with openssl, such as: openssl x509 -inform der -in FILE"
    )]
    Der,
    #[error("is cut off: the last PEM section has no END line")]
    CutOff,
    #[error("is not valid PEM")]
    Pem,
    #[error("contains no certificate; a certificate begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    #[error(
        "contains no private key; a key begins with -----BEGIN PRIVATE KEY-----, or RSA or EC PRIVATE KEY"
    )]
    NoKey,
    #[error("contains more than one private key")]
    SeveralKeys,
    #[error("the private key is encrypted; decrypt it with: openssl pkey -in FILE -out NEW_FILE")]
    EncryptedKey,
    #[error(
        "the private key cannot be used: {0}; use RSA with 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519"
    )]
    UnusableKey(String),
    #[error("certificate {number} is not a valid X.509 certificate: {reason}")]
    BadCertificate { number: usize, reason: String },
    #[error("the key does not belong to the first certificate of {0}")]
    KeyMismatch(String),
    #[error("cannot be used: {0}")]
    Rustls(String),
}
