//! Performs the TLS handshake of a connection.
//!
//! The first byte shows whether the client speaks TLS. The ClientHello shows whether it offers HTTP/2, before the server
//! has computed anything. The rest of the handshake computes only with a permit of the [`Gate`].

use std::io;
use std::net::SocketAddr;

use rustls::server::Acceptor as HelloReader;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::gate::Gate;
use super::material::ALPN_HTTP2;
use super::plaintext;
use super::read_ahead::ReadAhead;
use super::settings::TlsSettings;
use crate::server::acceptor::{Acceptor, ByteStream, PeerInfo};
use crate::server::preface::PrefaceError;

/// Maximum number of bytes that a client may send in its handshake. A ClientHello has 2 KB at most in practice, and a
/// chain of client certificates 10 KB.
const HANDSHAKE_BYTES_MAX: usize = 32 * 1024;

/// Maximum number of plaintext bytes of replies that rustls keeps while the socket accepts none.
const WRITE_BYTES_MAX: usize = 16 * 1024;

/// The alert "no_application_protocol" (120) in a record of its own: RFC 7301, section 3.2.
const NO_APPLICATION_PROTOCOL: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

/// Accepts connections with TLS.
pub(in crate::server) struct TlsAcceptor {
    settings: TlsSettings,
    gate: Gate,
}

impl TlsAcceptor {
    /// Returns an acceptor for a runtime with this number of threads.
    pub(in crate::server) fn new(settings: TlsSettings, threads: usize) -> Self {
        Self { settings, gate: Gate::new(threads) }
    }

    async fn handshake<IO: ByteStream>(
        &self,
        io: IO,
        address: SocketAddr,
    ) -> Result<TlsStream<ReadAhead<IO>>, PrefaceError> {
        let mut io = ReadAhead::new(io, HANDSHAKE_BYTES_MAX);
        plaintext::expect_tls(&mut io).await?;
        let mut start =
            LazyConfigAcceptor::new(HelloReader::default(), io).await.map_err(failure)?;
        let offered = start.client_hello().alpn();
        let offers_http2 = offered.is_some_and(|mut all| all.any(|name| name == ALPN_HTTP2));
        if !offers_http2 {
            start.io.write_all(&NO_APPLICATION_PROTOCOL).await?;
            start.io.shutdown().await?;
            return Err(PrefaceError::NoAlpn);
        }
        let entered = self.gate.enter(address.ip());
        let permit = entered.permit().await;
        let config = self.settings.server_config();
        let accept = start.into_stream_with(config, |connection| {
            connection.set_buffer_limit(Some(WRITE_BYTES_MAX));
        });
        drop(permit);
        let mut stream = entered.run(accept).await.map_err(failure)?;
        stream.get_mut().0.end_handshake();
        Ok(stream)
    }
}

impl<IO: ByteStream> Acceptor<IO> for TlsAcceptor {
    type Stream = TlsStream<ReadAhead<IO>>;

    async fn accept(
        &self,
        io: IO,
        address: SocketAddr,
    ) -> Result<(Self::Stream, PeerInfo), PrefaceError> {
        let result = self.handshake(io, address).await;
        match result {
            Ok(stream) => Ok((stream, address.into())),
            Err(error) => {
                self.settings.count_handshake_failure();
                Err(error)
            }
        }
    }
}

/// Returns the error of a handshake. rustls has sent an alert with the reason.
fn failure(error: io::Error) -> PrefaceError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return PrefaceError::Closed;
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => PrefaceError::Handshake(error.to_string()),
        None if error.kind() == io::ErrorKind::InvalidData => {
            PrefaceError::Handshake(error.to_string())
        }
        None => PrefaceError::Io(error),
    }
}
