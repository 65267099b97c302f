//! Folding a block of 256 points, for each metric: legs, exact sum, bounds.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use waywiser::{Block, Metric, Path};

mod inputs;

fn block(metric: Metric, walk: &[(i32, i32)]) -> Block {
    let mut block = Block::new(metric.space());
    for &(latitude, longitude) in walk {
        block.push_i32(longitude, latitude).unwrap();
    }
    block
}

fn fold(criterion: &mut Criterion) {
    let walk = inputs::walk(Block::CAPACITY);
    let mut group = criterion.benchmark_group("fold");
    group.throughput(Throughput::Elements(Block::CAPACITY as u64));
    for metric in [Metric::Planar, Metric::Haversine, Metric::Geodesic] {
        let full = block(metric, &walk);

        // The result, leg by leg, through the public door.
        let points: Vec<_> = walk
            .iter()
            .map(|&(y, x)| {
                let point = waywiser::Point::from_e7(y, x).unwrap();
                if metric == Metric::Planar {
                    waywiser::Point::planar(x.into(), y.into()).unwrap()
                } else {
                    point
                }
            })
            .collect();
        let legs: f64 = points.windows(2).map(|leg| metric.between(leg[0], leg[1]).unwrap()).sum();
        let mut path = Path::new(metric);
        path.fold(&mut full.clone()).unwrap();
        let length = path.summary().length;
        assert!((length - legs).abs() < 1e-12 * legs, "{metric}: {length} is not {legs}");

        group.bench_function(metric.to_string(), |bencher| {
            bencher.iter_batched_ref(
                || (Path::new(metric), full.clone()),
                |(path, block)| path.fold(black_box(block)).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, fold);
criterion_main!(benches);
