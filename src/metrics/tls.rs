//! The metrics of TLS: failures of handshakes and of reloads, and the time at which the certificate expires.

use std::time::UNIX_EPOCH;

use super::registry::{Samples, Source};
use crate::server::TlsSettings;

/// Returns the metrics of the certificates of a server.
pub fn tls(settings: TlsSettings) -> impl Source {
    move |samples: &mut Samples<'_>| {
        let help = "TLS handshakes that have failed";
        samples.counter("waywiser_tls_handshake_failures", help, |family| {
            family.add(&[], settings.handshake_failures());
        });
        let help =
            "Reloads of the TLS files that have failed, so that the previous files stay active";
        samples.counter("waywiser_tls_reload_failures", help, |family| {
            family.add(&[], settings.reload_failures());
        });
        let help = "The time at which the active certificate expires, in seconds since 1970-01-01T00:00:00Z";
        samples.gauge("waywiser_tls_certificate_expiry_timestamp_seconds", help, |family| {
            let expiry = settings.expires_at().duration_since(UNIX_EPOCH).unwrap_or_default();
            family.add(&[], expiry.as_secs_f64());
        });
    }
}
