//! Measures a whole stream to a server over loopback: HTTP/2, framing, decoding, fold and reply.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use waywiser::internals::Polyline;
use waywiser::proto::{my_package, routeguide};
use waywiser::{Config, Metric, Point, server};

mod call;
mod inputs;

const POINTS: usize = 100_000;
const CHUNK_BYTES: usize = 16 * 1024;

fn stream(criterion: &mut Criterion) {
    let walk = inputs::walk(POINTS);
    let mut path = Polyline::new(Metric::Planar);
    let planar = walk.iter().map(|&(x, y)| Point::planar(x.into(), y.into()).unwrap());
    path.extend(&planar.collect::<Vec<_>>()).unwrap();
    let length = path.summary().length;
    let mut path = Polyline::new(Metric::Haversine);
    let points = walk.iter().map(|&(y, x)| Point::from_e7(y, x).unwrap());
    path.extend(&points.collect::<Vec<_>>()).unwrap();
    let distance = path.summary().length.round() as i32;
    let body = inputs::body(&walk);

    let runtime = Runtime::new().unwrap();
    let mut send = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let store = std::sync::Arc::new(waywiser::store::MemoryStore::default());
        tokio::spawn(server::run(listener, Config::default(), store, std::future::pending()));
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        send.ready().await.unwrap()
    });

    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(POINTS as u64));
    group.sample_size(20);
    group.bench_function("computePathLength", |bencher| {
        bencher.iter(|| {
            let path = "/my_package.DisplacementService/computePathLength";
            let reply = runtime.block_on(call::call(&mut send, path, body.clone(), CHUNK_BYTES));
            let reply = my_package::PathLengthResponse::decode(reply).unwrap();
            assert_eq!((reply.length, reply.point_count), (length, POINTS as u64));
        });
    });
    group.bench_function("RecordRoute", |bencher| {
        bencher.iter(|| {
            let path = "/routeguide.RouteGuide/RecordRoute";
            let reply = runtime.block_on(call::call(&mut send, path, body.clone(), CHUNK_BYTES));
            let reply = routeguide::RouteSummary::decode(reply).unwrap();
            assert_eq!((reply.distance, reply.point_count), (distance, POINTS as i32));
        });
    });
    group.finish();
}

criterion_group!(benches, stream);
criterion_main!(benches);
