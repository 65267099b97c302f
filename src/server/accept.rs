//! Accepting connections: up to the limits, and past them in place of the one that has been idle longest.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::service::Routes;

use super::call::Shared;
use super::connection;
use super::handle::Handle;
use super::log_limit::LineKind;
use super::peer::peer_key;

/// How long to wait when the system cannot accept for reasons of its own, such as no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections may be closing at a time, in addition to those that are open.
const CLOSING_MAX: usize = 64;

/// Where connections come from.
pub(super) trait Listener {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Replies are small and waited for. Where the option cannot be set the connection is dead.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }
}

/// The connections that are open.
pub(super) struct Connections {
    shared: Arc<Shared>,
    routes: Routes,
    tasks: JoinSet<()>,
    handles: HashMap<Id, Arc<Handle>>,
    of_peer: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(super) fn new(shared: Arc<Shared>, routes: Routes) -> Self {
        let (tasks, handles, of_peer) = Default::default();
        Self { shared, routes, tasks, handles, of_peer }
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Accepts connections and never completes while the listener works.
    ///
    /// # Errors
    /// When the listener is unusable.
    pub(super) async fn accept(&mut self, listener: &impl Listener) -> io::Result<()> {
        loop {
            tokio::select! {
                // Ended connections first, so that they are not counted against the limit.
                biased;
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.remove(ended.map_or_else(|error| error.id(), |(id, ())| id));
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.take(stream, peer),
                    Err(error) => match classify(&error) {
                        AcceptError::Connection => {
                            tracing::debug!(%error, "a connection was gone before it was accepted");
                        }
                        AcceptError::Passing => {
                            if let Some(suppressed) = self.shared.log.admit(LineKind::Capacity) {
                                let suppressed = (suppressed > 0).then_some(suppressed);
                                tracing::warn!(%error, suppressed, "no connection can be accepted now");
                            }
                            sleep(ACCEPT_PAUSE).await;
                        }
                        AcceptError::Listener => return Err(error),
                    },
                },
            }
        }
    }

    fn take<S>(&mut self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if let Err(limit) = self.make_room(peer) {
            // Dropping the stream closes it.
            if let Some(suppressed) = self.shared.log.admit(LineKind::Capacity) {
                let suppressed = (suppressed > 0).then_some(suppressed);
                tracing::warn!(%peer, limit, suppressed, "refused a connection: the limit is reached");
            }
            return;
        }
        let handle = Handle::new(peer);
        let connection = connection::serve(
            stream,
            Arc::clone(&self.shared),
            self.routes.clone(),
            Arc::clone(&handle),
        );
        let task = self.tasks.spawn(connection);
        self.handles.insert(task.id(), handle);
        *self.of_peer.entry(peer_key(peer.ip())).or_default() += 1;
    }

    fn remove(&mut self, id: Id) {
        let Some(handle) = self.handles.remove(&id) else { return };
        let key = peer_key(handle.peer.ip());
        if let Some(count) = self.of_peer.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.of_peer.remove(&key);
            }
        }
    }

    /// Makes space for another connection of a peer.
    ///
    /// # Errors
    /// The limit that is reached by connections none of which is idle.
    fn make_room(&self, peer: SocketAddr) -> Result<(), &'static str> {
        let config = &self.shared.config;
        let key = peer_key(peer.ip());
        let of_peer = self.of_peer.get(&key).copied().unwrap_or_default();
        let (per_peer_max, max) = (config.max_connections_per_peer, config.max_connections);
        // Counting those that close is needed only near a limit.
        if of_peer < per_peer_max && self.tasks.len() < max {
            return Ok(());
        }
        let closing = |handle: &&Arc<Handle>| handle.is_evicted();
        let is_of_peer = |handle: &&Arc<Handle>| peer_key(handle.peer.ip()) == key;
        let all_closing = self.handles.values().filter(closing).count();
        if all_closing >= CLOSING_MAX {
            return Err("connections that are closing");
        }
        let closing_of_peer = self.handles.values().filter(is_of_peer).filter(closing).count();
        if of_peer - closing_of_peer >= per_peer_max {
            return self.evict(is_of_peer).ok_or("connections per peer");
        }
        if self.tasks.len() - all_closing >= max {
            return self.evict(|_| true).ok_or("connections");
        }
        Ok(())
    }

    /// Closes, of the eligible connections, the one that has been without streams for the longest time. If all have
    /// streams, closes the one that has only watched for the longest time.
    fn evict(&self, is_eligible: impl Fn(&&Arc<Handle>) -> bool) -> Option<()> {
        let eligible = self.handles.values().filter(is_eligible);
        let first = eligible
            .filter_map(|handle| Some((handle.eviction_order()?, handle)))
            .min_by_key(|(order, _)| *order);
        first.map(|(_, handle)| handle.evict())
    }

    /// Waits until all connections are closed, and at `end` closes the rest. Returns how many these were.
    pub(super) async fn close_by(mut self, end: Instant) -> usize {
        let all_closed = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout_at(end, all_closed).await;
        let cut = self.tasks.len();
        self.tasks.shutdown().await;
        cut
    }
}

/// What an error of `accept` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AcceptError {
    /// The connection that was to be accepted.
    Connection,
    /// The state of the system, which may change.
    Passing,
    /// The listener itself.
    Listener,
}

fn classify(error: &io::Error) -> AcceptError {
    const EBADF: i32 = 9;
    const EINVAL: i32 = 22;
    const ENONET: i32 = 64;
    const EPROTO: i32 = 71;
    const ENOTSOCK: i32 = 88;
    const ENOPROTOOPT: i32 = 92;
    const EOPNOTSUPP: i32 = 95;
    const ENETDOWN: i32 = 100;
    const ENETUNREACH: i32 = 101;
    const EHOSTDOWN: i32 = 112;
    const EHOSTUNREACH: i32 = 113;
    use io::ErrorKind as Kind;
    match (error.raw_os_error(), error.kind()) {
        (Some(EBADF | EINVAL | ENOTSOCK), _) => AcceptError::Listener,
        // Linux passes network errors of the new socket on: accept(2), "Error handling".
        (
            Some(
                ENONET | EPROTO | ENOPROTOOPT | EOPNOTSUPP | ENETDOWN | ENETUNREACH | EHOSTDOWN
                | EHOSTUNREACH,
            ),
            _,
        )
        | (
            _,
            Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::Interrupted
            | Kind::PermissionDenied
            | Kind::TimedOut
            | Kind::WouldBlock,
        ) => AcceptError::Connection,
        _ => AcceptError::Passing,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::DuplexStream;

    use super::*;
    use crate::server::Config;

    /// A listener that fails in these ways, then accepts one connection, then becomes unusable.
    struct Failing {
        errors: Mutex<Vec<i32>>,
        accepted: Mutex<Option<DuplexStream>>,
    }

    impl Listener for Failing {
        type Stream = DuplexStream;

        async fn accept(&self) -> io::Result<(DuplexStream, SocketAddr)> {
            if let Some(code) = self.errors.lock().unwrap().pop() {
                return Err(io::Error::from_raw_os_error(code));
            }
            let stream = self.accepted.lock().unwrap().take();
            stream.map(|stream| (stream, SocketAddr::from(([127, 0, 0, 1], 9)))).ok_or_else(|| {
                const EBADF: i32 = 9;
                io::Error::from_raw_os_error(EBADF)
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_unusable_listener_ends_the_loop() {
        // EPROTO, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EHOSTUNREACH, EIO.
        let errors = Mutex::new(vec![71, 103, 24, 23, 105, 12, 1, 113, 5]);
        let (_client, accepted) = tokio::io::duplex(64);
        let listener = Failing { errors, accepted: Mutex::new(Some(accepted)) };
        let shared = Shared::new(Config::default());
        let mut connections = Connections::new(shared, Routes::default());
        let error = connections.accept(&listener).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(9));
        assert_eq!(connections.len(), 1);
    }

    #[tokio::test]
    async fn limits_evict_the_longest_idle_connection_and_refuse_when_none_is_idle() {
        let config =
            Config { max_connections: 4, max_connections_per_peer: 3, ..Config::default() };
        let mut connections = Connections::new(Shared::new(config), Routes::default());
        let peer = |host: u8, port| SocketAddr::from(([127, 0, 0, host], port));
        let mut clients = Vec::new();
        let mut take = |connections: &mut Connections, peer| {
            let (client, server) = tokio::io::duplex(64);
            clients.push(client);
            connections.take(server, peer);
            connections.len()
        };
        for port in 1..=3 {
            take(&mut connections, peer(1, port));
        }
        let evicted = |connections: &Connections| {
            let handles = connections.handles.values().filter(|handle| handle.is_evicted());
            let mut ports: Vec<_> = handles.map(|handle| handle.peer.port()).collect();
            ports.sort_unstable();
            ports
        };
        assert_eq!(evicted(&connections), [0; 0]);
        // A fourth of the same peer takes the place of one of the three, a first of another does not.
        assert_eq!(take(&mut connections, peer(1, 4)), 4);
        assert_eq!(evicted(&connections).len(), 1);
        take(&mut connections, peer(2, 5));
        assert_eq!(evicted(&connections).len(), 1);
        // At the limit for all, the longest idle one is closed, whatever its peer.
        take(&mut connections, peer(3, 6));
        assert_eq!(evicted(&connections).len(), 2);
        assert!(!evicted(&connections).contains(&6));
    }

    #[test]
    fn errors_of_the_listener_are_told_from_those_of_a_connection_and_of_the_system() {
        let of = |code| classify(&io::Error::from_raw_os_error(code));
        assert_eq!([of(9), of(22), of(88)], [AcceptError::Listener; 3]);
        assert_eq!([of(71), of(103), of(4), of(113)], [AcceptError::Connection; 4]);
        assert_eq!([of(23), of(24), of(105), of(12), of(5)], [AcceptError::Passing; 5]);
    }
}
