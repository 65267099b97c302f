//! Measures the CPU time of the client's thread per point, with one point per message: `waywiser::Client` (`ours`)
//! against the client that tonic generates. The server only counts bytes, on another thread.
//!
//! A source of points may cost more than sending them, so each source is a benchmark of its own. The task that feeds
//! a channel runs on the same thread. `encoded` sends encoded bytes, which is the cost of the transport alone.
#![allow(missing_docs, clippy::unwrap_used)]

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::{Stream, StreamExt as _, stream};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use prost::Message as _;
use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tower_service::Service as _;
use waywiser::proto::{my_package, routeguide};
use waywiser::{Client, Point};

mod inputs;

const POINTS: usize = 1_000_000;

/// Counts the bytes of each request, and returns the count as the number of points.
async fn count(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut server = h2::server::Builder::new();
            server
                .initial_window_size(4 << 20)
                .initial_connection_window_size(16 << 20)
                .max_frame_size(64 << 10);
            let mut connection = server.handshake::<_, Bytes>(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                tokio::spawn(async move {
                    let is_route = request.uri().path().ends_with("RecordRoute");
                    let mut body = request.into_body();
                    let mut byte_count = 0;
                    while let Some(data) = body.data().await {
                        let len = data.unwrap().len();
                        byte_count += len;
                        body.flow_control().release_capacity(len).unwrap();
                    }
                    let route = routeguide::RouteSummary {
                        point_count: byte_count as i32,
                        ..Default::default()
                    };
                    let path = my_package::PathLengthResponse {
                        point_count: byte_count as u64,
                        ..Default::default()
                    };
                    let reply = if is_route { route.encode_to_vec() } else { path.encode_to_vec() };
                    let reply = inputs::frame(&reply);
                    let headers =
                        http::Response::builder().header("content-type", "application/grpc");
                    let mut send = respond.send_response(headers.body(()).unwrap(), false).unwrap();
                    send.send_data(reply, false).unwrap();
                    let status = [("grpc-status".parse().unwrap(), "0".parse().unwrap())];
                    send.send_trailers(status.into_iter().collect()).unwrap();
                });
            }
        });
    }
}

fn server() -> SocketAddr {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || runtime.block_on(count(listener)));
    address
}

/// Returns the CPU time of this thread for `rounds` calls.
fn cpu_time(runtime: &Runtime, rounds: u64, mut call: impl AsyncFnMut()) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    runtime.block_on(async {
        let start = now();
        for _ in 0..rounds {
            call().await;
        }
        now() - start
    })
}

/// Yields the points. Copies nothing in advance, because the copy would be measured too.
fn source<T: Copy>(points: &Arc<[T]>) -> impl Iterator<Item = T> + use<T> {
    let points = Arc::clone(points);
    (0..points.len()).map(move |index| points[index])
}

/// Returns the items from a channel that a task feeds.
fn fed<T: Send + 'static>(
    items: impl Iterator<Item = T> + Send + 'static,
) -> impl Stream<Item = T> + Send + 'static {
    let (sender, receiver) = mpsc::channel(1024);
    tokio::spawn(async move {
        for item in items {
            if sender.send(item).await.is_err() {
                break;
            }
        }
    });
    ReceiverStream::new(receiver)
}

/// Yields the points in vectors of a thousand.
fn batches<T: Copy>(points: &Arc<[T]>) -> impl Iterator<Item = Vec<T>> + use<T> {
    let points = Arc::clone(points);
    (0..points.len().div_ceil(1000))
        .map(move |batch| points[batch * 1000..points.len().min((batch + 1) * 1000)].to_vec())
}

fn client(criterion: &mut Criterion) {
    let walk = inputs::walk(POINTS);
    let body = inputs::body(&walk);
    let byte_count = body.len();
    let to_points = |walk: &[(i32, i32)]| -> Arc<[_]> {
        walk.iter().map(|&(y, x)| Point::from_e7(y, x).unwrap()).collect()
    };
    let points = to_points(&walk);
    let planar = walk.iter().map(|&(x, y)| Point::planar(x.into(), y.into()).unwrap());
    let planar: Arc<[_]> = planar.collect();
    let message = |&(latitude, longitude): &(i32, i32)| routeguide::Point { latitude, longitude };
    let messages: Arc<[_]> = walk.iter().map(message).collect();

    let url = format!("http://{}", server());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let ours = runtime.block_on(Client::connect(&url)).unwrap();
    let channel = runtime.block_on(Endpoint::from_shared(url).unwrap().connect()).unwrap();
    let generated = routeguide::route_guide_client::RouteGuideClient::new(channel.clone());

    let mut group = criterion.benchmark_group("client");
    group.throughput(Throughput::Elements(POINTS as u64));
    group.sample_size(10);

    // A macro, because each client needs its own closure of a source, with its own type of points.
    macro_rules! compare {
        ($name:expr, $source:expr) => {
            compare!($name, $source, messages, points, byte_count)
        };
        ($name:expr, $source:expr, $messages:ident, $points:ident, $byte_count:ident) => {
            group.bench_function(format!("{}, tonic", $name), |bencher| {
                bencher.iter_custom(|rounds| {
                    cpu_time(&runtime, rounds, async || {
                        let call = generated.clone().record_route($source(&$messages)).await;
                        let reply = call.unwrap().into_inner();
                        assert_eq!(reply.point_count as usize, $byte_count);
                    })
                });
            });
            group.bench_function(format!("{}, ours", $name), |bencher| {
                bencher.iter_custom(|rounds| {
                    cpu_time(&runtime, rounds, async || {
                        let reply = ours.record_route($source(&$points)).await.unwrap();
                        assert_eq!(reply.point_count as usize, $byte_count);
                    })
                });
            });
        };
    }
    compare!("iter", |points| stream::iter(source(points)));
    compare!("unfold", |points| Box::pin(stream::unfold(source(points), async |mut points| {
        points.next().map(|point| (point, points))
    })));
    compare!("channel of batches", |points| fed(batches(points)).flat_map(stream::iter));
    compare!("channel of points", |points| fed(source(points)));
    for (quadrant, signs) in inputs::OTHER_QUADRANTS {
        let walk = inputs::mirrored(&walk, signs);
        let byte_count = inputs::body(&walk).len();
        let (messages, points): (Arc<[_]>, _) =
            (walk.iter().map(message).collect(), to_points(&walk));
        let name = format!("iter, {quadrant}");
        compare!(name, |points| stream::iter(source(points)), messages, points, byte_count);
    }

    group.bench_function("iter, ours, planar", |bencher| {
        bencher.iter_custom(|rounds| {
            cpu_time(&runtime, rounds, async || {
                let reply = ours.path_length(stream::iter(source(&planar))).await.unwrap();
                assert_eq!(reply.point_count as usize, byte_count);
            })
        });
    });
    group.bench_function("encoded", |bencher| {
        bencher.iter_custom(|rounds| {
            cpu_time(&runtime, rounds, async || {
                let mut rest = body.clone();
                let chunks = std::iter::from_fn(move || {
                    let len = rest.len().min(64 << 10);
                    (len > 0).then(|| Ok::<_, tonic::Status>(Frame::data(rest.split_to(len))))
                });
                let request = http::Request::post("/routeguide.RouteGuide/RecordRoute");
                let request = request.header("content-type", "application/grpc");
                let body = tonic::body::Body::new(StreamBody::new(stream::iter(chunks)));
                let request = request.body(body).unwrap();
                let mut channel = channel.clone();
                poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
                let reply = channel.call(request).await.unwrap();
                let reply = reply.into_body().collect().await.unwrap().to_bytes();
                let reply = routeguide::RouteSummary::decode(&reply[5..]).unwrap();
                assert_eq!(reply.point_count as usize, byte_count);
            })
        });
    });
    group.finish();
}

criterion_group!(benches, client);
criterion_main!(benches);
