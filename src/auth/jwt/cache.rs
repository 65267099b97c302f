//! The tokens that were verified, so that a call with a known token costs a hash instead of a signature check.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::key::Key;
use crate::auth::authenticator::{AuthError, Session};
use crate::auth::principal::Principal;
use crate::auth::token::TokenHash;

/// A token that was verified.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) principal: Arc<Principal>,
    pub(super) expires_at: SystemTime,
    pub(super) key: Arc<Key>,
}

impl Verified {
    /// Returns the session of the token.
    ///
    /// # Errors
    /// If the token has expired or its key was withdrawn.
    pub(super) fn session(&self, now: SystemTime) -> Result<Session, AuthError> {
        if now >= self.expires_at {
            return Err(AuthError::Expired);
        }
        let revoked = self.key.revoked.clone();
        if revoked.is_revoked() {
            return Err(AuthError::Revoked);
        }
        let (principal, expires_at) = (Arc::clone(&self.principal), Some(self.expires_at));
        Ok(Session { principal, expires_at, revoked })
    }
}

/// The tokens that were used last, by their hashes.
///
/// There are two generations. When the young one is full, it becomes the old one, and the old one is dropped. A token
/// that is found in the old one moves to the young one. So the tokens in use stay, and each operation is constant.
#[derive(Debug)]
pub(super) struct Cache {
    generation_max: usize,
    generations: Mutex<[HashMap<TokenHash, Arc<Verified>>; 2]>,
}

impl Cache {
    /// Returns a cache for up to `tokens_max` tokens.
    pub(super) fn new(tokens_max: usize) -> Self {
        Self { generation_max: tokens_max / 2, generations: Mutex::default() }
    }

    /// Returns a token.
    pub(super) fn get(&self, hash: &TokenHash) -> Option<Arc<Verified>> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *generations;
        if let Some(verified) = young.get(hash) {
            return Some(Arc::clone(verified));
        }
        let verified = old.remove(hash)?;
        self.add(&mut generations, *hash, Arc::clone(&verified));
        Some(verified)
    }

    /// Adds a token.
    pub(super) fn insert(&self, hash: TokenHash, verified: Arc<Verified>) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        self.add(&mut generations, hash, verified);
    }

    /// Removes all tokens.
    pub(super) fn clear(&self) {
        *self.generations.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.generations.lock().unwrap().iter().map(HashMap::len).sum()
    }

    fn add(
        &self,
        [young, old]: &mut [HashMap<TokenHash, Arc<Verified>>; 2],
        hash: TokenHash,
        verified: Arc<Verified>,
    ) {
        if young.len() >= self.generation_max {
            *old = std::mem::take(young);
        }
        young.insert(hash, verified);
    }
}
