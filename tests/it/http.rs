//! The HTTP listener: its API, its checks, and what clients cannot do to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use waywiser::Config;
use waywiser::http::{
    HttpApi, HttpConfig, Measure, MeasureControl, MeasureError, MeasureJob, Measured,
};
use waywiser::recording::CheckpointStore;
use waywiser::server::{self, Monitor};
use waywiser::store::MemoryStore;

use crate::support::Server;

mod access;
mod api;
mod events;
mod hostile;
mod ingest;
mod page;
mod program;
mod tls;
mod unread;

/// A measurement that returns the size of its file. With the option `wait` it waits until it is cancelled, with `linger` then
/// also until it is released, and with `large` its answer has [`LARGE`] bytes more.
struct Sizes(Arc<Jobs>);

/// The state of all measurements of a server.
#[derive(Default)]
struct Jobs {
    started: AtomicU64,
    cancelled: AtomicU64,
    is_released: AtomicBool,
}

/// The additional size of a large answer.
const LARGE: usize = 1 << 20;

struct Size {
    option: Option<String>,
    jobs: Arc<Jobs>,
}

impl Measure for Sizes {
    fn job(&self, options: Vec<(String, String)>) -> Result<Box<dyn MeasureJob>, MeasureError> {
        match options.first() {
            Some((name, _)) if !["wait", "linger", "large"].contains(&name.as_str()) => {
                let message = "there is no such option".to_owned();
                Err(MeasureError::Option { name: name.clone(), message })
            }
            option => {
                let option = option.map(|(name, _)| name.clone());
                Ok(Box::new(Size { option, jobs: Arc::clone(&self.0) }))
            }
        }
    }
}

impl MeasureJob for Size {
    fn run(
        self: Box<Self>,
        file: bytes::Bytes,
        control: Arc<MeasureControl>,
    ) -> Result<Measured, MeasureError> {
        let Self { option, jobs } = *self;
        let is = |name| option.as_deref() == Some(name);
        jobs.started.fetch_add(1, Relaxed);
        while (is("wait") || is("linger")) && !control.is_cancelled() {
            std::thread::yield_now();
        }
        while is("linger") && !jobs.is_released.load(Relaxed) {
            std::thread::yield_now();
        }
        if control.is_cancelled() {
            jobs.cancelled.fetch_add(1, Relaxed);
            return Err(MeasureError::Cancelled);
        }
        let spaces = " ".repeat(if is("large") { LARGE } else { 0 });
        Ok(Measured { json: format!("{{\"bytes\":{}{spaces}}}", file.len()), points: 0 })
    }
}

/// A server with both listeners.
struct Web {
    server: Server,
    address: SocketAddr,
    monitor: Monitor,
    jobs: Arc<Jobs>,
}

impl Web {
    async fn start() -> Self {
        Self::with(|_| {}, |server| server).await
    }

    async fn with(
        configure: impl FnOnce(&mut Config),
        adapt: impl FnOnce(server::Server) -> server::Server,
    ) -> Self {
        Self::with_store(Arc::new(MemoryStore::default()), configure, adapt).await
    }

    async fn with_store(
        store: Arc<dyn CheckpointStore>,
        configure: impl FnOnce(&mut Config),
        adapt: impl FnOnce(server::Server) -> server::Server,
    ) -> Self {
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = http.local_addr().unwrap();
        let jobs = Arc::default();
        let measure = Arc::new(Sizes(Arc::clone(&jobs)));
        let config = HttpConfig {
            max_upload_bytes: 100_000,
            heartbeat: Duration::from_millis(20),
            ..HttpConfig::default()
        };
        let api = Arc::new(HttpApi::new(config, Some(measure)));
        let mut monitor = Monitor::default();
        let server = Server::adapted(grpc, store, configure, |server| {
            let server = adapt(server).with_http(http, api);
            monitor = server.monitor();
            server
        });
        Self { server, address, monitor, jobs }
    }

    async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"").await
    }

    /// Sends a request on a connection of its own.
    async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut client = self.connect().await;
        client.send(method, path, headers, body).await;
        client.answer().await
    }

    async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.unwrap();
        Client { stream, host: self.address.to_string(), received: Vec::new() }
    }
}

/// A connection with HTTP/1.1.
struct Client {
    stream: TcpStream,
    host: String,
    received: Vec<u8>,
}

/// An answer to a request.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    /// Returns the values of a header, joined by commas.
    fn header(&self, name: &str) -> String {
        let values = self.headers.iter().filter(|(other, _)| other == name);
        values.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the status and the reason of an error.
    fn error(&self) -> (u16, String) {
        let error = &self.json()["error"];
        assert_eq!(error["status"], self.status, "{self:?}");
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        assert!(error["code"].is_string() && error["metadata"].is_object(), "{self:?}");
        (self.status, error["reason"].as_str().unwrap().to_owned())
    }
}

impl Client {
    async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            head += &format!("content-length: {}\r\n", body.len());
        }
        head += "\r\n";
        self.stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    }

    async fn raw(&mut self, bytes: &[u8]) {
        // The server may have closed the connection.
        let _ = self.stream.write_all(bytes).await;
    }

    /// Reads more bytes. Returns false at the end.
    async fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        let count = self.stream.read(&mut bytes).await.unwrap_or(0);
        self.received.extend_from_slice(&bytes[..count]);
        count > 0
    }

    /// Reads up to a text, which stays in front of the next read. Returns `None` at the end.
    async fn until(&mut self, text: &str) -> Option<String> {
        loop {
            let received = self.received.windows(text.len());
            if let Some(at) = received.into_iter().position(|bytes| bytes == text.as_bytes()) {
                let read: Vec<u8> = self.received.drain(..at + text.len()).collect();
                return Some(String::from_utf8(read).unwrap());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn answer(&mut self) -> Answer {
        self.try_answer().await.expect("the server closed the connection without an answer")
    }

    /// Reads an answer with a length. Returns `None` if the server closes the connection.
    async fn try_answer(&mut self) -> Option<Answer> {
        let head = self.head().await?;
        let length = head.header("content-length").parse::<usize>().unwrap_or(0);
        while self.received.len() < length {
            assert!(self.fill().await, "{head:?}");
        }
        let body = String::from_utf8(self.received.drain(..length).collect()).unwrap();
        Some(Answer { body, ..head })
    }

    /// Reads the headers of an answer.
    async fn head(&mut self) -> Option<Answer> {
        let head = self.until("\r\n\r\n").await?;
        let mut lines = head.trim_end().lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Some(Answer { status, headers: headers.collect(), body: String::new() })
    }

    /// Waits until the server closes the connection. Returns what it has sent.
    async fn closed(mut self) -> String {
        while self.fill().await {}
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

/// Returns a request for a recording with this identifier.
fn get_path(id: &str) -> waywiser::proto::waywiser_v1::GetPathRequest {
    waywiser::proto::waywiser_v1::GetPathRequest {
        name: format!("paths/{id}"),
        ..Default::default()
    }
}
