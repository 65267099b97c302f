//! The certificate of the client: PEM texts, or files that are read again for each connection.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Maximum size of a file with certificates or a key.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A certificate chain and its private key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) certificates_pem: Vec<u8>,
    pub(super) key_pem: Vec<u8>,
}

/// The origin of the certificate of the client.
#[derive(Clone)]
pub(super) enum IdentitySource {
    Pem(Identity),
    Files { certificates: PathBuf, key: PathBuf },
}

impl IdentitySource {
    /// Returns whether the certificate may change.
    pub(super) fn may_change(&self) -> bool {
        matches!(self, Self::Files { .. })
    }

    /// Reads the files. Blocks the thread for two small files.
    ///
    /// # Errors
    /// Returns the reason as text if a file cannot be read.
    pub(super) fn read(&self) -> Result<Identity, String> {
        match self {
            Self::Pem(identity) => Ok(identity.clone()),
            Self::Files { certificates, key } => Ok(Identity {
                certificates_pem: read_file("client certificate", certificates)?,
                key_pem: read_file("private key of the client certificate", key)?,
            }),
        }
    }
}

fn read_file(what: &str, path: &Path) -> Result<Vec<u8>, String> {
    let read = || {
        // Opening a pipe would wait for its writer.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        match bytes.len() as u64 > FILE_BYTES_MAX {
            true => Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes"))),
            false => Ok(bytes),
        }
    };
    read().map_err(|error| format!("the {what} {} cannot be read: {error}", path.display()))
}
