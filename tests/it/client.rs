//! The client: the replies that it returns, and the frames that it sends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures::{StreamExt as _, stream};
use h2::{Reason, RecvStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic_types::StatusExt as _;
use waywiser::client::{Client, ClientError};
use waywiser::internals::Polyline;
use waywiser::{Metric, Point, Space};

use crate::support::{Listener, Server, frames};

async fn client(address: SocketAddr) -> Client {
    Client::connect(&format!("http://{address}")).await.unwrap()
}

fn geographic(points: usize) -> Vec<Point> {
    let fix = |i: usize| Point::from_e7(460_000_000 + 977 * i as i32, -1_100 * i as i32).unwrap();
    (0..points).map(fix).collect()
}

fn planar(x: f64, y: f64) -> Point {
    Point::planar(x, y).unwrap()
}

/// Reads a request to its end. Returns the number of bytes, and the reason if it was reset.
async fn read(body: &mut RecvStream) -> (usize, Option<Reason>) {
    let mut byte_count = 0;
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                byte_count += data.len();
                let _ = body.flow_control().release_capacity(data.len());
            }
            Err(error) => return (byte_count, error.reason()),
        }
    }
    (byte_count, None)
}

/// Lets all other tasks run until they wait for an event. Tests run on one thread.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_route_has_the_length_that_is_measured_locally() {
    let server = Server::start().await;
    let points = geographic(50_000);
    let mut path = Polyline::new(Metric::Haversine);
    path.extend(&points).unwrap();
    let route = client(server.address).await.record_route(stream::iter(points)).await.unwrap();
    assert_eq!(route.point_count, 50_000);
    assert_eq!(f64::from(route.distance_m), path.summary().length.round());
}

#[tokio::test]
async fn a_planar_path_has_the_length_that_is_measured_locally() {
    let server = Server::start().await;
    let client = client(server.address).await;
    let points: Vec<_> =
        (0..50_000).map(|i| planar(f64::from(i % 977 - 400), f64::from(i % 13))).collect();
    let mut path = Polyline::new(Metric::Planar);
    path.extend(&points).unwrap();
    let reply = client.path_length(stream::iter(points)).await.unwrap();
    let summary = path.summary();
    assert_eq!((reply.point_count, reply.length), (50_000, summary.length));
    assert_eq!(reply.displacement, summary.displacement);
    let extremes = [planar(f64::from(i32::MIN), 0.0), planar(f64::from(i32::MAX), 0.0)];
    let reply = client.path_length(stream::iter(extremes)).await.unwrap();
    assert_eq!(reply.length, 4_294_967_295.0);
}

#[tokio::test]
async fn a_path_without_points_has_length_0() {
    let server = Server::start().await;
    let reply = client(server.address).await.path_length(stream::empty()).await.unwrap();
    assert_eq!((reply.point_count, reply.length), (0, 0.0));
}

#[tokio::test]
async fn a_refusal_keeps_its_error_info() {
    let server = Server::start().await;
    // Each leg is half the circumference of the Earth. The sum does not fit the reply.
    let far = (0..200).map(|i| Point::from_e7(0, if i % 2 == 0 { 0 } else { 1_800_000_000 }));
    let far = stream::iter(far.map(Result::unwrap).collect::<Vec<_>>());
    let error = client(server.address).await.record_route(far).await.unwrap_err();
    let ClientError::Status(status) = error else { panic!("{error}") };
    assert_eq!(status.code(), tonic::Code::OutOfRange);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("REPLY_OUT_OF_RANGE", "waywiser"));
}

#[tokio::test]
async fn an_unsupported_point_resets_the_stream_and_is_reported() {
    let position = Point::from_e7(1, 2).unwrap();
    let cases = [
        (
            Space::Geographic,
            vec![position, planar(3.0, 4.0)],
            "point 1 is planar, and this call takes geographic points",
        ),
        (
            Space::Planar,
            vec![planar(3.0, 4.0), position],
            "point 1 is geographic, and this call takes planar points",
        ),
        (
            Space::Planar,
            vec![planar(3.0, 4.0), planar(0.0, 0.0), planar(1.5, 2.0)],
            "point 2 is (1.5, 2), and this call takes whole numbers of 32 bits",
        ),
        (
            Space::Planar,
            vec![planar(2_147_483_648.0, 0.0)],
            "point 0 is (2147483648, 0), and this call takes whole numbers of 32 bits",
        ),
    ];
    for (space, points, expected) in cases {
        let mut listener = Listener::start().await;
        let client = client(listener.address).await;
        let call = tokio::spawn(async move {
            let points = stream::iter(points);
            match space {
                Space::Geographic => client.record_route(points).await.map(drop),
                Space::Planar => client.path_length(points).await.map(drop),
            }
        });
        assert_eq!(call.await.unwrap().unwrap_err().to_string(), expected);
        // The request may have been reset before it was sent. Then no request arrives.
        if let Some((mut body, _)) = listener.maybe_body().await {
            assert_eq!(read(&mut body).await.1, Some(Reason::CANCEL), "{expected}");
        }
    }
}

/// Starts a call whose source is the returned sender.
async fn call_with_channel(
    address: SocketAddr,
) -> (mpsc::UnboundedSender<Point>, JoinHandle<Result<(), ClientError>>) {
    let client = client(address).await;
    let (sender, receiver) = mpsc::unbounded_channel();
    let points = UnboundedReceiverStream::new(receiver);
    (sender, tokio::spawn(async move { client.record_route(points).await.map(drop) }))
}

#[tokio::test]
async fn a_live_point_is_sent_at_once() {
    let mut listener = Listener::start().await;
    let (sender, _call) = call_with_channel(listener.address).await;
    let (mut body, _respond) = listener.next_body().await;
    for i in 0..3 {
        sender.send(Point::from_e7(i, 7).unwrap()).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), frames(&[(i, 7)]));
    }
    drop(sender);
    assert_eq!(read(&mut body).await, (0, None));
}

#[tokio::test]
async fn a_server_that_does_not_read_stops_the_source() {
    let mut listener = Listener::start().await;
    let client = client(listener.address).await;
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let endless = stream::repeat(Point::from_e7(460_000_000, 140_000_000).unwrap());
    let endless = endless.inspect(move |_| {
        counter.fetch_add(1, Relaxed);
    });
    let call = tokio::spawn(async move { client.record_route(endless).await });
    let (mut body, _respond) = listener.next_body().await;
    // The initial window of HTTP/2. The test releases no capacity.
    let mut received = 0;
    while received < 65_535 {
        received += body.data().await.unwrap().unwrap().len();
    }
    settle().await;
    let point_bytes = frames(&[(460_000_000, 140_000_000)]).len();
    let held = taken.load(Relaxed) * point_bytes - received;
    assert!(held <= 3 * 64 * 1024, "{held} bytes are buffered");

    // A call that waits for the server can be aborted.
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(read(&mut body).await, (0, Some(Reason::CANCEL)));
}

#[tokio::test]
async fn a_dropped_call_is_reset_even_if_its_source_ends_at_the_same_time() {
    for _ in 0..20 {
        let mut listener = Listener::start().await;
        let (sender, call) = call_with_channel(listener.address).await;
        let (mut body, _respond) = listener.next_body().await;
        sender.send(Point::from_e7(1, 7).unwrap()).unwrap();
        assert!(body.data().await.unwrap().is_ok());
        call.abort();
        let _ = call.await;
        drop(sender);
        assert_eq!(read(&mut body).await, (0, Some(Reason::CANCEL)));
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_after_the_response_headers_is_reset() {
    let mut listener = Listener::start().await;
    let (_sender, call) = call_with_channel(listener.address).await;
    let (mut body, mut respond) = listener.next_body().await;
    // Some servers send their headers before they read the request.
    let _reply = respond.send_response(http::Response::new(()), false).unwrap();
    settle().await;
    call.abort();
    let _ = call.await;
    assert_eq!(read(&mut body).await, (0, Some(Reason::CANCEL)));
}

#[tokio::test]
async fn an_early_refusal_ends_a_call_that_is_still_sending() {
    let mut listener = Listener::start().await;
    let (_sender, call) = call_with_channel(listener.address).await;
    let (mut body, mut respond) = listener.next_body().await;
    let refusal = http::Response::builder().header("grpc-status", "8").body(()).unwrap();
    respond.send_response(refusal, true).unwrap();
    let error = call.await.unwrap().unwrap_err();
    let ClientError::Status(status) = error else { panic!("{error}") };
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(read(&mut body).await, (0, Some(Reason::CANCEL)));
}

#[tokio::test]
async fn our_server_reports_a_call_that_was_dropped_as_cancelled() {
    let server = Server::start().await;
    // A relay, to learn the address that the server reports for the client.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = listener.local_addr().unwrap();
    let address = server.address;
    let relayed = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(address).await.unwrap();
        let peer = far.local_addr().unwrap();
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        peer
    });
    let (sender, call) = call_with_channel(between).await;
    let peer = relayed.await.unwrap();
    sender.send(Point::from_e7(1, 7).unwrap()).unwrap();
    settle().await;
    call.abort();
    let _ = call.await;
    drop(sender);
    let call = &server.ended_calls(peer, 1).await[0];
    assert_eq!(call.code, tonic::Code::Cancelled, "{call:?}");
}
