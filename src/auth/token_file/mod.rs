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
use super::authenticator::{AuthError, Session};
use super::file::{Content, LoadError, WatchedFile};
use super::principal::Principal;
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

    /// Returns the principal of a certificate, if the file has one of its names.
    ///
    /// # Errors
    /// If the names belong to several principals.
    pub(super) fn certificate_principal(
        &self,
        uris: &[String],
        dns: &[String],
    ) -> Result<Option<Arc<Principal>>, AuthError> {
        self.grants().of_certificate(uris, dns)
    }

    /// Returns the principals of the entries, ordered by name.
    pub(super) fn principals(&self) -> Vec<Arc<Principal>> {
        let mut principals: Vec<_> = self.grants().principals().map(Arc::clone).collect();
        principals.sort_by(|one, other| one.name.cmp(&other.name));
        principals
    }

    /// Returns whether an entry names a certificate.
    pub(super) fn has_certificate_names(&self) -> bool {
        self.grants().has_certificate_names()
    }

    /// Reads the file again. Returns `None` if it has not changed. Sessions of tokens that are no longer in the file, or
    /// whose principal has other rights, are revoked.
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
        Ok(Some(Reloaded { principals: grants.principal_count(), revoked }))
    }

    fn grants(&self) -> Arc<Grants> {
        Arc::clone(&self.grants.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads and checks a token file as a server does, including its rights.
///
/// # Errors
/// If a server would refuse the file.
pub fn check_token_file(path: &Path) -> Result<(), LoadError> {
    TokenFile::load(path).map(drop)
}

/// The result of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reloaded {
    /// Number of principals.
    pub(super) principals: usize,
    /// Number of tokens that were withdrawn or have other rights.
    pub(super) revoked: usize,
}

fn in_file(file: &WatchedFile, error: TokenFileError) -> LoadError {
    file.error(error.line, error.reason)
}
