//! Turns an accepted byte stream into the stream of a connection.
//!
//! The plain acceptor passes the stream on. An acceptor for TLS performs its handshake here and adds the identity
//! of the client to [`PeerInfo`]. [`super::handshake`] calls the acceptor in the task of the connection, so that a
//! slow handshake delays no other client.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::client_certificate::ClientCertificate;
use super::preface::PrefaceError;
use super::transport_buffer::TransportBuffer;

/// The bounds of a stream that carries a connection.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> ByteStream for S {}

/// The client of a connection, as far as the acceptor knows it.
#[derive(Clone, Debug)]
pub(super) struct PeerInfo {
    pub(super) address: SocketAddr,
    /// The certificate of the client, if the transport has verified one.
    pub(super) certificate: Option<Arc<ClientCertificate>>,
}

impl From<SocketAddr> for PeerInfo {
    fn from(address: SocketAddr) -> Self {
        Self { address, certificate: None }
    }
}

/// Makes the stream of a connection out of an accepted stream of type `IO`.
pub(super) trait Acceptor<IO>: Send + Sync + 'static {
    type Stream: ByteStream;

    /// Performs the handshake of the transport, which must end within the handshake timeout.
    ///
    /// # Errors
    /// If the handshake fails. The connection is then closed.
    fn accept(
        &self,
        io: IO,
        address: SocketAddr,
    ) -> impl Future<Output = Result<(Self::Stream, PeerInfo), PrefaceError>> + Send;

    /// Returns the report of the memory that a stream holds. By default a stream holds none.
    fn buffer(_: &Self::Stream) -> Option<Arc<TransportBuffer>> {
        None
    }
}

/// Uses the accepted stream as it is, without encryption and without authentication.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainAcceptor;

impl<IO: ByteStream> Acceptor<IO> for PlainAcceptor {
    type Stream = IO;

    async fn accept(&self, io: IO, address: SocketAddr) -> Result<(IO, PeerInfo), PrefaceError> {
        Ok((io, address.into()))
    }
}
