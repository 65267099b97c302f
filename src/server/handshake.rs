//! The start of a connection: the header of a proxy, the handshake of the transport, then the HTTP/2 preface, within one
//! time limit.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::timeout;

use super::acceptor::{Acceptor, ByteStream, PeerInfo};
use super::counters::{Ended, OpenConnection, Refusal};
use super::handle::Handle;
use super::log_limit::LineKind;
use super::peer::peer_key;
use super::preface::{self, PrefaceError};
use super::proxy_protocol;
use super::quota::OpenStream;
use super::shared::Shared;
use super::transport_buffer::TransportBuffer;

/// A connection that speaks HTTP/2.
pub(super) struct Established<S> {
    pub(super) stream: S,
    pub(super) peer: PeerInfo,
    /// The preface and the first frame header, which were read from the stream.
    pub(super) prefix: Bytes,
    /// Whether the client speaks HTTP/2.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(super) is_http2: bool,
    /// The memory that the stream holds.
    pub(super) buffer: Option<Arc<TransportBuffer>>,
    /// Counts the connection of a client that a proxy named.
    pub(super) place: Option<OpenStream>,
}

/// A connection that does not speak HTTP/2.
#[derive(Debug)]
pub(super) struct Failure {
    /// The address of the client, which a trusted proxy may have named.
    pub(super) client: SocketAddr,
    pub(super) error: PrefaceError,
}

/// Establishes a connection. Returns `None` if that fails, the server drains, or the connection is evicted. The reason is
/// counted.
pub(super) async fn open<IO: ByteStream, A: Acceptor<IO>>(
    http: Http,
    io: IO,
    (shared, acceptor): (&Shared, &A),
    handle: &Handle,
    counted: &mut OpenConnection,
) -> Option<Established<A::Stream>> {
    let established = tokio::select! {
        established = establish(http, io, handle.peer, shared, acceptor) => established,
        () = shared.stages.draining.cancelled() => return None,
        () = handle.evicted().cancelled() => {
            counted.set_ended(Ended::Evicted);
            return None;
        }
    };
    established.map_err(|failure| counted.set_ended(report(&failure, shared))).ok()
}

/// Logs the failure of a connection before HTTP/2, and counts it as refused if a limit is its reason. Returns the reason.
fn report(Failure { client: peer, error }: &Failure, shared: &Shared) -> Ended {
    if matches!(error, PrefaceError::ConnectionsPerPeer) {
        let refusal = Refusal::ConnectionsPerPeer;
        shared.monitored.counters.refused(refusal);
        shared.log_refused(*peer, refusal.text());
        return Ended::Refused;
    }
    if !error.is_other_protocol() {
        tracing::debug!(%peer, %error, "a connection ended before HTTP/2 started");
        return Ended::Handshake;
    }
    if let Some(suppressed) = shared.log.admit(LineKind::Preface) {
        let suppressed = (suppressed > 0).then_some(suppressed);
        tracing::warn!(%peer, %error, suppressed, "refused a connection");
    }
    Ended::OtherProtocol
}

/// The protocols that a client may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Http {
    /// HTTP/2.
    Two,
    /// HTTP/1 or HTTP/2.
    #[cfg(feature = "http")]
    Any,
}

/// Reads the header of the PROXY protocol if there must be one, performs the handshake of the transport, and reads the
/// preface, all within the time limit. A client that the header names is counted before its handshake.
///
/// # Errors
/// If the client has too many connections, the handshake fails, the preface does not arrive in time, or the client speaks
/// another protocol. An HTTP/1 request is answered first.
async fn establish<IO: ByteStream, A: Acceptor<IO>>(
    http: Http,
    mut io: IO,
    peer: SocketAddr,
    shared: &Shared,
    acceptor: &A,
) -> Result<Established<A::Stream>, Failure> {
    let limit = shared.config.handshake_timeout;
    let mut client = peer;
    let established = async {
        let mut place = None;
        let has_proxy_header = shared.config.proxy_protocol && shared.proxies.contains(peer.ip());
        if has_proxy_header && let Some(named) = proxy_protocol::read(&mut io).await? {
            client = named;
            place = admit(named, shared)?;
        }
        let (mut stream, peer) = acceptor.accept(io, client).await?;
        let (prefix, is_http2) = match http {
            Http::Two => (preface::read(&mut stream).await?, true),
            #[cfg(feature = "http")]
            Http::Any => preface::read_any(&mut stream).await?,
        };
        let buffer = A::buffer(&stream);
        Ok(Established { stream, peer, prefix, is_http2, buffer, place })
    };
    let established = timeout(limit, established).await.unwrap_or(Err(PrefaceError::Late(limit)));
    established.map_err(|error| Failure { client, error })
}

/// Counts the connection of a client that a proxy named. A client that is a trusted proxy itself has no limit.
fn admit(client: SocketAddr, shared: &Shared) -> Result<Option<OpenStream>, PrefaceError> {
    if shared.proxies.contains(client.ip()) {
        return Ok(None);
    }
    let place = shared.quotas.admit_proxied(peer_key(client.ip()));
    place.map(Some).ok_or(PrefaceError::ConnectionsPerPeer)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;
    use crate::server::acceptor::PlainAcceptor;
    use crate::server::config::Config;
    use crate::server::monitor::Monitor;
    use crate::server::preface::PREFACE;

    const LIMIT: Duration = Duration::from_secs(10);

    fn address() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 7))
    }

    fn shared(configure: impl FnOnce(&mut Config)) -> Arc<Shared> {
        let mut config = Config { handshake_timeout: LIMIT, ..Config::default() };
        configure(&mut config);
        Shared::new(config, Vec::new(), None, &Monitor::default())
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

    async fn failure<A: Acceptor<DuplexStream>>(
        server: DuplexStream,
        acceptor: &A,
    ) -> PrefaceError {
        let established = establish(Http::Two, server, address(), &shared(|_| {}), acceptor).await;
        established.err().unwrap().error
    }

    #[tokio::test]
    async fn the_preface_follows_the_handshake_of_the_transport() {
        let (mut client, server) = tokio::io::duplex(256);
        let header = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        client.write_all(&[b"?", PREFACE, &header].concat()).await.unwrap();
        let established =
            establish(Http::Two, server, address(), &shared(|_| {}), &OneByte).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'!');
        assert_eq!(established.prefix, [PREFACE, &header].concat());
        assert_eq!(established.peer.address, address());
    }

    #[tokio::test]
    async fn a_handshake_that_fails_ends_the_connection() {
        let (mut client, server) = tokio::io::duplex(256);
        client.write_all(b"x").await.unwrap();
        let error = failure(server, &OneByte).await;
        insta::assert_snapshot!(error, @"the connection failed: another handshake was expected");
    }

    #[tokio::test(start_paused = true)]
    async fn one_time_limit_covers_the_handshake_and_the_preface() {
        let (_client, server) = tokio::io::duplex(64);
        let error = failure(server, &OneByte).await;
        assert!(matches!(error, PrefaceError::Late(LIMIT)), "{error:?}");
        let (_client, server) = tokio::io::duplex(64);
        let error = failure(server, &PlainAcceptor).await;
        insta::assert_snapshot!(error, @"the connection did not start HTTP/2 within 10 s");
    }

    #[tokio::test]
    async fn a_client_that_a_proxy_names_is_counted_before_its_handshake_and_named_in_its_failure()
    {
        let shared = shared(|config| {
            config.proxy_protocol = true;
            config.trusted_proxies = vec!["192.0.2.1/32".parse().unwrap()];
            config.max_connections_per_peer = 1;
        });
        let header = b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 50051\r\n";
        let client = SocketAddr::from(([203, 0, 113, 7], 5000));
        let (mut open, server) = tokio::io::duplex(256);
        open.write_all(header).await.unwrap();
        let first = establish(Http::Two, server, address(), &shared, &OneByte);
        tokio::pin!(first);
        // The first connection waits for its handshake, and holds the only place.
        assert!(first.as_mut().now_or_never().is_none());
        let (mut refused, server) = tokio::io::duplex(256);
        refused.write_all(header).await.unwrap();
        let failure =
            establish(Http::Two, server, address(), &shared, &OneByte).await.err().unwrap();
        assert!(matches!(failure.error, PrefaceError::ConnectionsPerPeer), "{failure:?}");
        assert_eq!(failure.client, client);
        open.write_all(b"x").await.unwrap();
        let failure = first.await.err().unwrap();
        assert!(matches!(failure.error, PrefaceError::Io(_)), "{failure:?}");
        assert_eq!(failure.client, client);
    }
}
