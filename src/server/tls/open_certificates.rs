//! The client certificates of open connections, which are verified again when the client CAs change.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;

use crate::server::client_certificate::ClientCertificate;

/// The number of entries above which those of closed connections are removed, in addition to twice the open ones.
const SPARE_ENTRIES: usize = 64;

/// The certificates of the connections of a server.
#[derive(Debug, Default)]
pub(super) struct OpenCertificates(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    certificates: Vec<Weak<ClientCertificate>>,
    /// The number of entries at which the list is pruned.
    prune_at: usize,
}

impl OpenCertificates {
    /// Adds the certificate of a connection. Its entry is removed after the end of the connection.
    pub(super) fn add(&self, certificate: &Arc<ClientCertificate>) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.certificates.len() >= list.prune_at {
            list.certificates.retain(|certificate| certificate.strong_count() > 0);
            list.prune_at = 2 * list.certificates.len() + SPARE_ENTRIES;
        }
        list.certificates.push(Arc::downgrade(certificate));
    }

    /// Withdraws the certificates that the verifier does not accept. Returns their number.
    pub(super) fn verify(&self, verifier: &dyn ClientCertVerifier) -> usize {
        // The check of a signature takes 0.1 ms, so that connections do not wait for the lock meanwhile.
        let open: Vec<_> = {
            let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            list.certificates.iter().filter_map(Weak::upgrade).collect()
        };
        open.iter().filter(|certificate| withdraw_unless_valid(certificate, verifier)).count()
    }
}

/// Withdraws a certificate if the verifier does not accept it. Returns whether it did.
pub(super) fn withdraw_unless_valid(
    certificate: &ClientCertificate,
    verifier: &dyn ClientCertVerifier,
) -> bool {
    if is_valid(certificate, verifier) {
        return false;
    }
    certificate.withdraw();
    true
}

fn is_valid(certificate: &ClientCertificate, verifier: &dyn ClientCertVerifier) -> bool {
    let chain: Vec<_> =
        certificate.chain().iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    chain.split_first().is_some_and(|(end, intermediates)| {
        verifier.verify_client_cert(end, intermediates, UnixTime::now()).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::PeerCertificate;

    #[test]
    fn entries_of_closed_connections_are_removed() {
        let all = OpenCertificates::default();
        let certificate =
            || Arc::new(ClientCertificate::new(PeerCertificate::default(), Vec::new()));
        let open: Vec<_> = (0..100).map(|_| certificate()).collect();
        open.iter().for_each(|certificate| all.add(certificate));
        for _ in 0..10_000 {
            all.add(&certificate());
        }
        let list = all.0.lock().unwrap();
        assert!(list.certificates.len() <= 2 * open.len() + SPARE_ENTRIES + 1);
        let live = list.certificates.iter().filter(|entry| entry.strong_count() > 0).count();
        assert_eq!(live, open.len());
    }
}
