//! Compares a server with TLS to one without: CPU time per point and per connection, and memory per idle connection.
//!
//! Each server is a process of its own, so that the clients do not count. Linux only: the figures come from /proc.
//! `cargo bench --bench tls -- points`, `-- connections` and `-- memory` run a part.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use prost::Message as _;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use waywiser::proto::waywiser_v1 as pb;
use waywiser::server::{Config, Server, TlsConfig, TlsSettings};
use waywiser::store::MemoryStore;

mod call;
mod inputs;

const POINTS: usize = 4_000_000;
const POINTS_PER_MESSAGE: usize = 4096;
const CHUNK_BYTES: usize = 64 * 1024;
const ROUNDS: usize = 15;
const HANDSHAKES: usize = 500;
const IDLE_CONNECTIONS: usize = 2000;

/// The variable that makes this program a server: the directory of its certificate, or nothing for no TLS.
const SERVER: &str = "WAYWISER_BENCH_SERVER";

/// Runs as a server until the process is killed.
#[tokio::main(flavor = "current_thread")]
async fn serve(directory: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let config = Config {
        max_connections: 2 * IDLE_CONNECTIONS,
        max_connections_per_peer: 2 * IDLE_CONNECTIONS,
        ..Config::default()
    };
    let mut server = Server::new(config, Arc::new(MemoryStore::default()));
    if !directory.is_empty() {
        let directory = Path::new(directory);
        let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
        server =
            server.with_tls(TlsSettings::load(TlsConfig::from_files(certificate, key)).unwrap());
    }
    server.run(listener, std::future::pending()).await.unwrap();
}

/// A server process, and the client for it.
struct Target {
    process: Child,
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl Target {
    fn start(directory: &str, tls: Option<Arc<ClientConfig>>) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        let mut process = command.env(SERVER, directory).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, address: line.trim().parse().unwrap(), tls }
    }

    /// Returns the CPU time of all threads of the server in nanoseconds.
    fn cpu_ns(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let of_task = |task: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            text.split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        tasks.map(of_task).sum()
    }

    fn resident_bytes(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.process.id())).unwrap();
        text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    async fn connect(&self) -> SendRequest<Bytes> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        match &self.tls {
            None => http2(stream).await,
            Some(config) => {
                let connector = TlsConnector::from(Arc::clone(config));
                let name = ServerName::try_from("localhost").unwrap();
                http2(connector.connect(name, stream).await.unwrap()).await
            }
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn http2<S>(stream: S) -> SendRequest<Bytes>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    send.ready().await.unwrap()
}

/// Returns a request body: the points of a walk as columns.
fn body() -> Bytes {
    fn differences(values: impl Iterator<Item = i32>) -> Vec<i64> {
        let difference = |last: &mut i64, value: i32| {
            Some(i64::from(value) - std::mem::replace(last, i64::from(value)))
        };
        values.scan(0, difference).collect()
    }
    let mut body = BytesMut::new();
    for points in inputs::walk(POINTS).chunks(POINTS_PER_MESSAGE) {
        let columns = pb::PointColumns {
            x: differences(points.iter().map(|point| point.1)),
            y: differences(points.iter().map(|point| point.0)),
            ..Default::default()
        };
        let request = pb::RecordPathRequest { columns: Some(columns), ..Default::default() };
        body.extend_from_slice(&inputs::frame(&request.encode_to_vec()));
    }
    body.freeze()
}

async fn record(send: &mut SendRequest<Bytes>, body: Bytes) {
    call::call(send, "/waywiser.v1.PathService/RecordPath", body, CHUNK_BYTES).await;
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Records a path over one connection to each server, in turn.
async fn points(plain: &Target, tls: &Target) {
    let body = body();
    println!("columns: {POINTS} points, {:.1} bytes per point", body.len() as f64 / POINTS as f64);
    let (mut to_plain, mut to_tls) = (plain.connect().await, tls.connect().await);
    let mut costs = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut cost = [0.0; 2];
        for (cost, (target, send)) in
            cost.iter_mut().zip([(plain, &mut to_plain), (tls, &mut to_tls)])
        {
            let before = target.cpu_ns();
            record(send, body.clone()).await;
            *cost = (target.cpu_ns() - before) as f64 / POINTS as f64;
        }
        costs.0.push(cost[0]);
        costs.1.push(cost[1]);
        costs.2.push(cost[1] / cost[0]);
    }
    let [plain, tls, ratio] = [costs.0, costs.1, costs.2].map(median);
    println!("CPU per point: {plain:.2} ns, with TLS {tls:.2} ns, ratio {ratio:.2}");
}

/// Opens connections one after the other, each for one call. Its answer follows the tickets for resumption.
async fn connections(plain: &Target, tls: &Target, kind: &str) {
    let mut cost = [0.0; 2];
    for (cost, target) in cost.iter_mut().zip([plain, tls]) {
        let before = target.cpu_ns();
        for _ in 0..HANDSHAKES {
            record(&mut target.connect().await, Bytes::from_static(&[0; 5])).await;
        }
        *cost = (target.cpu_ns() - before) as f64 / HANDSHAKES as f64 / 1000.0;
    }
    println!(
        "CPU per connection with one call ({kind}): {:.0} us, with TLS {:.0} us",
        cost[0], cost[1]
    );
}

/// Keeps connections open that send nothing.
async fn memory(plain: &Target, tls: &Target) {
    for (name, target) in [("plain", plain), ("TLS", tls)] {
        let before = target.resident_bytes();
        let mut open = Vec::new();
        for _ in 0..IDLE_CONNECTIONS {
            open.push(target.connect().await);
        }
        // Lets the server process the last bytes.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let bytes = target.resident_bytes().saturating_sub(before) / open.len() as u64;
        println!("memory per idle connection, {name}: {:.1} KiB", bytes as f64 / 1024.0);
    }
}

fn client_config(root: &rcgen::Certificate, resumption: Resumption) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = resumption;
    Arc::new(config)
}

#[tokio::main(flavor = "current_thread")]
async fn measure(parts: &[String]) {
    let directory = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(directory.path().join("cert.pem"), certified.cert.pem()).unwrap();
    std::fs::write(directory.path().join("key.pem"), certified.signing_key.serialize_pem())
        .unwrap();
    let full = client_config(&certified.cert, Resumption::disabled());
    let resumed = client_config(&certified.cert, Resumption::default());
    let directory = directory.path().to_str().unwrap();
    let is_selected =
        |part: &str| parts.is_empty() || parts.iter().any(|selected| selected == part);
    if is_selected("points") {
        let (plain, tls) = (Target::start("", None), Target::start(directory, Some(full.clone())));
        points(&plain, &tls).await;
    }
    if is_selected("connections") {
        for (kind, config) in [("full handshake", &full), ("resumed", &resumed)] {
            let plain = Target::start("", None);
            let tls = Target::start(directory, Some(Arc::clone(config)));
            connections(&plain, &tls, kind).await;
        }
    }
    if is_selected("memory") {
        let (plain, tls) = (Target::start("", None), Target::start(directory, Some(full)));
        memory(&plain, &tls).await;
    }
}

fn main() {
    if let Ok(directory) = std::env::var(SERVER) {
        return serve(&directory);
    }
    let parts: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    measure(&parts);
}
