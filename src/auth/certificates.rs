//! Principals that are named by a client certificate, without an entry in the token file.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::authenticator::{AuthError, PeerCertificate, Session};
use super::derived;
use super::principal::{Principal, PrincipalSource, Quota, Role};

/// Names principals by certificates: the name is the first URI of the certificate, or else its first DNS name.
#[derive(Debug, Default)]
pub(super) struct CertificateRule {
    /// Cancelled when sessions must end, because another rule may apply to their certificates now.
    revoked: Mutex<CancellationToken>,
}

impl CertificateRule {
    /// Returns a token that the next call of [`CertificateRule::revoke_all`] cancels. A caller gets it before it checks
    /// the other rules, so that a change of them that it does not see ends the session.
    pub(super) fn revocation(&self) -> CancellationToken {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Revokes all sessions.
    pub(super) fn revoke_all(&self) {
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *revoked).cancel();
    }
}

/// Returns the session of a certificate.
///
/// # Errors
/// If the certificate has no name that a principal can have.
pub(super) fn session(
    certificate: &PeerCertificate,
    revoked: CancellationToken,
) -> Result<Session, AuthError> {
    let uris = certificate.uri_names.iter().map(|name| (name, PrincipalSource::CertificateUri));
    let names = certificate.dns_names.iter().map(|name| (name, PrincipalSource::CertificateDns));
    let Some((name, source)) = uris.chain(names).next() else {
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
    let principal = Principal {
        name: name.as_str().into(),
        source,
        namespace: Some(namespace),
        role: Role::Writer,
        quota: Quota::default(),
    };
    Ok(Session { principal: Arc::new(principal), expires_at: None, revoked })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(uris: &[&str], dns: &[&str]) -> Result<Arc<Principal>, AuthError> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let certificate =
            PeerCertificate { uri_names: owned(uris), dns_names: owned(dns), not_after: None };
        session(&certificate, CancellationToken::new()).map(|session| session.principal)
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

    #[test]
    fn sessions_are_revoked_together_and_later_ones_are_not() {
        let rule = CertificateRule::default();
        let (one, other) = (rule.revocation(), rule.revocation());
        rule.revoke_all();
        assert!(one.is_cancelled() && other.is_cancelled());
        assert!(!rule.revocation().is_cancelled());
    }
}
