//! The input of the benchmarks: a walk of fixes about 15 m apart, and its encoding.

// Each benchmark is a separate program and uses only some of these functions.
#![allow(dead_code)]

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use waywiser::proto::my_package;

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

/// The other quadrants of the globe, with their signs of latitude and longitude. Negative numbers take ten bytes in the
/// encoding.
pub const OTHER_QUADRANTS: [(&str, (i32, i32)); 3] =
    [("north-west", (1, -1)), ("south-east", (-1, 1)), ("south-west", (-1, -1))];

/// Returns the mirror image of a walk in another quadrant.
pub fn mirrored(walk: &[(i32, i32)], signs: (i32, i32)) -> Vec<(i32, i32)> {
    walk.iter().map(|&(latitude, longitude)| (signs.0 * latitude, signs.1 * longitude)).collect()
}

/// Returns the walk as a request body with one point per message.
pub fn body(walk: &[(i32, i32)]) -> Bytes {
    let mut body = BytesMut::new();
    for &(x, y) in walk {
        let message = my_package::Point { x, y };
        body.put_u8(0);
        body.put_u32(message.encoded_len() as u32);
        message.encode(&mut body).unwrap();
    }
    body.freeze()
}

/// Returns a message with the 5-byte prefix of gRPC.
pub fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}
