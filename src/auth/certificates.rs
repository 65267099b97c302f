//! Sessions of client certificates: the principal of a certificate, and the end of its sessions when that changes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::authenticator::{AuthError, PeerCertificate, Session};
use super::derived;
use super::principal::{Principal, PrincipalSource, Quota, Role};
use super::revocation::{Revocation, WeakRevocation};
use super::token_file::TokenFile;

/// The client certificates that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateNames {
    /// Those that an entry of the token file names. Others are refused, so that the removal of an entry revokes its
    /// certificates.
    Listed,
    /// All that the client CAs have issued. One that no entry names is a writer in the namespace of its own name.
    Derived,
}

/// The names of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Names {
    uris: Vec<String>,
    dns: Vec<String>,
}

/// The sessions of certificates.
#[derive(Debug)]
pub(super) struct CertificateSessions {
    accepted: CertificateNames,
    open: Mutex<Open>,
    /// The number of reloads. A session that was looked up before the last one must be looked up again.
    generation: AtomicU64,
}

/// The certificates that have sessions.
#[derive(Debug, Default)]
struct Open {
    entries: HashMap<Names, Entry>,
    /// The number of entries at which those without a session are removed.
    prune_at: usize,
}

/// The sessions of the certificates with the same names.
#[derive(Debug)]
struct Entry {
    principal: Arc<Principal>,
    revoked: WeakRevocation,
}

/// The number of entries above which those without a session are removed, in addition to twice the others.
const SPARE_ENTRIES: usize = 64;

impl CertificateSessions {
    pub(super) fn new(accepted: CertificateNames) -> Self {
        Self { accepted, open: Mutex::default(), generation: AtomicU64::new(0) }
    }

    /// Returns which certificates are accepted.
    pub(super) fn accepted(&self) -> CertificateNames {
        self.accepted
    }

    /// Returns the generation of the sessions, for [`SessionCache`](super::authenticator::SessionCache). The caller reads
    /// it before it looks up a session.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(SeqCst)
    }

    /// Returns a session of the certificate.
    ///
    /// # Errors
    /// If the certificate is not accepted, or has no name that a principal can have.
    pub(super) fn session(
        &self,
        certificate: &PeerCertificate,
        tokens: Option<&TokenFile>,
    ) -> Result<Session, AuthError> {
        let PeerCertificate { uri_names, dns_names, .. } = certificate;
        let names = Names { uris: uri_names.clone(), dns: dns_names.clone() };
        // The token file is read within the lock: a reload that this does not see checks the new entry afterwards.
        let mut open = self.open();
        let principal = self.principal(&names, tokens)?;
        let known = open.entries.get_mut(&names).and_then(|entry| {
            let revoked = entry.revoked.upgrade()?;
            if !principal.continues(&entry.principal) {
                return None;
            }
            entry.principal = Arc::clone(&principal);
            Some(revoked)
        });
        let revoked = known.unwrap_or_else(|| {
            let revoked = Revocation::new();
            open.insert(names, Arc::clone(&principal), &revoked);
            revoked
        });
        Ok(Session { principal, expires_at: None, revoked })
    }

    /// Ends the sessions of the certificates that are no longer accepted, or whose principal has other rights. Must run
    /// after each change of the token file. Returns the number of certificates.
    pub(super) fn recheck(&self, tokens: Option<&TokenFile>) -> usize {
        let mut open = self.open();
        // A session that a connection keeps is also in the list, and ends here if it must.
        self.generation.fetch_add(1, SeqCst);
        let before = open.entries.len();
        let mut without_session = 0;
        open.entries.retain(|names, entry| {
            let Some(revoked) = entry.revoked.upgrade() else {
                without_session += 1;
                return false;
            };
            match self.principal(names, tokens) {
                Ok(principal) if principal.continues(&entry.principal) => {
                    entry.principal = principal;
                    return true;
                }
                Ok(_) => revoked.change(),
                Err(_) => revoked.withdraw(),
            }
            false
        });
        before - without_session - open.entries.len()
    }

    /// Returns the principal of a certificate: that of the token file, or else the one that its first name identifies.
    fn principal(
        &self,
        names: &Names,
        tokens: Option<&TokenFile>,
    ) -> Result<Arc<Principal>, AuthError> {
        let listed = tokens.map(|tokens| tokens.certificate_principal(&names.uris, &names.dns));
        match (listed.transpose()?.flatten(), self.accepted) {
            (Some(principal), _) => Ok(principal),
            (None, CertificateNames::Derived) => derived_principal(names).map(Arc::new),
            (None, CertificateNames::Listed) => {
                Err(AuthError::Invalid("no entry of the token file names the client certificate"))
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Adds an entry, which counts until the last session has ended. An earlier entry of the same names is removed: its
    /// sessions end here, because the reload that ends them comes later.
    fn insert(&mut self, names: Names, principal: Arc<Principal>, revoked: &Revocation) {
        if self.entries.len() >= self.prune_at {
            self.entries.retain(|_, entry| entry.revoked.upgrade().is_some());
            self.prune_at = 2 * self.entries.len() + SPARE_ENTRIES;
        }
        let entry = Entry { principal, revoked: revoked.downgrade() };
        if let Some(earlier) =
            self.entries.insert(names, entry).and_then(|old| old.revoked.upgrade())
        {
            earlier.change();
        }
    }
}

/// Returns the principal that a certificate names: its first URI, or else its first DNS name.
///
/// # Errors
/// If the certificate has no name that a principal can have.
fn derived_principal(names: &Names) -> Result<Principal, AuthError> {
    let uris = names.uris.iter().map(|name| (name, PrincipalSource::CertificateUri));
    let dns = names.dns.iter().map(|name| (name, PrincipalSource::CertificateDns));
    let Some((name, source)) = uris.chain(dns).next() else {
        return Err(AuthError::Invalid(
            "the client certificate has no URI and no DNS name (subject alternative names)",
        ));
    };
    let namespace = derived::namespace(source, name).filter(|_| Principal::is_name(name));
    let Some(namespace) = namespace else {
        return Err(AuthError::Invalid(
            "the name in the client certificate does not have 1 to 256 bytes, or has control characters",
        ));
    };
    Ok(Principal {
        name: name.as_str().into(),
        source,
        namespace: Some(namespace),
        role: Role::Writer,
        quota: Quota::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::SessionCache;

    fn certificate(uris: &[&str], dns: &[&str]) -> PeerCertificate {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        PeerCertificate { uri_names: owned(uris), dns_names: owned(dns), not_after: None }
    }

    fn named(uris: &[&str], dns: &[&str]) -> Result<Arc<Principal>, AuthError> {
        let sessions = CertificateSessions::new(CertificateNames::Derived);
        sessions.session(&certificate(uris, dns), None).map(|session| session.principal)
    }

    #[test]
    fn the_first_uri_or_else_the_first_dns_name_is_the_principal() {
        let principal = named(&["spiffe://a/b", "spiffe://c"], &["d.e"]).unwrap();
        assert_eq!(&*principal.name, "spiffe://a/b");
        assert_eq!(principal.namespace.as_ref().unwrap().as_str(), "~uri.spiffe~3A~2F~2Fa~2Fb");
        assert_eq!(principal.role, Role::Writer);
        let principal = named(&[], &["d.e", "f.g"]).unwrap();
        assert_eq!((&*principal.name, principal.source), ("d.e", PrincipalSource::CertificateDns));
        assert_eq!(principal.namespace.as_ref().unwrap().as_str(), "~dns.d.e");
        let long = "x".repeat(257);
        for (uris, dns) in
            [(&[][..], &[][..]), (&["a\n"], &["d"]), (&[""], &["d"]), (&[&long], &[])]
        {
            assert!(named(uris, dns).is_err(), "{uris:?}");
        }
    }

    /// Each look-up creates a principal, because there is no token file.
    #[test]
    fn a_connection_looks_its_certificate_up_once_and_again_after_each_reload() {
        let sessions = CertificateSessions::new(CertificateNames::Derived);
        let (cache, certificate) = (SessionCache::default(), certificate(&[], &["a"]));
        let call = || {
            let look_up = || sessions.session(&certificate, None);
            cache.get_or_look_up(sessions.generation(), look_up).unwrap()
        };
        let first = call();
        assert!(Arc::ptr_eq(&first.principal, &call().principal));
        assert_eq!(sessions.recheck(None), 0);
        let second = call();
        assert!(!Arc::ptr_eq(&first.principal, &second.principal));
        assert!(Arc::ptr_eq(&second.principal, &call().principal));
        assert!(second.revoked.is_same(&first.revoked), "the calls continue");
    }

    #[test]
    fn certificates_are_forgotten_when_their_sessions_have_ended() {
        let sessions = CertificateSessions::new(CertificateNames::Derived);
        let session = |index: usize| {
            sessions.session(&certificate(&[], &[&index.to_string()]), None).unwrap()
        };
        let open: Vec<_> = (0..100).map(session).collect();
        let again = session(0);
        assert!(again.revoked.is_same(&open[0].revoked), "the same certificate");
        (100..10_000).for_each(|index| drop(session(index)));
        let entries = sessions.open().entries.len();
        assert!(entries <= 2 * open.len() + SPARE_ENTRIES + 1, "{entries}");
        assert_eq!(sessions.recheck(None), 0);
        assert_eq!(sessions.open().entries.len(), open.len());
        assert!(open.iter().all(|session| !session.revoked.is_revoked()));
    }
}
