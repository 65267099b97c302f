//! The walk of all benchmarks.

/// Returns a random walk to the north-east as (latitude, longitude) in E7. The walk is always the same.
pub fn walk(points: usize) -> Vec<(i32, i32)> {
    // A linear congruential generator with Knuth's MMIX constants, of which only the high bits are used.
    let mut state = 1_u64;
    let mut step = move |spread: i32| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as i32 % spread
    };
    let (mut latitude, mut longitude) = (464_000_000, 137_000_000);
    (0..points)
        .map(|_| {
            // The walk wraps around in a box far from the poles and the antimeridian.
            latitude = 460_000_000 + (latitude - 460_000_000 + 600 + step(700)) % 10_000_000;
            longitude = 130_000_000 + (longitude - 130_000_000 + 900 + step(1000)) % 10_000_000;
            (latitude, longitude)
        })
        .collect()
}
