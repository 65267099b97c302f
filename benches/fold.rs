//! Measures folding a block of 256 points with each metric (legs, exact sum, bounds), and the additional cost of times,
//! elevations and filters.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use waywiser::internals::{PointBlock, Polyline};
use waywiser::measure::{Elevation, Fix, FixBlock, Options, PathAccumulator};
use waywiser::{Metric, Point};

mod inputs;

/// This few blocks stay in the L1 cache, like the block that a server fills and folds.
const IN_CACHE: BatchSize = BatchSize::NumIterations(4);

fn block(metric: Metric, walk: &[(i32, i32)]) -> PointBlock {
    let mut block = PointBlock::new(metric.space());
    for &(latitude, longitude) in walk {
        block.push_i32(longitude, latitude).unwrap();
    }
    block
}

fn fold(criterion: &mut Criterion) {
    let walk = inputs::walk(PointBlock::CAPACITY);
    let mut group = criterion.benchmark_group("fold");
    group.throughput(Throughput::Elements(PointBlock::CAPACITY as u64));
    for metric in [Metric::Planar, Metric::Haversine, Metric::Geodesic] {
        let full = block(metric, &walk);

        // The expected length, leg by leg with the public API.
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
        let legs: f64 = points.windows(2).map(|leg| metric.distance(leg[0], leg[1]).unwrap()).sum();
        let mut path = Polyline::new(metric);
        path.fold(&mut full.clone()).unwrap();
        let length = path.summary().length;
        assert!((length - legs).abs() < 1e-12 * legs, "{metric}: {length} is not {legs}");

        group.bench_function(metric.to_string(), |bencher| {
            bencher.iter_batched_ref(
                || (Polyline::new(metric), full.clone()),
                |(path, block)| path.fold(black_box(block)).unwrap(),
                IN_CACHE,
            );
        });
    }
    group.finish();
}

/// Returns the walk as fixes, with times one second apart and elevations if `has_attributes` is set.
fn fixes(metric: Metric, walk: &[(i32, i32)], has_attributes: bool) -> FixBlock {
    let mut block = FixBlock::new(metric);
    for (second, &(y, x)) in (0..).zip(walk) {
        let point = match metric {
            Metric::Planar => Point::planar(x.into(), y.into()),
            _ => Point::from_e7(y, x),
        };
        let fix = Fix::new(point.unwrap());
        let z = 500.0 + f64::from(y % 17);
        let full = fix.at_unix_ns(second * 1_000_000_000).unwrap().with_z(z).unwrap();
        block.push(if has_attributes { full } else { fix }).unwrap();
    }
    block
}

/// Measures the same with a `PathAccumulator`: without filters, with times and elevations, with all filters, and with a
/// step that rejects most fixes.
fn measure(criterion: &mut Criterion) {
    let walk = inputs::walk(PointBlock::CAPACITY);
    let mut group = criterion.benchmark_group("measure");
    group.throughput(Throughput::Elements(PointBlock::CAPACITY as u64));
    for metric in [Metric::Planar, Metric::Haversine, Metric::Geodesic] {
        let full = block(metric, &walk);
        let mut plain = Polyline::new(metric);
        plain.fold(&mut full.clone()).unwrap();
        let length = plain.summary().length;
        group.bench_function(format!("{metric}/plain path"), |bencher| {
            bencher.iter_batched_ref(
                || (Polyline::new(metric), full.clone()),
                |(path, block)| path.fold(black_box(block)).unwrap(),
                IN_CACHE,
            );
        });
        let no_policy = Options::new(metric);
        let rules = no_policy
            .to_builder()
            .elevation(Elevation::ThreeDimensional)
            .max_gap_time_ns(30_000_000_000_u64)
            .max_speed(1e9)
            .max_accuracy_m(50.0)
            .reject_backward_time(true)
            .stopped_speed(0.1)
            .build()
            .unwrap();
        let step = rules.to_builder().min_step(length / 50.0).build().unwrap();
        for (name, options, has_attributes) in [
            ("no policy", no_policy, false),
            ("no policy, times and z", no_policy, true),
            ("policy", rules, true),
            ("policy, long steps", step, true),
        ] {
            let full = fixes(metric, &walk, has_attributes);
            let mut path = PathAccumulator::new(options);
            path.fold(&mut full.clone()).unwrap();
            let summary = path.summary();
            assert_eq!(summary.raw_length, length);
            assert_eq!(summary.accepted_count < 256, options.min_step().is_some());
            group.bench_function(format!("{metric}/{name}"), |bencher| {
                bencher.iter_batched_ref(
                    || (PathAccumulator::new(options), full.clone()),
                    |(path, block)| path.fold(black_box(block)).unwrap(),
                    IN_CACHE,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, fold, measure);
criterion_main!(benches);
