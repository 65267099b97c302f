//! Measures geodesics: folding a block of 256 points on tracks that stay in a cell of the table, that cross cells, and
//! in all parts of the globe. For comparison, measures the planar fold of the same points, also in alternation with the
//! geodesic one, and the legs by geographiclib-rs.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use geographiclib_rs::{Geodesic, InverseGeodesic};
use waywiser::Metric;
use waywiser::internals::{PointBlock, Polyline};

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

/// Returns a track due north with steps of `step_e7`.
fn northbound(step_e7: i32) -> Vec<(i32, i32)> {
    (0..PointBlock::CAPACITY as i32).map(|i| (400_000_000 + i * step_e7, 137_000_000)).collect()
}

/// A latitude at the border of two cells: an odd multiple of 2^18 E7, near 46 degrees.
const BORDER_E7: i32 = 1755 << 18;

/// Returns the track of a receiver that stands on the border of two cells, with 3 m of noise.
fn noisy_stay() -> Vec<(i32, i32)> {
    let mut state = 7_u64;
    let mut noise = move || {
        // The sum of two uniform numbers approximates a normal distribution.
        let mut part = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as i32 % 661 - 330
        };
        part() + part()
    };
    (0..PointBlock::CAPACITY).map(|_| (BORDER_E7 + noise(), 137_000_000 + noise())).collect()
}

/// Returns a track along the border of two cells, in which two of three legs change the cell.
fn zigzag() -> Vec<(i32, i32)> {
    let step = |i: i32| (BORDER_E7 + [900, -300, -600][i as usize % 3], 137_000_000 + 1_500 * i);
    (0..PointBlock::CAPACITY as i32).map(step).collect()
}

/// Returns tracks of one block with legs of a kilometre, one in each of 18 belts of 10 degrees of latitude. The courses
/// of the tracks differ by the golden angle. The azimuths of a track differ from its course by at most 60 degrees. Most
/// tracks therefore enter a new cell every six to twelve legs. Tracks towards a pole are turned to the equator.
fn global_mix() -> Vec<Vec<(i32, i32)>> {
    let track = |belt: i32| -> Vec<(i32, i32)> {
        let (mut latitude_deg, mut longitude_deg) =
            (f64::from(belt) * 10.0 - 85.0, f64::from(belt));
        let course_deg = f64::from(belt) * 137.507_764;
        let equatorward = -latitude_deg.signum();
        let step = |i: usize| {
            let azimuth_deg = course_deg + (i as f64 * 0.618_034).fract() * 120.0 - 60.0;
            let (sin, cos) = azimuth_deg.to_radians().sin_cos();
            let north = if course_deg.to_radians().cos() * equatorward < 0.0 { -cos } else { cos };
            latitude_deg += north / 111.2;
            longitude_deg += sin / 111.2 / latitude_deg.to_radians().cos();
            ((latitude_deg * 1e7) as i32, (longitude_deg * 1e7) as i32)
        };
        (0..PointBlock::CAPACITY).map(step).collect()
    };
    (0..18).map(track).collect()
}

/// Returns the walk with steps that are `times` as long.
fn stretched(walk: &[(i32, i32)], times: i32) -> Vec<(i32, i32)> {
    let (latitude, longitude) = walk[0];
    let from_first = |&(y, x): &(i32, i32)| {
        (latitude + times * (y - latitude), longitude + times * (x - longitude))
    };
    walk.iter().map(from_first).collect()
}

/// Prints the ratio of the times of two folds: the median of the rounds, and the first and the last decile. The folds
/// alternate, so that changes of the machine's speed affect both.
fn compare(name: &str, of: (Metric, &PointBlock), to: (Metric, &PointBlock), rounds: usize) {
    let mut copies = [const { None }; 4];
    let mut seconds = |(metric, full): (Metric, &PointBlock)| -> f64 {
        let mut spent = Duration::ZERO;
        for _ in 0..1_000 {
            // The same number of copies as `IN_CACHE`, for the same reason.
            copies.fill_with(|| Some((Polyline::new(metric), full.clone())));
            let start = Instant::now();
            for (path, block) in copies.iter_mut().flatten() {
                path.fold(black_box(block)).unwrap();
            }
            spent += start.elapsed();
        }
        spent.as_secs_f64()
    };
    let mut ratios: Vec<_> = (0..rounds).map(|_| seconds(of) / seconds(to)).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |part: f64| ratios[((rounds - 1) as f64 * part).round() as usize];
    println!(
        "{name}: {:.2} ({:.2}-{:.2}) in {rounds} rounds that alternate\n",
        at(0.5),
        at(0.1),
        at(0.9)
    );
}

fn geodesics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("geodesic");
    group.throughput(Throughput::Elements(PointBlock::CAPACITY as u64));
    let wgs84 = Geodesic::wgs84();
    let by_geographiclib = |walk: &[(i32, i32)]| -> f64 {
        let deg = |e7: i32| f64::from(e7) / 1e7;
        let leg = |from: (i32, i32), to: (i32, i32)| -> f64 {
            wgs84.inverse(deg(from.0), deg(from.1), deg(to.0), deg(to.1))
        };
        walk.windows(2).map(|leg_of| leg(leg_of[0], leg_of[1])).sum()
    };
    let walk = inputs::walk(PointBlock::CAPACITY);
    for (name, walk) in [
        ("walk of 15 m", walk.clone()),
        ("walk of 100 m", stretched(&walk, 7)),
        ("north by 15 m", northbound(1_350)),
        // Every sixth leg enters a new cell of the table.
        ("north by 1 km", northbound(90_000)),
        ("stay on a border", noisy_stay()),
        ("zigzag on a border", zigzag()),
    ] {
        let full = block(Metric::Geodesic, &walk);
        let mut path = Polyline::new(Metric::Geodesic);
        path.fold(&mut full.clone()).unwrap();
        let (length_m, expected_m) = (path.summary().length, by_geographiclib(&walk));
        assert!((length_m - expected_m).abs() < 1e-6, "{name}: {length_m} is not {expected_m}");
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || (Polyline::new(Metric::Geodesic), full.clone()),
                |(path, block)| path.fold(black_box(block)).unwrap(),
                IN_CACHE,
            );
        });
    }
    let planar = block(Metric::Planar, &walk);
    // Criterion uses the same arguments to choose between measuring and testing.
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    let rounds = if has("--bench") && !has("--test") { 200 } else { 1 };
    let geodesic = block(Metric::Geodesic, &walk);
    compare(
        "walk of 15 m, time of a geodesic leg / time of a planar leg",
        (Metric::Geodesic, &geodesic),
        (Metric::Planar, &planar),
        rounds,
    );
    group.bench_function("walk of 15 m, planar", |bencher| {
        bencher.iter_batched_ref(
            || (Polyline::new(Metric::Planar), planar.clone()),
            |(path, block)| path.fold(black_box(block)).unwrap(),
            IN_CACHE,
        );
    });
    group.bench_function("walk of 15 m by geographiclib", |bencher| {
        bencher.iter(|| by_geographiclib(black_box(&walk)));
    });

    let mix = global_mix();
    let blocks: Vec<_> = mix.iter().map(|track| block(Metric::Geodesic, track)).collect();
    for (track, full) in mix.iter().zip(&blocks) {
        let mut path = Polyline::new(Metric::Geodesic);
        path.fold(&mut full.clone()).unwrap();
        let (length_m, expected_m) = (path.summary().length, by_geographiclib(track));
        assert!((length_m - expected_m).abs() < 1e-5, "{length_m} is not {expected_m}");
        assert!((240e3..270e3).contains(&length_m), "legs of a kilometre: {length_m}");
    }
    group.bench_function("legs of 1 km, all latitudes and azimuths", |bencher| {
        // Alternates between all tracks, and so between the rows of the table.
        let mut index = 0;
        bencher.iter_batched_ref(
            || {
                index = (index + 1) % blocks.len();
                (Polyline::new(Metric::Geodesic), blocks[index].clone())
            },
            |(path, block)| path.fold(black_box(block)).unwrap(),
            IN_CACHE,
        );
    });
    group.bench_function("legs of 1 km, all latitudes and azimuths, by geographiclib", |bencher| {
        let mut tracks = mix.iter().cycle();
        bencher.iter(|| by_geographiclib(black_box(tracks.next().unwrap())));
    });
    group.finish();
}

criterion_group!(benches, geodesics);
criterion_main!(benches);
