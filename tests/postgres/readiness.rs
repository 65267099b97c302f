//! The readiness of a server that has lost one of its two connections to the database.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;

use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::binary::waywiser;
use crate::cluster::{DATABASE, USER};
use crate::fixtures::cluster_and_store;
use crate::serve_process::Serve;

/// Starts a server. Returns it, and the address of its listener for operators.
fn start(url: &str) -> (Serve, SocketAddr) {
    let mut command = waywiser(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "0"]);
    command.args(["--log-format", "json", "--store", url]).stderr(Stdio::piped());
    let mut serve = Serve::spawn(&mut command).unwrap();
    let mut log = BufReader::new(serve.process.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = log.find(|line| line.contains("listening for operators")).unwrap();
    let (_, rest) = line.split_once("\"address\":\"").unwrap();
    let admin = rest.split('"').next().unwrap().parse().unwrap();
    // The rest of the log is read, so that the pipe does not fill.
    std::thread::spawn(move || log.count());
    (serve, admin)
}

/// Returns the answer of `/readyz`.
fn readiness(admin: SocketAddr) -> String {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Waits until `/readyz` reports that the server is ready.
async fn until_ready(admin: SocketAddr) {
    let start = std::time::Instant::now();
    loop {
        let answer = readiness(admin);
        if answer.starts_with("HTTP/1.1 200 ") {
            return;
        }
        // It never decides whether a result is right.
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "{answer}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The role may have one connection, so that the one that was ended cannot be opened again. The other one works.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_one_of_its_connections_is_not_ready() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    drop(store);
    let limit = async |max: i32| {
        let statement = format!("ALTER ROLE {USER} CONNECTION LIMIT {max}");
        cluster.sql("postgres", &statement).await;
    };
    let sessions = format!("FROM pg_stat_activity WHERE usename = '{USER}'");
    cluster.wait_until(&format!("SELECT count(*) = 0 {sessions}"), "t").await;
    let (serve, admin) = start(&cluster.url());
    let endpoint =
        tonic::transport::Endpoint::from_shared(format!("http://{}", serve.address)).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let mut until = async |expected: i32| loop {
        let HealthCheckResponse { status } = watch.message().await.unwrap().unwrap();
        if status == expected {
            break;
        }
    };
    until(1).await;
    // Each connection in turn, because the one that was opened again is the youngest.
    for round in 0..2 {
        // The page may report it a moment later than the health service.
        until_ready(admin).await;
        limit(1).await;
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid {sessions} ORDER BY backend_start LIMIT 1) AS ended"
        );
        cluster.sql(DATABASE, &end).await;
        until(2).await;
        let answer = readiness(admin);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{round}: {answer}");
        assert!(answer.contains("not ready: the store is not available: "), "{round}: {answer}");
        limit(-1).await;
        until(1).await;
    }
}
