//! The accept loop. At the limits, a new connection replaces the one that has been idle longest.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::service::Routes;

use super::acceptor::{Acceptor, ByteStream};
use super::connection;
use super::counters::Refusal;
use super::handle::Handle;
use super::listener::{AcceptError, Listener, classify};
use super::log_limit::LineKind;
use super::peer::peer_key;
use super::shared::Shared;
#[cfg(feature = "http")]
use super::web::{Site, connection as web};

/// The pause after a failure of the system, such as a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Maximum number of connections that are closing at the same time, in addition to those that are open.
const CLOSING_MAX: usize = 64;

/// The connections that are open.
pub(super) struct Connections<A> {
    shared: Arc<Shared>,
    routes: Routes,
    acceptor: Arc<A>,
    /// The connections of the HTTP listener count against the same limits.
    #[cfg(feature = "http")]
    web: Option<(Arc<A>, Site)>,
    tasks: JoinSet<()>,
    handles: HashMap<Id, Arc<Handle>>,
    of_peer: HashMap<IpAddr, usize>,
}

impl<A> Connections<A> {
    pub(super) fn new(shared: Arc<Shared>, routes: Routes, acceptor: A) -> Self {
        let (tasks, handles, of_peer) = Default::default();
        Self {
            shared,
            routes,
            acceptor: Arc::new(acceptor),
            #[cfg(feature = "http")]
            web: None,
            tasks,
            handles,
            of_peer,
        }
    }

    /// Sets what the connections of the HTTP listener need.
    #[cfg(feature = "http")]
    pub(super) fn set_web(&mut self, acceptor: A, site: Site) {
        self.web = Some((Arc::new(acceptor), site));
    }

    /// Returns the number of open connections.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Accepts connections, and those of the HTTP listener `web`. Does not complete while the listeners work.
    ///
    /// # Errors
    /// If a listener is unusable.
    pub(super) async fn accept<L: Listener>(
        &mut self,
        listener: &L,
        web: Option<&L>,
    ) -> io::Result<()>
    where
        A: Acceptor<L::Stream>,
    {
        loop {
            let (accepted, port) = tokio::select! {
                // Removes ended connections first, so that they do not count against the limit.
                biased;
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.remove(ended.map_or_else(|error| error.id(), |(id, ())| id));
                    continue;
                }
                accepted = listener.accept() => (accepted, Port::Grpc),
                accepted = accept_from(web) => (accepted, Port::Web),
            };
            match accepted {
                Ok((stream, peer)) => self.add(stream, peer, port),
                Err(error) => match classify(&error) {
                    AcceptError::Connection => {
                        tracing::debug!(%error, "a connection failed before it was accepted");
                    }
                    AcceptError::Transient => {
                        self.shared.monitored.counters.accept_failed();
                        if let Some(suppressed) = self.shared.log.admit(LineKind::Capacity) {
                            let suppressed = (suppressed > 0).then_some(suppressed);
                            tracing::warn!(%error, suppressed, "no connection can be accepted now");
                        }
                        sleep(ACCEPT_PAUSE).await;
                    }
                    AcceptError::Listener => return Err(error),
                },
            }
        }
    }

    fn add<IO: ByteStream>(&mut self, stream: IO, peer: SocketAddr, port: Port)
    where
        A: Acceptor<IO>,
    {
        if let Err(refusal) = self.make_space(peer) {
            self.shared.monitored.counters.refused(refusal);
            let limit = refusal.text();
            // Dropping the stream closes it.
            self.shared.log_refused(peer, limit);
            return;
        }
        let handle = Handle::new(peer);
        let (shared, routes) = (Arc::clone(&self.shared), self.routes.clone());
        let of_task = Arc::clone(&handle);
        #[cfg(feature = "http")]
        let task = match self.web.as_ref().filter(|_| port == Port::Web) {
            Some((acceptor, site)) => {
                let (acceptor, site) = (Arc::clone(acceptor), site.clone());
                self.tasks.spawn(web::serve(stream, acceptor, shared, routes, site, of_task))
            }
            None => {
                let acceptor = Arc::clone(&self.acceptor);
                self.tasks.spawn(connection::serve(stream, acceptor, shared, routes, of_task))
            }
        };
        #[cfg(not(feature = "http"))]
        let task = {
            let (acceptor, Port::Grpc | Port::Web) = (Arc::clone(&self.acceptor), port);
            self.tasks.spawn(connection::serve(stream, acceptor, shared, routes, of_task))
        };
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
    /// The limit, if no connection that counts against it is idle.
    fn make_space(&self, peer: SocketAddr) -> Result<(), Refusal> {
        let config = &self.shared.config;
        let key = peer_key(peer.ip());
        let of_peer = self.of_peer.get(&key).copied().unwrap_or_default();
        let max = config.max_connections;
        // A trusted proxy has the connections of many clients.
        let is_proxy = self.shared.proxies.contains(peer.ip());
        let per_peer_max = if is_proxy { usize::MAX } else { config.max_connections_per_peer };
        // Only near a limit is it necessary to count the connections that are closing.
        if of_peer < per_peer_max && self.tasks.len() < max {
            return Ok(());
        }
        let closing = |handle: &&Arc<Handle>| handle.is_evicted();
        let is_of_peer = |handle: &&Arc<Handle>| peer_key(handle.peer.ip()) == key;
        let all_closing = self.handles.values().filter(closing).count();
        if all_closing >= CLOSING_MAX {
            return Err(Refusal::Closing);
        }
        let closing_of_peer = self.handles.values().filter(is_of_peer).filter(closing).count();
        if of_peer - closing_of_peer >= per_peer_max {
            return self.evict(is_of_peer).ok_or(Refusal::ConnectionsPerPeer);
        }
        if self.tasks.len() - all_closing >= max {
            return self.evict(|_| true).ok_or(Refusal::Connections);
        }
        Ok(())
    }

    /// Closes the eligible connection that has been without streams for the longest time. If all have streams, closes
    /// the one that has only watched for the longest time.
    fn evict(&self, is_eligible: impl Fn(&&Arc<Handle>) -> bool) -> Option<()> {
        let eligible = self.handles.values().filter(is_eligible);
        let first = eligible
            .filter_map(|handle| Some((handle.eviction_order()?, handle)))
            .min_by_key(|(order, _)| *order);
        first.map(|(_, handle)| handle.evict())
    }

    /// Waits until all connections are closed, and closes the rest at `end`. Returns the size of the rest.
    pub(super) async fn close_by(mut self, end: Instant) -> usize {
        let all_closed = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout_at(end, all_closed).await;
        let cut = self.tasks.len();
        self.tasks.shutdown().await;
        cut
    }
}

/// The listener of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Grpc,
    Web,
}

/// Accepts a connection. Never completes without a listener.
async fn accept_from<L: Listener>(listener: Option<&L>) -> io::Result<(L::Stream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::DuplexStream;

    use super::*;
    use crate::server::acceptor::PlainAcceptor;
    use crate::server::config::Config;
    use crate::server::monitor::Monitor;

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

    fn connections(config: Config) -> Connections<PlainAcceptor> {
        let shared = Shared::new(config, Vec::new(), None, &Monitor::default());
        Connections::new(shared, Routes::default(), PlainAcceptor)
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_unusable_listener_ends_the_loop() {
        // EPROTO, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EHOSTUNREACH, EIO.
        let errors = Mutex::new(vec![71, 103, 24, 23, 105, 12, 1, 113, 5]);
        let (_client, accepted) = tokio::io::duplex(64);
        let listener = Failing { errors, accepted: Mutex::new(Some(accepted)) };
        let mut connections = connections(Config::default());
        let error = connections.accept(&listener, None).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(9));
        assert_eq!(connections.len(), 1);
    }

    #[tokio::test]
    async fn limits_evict_the_longest_idle_connection_and_refuse_if_none_is_idle() {
        let config =
            Config { max_connections: 4, max_connections_per_peer: 3, ..Config::default() };
        let mut connections = connections(config);
        let peer = |host: u8, port| SocketAddr::from(([127, 0, 0, host], port));
        let mut clients = Vec::new();
        let mut add = |connections: &mut Connections<PlainAcceptor>, peer| {
            let (client, server) = tokio::io::duplex(64);
            clients.push(client);
            connections.add(server, peer, Port::Grpc);
            connections.len()
        };
        for port in 1..=3 {
            add(&mut connections, peer(1, port));
        }
        let evicted = |connections: &Connections<PlainAcceptor>| {
            let handles = connections.handles.values().filter(|handle| handle.is_evicted());
            let mut ports: Vec<_> = handles.map(|handle| handle.peer.port()).collect();
            ports.sort_unstable();
            ports
        };
        assert_eq!(evicted(&connections), [0; 0]);
        // A fourth connection of a peer replaces one of its three. The first connection of another peer does not.
        assert_eq!(add(&mut connections, peer(1, 4)), 4);
        assert_eq!(evicted(&connections).len(), 1);
        add(&mut connections, peer(2, 5));
        assert_eq!(evicted(&connections).len(), 1);
        // At the limit for all peers, the longest idle connection of any peer is closed.
        add(&mut connections, peer(3, 6));
        assert_eq!(evicted(&connections).len(), 2);
        assert!(!evicted(&connections).contains(&6));
    }
}
