//! The start of a connection: the handshake of the transport, then the HTTP/2 preface, within one time limit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::acceptor::{Acceptor, ByteStream, PeerInfo};
use super::preface::{self, PrefaceError};
use super::proxy_protocol;
use super::transport_buffer::TransportBuffer;

/// A connection that speaks HTTP/2.
pub(super) struct Established<S> {
    pub(super) stream: S,
    pub(super) peer: PeerInfo,
    /// The preface and the first frame header, which were read from the stream.
    pub(super) prefix: Bytes,
    /// The memory that the stream holds.
    pub(super) buffer: Option<Arc<TransportBuffer>>,
}

/// Reads the header of the PROXY protocol if there must be one, performs the handshake of the transport, and reads the
/// preface, all within `limit`.
///
/// # Errors
/// If the handshake fails, the preface does not arrive in time, or the client speaks another protocol. An HTTP/1
/// request is answered first.
pub(super) async fn establish<IO: ByteStream, A: Acceptor<IO>>(
    mut io: IO,
    mut address: SocketAddr,
    has_proxy_header: bool,
    acceptor: &A,
    limit: Duration,
) -> Result<Established<A::Stream>, PrefaceError> {
    let established = async {
        if has_proxy_header && let Some(client) = proxy_protocol::read(&mut io).await? {
            address = client;
        }
        let (mut stream, peer) = acceptor.accept(io, address).await?;
        let prefix = preface::read(&mut stream).await?;
        let buffer = A::buffer(&stream);
        Ok(Established { stream, peer, prefix, buffer })
    };
    timeout(limit, established).await.unwrap_or(Err(PrefaceError::Late(limit)))
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;
    use crate::server::acceptor::PlainAcceptor;
    use crate::server::preface::PREFACE;

    const LIMIT: Duration = Duration::from_secs(10);

    fn address() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 7))
    }

    /// Reads one byte from the client and answers it before HTTP/2 starts.
    struct OneByte;

    impl Acceptor<DuplexStream> for OneByte {
        type Stream = DuplexStream;

        async fn accept(
            &self,
            mut io: DuplexStream,
            address: SocketAddr,
        ) -> Result<(DuplexStream, PeerInfo), PrefaceError> {
            match io.read_u8().await? {
                b'?' => io.write_u8(b'!').await?,
                _ => return Err(io::Error::other("another handshake was expected").into()),
            }
            Ok((io, address.into()))
        }
    }

    #[tokio::test]
    async fn the_preface_follows_the_handshake_of_the_transport() {
        let (mut client, server) = tokio::io::duplex(256);
        let header = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        client.write_all(&[b"?", PREFACE, &header].concat()).await.unwrap();
        let established = establish(server, address(), false, &OneByte, LIMIT).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'!');
        assert_eq!(established.prefix, [PREFACE, &header].concat());
        assert_eq!(established.peer.address, address());
    }

    #[tokio::test]
    async fn a_handshake_that_fails_ends_the_connection() {
        let (mut client, server) = tokio::io::duplex(256);
        client.write_all(b"x").await.unwrap();
        let error = establish(server, address(), false, &OneByte, LIMIT).await.err().unwrap();
        insta::assert_snapshot!(error, @"the connection failed: another handshake was expected");
    }

    #[tokio::test(start_paused = true)]
    async fn one_time_limit_covers_the_handshake_and_the_preface() {
        let (_client, server) = tokio::io::duplex(64);
        let error = establish(server, address(), false, &OneByte, LIMIT).await.err().unwrap();
        assert!(matches!(error, PrefaceError::Late(LIMIT)), "{error:?}");
        let (_client, server) = tokio::io::duplex(64);
        let error = establish(server, address(), false, &PlainAcceptor, LIMIT).await.err().unwrap();
        insta::assert_snapshot!(error, @"the connection did not start HTTP/2 within 10 s");
    }
}
