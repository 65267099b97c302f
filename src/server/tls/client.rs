//! The names in the certificate of a client.

use rustls::ServerConnection;

use super::handshake_error::HandshakeError;
use super::validity;
use crate::auth::PeerCertificate;
use crate::server::client_certificate::ClientCertificate;

/// Returns the certificate of a client, or `None` if it has presented none. rustls has verified it in this handshake,
/// because no session is resumed with client CAs.
///
/// # Errors
/// If the certificate cannot be read, which does not happen with one that rustls has verified.
pub(super) fn certificate(
    connection: &ServerConnection,
) -> Result<Option<ClientCertificate>, HandshakeError> {
    let unusable =
        |reason: &str| HandshakeError::Failed(format!("the client certificate {reason}"));
    let chain = connection.peer_certificates().unwrap_or_default();
    let Some(der) = chain.first() else { return Ok(None) };
    let certificate = webpki::EndEntityCert::try_from(der)
        .map_err(|error| unusable(&format!("cannot be read: {error}")))?;
    let validity = validity::of(der).ok_or_else(|| unusable("has no period of validity"))?;
    let names = PeerCertificate {
        uri_names: certificate.valid_uri_names().map(str::to_owned).collect(),
        dns_names: certificate.valid_dns_names().map(str::to_owned).collect(),
        not_after: Some(validity.not_after),
    };
    // rustls keeps the chain in the connection, where it can no longer be reached.
    let chain = chain.iter().map(|certificate| certificate.to_vec()).collect();
    Ok(Some(ClientCertificate::new(names, chain)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use rcgen::string::Ia5String;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
    use rustls::crypto::ring;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;
    use crate::server::tls::{TlsConfig, TlsSettings};

    /// Returns the server's end of a connection, after a handshake with a client that has a certificate.
    fn connection() -> ServerConnection {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = ca.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca, &ca_key);
        let names = ["localhost".to_owned(), "*.example.org".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        let uri = Ia5String::try_from("spiffe://example.org/van-7").unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        params.not_after = rcgen::date_time_ymd(2090, 1, 1);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        let config = TlsConfig::from_pem(leaf.pem(), key.serialize_pem());
        let settings = TlsSettings::load(config.with_client_ca_pem(root.pem())).unwrap();
        let mut server =
            ServerConnection::new(Arc::clone(settings.active().server_config())).unwrap();

        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![leaf.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).unwrap();
            server.read_tls(&mut &bytes[..]).unwrap();
            server.process_new_packets().unwrap();
            let mut bytes = Vec::new();
            server.write_tls(&mut bytes).unwrap();
            client.read_tls(&mut &bytes[..]).unwrap();
            client.process_new_packets().unwrap();
        }
        server
    }

    #[test]
    fn the_names_the_end_and_the_chain_are_returned() {
        let connection = connection();
        let days_to_2090 = 43_830;
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(days_to_2090 * 86_400);
        let expected = PeerCertificate {
            uri_names: vec!["spiffe://example.org/van-7".to_owned()],
            dns_names: vec!["localhost".to_owned(), "*.example.org".to_owned()],
            not_after: Some(end),
        };
        let certificate = certificate(&connection).unwrap().unwrap();
        assert_eq!(*certificate.names(), expected);
        assert_eq!(certificate.chain(), [connection.peer_certificates().unwrap()[0].to_vec()]);
    }
}
