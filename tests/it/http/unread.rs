//! Clients of HTTP/2 that request large answers with few bytes and read nothing of them.

use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use http::StatusCode;
use tokio::net::TcpStream;

use super::{LARGE, Web};

/// Connects a client that answers pings and has this window for each answer.
async fn connect(web: &Web, window: u32) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(web.address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let (requests, connection) =
        builder.initial_window_size(window).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    requests
}

/// Requests a large answer. Returns its status and its body, which is not read.
async fn status_and_body(
    requests: &mut SendRequest<Bytes>,
) -> Result<(StatusCode, RecvStream), h2::Error> {
    let mut requests = requests.clone().ready().await?;
    let request = http::Request::post("http://localhost/api/measure?large").body(()).unwrap();
    let (response, mut body) = requests.send_request(request, false)?;
    body.send_data("1".into(), true)?;
    let (head, body) = response.await?.into_parts();
    Ok((head.status, body))
}

/// Requests a large answer. Returns its body, which is not read.
async fn request(requests: &mut SendRequest<Bytes>) -> RecvStream {
    let (status, body) = status_and_body(requests).await.unwrap();
    assert_eq!(status, 200);
    body
}

fn used(web: &Web) -> usize {
    web.monitor.stats().memory_used_bytes as usize
}

#[tokio::test]
async fn an_answer_is_charged_until_it_is_read() {
    let web = Web::start().await;
    let mut requests = connect(&web, 65_535).await;
    let mut body = request(&mut requests).await;
    let mut received = 0;
    // Some parts are at the client and in the sockets.
    assert!(used(&web) > LARGE / 2, "{}", used(&web));
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        received += data.len();
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert!(received > LARGE);
    while used(&web) > LARGE / 2 {
        tokio::task::yield_now().await;
    }
}

/// A window of one byte lets the server pass the first part of an answer to the protocol.
#[tokio::test]
async fn an_answer_that_is_not_read_ends_and_releases_its_memory() {
    for window in [0, 1] {
        let hasty = |config: &mut waywiser::Config| {
            config.stream_idle_timeout = Duration::from_millis(200);
        };
        let web = Web::with(hasty, |server| server).await;
        let mut requests = connect(&web, window).await;
        let mut bodies = Vec::new();
        for _ in 0..8 {
            bodies.push(request(&mut requests).await);
        }
        while used(&web) > LARGE || web.monitor.web_stats().open > 0 {
            tokio::task::yield_now().await;
        }
        // The part in the protocol waits for the window, so that its reset does, too.
        if window == 0 {
            for mut body in bodies {
                let error = body.data().await.unwrap().unwrap_err();
                assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
            }
        }
        // The connection still works.
        let _ = request(&mut requests).await;
    }
}

#[tokio::test]
async fn requests_are_refused_while_unread_answers_use_up_the_memory() {
    const BUDGET: usize = 16 * LARGE;
    let small = |config: &mut waywiser::Config| config.max_memory_bytes = Some(BUDGET as u64);
    let web = Web::with(small, |server| server).await;
    let mut requests = connect(&web, 0).await;
    let mut bodies = Vec::new();
    let status = loop {
        let (status, body) = status_and_body(&mut requests).await.unwrap();
        if status != StatusCode::OK {
            break status;
        }
        bodies.push(body);
        assert!(bodies.len() * LARGE < BUDGET, "{} answers", bodies.len());
    };
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(bodies.len() > 8, "{}", bodies.len());
    drop((requests, bodies));
    while used(&web) > LARGE {
        tokio::task::yield_now().await;
    }
    assert_eq!(web.get("/api/paths").await.status, 200);
}
