//! Geodesics: folding a block of 256 points on tracks that stay in a cell of the table, that cross them, and
//! all over the globe; the planar fold of the same points and the legs by geographiclib-rs beside it.
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

/// A track due north, each step so many E7 units.
fn northbound(step_e7: i32) -> Vec<(i32, i32)> {
    (0..Block::CAPACITY as i32).map(|i| (400_000_000 + i * step_e7, 137_000_000)).collect()
}

/// Tracks of a block each, of legs of about a kilometre at random azimuths, one in each of 18 belts of 10
/// degrees of latitude. The azimuth turns by the golden angle, so that a track stays where it began.
fn global_mix() -> Vec<Vec<(i32, i32)>> {
    let mut azimuth_deg = 0.0_f64;
    let mut track = |belt: i32| -> Vec<(i32, i32)> {
        let (mut latitude_deg, mut longitude_deg) = (f64::from(belt) * 10.0 - 85.0, f64::from(belt));
        let step = |_| {
            azimuth_deg = (azimuth_deg + 137.507_764) % 360.0;
            let (sin, cos) = azimuth_deg.to_radians().sin_cos();
            latitude_deg += cos / 111.2;
            longitude_deg += sin / 111.2 / latitude_deg.to_radians().cos();
            ((latitude_deg * 1e7) as i32, (longitude_deg * 1e7) as i32)
        };
        (0..Block::CAPACITY).map(step).collect()
    };
    (0..18).map(&mut track).collect()
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
    let planar = block(Metric::Planar, &walk);
    group.bench_function("walk of 15 m, planar", |bencher| {
        bencher.iter_batched_ref(
            || (Path::new(Metric::Planar), planar.clone()),
            |(path, block)| path.fold(black_box(block)).unwrap(),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("walk of 15 m by geographiclib", |bencher| {
        bencher.iter(|| by_geographiclib(black_box(&walk)));
    });

    let mix = global_mix();
    let blocks: Vec<_> = mix.iter().map(|track| block(Metric::Geodesic, track)).collect();
    for (track, full) in mix.iter().zip(&blocks) {
        let mut path = Path::new(Metric::Geodesic);
        path.fold(&mut full.clone()).unwrap();
        let (length_m, expected_m) = (path.summary().length, by_geographiclib(track));
        assert!((length_m - expected_m).abs() < 1e-5, "{length_m} is not {expected_m}");
        assert!((240e3..270e3).contains(&length_m), "legs of a kilometre: {length_m}");
    }
    group.throughput(Throughput::Elements((blocks.len() * Block::CAPACITY) as u64));
    group.bench_function("legs of 1 km, all latitudes and azimuths", |bencher| {
        bencher.iter_batched_ref(
            || (Path::new(Metric::Geodesic), blocks.clone()),
            |(path, blocks)| {
                for block in blocks {
                    path.start_segment();
                    path.fold(black_box(block)).unwrap();
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("legs of 1 km, all latitudes and azimuths, by geographiclib", |bencher| {
        bencher.iter(|| mix.iter().map(|track| by_geographiclib(black_box(track))).sum::<f64>());
    });
    group.finish();
}

criterion_group!(benches, geodesics);
criterion_main!(benches);
