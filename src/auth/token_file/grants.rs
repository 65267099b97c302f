//! The principal of each credential in a token file.

use std::collections::HashMap;
use std::sync::Arc;

use super::parse::{CertificateName, Entry};
use crate::auth::authenticator::{AuthError, Session};
use crate::auth::principal::Principal;
use crate::auth::revocation::Revocation;
use crate::auth::token::TokenHash;

/// A token and its principal.
#[derive(Debug)]
struct Grant {
    principal: Arc<Principal>,
    /// Revoked when the token is withdrawn.
    revoked: Revocation,
}

/// All credentials of a token file.
#[derive(Debug, Default)]
pub(super) struct Grants {
    principals: HashMap<Box<str>, Arc<Principal>>,
    by_token: HashMap<TokenHash, Grant>,
    by_certificate: HashMap<CertificateName, Arc<Principal>>,
}

impl Grants {
    /// Returns the credentials of the entries. The sessions of a token that `previous` has too continue, if the rights of
    /// its principal are the same.
    pub(super) fn new(entries: Vec<Entry>, previous: Option<&Self>) -> Self {
        let mut grants = Self::default();
        for Entry { principal, tokens, certificate_names } in entries {
            let known = previous.and_then(|previous| previous.principals.get(&principal.name));
            let principal = match known {
                Some(known) if **known == principal => Arc::clone(known),
                _ => Arc::new(principal),
            };
            for token in tokens {
                let old = previous.and_then(|previous| previous.by_token.get(&token));
                let old = old.filter(|old| principal.continues(&old.principal));
                let revoked = old.map_or_else(Revocation::new, |old| old.revoked.clone());
                let principal = Arc::clone(&principal);
                grants.by_token.insert(token, Grant { principal, revoked });
            }
            for name in certificate_names {
                grants.by_certificate.insert(name, Arc::clone(&principal));
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
        self.by_token.get(hash).map(|Grant { principal, revoked }| Session {
            principal: Arc::clone(principal),
            expires_at: None,
            revoked: revoked.clone(),
        })
    }

    /// Returns the principal of a certificate with these names.
    ///
    /// # Errors
    /// If the names belong to several principals.
    pub(super) fn of_certificate(
        &self,
        uris: &[String],
        dns: &[String],
    ) -> Result<Option<Arc<Principal>>, AuthError> {
        let uris = uris.iter().map(|name| CertificateName::Uri(name.as_str().into()));
        let dns = dns.iter().map(|name| CertificateName::Dns(name.as_str().into()));
        let mut found = uris.chain(dns).filter_map(|name| self.by_certificate.get(&name));
        let Some(first) = found.next() else { return Ok(None) };
        if found.any(|principal| !Arc::ptr_eq(principal, first)) {
            return Err(AuthError::Invalid(
                "the names of the client certificate belong to several principals",
            ));
        }
        Ok(Some(Arc::clone(first)))
    }

    /// Returns the principals, in no order.
    pub(super) fn principals(&self) -> impl Iterator<Item = &Arc<Principal>> {
        self.principals.values()
    }

    /// Returns the number of principals.
    pub(super) fn principal_count(&self) -> usize {
        self.principals.len()
    }

    /// Returns whether an entry names a certificate.
    pub(super) fn has_certificate_names(&self) -> bool {
        !self.by_certificate.is_empty()
    }

    /// Ends the sessions of the tokens of `old` that this does not have, or with other rights. Returns the number of
    /// these tokens. Their calls can be repeated: the client may have a token that replaces the removed one.
    pub(super) fn revoke_others(&self, old: &Self) -> usize {
        let withdrawn = old.by_token.iter().filter(|(token, grant)| {
            !self.by_token.get(token).is_some_and(|new| new.revoked.is_same(&grant.revoked))
        });
        withdrawn.inspect(|(_, grant)| grant.revoked.change()).count()
    }
}
