//! The pages of the listener for operators.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::watch;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use waywiser::metrics::Readiness;
use waywiser::recording::CheckpointStore;
use waywiser::server::{Config, Server};
use waywiser::store::MemoryStore;

use super::{Observed, ask, signal};
use crate::support::Raw;

#[test]
fn each_page_has_its_status_and_content_type() {
    let server = Observed::start();
    let text = "content-type: text/plain; charset=utf-8";
    let metrics = "content-type: text/plain; version=0.0.4; charset=utf-8";
    for (method, path, status, header, body) in [
        ("GET", "/", 200, text, "/readyz"),
        ("GET", "/healthz", 200, text, "alive"),
        ("GET", "/healthz?verbose", 200, text, "alive"),
        ("GET", "/readyz", 200, text, "ready"),
        ("GET", "/metrics", 200, metrics, "waywiser_accepting_calls 1\n"),
        ("HEAD", "/metrics", 200, metrics, ""),
        ("HEAD", "/readyz", 200, text, ""),
        ("GET", "/metric", 404, text, "there is no such page"),
        ("POST", "/nothing", 404, text, "there is no such page"),
        ("POST", "/metrics", 405, "allow: get, head", "use the method GET or HEAD"),
        ("DELETE", "/", 405, "allow: get, head", "use the method GET or HEAD"),
    ] {
        let reply = server.ask(method, path, "");
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        assert!(reply.head.contains(header), "{method} {path}: {}", reply.head);
        assert!(reply.body.contains(body), "{method} {path}: {}", reply.body);
        assert_eq!(reply.body.is_empty(), method == "HEAD", "{method} {path}");
    }
    let accept = "Accept: application/openmetrics-text; version=1.0.0\r\n";
    let reply = server.ask("GET", "/metrics", accept);
    assert!(reply.head.contains("application/openmetrics-text; version=1.0.0"), "{reply:?}");
}

#[test]
fn input_that_is_not_valid_http_gets_an_error_and_the_listener_works_on() {
    let server = Observed::start();
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n", "x".repeat(64 << 10));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "a: b\r\n".repeat(1_000));
    for (head, expected) in [
        ("\u{1}\u{2}\u{3}\r\n", &[400][..]),
        ("GET /", &[400]),
        ("PRI * HTTP/2.0\r\n", &[400, 505, 0]),
        (&long, &[400, 431]),
        (&many, &[400, 431]),
    ] {
        let stream = TcpStream::connect(server.admin).unwrap();
        let mut stream = stream;
        // The server may close the connection before it has read all of a request.
        let _ = stream.write_all(format!("{head}\r\n\r\n").as_bytes());
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        let reply = String::from_utf8_lossy(&reply).into_owned();
        let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        assert!(expected.contains(&status), "{:?}: {reply}", &head[..head.len().min(20)]);
    }
    assert_eq!(server.ask("GET", "/healthz", "").status, 200);
}

#[test]
fn clients_that_send_nothing_do_not_lock_out_others() {
    let server = Observed::start();
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(server.admin).unwrap()).collect();
    assert_eq!(server.ask("GET", "/healthz", "").status, 200);
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_drain_the_server_is_alive_and_not_ready() {
    let mut server = Observed::with(&["--ephemeral", "--drain-timeout", "60s"]);
    let mut raw = Raw::connect(server.serve.address).await;
    let mut call = raw.call(crate::support::PATH_LENGTH);
    let labels =
        "waywiser_calls_open{grpc_method=\"my_package.DisplacementService/computePathLength\"} 1";
    while !server.metrics().contains(labels) {
        tokio::task::yield_now().await;
    }
    signal(&server.serve, "-TERM");
    let reply = loop {
        let reply = server.ask("GET", "/readyz", "");
        if reply.status != 200 {
            break reply;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (reply.status, &*reply.body),
        (503, "not ready: the server drains: it accepts no new streams\n")
    );
    assert_eq!(server.ask("GET", "/healthz", "").status, 200);
    assert!(server.metrics().contains("\nwaywiser_accepting_calls 0\n"));
    call.close();
    call.answer().await.unwrap();
    assert!(server.serve.process.wait().unwrap().success());
    assert!(TcpStream::connect(server.admin).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_directory_is_gone_is_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let server = Observed::with(&["--data-dir", path.to_str().unwrap()]);
    assert_eq!(server.ask("GET", "/readyz", "").status, 200);
    std::fs::rename(&path, directory.path().join("moved")).unwrap();
    // The result of the check is kept for a second.
    let reply = loop {
        let reply = server.ask("GET", "/readyz", "");
        if reply.status != 200 {
            break reply;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(reply.status, 503);
    assert!(reply.body.starts_with("not ready: the store is not available: "), "{}", reply.body);
    assert!(server.metrics().contains("\nwaywiser_store_up 0\n"));
}

/// The store answers reads all the time, as a database does that has lost only the connection for writes.
#[tokio::test]
async fn a_server_is_ready_when_health_reports_its_store_as_available() {
    let store: Arc<dyn CheckpointStore> = Arc::new(MemoryStore::default());
    let missing = || Err("the connection for writes is missing".to_owned());
    let (availability, followed) = watch::channel(missing());
    let server = Server::new(Config::default(), Arc::clone(&store));
    let server = server.with_store_availability(followed);
    let readiness = Readiness::default();
    readiness.set_store(store);
    readiness.set_server(server.monitor());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let running = tokio::spawn(server.run(listener, async { drop(stopped.await) }));
    let endpoint = tonic::transport::Endpoint::from_shared(url).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    for _ in 0..2 {
        while watch.message().await.unwrap().unwrap().status != 2 {}
        let reason = "the store is not available: the connection for writes is missing";
        assert_eq!(readiness.check().await.as_ref().map_err(|reason| &**reason), Err(reason));
        availability.send(Ok(())).unwrap();
        while watch.message().await.unwrap().unwrap().status != 1 {}
        assert_eq!(readiness.check().await, Ok(()));
        availability.send(missing()).unwrap();
    }
    // Without streams, the drain ends at once.
    drop((watch, health));
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

#[test]
fn an_address_in_use_is_reported_with_its_flag() {
    let first = Observed::start();
    let mut command = crate::binary::waywiser(["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
    let output = command.arg("--admin-listen").arg(first.admin.to_string()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("or choose a port with --admin-listen"), "{stderr}");
    assert_eq!(ask(first.admin, "GET /readyz HTTP/1.1\r\nHost: a\r\n").status, 200);
}

/// Serves a key set over HTTP, once `is_up` is set. Returns the URL.
fn key_server(is_up: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys?secret=1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let (status, body) = match is_up.load(Relaxed) {
                false => ("500 Internal Server Error", String::new()),
                true => {
                    let x = "A".repeat(43);
                    let key = format!("{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"{x}\"}}");
                    ("200 OK", format!("{{\"keys\":[{key}]}}"))
                }
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_check_any_credential_is_not_ready_and_says_why() {
    let is_up = Arc::new(AtomicBool::new(false));
    let url = key_server(Arc::clone(&is_up));
    let jwt = ["--jwks", &url, "--jwt-issuer", "i", "--jwt-audience", "a"];
    let server = Observed::spawn(&[&["--ephemeral"], &jwt[..]].concat());
    let place = url.strip_suffix("?secret=1").unwrap();
    let expected = format!(
        "not ready: no keys for JSON Web Tokens could be fetched yet: {place}: the answer is HTTP status 500"
    );
    let reply = loop {
        let reply = server.ask("GET", "/readyz", "");
        assert_eq!(reply.status, 503, "{reply:?}");
        if reply.body.contains("no keys") {
            break reply;
        }
    };
    assert!(reply.body.starts_with(&expected) && !reply.body.contains("secret"), "{reply:?}");
    let endpoint =
        tonic::transport::Endpoint::from_shared(format!("http://{}", server.serve.address));
    let mut health = HealthClient::new(endpoint.unwrap().connect().await.unwrap());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2, "NOT_SERVING");
    let reply = health.check(HealthCheckRequest::default()).await.unwrap();
    let reason = reply.metadata().get("waywiser-not-serving").unwrap();
    assert_eq!(reason, "the server cannot check credentials at the moment");
    is_up.store(true, Relaxed);
    signal(&server.serve, "-HUP");
    while server.ask("GET", "/readyz", "").status != 200 {}
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1, "SERVING");
    let reply = health.check(HealthCheckRequest::default()).await.unwrap();
    assert!(reply.metadata().get("waywiser-not-serving").is_none());
}

/// Callers with tokens of the file are served, so the server stays in use.
#[test]
fn a_server_that_can_check_some_credentials_is_ready_and_names_the_others() {
    let url = key_server(Arc::default());
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens.toml");
    std::fs::write(&tokens, "principal = []").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&tokens, mode).unwrap();
    let jwt = ["--jwks", &url, "--jwt-issuer", "i", "--jwt-audience", "a"];
    let tokens = ["--ephemeral", "--tokens", tokens.to_str().unwrap()];
    let server = Observed::with(&[&tokens[..], &jwt].concat());
    loop {
        let reply = server.ask("GET", "/readyz", "");
        assert_eq!(reply.status, 200, "{reply:?}");
        if reply.body.contains("but no keys for JSON Web Tokens could be fetched yet") {
            break;
        }
    }
}
