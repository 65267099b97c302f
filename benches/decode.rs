//! Measures decoding of points from bytes: framing alone, with the decoder of waywiser, and with prost.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prost::Message as _;
use waywiser::internals::wire::{Deframer, Encoding, Messages, decode_point};
use waywiser::proto::my_package;

mod inputs;

/// Reads a body, and returns a checksum of the points that `decode` returns for its messages.
fn read(body: &[u8], decode: impl Fn(&[u8]) -> (i32, i32)) -> i64 {
    let mut deframer = Deframer::new(1024);
    let mut rest = body;
    let mut sum = 0;
    while let Some(frame) = deframer.next(&mut rest).unwrap() {
        let (x, y) = decode(frame.payload);
        sum += i64::from(x) - i64::from(y);
    }
    deframer.finish().unwrap();
    sum
}

/// Reads a body in runs of points, and returns the same checksum.
fn read_runs(body: &[u8]) -> i64 {
    let mut messages = Messages::new(Encoding::Identity, 1024);
    let mut columns = ([0; 256], [0; 256]);
    let (mut rest, mut sum) = (body, 0);
    loop {
        let points = messages.next_points(&mut rest, &mut columns.0, &mut columns.1);
        for (x, y) in columns.0.iter().zip(&columns.1).take(points) {
            sum += i64::from(*x) - i64::from(*y);
        }
        if points < columns.0.len() {
            let Some(message) = messages.next(&mut rest).unwrap() else { break };
            let (x, y) = decode_point(message).unwrap();
            sum += i64::from(x) - i64::from(y);
        }
    }
    messages.finish().unwrap();
    sum
}

fn decode(criterion: &mut Criterion) {
    let walk = inputs::walk(4096);
    let body = inputs::body(&walk);
    let expected: i64 = walk.iter().map(|&(x, y)| i64::from(x) - i64::from(y)).sum();
    let ours = |message: &[u8]| decode_point(message).unwrap();
    let prost = |message: &[u8]| {
        let point = my_package::Point::decode(message).unwrap();
        (point.x, point.y)
    };
    assert_eq!(read(&body, ours), expected);
    assert_eq!(read(&body, prost), expected);
    assert_eq!(read_runs(&body), expected);

    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(walk.len() as u64));
    group.bench_function("framing alone", |bencher| {
        bencher.iter(|| read(black_box(&body), |message| (message.len() as i32, 0)));
    });
    group.bench_function("decode_point", |bencher| {
        bencher.iter(|| assert_eq!(read(black_box(&body), ours), expected));
    });
    group.bench_function("prost", |bencher| {
        bencher.iter(|| assert_eq!(read(black_box(&body), prost), expected));
    });
    group.bench_function("next_points", |bencher| {
        bencher.iter(|| assert_eq!(read_runs(black_box(&body)), expected));
    });
    for (quadrant, signs) in inputs::OTHER_QUADRANTS {
        let walk = inputs::mirrored(&walk, signs);
        let body = inputs::body(&walk);
        let expected: i64 = walk.iter().map(|&(x, y)| i64::from(x) - i64::from(y)).sum();
        group.bench_function(format!("prost, {quadrant}"), |bencher| {
            bencher.iter(|| assert_eq!(read(black_box(&body), prost), expected));
        });
        group.bench_function(format!("next_points, {quadrant}"), |bencher| {
            bencher.iter(|| assert_eq!(read_runs(black_box(&body)), expected));
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
