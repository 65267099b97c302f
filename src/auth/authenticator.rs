//! The port for authenticators: the trait that each of them implements, and what it exchanges with the server.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::principal::Principal;
use super::revocation::Revocation;

/// Checks the credentials of calls.
pub trait Authenticator: Send + Sync + 'static {
    /// Returns the session of a caller. Runs in the task of a connection for each of its calls, so it must return at
    /// once and must not panic.
    ///
    /// # Errors
    /// The caller is not known.
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Session, AuthError>;

    /// Returns which credentials cannot be checked at the moment, for checks of health. By default, all can be checked.
    fn outage(&self) -> Option<Outage> {
        None
    }
}

/// Credentials that cannot be checked at the moment, such as tokens whose keys were not fetched yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The reason, for operators. It may name files and URLs, and contains no secret.
    pub reason: String,
    /// Whether no caller can authenticate. The server is not ready then.
    pub is_total: bool,
}

/// The credentials of one call. They do not appear in the `Debug` output.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The value of the header `authorization`.
    pub authorization: Option<&'a [u8]>,
    /// The certificate of the client, which the transport has verified.
    pub certificate: Option<&'a PeerCertificate>,
    /// Where the authenticator keeps the session of the certificate for further calls of the connection.
    pub certificate_session: Option<&'a SessionCache>,
    /// The limit on failed checks of the sender. Without it there is no limit.
    pub failures: Option<&'a dyn FailureLimit>,
}

/// Limits the expensive checks of credentials that fail, such as those of signatures. An authenticator asks it before
/// such a check, and reports each failure.
pub trait FailureLimit {
    /// Returns whether the sender has reached its limit. The authenticator then returns [`AuthError::Throttled`] instead
    /// of a check.
    fn is_reached(&self) -> bool;

    /// Counts an expensive check that has failed.
    fn add(&self);
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("authorization", &self.authorization.map(|_| "<hidden>"))
            .field("certificate", &self.certificate)
            .finish()
    }
}

/// The names in a verified client certificate (subject alternative names), in the order of the certificate, and the end
/// of its validity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Its URIs, such as `spiffe://example.org/van-7`.
    pub uri_names: Vec<String>,
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// The end of its validity. The calls of its sessions end then.
    pub not_after: Option<SystemTime>,
}

/// The session of a client certificate, kept for the calls of one connection, so that the names in the certificate are
/// looked up once and not for each call. Each connection has a cache of its own.
#[derive(Debug, Default)]
pub struct SessionCache(Mutex<Option<CachedSession>>);

#[derive(Debug)]
struct CachedSession {
    generation: u64,
    session: Result<Session, AuthError>,
}

impl SessionCache {
    /// Returns the session that was kept for this generation of the credentials, unless it was revoked since. Otherwise
    /// looks it up, and keeps it.
    ///
    /// # Errors
    /// That of the look-up, which is kept, too.
    pub fn get_or_look_up(
        &self,
        generation: u64,
        look_up: impl FnOnce() -> Result<Session, AuthError>,
    ) -> Result<Session, AuthError> {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = cached.as_ref().is_some_and(|cached| {
            let session = cached.session.as_ref();
            cached.generation == generation
                && session.map_or(true, |session| !session.revoked.is_revoked())
        });
        if let (true, Some(cached)) = (is_current, &*cached) {
            return cached.session.clone();
        }
        let session = look_up();
        *cached = Some(CachedSession { generation, session: session.clone() });
        session
    }
}

/// An authenticated caller, as long as its credentials are valid.
#[derive(Clone, Debug)]
pub struct Session {
    /// The caller.
    pub principal: Arc<Principal>,
    /// The time at which its credentials expire. Its calls end then.
    pub expires_at: Option<SystemTime>,
    /// Revoked when its credentials are withdrawn or have other rights. Its calls end then.
    pub revoked: Revocation,
}

/// The reason why a caller is not known. The texts are sent to the caller; they contain no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The call has no credentials.
    #[error(
        "the call has no credentials: send the header \"authorization: Bearer TOKEN\", or connect with a client certificate if the server accepts certificates"
    )]
    Missing,
    /// The credentials cannot be read. The text says why.
    #[error("the credentials cannot be read: {0}")]
    Malformed(&'static str),
    /// The credentials are not valid. The text says why.
    #[error("the credentials are not valid: {0}")]
    Invalid(&'static str),
    /// The credentials have expired.
    #[error("the credentials have expired; send new ones")]
    Expired,
    /// The credentials were valid until the server stopped accepting them.
    #[error("the credentials were withdrawn")]
    Revoked,
    /// The credentials were not checked, because too many others of the same sender were not valid.
    #[error("the client has sent too many credentials that are not valid; try again later")]
    Throttled,
    /// The credentials cannot be checked now.
    #[error("the credentials cannot be checked now: {reason}; try again later")]
    Unavailable {
        /// The reason.
        reason: &'static str,
        /// The time after which a call with the same credentials can succeed.
        retry_after: Duration,
    },
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::auth::principal::{PrincipalSource, Quota, Role};

    #[test]
    fn a_session_is_looked_up_again_after_a_reload_and_after_its_revocation() {
        let (cache, look_ups) = (SessionCache::default(), Cell::new(0));
        let get = |generation, result: &dyn Fn() -> Result<Session, AuthError>| {
            let look_up = || {
                look_ups.set(look_ups.get() + 1);
                result()
            };
            cache.get_or_look_up(generation, look_up)
        };
        let principal = Arc::new(Principal {
            name: "van".into(),
            source: PrincipalSource::Configuration,
            namespace: None,
            role: Role::Writer,
            quota: Quota::default(),
        });
        let refused = || Err(AuthError::Revoked);
        let accepted = || {
            let (principal, revoked) = (Arc::clone(&principal), Revocation::new());
            Ok(Session { principal, expires_at: None, revoked })
        };
        for _ in 0..3 {
            assert_eq!(get(0, &refused).unwrap_err(), AuthError::Revoked);
        }
        let sessions = [0; 3].map(|_| get(1, &accepted).unwrap());
        assert_eq!(look_ups.get(), 2);
        sessions[0].revoked.change();
        assert!(sessions[2].revoked.is_revoked(), "the calls of a connection have one session");
        assert!(!get(1, &accepted).unwrap().revoked.is_revoked());
        assert_eq!(look_ups.get(), 3);
    }

    #[test]
    fn credentials_are_not_printed() {
        let credentials =
            Credentials { authorization: Some(b"Bearer secret"), ..Credentials::default() };
        let text = format!("{credentials:?}");
        assert!(!text.contains("secret") && !text.contains("115"), "{text}");
    }
}
