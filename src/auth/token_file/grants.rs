//! The principal of each credential in a token file.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::parse::Entry;
use crate::auth::authenticator::{AuthError, PeerCertificate, Session};
use crate::auth::principal::Principal;
use crate::auth::token::TokenHash;

/// A credential and its principal.
#[derive(Debug)]
struct Grant {
    principal: Arc<Principal>,
    /// Cancelled when the credential is withdrawn.
    revoked: CancellationToken,
}

impl Grant {
    fn session(&self) -> Session {
        let (principal, revoked) = (Arc::clone(&self.principal), self.revoked.clone());
        Session { principal, expires_at: None, revoked }
    }
}

/// All credentials of a token file.
#[derive(Debug, Default)]
pub(super) struct Grants {
    principals: HashMap<Box<str>, Arc<Principal>>,
    by_token: HashMap<TokenHash, Arc<Grant>>,
    by_certificate: HashMap<Box<str>, Arc<Grant>>,
}

impl Grants {
    /// Returns the credentials of the entries. Credentials that `previous` has with the same principal are the same
    /// afterwards, so that their sessions continue.
    pub(super) fn new(entries: Vec<Entry>, previous: Option<&Self>) -> Self {
        let mut grants = Self::default();
        for Entry { principal, tokens, certificate_names } in entries {
            let known = previous.and_then(|previous| previous.principals.get(&principal.name));
            let principal = match known {
                Some(known) if **known == principal => Arc::clone(known),
                _ => Arc::new(principal),
            };
            let kept = |grant: Option<&Arc<Grant>>| match grant {
                Some(grant) if Arc::ptr_eq(&grant.principal, &principal) => Arc::clone(grant),
                _ => Arc::new(Grant {
                    principal: Arc::clone(&principal),
                    revoked: CancellationToken::new(),
                }),
            };
            for token in tokens {
                let grant = kept(previous.and_then(|previous| previous.by_token.get(&token)));
                grants.by_token.insert(token, grant);
            }
            for name in certificate_names {
                let grant = kept(previous.and_then(|previous| previous.by_certificate.get(&name)));
                grants.by_certificate.insert(name, grant);
            }
            grants.principals.insert(principal.name.clone(), principal);
        }
        grants
    }

    /// Returns the session of the token with this hash.
    ///
    /// The map is searched by the hash, and two hashes are compared in constant time. The time of the search depends
    /// on the hash alone. A client cannot choose the hash of a token, so the time reveals nothing about other tokens.
    pub(super) fn of_token(&self, hash: &TokenHash) -> Option<Session> {
        self.by_token.get(hash).map(|grant| grant.session())
    }

    /// Returns the session of the certificate.
    ///
    /// # Errors
    /// If the names of the certificate belong to several principals.
    pub(super) fn of_certificate(
        &self,
        certificate: &PeerCertificate,
    ) -> Result<Option<Session>, AuthError> {
        let names = certificate.uri_names.iter().chain(&certificate.dns_names);
        let mut grants = names.filter_map(|name| self.by_certificate.get(name.as_str()));
        let Some(first) = grants.next() else { return Ok(None) };
        if grants.any(|grant| !Arc::ptr_eq(&grant.principal, &first.principal)) {
            return Err(AuthError::Invalid(
                "the names of the client certificate belong to several principals",
            ));
        }
        Ok(Some(first.session()))
    }

    /// Returns the number of principals.
    pub(super) fn principal_count(&self) -> usize {
        self.principals.len()
    }

    /// Revokes the sessions of the credentials that only `old` has. Returns their number.
    pub(super) fn revoke_others(&self, old: &Self) -> usize {
        let current: HashSet<_> = self.all().map(Arc::as_ptr).collect();
        let withdrawn = old.all().filter(|grant| !current.contains(&Arc::as_ptr(grant)));
        withdrawn.inspect(|grant| grant.revoked.cancel()).count()
    }

    /// Returns whether this has certificate names that `old` does not have.
    pub(super) fn has_certificate_names_that_are_new_to(&self, old: &Self) -> bool {
        self.by_certificate.keys().any(|name| !old.by_certificate.contains_key(name))
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Grant>> {
        self.by_token.values().chain(self.by_certificate.values())
    }
}
