//! The listener for operators: HTTP/1.1 with few connections, each bounded in its headers and its time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::pages::Pages;
use super::readiness::Readiness;
use super::registry::Metrics;

/// Maximum number of connections. Another one replaces the oldest, so that clients that send nothing cannot lock out
/// others. A request takes milliseconds.
const CONNECTIONS_MAX: usize = 32;
/// Maximum size of the headers of a request.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Maximum number of headers of a request.
const HEADERS_MAX: usize = 64;
/// Time for a client to send the headers of its next request.
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// Maximum age of a connection. It bounds how long a client that does not read its answers keeps it.
const CONNECTION_TIME: Duration = Duration::from_secs(600);
/// Time for open requests to end when the listener stops.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// The pause after a failure to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves metrics and checks of health over HTTP/1.1: `/metrics`, `/healthz` and `/readyz`.
///
/// It has no authentication. Bind it to loopback, or to a network that only operators reach.
#[derive(Debug)]
pub struct AdminServer {
    pages: Arc<Pages>,
}

impl AdminServer {
    /// Returns a server of these metrics and of this readiness.
    pub fn new(metrics: Arc<Metrics>, readiness: Arc<Readiness>) -> Self {
        Self { pages: Arc::new(Pages { metrics, readiness }) }
    }

    /// Serves until `stop` completes. Open requests then have a second to end.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let mut connections = Connections::default();
        tokio::select! {
            () = connections.accept(&listener, &self.pages) => {}
            () = stop => {}
        }
        drop(listener);
        let tasks = &mut connections.tasks;
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout(CLOSE_TIME, all_ended).await;
        // Its tasks hold the sources, and through them the store.
        tasks.shutdown().await;
    }
}

/// The open connections, the oldest first.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    by_age: VecDeque<AbortHandle>,
}

impl Connections {
    /// Accepts connections. Never completes.
    async fn accept(&mut self, listener: &TcpListener, pages: &Arc<Pages>) {
        loop {
            tokio::select! {
                biased;
                Some(_) = self.tasks.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.add(stream, pages),
                    Err(error) => {
                        tracing::debug!(%error, "the listener for operators cannot accept a connection now");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn add<IO>(&mut self, stream: IO, pages: &Arc<Pages>)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.by_age.retain(|connection| !connection.is_finished());
        if self.by_age.len() >= CONNECTIONS_MAX
            && let Some(oldest) = self.by_age.pop_front()
        {
            oldest.abort();
        }
        let task = self.tasks.spawn(serve(stream, Arc::clone(pages)));
        self.by_age.push_back(task);
    }
}

/// Serves one connection.
async fn serve<IO>(stream: IO, pages: Arc<Pages>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(pages.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_TIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::debug!(%error, "a connection of the listener for operators failed");
        }
        Err(_) => {
            tracing::debug!("closed a connection of the listener for operators: it is too old");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn pages() -> Arc<Pages> {
        let metrics = Arc::new(Metrics::default());
        metrics.add(crate::metrics::server(crate::server::Monitor::default()));
        Arc::new(Pages { metrics, readiness: Arc::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_too_slowly_is_closed() {
        let (mut client, server) = tokio::io::duplex(1024);
        client.write_all(b"GET /metrics HTTP/1.1\r\nHost").await.unwrap();
        let start = tokio::time::Instant::now();
        serve(server, pages()).await;
        assert_eq!(start.elapsed().as_secs(), REQUEST_TIME.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_client_and_one_that_reads_nothing_are_closed() {
        for (buffer, limit) in [(1 << 20, REQUEST_TIME), (64, CONNECTION_TIME)] {
            let (mut client, server) = tokio::io::duplex(buffer);
            client.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let start = tokio::time::Instant::now();
            serve(server, pages()).await;
            assert_eq!(start.elapsed().as_secs(), limit.as_secs(), "{buffer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_above_the_maximum_replaces_the_oldest() {
        let (mut connections, pages) = (Connections::default(), pages());
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS_MAX + 3 {
            let (client, server) = tokio::io::duplex(4096);
            connections.add(server, &pages);
            clients.push(client);
        }
        assert_eq!(connections.by_age.len(), CONNECTIONS_MAX);
        for (index, client) in clients.iter_mut().enumerate() {
            let _ = client
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .await;
            let mut reply = String::new();
            client.read_to_string(&mut reply).await.unwrap();
            assert_eq!(reply.ends_with("alive\n"), index >= 3, "{index}: {reply:?}");
        }
    }
}
