//! The reasons why a TLS handshake fails.

/// The reason why the TLS handshake of a client fails.
#[derive(Debug, thiserror::Error)]
pub(in crate::server) enum HandshakeError {
    /// Contains the protocol.
    #[error("the client speaks {0} without TLS; this port requires TLS")]
    Plaintext(&'static str),
    #[error("the client does not offer HTTP/2 in its TLS handshake (ALPN h2)")]
    NoAlpn,
    #[error("the TLS handshake failed: {0}")]
    Failed(String),
}
