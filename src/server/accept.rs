//! Connections: taken up to the limit, served, and closed in time.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::service::Routes;

use super::call::CallService;
use super::socket::Socket;
use super::{Config, Stages};

/// Frames of 64 KiB: fewer of them for a busy client. Larger ones only cost memory.
const FRAME_BYTES_MAX: u32 = 64 * 1024;

/// How long to wait when the system has no file descriptor or memory left for a connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// The connections that are open.
pub(super) struct Connections {
    config: Arc<Config>,
    stages: Stages,
    routes: Routes,
    tasks: JoinSet<()>,
    /// Since when connections have been refused, so that it is logged once and not a thousand
    /// times.
    refusing: bool,
}

impl Connections {
    pub(super) fn new(config: Arc<Config>, stages: Stages, routes: Routes) -> Self {
        Self { config, stages, routes, tasks: JoinSet::new(), refusing: false }
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Takes connections for ever.
    ///
    /// # Errors
    /// When the listener is beyond use.
    pub(super) async fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            tokio::select! {
                // Ended connections first, so that they are not counted against the limit.
                biased;
                Some(_) = self.tasks.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.take(stream, peer),
                    Err(error) if is_of_one_connection(&error) => {
                        tracing::debug!(%error, "a connection was gone before it was accepted");
                    }
                    Err(error) if is_exhaustion(&error) => {
                        tracing::warn!(%error, "no connection can be accepted for now");
                        sleep(EXHAUSTED_PAUSE).await;
                    }
                    Err(error) => return Err(error),
                },
            }
        }
    }

    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        let limit = self.config.connections_max;
        if self.tasks.len() >= limit {
            if !self.refusing {
                tracing::warn!(connections_max = limit, %peer, "at the limit of connections: refusing new ones");
            }
            self.refusing = true;
            return; // dropped, so closed
        }
        self.refusing = false;
        let connection =
            Connection { config: Arc::clone(&self.config), stages: self.stages.clone(), peer };
        self.tasks.spawn(connection.serve(stream, self.routes.clone()));
    }

    /// Waits until all connections are closed, and at `end` closes the rest. Tells how many that
    /// were.
    pub(super) async fn close_by(mut self, end: Instant) -> usize {
        let all_closed = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout_at(end, all_closed).await;
        let cut = self.tasks.len();
        self.tasks.shutdown().await;
        cut
    }
}

struct Connection {
    config: Arc<Config>,
    stages: Stages,
    peer: SocketAddr,
}

impl Connection {
    async fn serve(self, stream: TcpStream, routes: Routes) {
        // Replies are small and waited for. Where the option cannot be set the connection is dead.
        let _ = stream.set_nodelay(true);
        let stream = Socket::new(stream, self.config.preface_time);
        let spoke = stream.spoke();
        let answer_time = self.config.stream_idle_time;
        let calls = CallService::new(routes, self.peer, self.stages.clone(), answer_time);
        let connection =
            self.http2().serve_connection(TokioIo::new(stream), TowerToHyperService::new(calls));
        let mut connection = pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = self.stages.draining.cancelled() => {
                if !spoke.yet() {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            let cause = std::error::Error::source(&error)
                .and_then(|source| source.downcast_ref::<h2::Error>())
                .filter(|error| error.is_library());
            match cause {
                // The client broke a bound or the protocol; whoever runs it wants to know.
                Some(cause) => {
                    tracing::warn!(peer = %self.peer, error = %cause, "closed a connection");
                }
                None => tracing::debug!(peer = %self.peer, %error, "a connection ended"),
            }
        }
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let config = &self.config;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.streams_per_connection_max)
            .max_header_list_size(config.header_bytes_max)
            .max_local_error_reset_streams(config.error_resets_max)
            .max_pending_accept_reset_streams(config.pending_resets_max)
            .initial_stream_window_size(config.stream_window_bytes)
            .initial_connection_window_size(config.connection_window_bytes)
            .max_frame_size(FRAME_BYTES_MAX)
            .keep_alive_interval(config.keepalive_interval)
            .keep_alive_timeout(config.keepalive_timeout)
            .auto_date_header(false);
        builder
    }
}

/// Whether an error of `accept` is that of the connection, not of the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::Interrupted
            | Kind::PermissionDenied
            | Kind::TimedOut
            | Kind::WouldBlock
    )
}

/// Whether the system lacks something for now: ENFILE, EMFILE, ENOBUFS, ENOMEM.
fn is_exhaustion(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
        || matches!(error.raw_os_error(), Some(23 | 24 | 105))
}
