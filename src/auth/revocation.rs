//! The end of sessions before their credentials expire.

use std::sync::Arc;
#[cfg(feature = "auth")]
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Ends the sessions of a credential. Its clones are the same revocation. An authenticator keeps one, and each session
/// of the credential has another.
#[derive(Clone, Debug, Default)]
pub struct Revocation(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    revoked: CancellationToken,
    is_final: AtomicBool,
}

impl Revocation {
    /// Returns a revocation that has not happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the sessions, because the credential has other rights now or may have been replaced. Calls end with
    /// UNAVAILABLE, so that clients call again.
    pub fn change(&self) {
        self.0.revoked.cancel();
    }

    /// Ends the sessions, because the credential is no longer accepted. Calls end with UNAUTHENTICATED, so that clients
    /// do not call again.
    pub fn withdraw(&self) {
        if !self.is_revoked() {
            self.0.is_final.store(true, Relaxed);
        }
        self.0.revoked.cancel();
    }

    /// Returns whether the sessions have ended.
    pub fn is_revoked(&self) -> bool {
        self.0.revoked.is_cancelled()
    }

    /// Returns whether the sessions have ended by [`Revocation::withdraw`].
    pub fn is_withdrawn(&self) -> bool {
        self.is_revoked() && self.0.is_final.load(Relaxed)
    }

    /// Completes when the sessions have ended.
    pub fn ended(&self) -> WaitForCancellationFutureOwned {
        self.0.revoked.clone().cancelled_owned()
    }

    /// Returns whether both are the same revocation.
    #[cfg(feature = "auth")]
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns a reference that does not keep the revocation alive.
    #[cfg(feature = "auth")]
    pub(super) fn downgrade(&self) -> WeakRevocation {
        WeakRevocation(Arc::downgrade(&self.0))
    }
}

/// A reference to a revocation, which exists as long as a session holds it.
#[cfg(feature = "auth")]
#[derive(Clone, Debug)]
pub(super) struct WeakRevocation(Weak<Inner>);

#[cfg(feature = "auth")]
impl WeakRevocation {
    /// Returns the revocation if a session holds it.
    pub(super) fn upgrade(&self) -> Option<Revocation> {
        self.0.upgrade().map(Revocation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts() {
        let (changed, withdrawn) = (Revocation::new(), Revocation::new());
        assert!(!changed.is_revoked() && !changed.is_withdrawn());
        changed.change();
        changed.withdraw();
        assert!(changed.is_revoked() && !changed.is_withdrawn());
        let session = withdrawn.clone();
        withdrawn.withdraw();
        withdrawn.change();
        assert!(session.is_revoked() && session.is_withdrawn());
    }
}
