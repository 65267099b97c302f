//! Folding a block of 256 points, for each metric: legs, exact sum, bounds. For geodesics also on tracks
//! that cross the cells of the table, and the same legs by geographiclib-rs alone.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use geographiclib_rs::{Geodesic, InverseGeodesic};
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

/// A track due north, each step so many E7 units.
fn northbound(step_e7: i32) -> Vec<(i32, i32)> {
    (0..Block::CAPACITY as i32).map(|i| (400_000_000 + i * step_e7, 137_000_000)).collect()
}

fn geodesics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("geodesic");
    group.throughput(Throughput::Elements(Block::CAPACITY as u64));
    let wgs84 = Geodesic::wgs84();
    let by_geographiclib = |walk: &[(i32, i32)]| -> f64 {
        let deg = |e7: i32| f64::from(e7) / 1e7;
        let leg = |from: (i32, i32), to: (i32, i32)| -> f64 {
            wgs84.inverse(deg(from.0), deg(from.1), deg(to.0), deg(to.1))
        };
        walk.windows(2).map(|leg_of| leg(leg_of[0], leg_of[1])).sum()
    };
    let walk = inputs::walk(Block::CAPACITY);
    for (name, walk) in [
        ("walk of 15 m", walk.clone()),
        ("north by 15 m", northbound(1_350)),
        // A cell of the table every third leg.
        ("north by 1 km", northbound(90_000)),
    ] {
        let full = block(Metric::Geodesic, &walk);
        let mut path = Path::new(Metric::Geodesic);
        path.fold(&mut full.clone()).unwrap();
        let (length_m, expected_m) = (path.summary().length, by_geographiclib(&walk));
        assert!((length_m - expected_m).abs() < 1e-6, "{name}: {length_m} is not {expected_m}");
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || (Path::new(Metric::Geodesic), full.clone()),
                |(path, block)| path.fold(black_box(block)).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
    group.bench_function("walk of 15 m by geographiclib", |bencher| {
        bencher.iter(|| by_geographiclib(black_box(&walk)));
    });
    group.finish();
}

criterion_group!(benches, fold, geodesics);
criterion_main!(benches);
