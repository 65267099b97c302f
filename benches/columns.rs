//! Measures the cost of a point of `waywiser.v1` in memory: parsing and decoding columns, folding them with each model,
//! and reading rows in place and by prost.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use prost::Message as _;
use waywiser::internals::wire::{ColumnBlock, MessageFields, MessageView};
use waywiser::measure::{FixBlock, Metric, Options, PathAccumulator};
use waywiser::proto::waywiser_v1 as pb;

mod inputs;

const POINTS: usize = 1_000_000;
const POINTS_PER_MESSAGE: usize = 8192;
const FIELDS: MessageFields =
    MessageFields { name: 1, options: 2, write_offset: Some(3), rows: 4, columns: 5, end: 6 };

fn differences(values: impl Iterator<Item = i32>) -> Vec<i64> {
    values
        .scan(0, |last, value| Some(i64::from(value) - std::mem::replace(last, i64::from(value))))
        .collect()
}

/// Returns the walk as encoded messages.
fn messages(walk: &[(i32, i32)]) -> Vec<Vec<u8>> {
    let message = |(index, points): (usize, &[(i32, i32)])| {
        let columns = pb::PointColumns {
            x: differences(points.iter().map(|point| point.1)),
            y: differences(points.iter().map(|point| point.0)),
            ..Default::default()
        };
        let request = pb::RecordPathRequest {
            write_offset: Some((index * POINTS_PER_MESSAGE) as u64),
            columns: Some(columns),
            ..Default::default()
        };
        request.encode_to_vec()
    };
    walk.chunks(POINTS_PER_MESSAGE).enumerate().map(message).collect()
}

/// Calls `take` with every block of points.
fn read(messages: &[Vec<u8>], mut take: impl FnMut(&ColumnBlock)) {
    let mut block = ColumnBlock::default();
    for message in messages {
        let columns = MessageView::parse(message, &FIELDS).unwrap().columns.unwrap();
        let mut reader = columns.reader().unwrap();
        loop {
            reader.next(&mut block).unwrap();
            if block.len == 0 {
                break;
            }
            take(&block);
        }
    }
}

fn fold(messages: &[Vec<u8>], options: Options) -> PathAccumulator {
    let mut path = PathAccumulator::new(options);
    let mut fixes = FixBlock::new(options.metric());
    read(messages, |block| {
        let (x, y) = (&block.x[..block.len], &block.y[..block.len]);
        fixes.extend_scaled(x, y, options.xy_resolution()).unwrap();
        path.fold(&mut fixes).unwrap();
    });
    path
}

fn columns(criterion: &mut Criterion) {
    let walk = inputs::walk(POINTS);
    let messages = messages(&walk);
    let sum: i64 = walk.iter().map(|&(y, x)| i64::from(x) ^ i64::from(y)).sum();

    let mut group = criterion.benchmark_group("columns");
    group.throughput(Throughput::Elements(POINTS as u64));
    group.sample_size(20);
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            let mut read_sum = 0;
            read(&messages, |block| {
                let pairs = block.x[..block.len].iter().zip(&block.y[..block.len]);
                read_sum += pairs.map(|(x, y)| x ^ y).sum::<i64>();
            });
            assert_eq!(read_sum, sum);
        });
    });
    for metric in [Metric::Planar, Metric::Haversine, Metric::Geodesic] {
        let options = Options::new(metric);
        let expected = fold(&messages, options);
        assert_eq!(expected.point_count(), POINTS as u64);
        group.bench_function(BenchmarkId::new("decode and fold", metric), |bencher| {
            bencher.iter(|| assert_eq!(fold(&messages, options), expected));
        });
    }
    group.finish();

    let rows: Vec<Vec<u8>> = walk
        .chunks(1024)
        .map(|points| {
            let row = |&(y, x): &(i32, i32)| pb::Point {
                x: f64::from(x),
                y: f64::from(y),
                ..Default::default()
            };
            let points = points.iter().map(row).collect();
            pb::RecordPathRequest { points, ..Default::default() }.encode_to_vec()
        })
        .collect();
    let mut group = criterion.benchmark_group("rows");
    group.throughput(Throughput::Elements(POINTS as u64));
    group.sample_size(10);
    let row_sum: f64 = walk.iter().map(|&(y, x)| f64::from(x) + f64::from(y)).sum();
    group.bench_function("in place", |bencher| {
        bencher.iter(|| {
            let mut sum = 0.0;
            for message in &rows {
                let piece = MessageView::parse(message, &FIELDS).unwrap();
                sum += piece.rows.iter().map(|row| row.x + row.y).sum::<f64>();
            }
            // The sum of whole numbers is exact in any order.
            assert_eq!(sum, row_sum);
        });
    });
    group.bench_function("prost", |bencher| {
        bencher.iter(|| {
            let count: usize = rows
                .iter()
                .map(|message| pb::RecordPathRequest::decode(&message[..]).unwrap().points.len())
                .sum();
            assert_eq!(count, POINTS);
        });
    });
    group.finish();
}

criterion_group!(benches, columns);
criterion_main!(benches);
