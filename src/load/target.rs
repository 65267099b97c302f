//! The server that receives the load: one at a URL, or one in this process on threads of its own.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::process::Watched;
use crate::client::opener::Opener;
use crate::client::{Client, ClientBuilder};
use crate::recording::CheckpointStore;
use crate::server::socket::Socket;
use crate::server::{self, Config};
use crate::store::{MemoryStore, RedbStore};

/// The names of the threads. The CPU time of each side is the sum over its threads.
pub(crate) const CLIENT_THREADS: &str = "bench-client";
const SERVER_THREADS: &str = "bench-server";
const STORE_THREADS: &str = "store";

/// A server.
#[derive(Debug)]
pub(crate) struct Target {
    pub name: String,
    /// Opens the connections.
    pub opener: Arc<Opener>,
    /// The source of its CPU time and memory; `None` if no process is known.
    pub watched: Option<Watched>,
    /// Whether it only counts bytes and replies with their number.
    pub is_counter: bool,
    /// Runs a server in this process. It ends when the target is dropped.
    runtime: Option<Runtime>,
}

impl Target {
    /// Returns the server of a client. `pid` is its process, if that runs on this machine.
    ///
    /// # Errors
    /// If a setting of the client is not valid, or the process cannot be read.
    pub(crate) fn remote(client: ClientBuilder, pid: Option<u32>) -> Result<Self, String> {
        let opener = client.opener().map_err(|error| error.to_string())?;
        let url = opener.url().as_str();
        let name = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let watched = pid.map(Watched::Process);
        if let Some(pid) = pid
            && cfg!(target_os = "linux")
            && watched.as_ref().and_then(Watched::cpu).is_none()
        {
            return Err(format!("process {pid} does not exist, or this user may not read it"));
        }
        Ok(Self { name, opener: Arc::new(opener), watched, is_counter: false, runtime: None })
    }

    /// Starts a waywiser server in this process. It keeps recordings in the directory `data`, or in memory.
    ///
    /// # Errors
    /// If the listener, the threads or the store cannot be created.
    pub(crate) fn embedded(threads: usize, data: Option<&Path>) -> Result<Self, String> {
        let store: Arc<dyn CheckpointStore> = match data {
            Some(data) => Arc::new(RedbStore::open(data).map_err(|error| error.to_string())?),
            None => Arc::new(MemoryStore::default()),
        };
        Self::start("a server in this process", threads, false, |listener| async {
            let _ = server::run(listener, Config::default(), store, std::future::pending()).await;
        })
    }

    /// Starts a server in this process that only counts bytes. No other server can receive points faster.
    ///
    /// # Errors
    /// If the listener or the threads cannot be created.
    pub(crate) fn counter(threads: usize) -> Result<Self, String> {
        Self::start("a server that only counts bytes", threads, true, count)
    }

    fn start<F: Future<Output = ()> + Send + 'static>(
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
        let failed = |error: &dyn fmt::Display| format!("{name} cannot start: {error}");
        let (address, runtime) = start().map_err(|error: std::io::Error| failed(&error))?;
        let opener = Client::builder(format!("http://{address}")).opener();
        Ok(Self {
            name: name.to_owned(),
            opener: Arc::new(opener.map_err(|error| failed(&error))?),
            watched: Some(Watched::Threads(&[SERVER_THREADS, STORE_THREADS])),
            is_counter,
            runtime: Some(runtime),
        })
    }

    /// Returns whether the server runs in this process.
    pub(crate) fn is_embedded(&self) -> bool {
        self.runtime.is_some()
    }
}

/// Counts the bytes of every request. Windows and socket reads are those of the waywiser server, so that the
/// only difference is the work on the bytes.
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

/// Replies with one message of eight bytes: the number of bytes received.
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
    fn scheme_and_port_of_an_address_are_optional() {
        let remote = |url: &str, pid| Target::remote(Client::builder(url), pid);
        let at = |url| remote(url, None).map(|target| target.opener.url().address());
        assert_eq!(at("http://127.0.0.1:50051").unwrap(), "127.0.0.1:50051");
        assert_eq!(at("localhost:50051").unwrap(), "localhost:50051");
        assert_eq!(at("http://[::1]").unwrap(), "[::1]:50051");
        #[cfg(target_os = "linux")]
        assert_eq!(
            remote("http://[::1]", Some(u32::MAX)).map(|_| ()).unwrap_err(),
            "process 4294967295 does not exist, or this user may not read it"
        );
        assert_eq!(at("https://localhost").unwrap(), "localhost:443");
        assert!(at("ftp://localhost").unwrap_err().contains("ftp://localhost"));
    }
}
