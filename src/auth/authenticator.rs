//! The port for authenticators: the trait that each of them implements, and what it exchanges with the server.

use std::fmt;
use std::sync::Arc;
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
    use super::*;

    #[test]
    fn credentials_are_not_printed() {
        let credentials =
            Credentials { authorization: Some(b"Bearer secret"), ..Credentials::default() };
        let text = format!("{credentials:?}");
        assert!(!text.contains("secret") && !text.contains("115"), "{text}");
    }
}
