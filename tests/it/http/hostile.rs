//! Clients that violate the protocol, send too much or too slowly, or leave.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Web;

/// The time limits of these tests are reached quickly.
fn hasty(config: &mut waywiser::Config) {
    config.handshake_timeout = Duration::from_millis(200);
    config.stream_idle_timeout = Duration::from_millis(200);
}

async fn works(web: &Web) {
    assert_eq!(web.get("/api/paths").await.status, 200);
}

#[tokio::test]
async fn bytes_that_are_no_request_are_refused_without_a_fault() {
    let web = Web::with(hasty, |server| server).await;
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: local\0host\r\n\r\n",
        b"POST /api/measure HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n",
        b"POST /api/measure HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /api/measure HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip\r\n\r\n",
        b"POST /api/measure HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense of a client of HTTP/2",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    ] {
        let mut client = web.connect().await;
        client.raw(bytes).await;
        let answer = client.closed().await;
        assert!(!answer.contains("HTTP/1.1 2") && !answer.contains("HTTP/1.1 5"), "{answer}");
    }
    works(&web).await;
}

#[tokio::test]
async fn headers_have_limits_in_size_and_number() {
    let web = Web::start().await;
    let long = "x".repeat(40_000);
    for headers in [&[("x-long", long.as_str())][..], &[("x", "y"); 200][..]] {
        let mut client = web.connect().await;
        client.send("GET", "/api/paths", headers, b"").await;
        let answer = client.closed().await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let mut client = web.connect().await;
    client.send("GET", &format!("/api/paths?{long}"), &[], b"").await;
    let answer = client.closed().await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    works(&web).await;
}

#[tokio::test]
async fn a_file_above_the_limit_is_refused_before_it_is_read() {
    let web = Web::start().await;
    let most = vec![b'1'; 100_000];
    let answer = web.request("POST", "/api/measure", &[], &most).await;
    assert_eq!(answer.json()["bytes"], 100_000);
    let mut client = web.connect().await;
    client
        .raw(
            b"POST /api/measure HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n",
        )
        .await;
    assert_eq!(client.answer().await.error(), (413, "UPLOAD_TOO_LARGE".to_owned()));
    // Without a length, the server counts.
    let mut client = web.connect().await;
    client
        .raw(b"POST /api/measure HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..11 {
        client.raw(&[b"2710\r\n", &[b'1'; 10_000][..], b"\r\n"].concat()).await;
    }
    assert_eq!(client.answer().await.error(), (413, "UPLOAD_TOO_LARGE".to_owned()));
    works(&web).await;
}

#[tokio::test]
async fn a_client_that_sends_its_headers_too_slowly_is_closed() {
    let web = Web::with(hasty, |server| server).await;
    for bytes in [&b""[..], b"G", b"GET /api/paths HTTP/1.1\r\nhost: ", b"PRI * HTTP"] {
        let mut client = web.connect().await;
        client.raw(bytes).await;
        let answer = client.closed().await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    // Also after a request.
    let mut client = web.connect().await;
    client.send("GET", "/api/paths", &[], b"").await;
    client.answer().await;
    client.raw(b"GET /api").await;
    client.closed().await;
}

#[tokio::test]
async fn a_body_that_arrives_too_slowly_is_refused() {
    let web = Web::with(hasty, |server| server).await;
    let head = b"POST /api/measure HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n";
    let mut silent = web.connect().await;
    silent.raw(head).await;
    assert_eq!(silent.answer().await.error(), (408, "STREAM_IDLE".to_owned()));
    // One byte at a time does not help.
    let mut client = web.connect().await;
    client.raw(head).await;
    let (mut read, mut write) = client.stream.into_split();
    let trickle = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while write.write_all(b"1").await.is_ok() {
            ticks.tick().await;
        }
    });
    let mut answer = Vec::new();
    // The server may reset the connection, because the rest of the body is not read.
    let _ = read.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    trickle.await.unwrap();
    works(&web).await;
}

#[tokio::test]
async fn requests_may_follow_each_other_before_their_answers() {
    let web = Web::start().await;
    let mut client = web.connect().await;
    let one = "GET /api/paths/x HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let post = "POST /api/measure HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nabc";
    client.raw([one, post].concat().repeat(50).as_bytes()).await;
    for _ in 0..50 {
        assert_eq!(client.answer().await.status, 404);
        assert_eq!(client.answer().await.json()["bytes"], 3);
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_measurement() {
    let web = Web::start().await;
    for count in 1..=10 {
        let mut client = web.connect().await;
        client.send("POST", "/api/measure?wait", &[], b"1").await;
        while web.monitor.web_stats().open == 0 {
            tokio::task::yield_now().await;
        }
        drop(client);
        while web.jobs.cancelled.load(Relaxed) < count || web.monitor.web_stats().open > 0 {
            tokio::task::yield_now().await;
        }
    }
    works(&web).await;
}

/// The thread of a measurement sees its cancellation some time later.
#[tokio::test]
async fn a_measurement_whose_client_has_left_is_charged_until_it_has_stopped() {
    let web = Web::start().await;
    let file = vec![b'1'; 90_000];
    let mut client = web.connect().await;
    client.send("POST", "/api/measure?linger", &[], &file).await;
    while web.jobs.started.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    drop(client);
    while web.monitor.web_stats().open > 0 || web.monitor.stats().connections_open > 0 {
        tokio::task::yield_now().await;
    }
    let used = || web.monitor.stats().memory_used_bytes;
    assert!(used() >= file.len() as u64, "{}", used());
    web.jobs.is_released.store(true, Relaxed);
    while used() >= file.len() as u64 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_connections_of_both_listeners_have_one_limit() {
    let limit = |config: &mut waywiser::Config| config.max_connections = 3;
    let web = Web::with(limit, |server| server).await;
    let mut watchers = Vec::new();
    for _ in 0..3 {
        let mut client = web.connect().await;
        client.send("POST", "/api/measure?wait", &[], b"1").await;
        watchers.push(client);
    }
    while web.monitor.web_stats().open < 3 {
        tokio::task::yield_now().await;
    }
    // Busy connections are not closed for others.
    let refused = || {
        let refused = web.monitor.stats().connections_refused;
        refused.iter().map(|(_, count)| count).sum::<u64>()
    };
    while refused() == 0 {
        let stream = tokio::net::TcpStream::connect(web.server.address).await.unwrap();
        drop(stream);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn idle_connections_are_closed_for_others_also_between_the_listeners() {
    let limit = |config: &mut waywiser::Config| config.max_connections = 2;
    let web = Web::with(limit, |server| server).await;
    let (mut first, mut second) = (web.connect().await, web.connect().await);
    for client in [&mut first, &mut second] {
        client.send("GET", "/api/paths", &[], b"").await;
        assert_eq!(client.answer().await.status, 200);
    }
    // gRPC needs a place.
    web.server.assert_works().await;
    let ended = |reason| {
        let ended = web.monitor.stats().connections_ended;
        ended.iter().find(|(name, _)| *name == reason).map_or(0, |(_, count)| *count)
    };
    while ended("evicted") == 0 {
        tokio::task::yield_now().await;
    }
}
