//! What is driven: a server somewhere, or one in this process on threads of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::process::Watched;
use crate::client;
use crate::recording::CheckpointStore;
use crate::server::socket::Socket;
use crate::server::{self, Config};
use crate::store::{MemoryStore, RedbStore};

/// The names of our threads, by which their CPU time is told apart.
pub(crate) const CLIENT_THREADS: &str = "bench-client";
const SERVER_THREADS: &str = "bench-server";
/// That of the store.
const STORE_THREADS: &str = "store";

/// One server.
#[derive(Debug)]
pub(crate) struct Target {
    pub name: String,
    /// Host and port.
    pub authority: String,
    pub watched: Option<Watched>,
    /// Whether it only counts bytes, and replies with their number.
    pub is_counter: bool,
    /// The server itself, if it is here; it goes with the target.
    runtime: Option<Runtime>,
}

impl Target {
    /// A server somewhere; its process, if it is a local one, can be watched.
    ///
    /// # Errors
    /// When `url` is no address.
    pub(crate) fn at(url: &str, pid: Option<u32>) -> Result<Self, String> {
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let endpoint = client::endpoint(url).map_err(|error| error.to_string())?;
        let authority = endpoint.uri().authority().ok_or_else(|| format!("{url} has no host"))?;
        let authority = match authority.port() {
            Some(_) => authority.to_string(),
            None => format!("{authority}:80"),
        };
        let watched = pid.map(Watched::Process);
        if let Some(pid) = pid
            && cfg!(target_os = "linux")
            && watched.as_ref().and_then(Watched::cpu).is_none()
        {
            return Err(format!("there is no process {pid}, or this user may not look at it"));
        }
        Ok(Self { name: full, authority, watched, is_counter: false, runtime: None })
    }

    /// waywiser's own server, in this process, with recordings in a directory or in memory.
    ///
    /// # Errors
    /// When there is no port, no thread or no directory for it.
    pub(crate) fn embedded(threads: usize, data: Option<&Path>) -> Result<Self, String> {
        let store: Arc<dyn CheckpointStore> = match data {
            Some(data) => Arc::new(RedbStore::open(data).map_err(|error| error.to_string())?),
            None => Arc::new(MemoryStore::default()),
        };
        Self::here("a server in this process", threads, false, |listener| async {
            let _ = server::run(listener, Config::default(), store, std::future::pending()).await;
        })
    }

    /// A server that only counts: what it is sent faster than that, no server can be sent.
    ///
    /// # Errors
    /// When there is no port or no thread for it.
    pub(crate) fn counter(threads: usize) -> Result<Self, String> {
        Self::here("a server that only counts bytes", threads, true, count)
    }

    fn here<F: Future<Output = ()> + Send + 'static>(
        name: &str,
        threads: usize,
        is_counter: bool,
        serve: impl FnOnce(TcpListener) -> F,
    ) -> Result<Self, String> {
        let start = || {
            let runtime = Builder::new_multi_thread()
                .worker_threads(threads)
                .thread_name(SERVER_THREADS)
                .enable_all()
                .build()?;
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
            let address: SocketAddr = listener.local_addr()?;
            runtime.spawn(serve(listener));
            Ok((address, runtime))
        };
        let (address, runtime) =
            start().map_err(|error: std::io::Error| format!("{name} cannot start: {error}"))?;
        Ok(Self {
            name: name.to_owned(),
            authority: address.to_string(),
            watched: Some(Watched::Threads(&[SERVER_THREADS, STORE_THREADS])),
            is_counter,
            runtime: Some(runtime),
        })
    }

    /// Whether it shares this process.
    pub(crate) fn is_here(&self) -> bool {
        self.runtime.is_some()
    }
}

/// Counts the bytes of every request. The windows are those of [`Config`]'s defaults and the socket
/// is read a turn at a time, as in our own server: the difference is the work on the bytes.
async fn count(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(count_connection(stream));
    }
}

async fn count_connection(stream: TcpStream) -> Result<(), h2::Error> {
    let config = Config::default();
    let _ = stream.set_nodelay(true);
    let stream = Socket::new(stream);
    let mut connection = h2::server::Builder::new()
        .initial_window_size(config.stream_window_bytes)
        .initial_connection_window_size(config.connection_window_bytes)
        .max_frame_size(64 * 1024)
        .handshake::<_, Bytes>(stream)
        .await?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        tokio::spawn(count_stream(request.into_body(), respond));
    }
    Ok(())
}

/// Replies with one message: the number of bytes, eight bytes of it.
async fn count_stream(
    mut body: h2::RecvStream,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let mut byte_count = 0;
    while let Some(data) = body.data().await {
        let len = data?.len();
        byte_count += len as u64;
        body.flow_control().release_capacity(len)?;
    }
    let mut reply = BytesMut::new();
    reply.put_u8(0);
    reply.put_u32(8);
    reply.put_u64(byte_count);
    let mut response = Response::new(());
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    let mut send = respond.send_response(response, false)?;
    send.send_data(reply.freeze(), false)?;
    let ok = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
    send.send_trailers(HeaderMap::from_iter([ok]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_lack_what_is_usual() {
        let at = |url| Target::at(url, None).map(|target| target.authority);
        assert_eq!(at("http://127.0.0.1:50051").unwrap(), "127.0.0.1:50051");
        assert_eq!(at("localhost:50051").unwrap(), "localhost:50051");
        assert_eq!(at("http://[::1]").unwrap(), "[::1]:80");
        #[cfg(target_os = "linux")]
        assert_eq!(
            Target::at("http://[::1]", Some(u32::MAX)).map(|_| ()).unwrap_err(),
            "there is no process 4294967295, or this user may not look at it"
        );
        insta::assert_snapshot!(
            at("https://example.org").unwrap_err(),
            @"https://example.org is not the address of a server; it should look like http://127.0.0.1:50051, without a path"
        );
    }
}
