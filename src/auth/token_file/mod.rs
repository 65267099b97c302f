//! The token file: principals with their tokens and certificate names, reloaded while the server runs.
//!
//! `parse` reads the TOML, and `grants` finds the principal of a credential.

mod grants;
mod parse;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use self::grants::Grants;
pub use self::parse::{TokenFileError, check_tokens};
use super::authenticator::{AuthError, PeerCertificate, Session};
use super::file::{Content, LoadError, WatchedFile};
use super::token::TokenHash;

/// Maximum size of a token file.
pub const TOKEN_FILE_BYTES_MAX: u64 = 8 << 20;

/// A token file and the principals in it.
#[derive(Debug)]
pub(super) struct TokenFile {
    file: WatchedFile,
    grants: RwLock<Arc<Grants>>,
}

impl TokenFile {
    /// Loads the file.
    ///
    /// # Errors
    /// If the file cannot be read or is not valid.
    pub(super) fn load(path: &Path) -> Result<Self, LoadError> {
        let file = WatchedFile::new(path, Content::Secret, TOKEN_FILE_BYTES_MAX);
        let text = file.read()?;
        let entries = parse::parse(&text).map_err(|error| in_file(&file, error))?;
        let grants = RwLock::new(Arc::new(Grants::new(entries, None)));
        Ok(Self { file, grants })
    }

    /// Returns the session of the token with this hash, if the file has it.
    pub(super) fn session(&self, hash: &TokenHash) -> Option<Session> {
        self.grants().of_token(hash)
    }

    /// Returns the session of a certificate, if the file has one of its names.
    pub(super) fn certificate_session(
        &self,
        certificate: &PeerCertificate,
    ) -> Result<Option<Session>, AuthError> {
        self.grants().of_certificate(certificate)
    }

    /// Reads the file again. Returns `None` if it has not changed. Sessions whose
    /// credential is no longer in the file, or whose principal has changed, are revoked.
    ///
    /// `is_forced` reads the file as it is now. Otherwise a change is applied when two reads in succession find it.
    ///
    /// # Errors
    /// If the file cannot be read or is not valid. The principals stay as they were.
    pub(super) fn reload(&self, is_forced: bool) -> Result<Option<Reloaded>, LoadError> {
        let text = match is_forced {
            true => self.file.read()?,
            false => match self.file.read_change()? {
                Some(text) => text,
                None => return Ok(None),
            },
        };
        let entries = parse::parse(&text).map_err(|error| {
            self.file.forget();
            in_file(&self.file, error)
        })?;
        let mut current = self.grants.write().unwrap_or_else(PoisonError::into_inner);
        let grants = Arc::new(Grants::new(entries, Some(&current)));
        let old = std::mem::replace(&mut *current, Arc::clone(&grants));
        drop(current);
        let revoked = grants.revoke_others(&old);
        let has_new_names = grants.has_certificate_names_that_are_new_to(&old);
        Ok(Some(Reloaded { principals: grants.principal_count(), revoked, has_new_names }))
    }

    fn grants(&self) -> Arc<Grants> {
        Arc::clone(&self.grants.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The result of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reloaded {
    /// Number of principals.
    pub(super) principals: usize,
    /// Number of credentials that were withdrawn.
    pub(super) revoked: usize,
    /// Whether the file has certificate names that it did not have before.
    pub(super) has_new_names: bool,
}

fn in_file(file: &WatchedFile, error: TokenFileError) -> LoadError {
    file.error(error.line, error.reason)
}
