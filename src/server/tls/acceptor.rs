//! Performs the TLS handshake of a connection.
//!
//! The first byte shows whether the client speaks TLS. The ClientHello shows whether it offers HTTP/2, before the server
//! has computed anything. The rest of the handshake computes only with a permit of the [`Gate`]. A client that is refused
//! has time to read the reason.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::server::Acceptor as HelloReader;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::client;
use super::gate::Gate;
use super::handshake_error::HandshakeError;
use super::material::ALPN_HTTP2;
use super::plaintext::{self, Plaintext};
use super::read_ahead::ReadAhead;
use super::settings::TlsSettings;
use crate::contract::tls_error::error_text;
use crate::server::acceptor::{Acceptor, ByteStream, PeerInfo};
use crate::server::client_certificate::ClientCertificate;
use crate::server::preface::{self, PrefaceError};
use crate::server::transport_buffer::TransportBuffer;

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
    gate: Arc<Gate>,
    protocols: Protocols,
}

/// The protocols of the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocols {
    /// HTTP/2 only. Clients must offer it.
    Http2,
    /// HTTP/1.1 and HTTP/2.
    #[cfg(feature = "http")]
    Any,
}

impl Protocols {
    /// Returns the answer to a client without TLS.
    fn answer(self, protocol: &str, answer: &'static [u8]) -> &'static [u8] {
        match (self, protocol) {
            #[cfg(feature = "http")]
            (Self::Any, plaintext::HTTP1) => plaintext::ANY_HTTP_ANSWER,
            _ => answer,
        }
    }
}

impl TlsAcceptor {
    /// Returns an acceptor for a runtime with this number of threads.
    pub(in crate::server) fn new(settings: TlsSettings, threads: usize) -> Self {
        Self { settings, gate: Arc::new(Gate::new(threads)), protocols: Protocols::Http2 }
    }

    /// Returns an acceptor for HTTP/1.1 and HTTP/2 with the same certificates and the same share of the processor.
    #[cfg(feature = "http")]
    pub(in crate::server) fn for_any_http(&self) -> Self {
        let (settings, gate) = (self.settings.clone(), Arc::clone(&self.gate));
        Self { settings, gate, protocols: Protocols::Any }
    }

    async fn handshake<IO: ByteStream>(
        &self,
        io: IO,
        address: SocketAddr,
    ) -> Result<(TlsStream<ReadAhead<IO>>, Option<Arc<ClientCertificate>>), PrefaceError> {
        let attempt = Attempt(&self.settings);
        let mut io = ReadAhead::new(io, HANDSHAKE_BYTES_MAX);
        if let Some(Plaintext { protocol, answer }) = plaintext::recognize(&mut io).await? {
            drop(attempt);
            close(io, self.protocols.answer(protocol, answer)).await;
            return Err(HandshakeError::Plaintext(protocol).into());
        }
        let mut hello = LazyConfigAcceptor::new(HelloReader::default(), io);
        let start = match (&mut hello).await {
            Ok(start) => start,
            Err(error) => {
                drop(attempt);
                if let Some(io) = hello.take_io() {
                    close(io, &[]).await;
                }
                return Err(failure(error));
            }
        };
        let offered = start.client_hello().alpn();
        let offers_http2 = offered.is_some_and(|mut all| all.any(|name| name == ALPN_HTTP2));
        if !offers_http2 && self.protocols == Protocols::Http2 {
            drop(attempt);
            close(start.io, &NO_APPLICATION_PROTOCOL).await;
            return Err(HandshakeError::NoAlpn.into());
        }
        let entered = self.gate.enter(address.ip());
        let permit = entered.permit().await;
        let active = self.settings.active();
        let config = match self.protocols {
            Protocols::Http2 => active.server_config(),
            #[cfg(feature = "http")]
            Protocols::Any => active.web_config(),
        };
        let accept = start.into_stream_with(Arc::clone(config), |connection| {
            connection.set_buffer_limit(Some(WRITE_BYTES_MAX));
        });
        drop(permit);
        match entered.run(accept.into_fallible()).await {
            Ok(mut stream) => {
                let certificate = client::certificate(stream.get_ref().1)?.map(Arc::new);
                if let Some(certificate) = &certificate {
                    self.settings.register(certificate, &active);
                }
                attempt.succeed();
                stream.get_mut().0.end_handshake();
                Ok((stream, certificate))
            }
            Err((error, io)) => {
                drop((attempt, entered));
                close(io, &[]).await;
                Err(failure(error))
            }
        }
    }
}

/// Counts a failure when it is dropped, also when the time limit of the handshake ends it.
struct Attempt<'a>(&'a TlsSettings);

impl Attempt<'_> {
    fn succeed(self) {
        std::mem::forget(self);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.0.count_handshake_failure();
    }
}

/// Sends a last answer and closes the stream so that the client can read the answer, and any alert before it.
async fn close<IO: ByteStream>(mut io: ReadAhead<IO>, answer: &[u8]) {
    io.end_handshake();
    // The client may be gone.
    let _ = preface::answer(&mut io, answer).await;
}

impl<IO: ByteStream> Acceptor<IO> for TlsAcceptor {
    type Stream = TlsStream<ReadAhead<IO>>;

    async fn accept(
        &self,
        io: IO,
        address: SocketAddr,
    ) -> Result<(Self::Stream, PeerInfo), PrefaceError> {
        let (stream, certificate) = self.handshake(io, address).await?;
        Ok((stream, PeerInfo { address, certificate }))
    }

    fn buffer(stream: &Self::Stream) -> Option<Arc<TransportBuffer>> {
        Some(Arc::clone(stream.get_ref().0.held()))
    }
}

/// Returns the error of a handshake. rustls has sent an alert with the reason.
fn failure(error: io::Error) -> PrefaceError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return PrefaceError::Closed;
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => HandshakeError::Failed(error_text(error)).into(),
        None if error.kind() == io::ErrorKind::InvalidData => {
            HandshakeError::Failed(error.to_string()).into()
        }
        None => PrefaceError::Io(error),
    }
}
