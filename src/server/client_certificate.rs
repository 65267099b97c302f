//! The certificate of the client of a connection, and the events that end its use: its expiry, and the removal of its CA.

use std::future::Future;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use crate::auth::{PeerCertificate, SessionCache};

/// A certificate that the transport has verified. Only TLS has certificates.
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
#[derive(Debug)]
pub(super) struct ClientCertificate {
    names: PeerCertificate,
    session: SessionCache,
    /// The certificate and its intermediate certificates in DER, to verify it again with other CAs.
    #[cfg(feature = "tls")]
    chain: Vec<Vec<u8>>,
    /// Cancelled when the server no longer accepts the CA.
    withdrawn: CancellationToken,
}

impl ClientCertificate {
    #[cfg(feature = "tls")]
    pub(super) fn new(names: PeerCertificate, chain: Vec<Vec<u8>>) -> Self {
        let (session, withdrawn) = (SessionCache::default(), CancellationToken::new());
        Self { names, session, chain, withdrawn }
    }

    #[cfg(feature = "tls")]
    pub(super) fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// Ends the calls and the connection of the certificate.
    #[cfg(feature = "tls")]
    pub(super) fn withdraw(&self) {
        self.withdrawn.cancel();
    }

    /// Returns the names for authenticators.
    pub(super) fn names(&self) -> &PeerCertificate {
        &self.names
    }

    /// Returns where authenticators keep the session of the connection.
    pub(super) fn session(&self) -> &SessionCache {
        &self.session
    }

    /// Returns the token that is cancelled when the server no longer accepts the CA of the certificate.
    pub(super) fn withdrawn(&self) -> &CancellationToken {
        &self.withdrawn
    }

    /// Completes when the certificate expires or is withdrawn.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let withdrawn = self.withdrawn.clone();
        let left = self.names.not_after.map(|end| {
            // A time in the past ends the connection at once.
            end.duration_since(SystemTime::now()).unwrap_or_default()
        });
        async move {
            match left {
                Some(left) => drop(tokio::time::timeout(left, withdrawn.cancelled()).await),
                None => withdrawn.cancelled().await,
            }
        }
    }
}
