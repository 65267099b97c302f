//! The certificates of `waywiser serve`.

use std::path::PathBuf;

use clap::Args;

use crate::server::{TlsConfig, TlsError, TlsSettings};

#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsArgs {
    /// Serve TLS 1.2 and 1.3 with the certificate in this PEM file, followed by its intermediate certificates
    ///
    /// The files are read again every 5 seconds. If two reads find the same change, new connections use the new
    /// certificate, and open connections continue. A file that cannot be used changes nothing and is reported in the
    /// log.
    #[arg(long, value_name = "FILE", env = "WAYWISER_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of the certificate: PEM, as PKCS#8, PKCS#1 or SEC1, not encrypted
    #[arg(long, value_name = "FILE", env = "WAYWISER_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Require a certificate of each client, issued by a CA in this PEM file; optional with --tokens or --jwks
    ///
    /// The server does not support revocation lists. To revoke a certificate, remove its CA from the file.
    #[arg(long, value_name = "FILE", env = "WAYWISER_TLS_CLIENT_CA", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
}

impl TlsArgs {
    /// Returns whether the server has TLS.
    pub(super) fn is_enabled(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// Returns whether the server checks the certificates of clients.
    pub(super) fn has_client_ca(&self) -> bool {
        self.tls_client_ca.is_some()
    }

    /// Reads the certificates. Returns `None` for a server without TLS. If clients can authenticate in another way,
    /// they need no certificate.
    ///
    /// # Errors
    /// If a file cannot be used.
    pub(super) fn load(
        &self,
        are_client_certificates_optional: bool,
    ) -> Result<Option<TlsSettings>, TlsError> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let mut config = TlsConfig::from_files(certificate, key);
        if let Some(client_ca) = &self.tls_client_ca {
            config = config.with_client_ca_file(client_ca);
        }
        if are_client_certificates_optional {
            config = config.with_optional_client_certificates();
        }
        TlsSettings::load(config).map(Some)
    }
}
