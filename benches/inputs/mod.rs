//! What the benches measure with: one walk of fixes some 15 m apart, and its bytes on the wire.

// Each bench is a program of its own and uses a part of this.
#![allow(dead_code)]

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use waywiser::proto::my_package;

/// Positions in E7: latitude, longitude. A random walk that heads north-east, always the same one.
pub fn walk(points: usize) -> Vec<(i32, i32)> {
    // Knuth's MMIX constants; the high bits are good enough for a walk.
    let mut state = 1_u64;
    let mut step = move |spread: i32| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as i32 % spread
    };
    let (mut latitude, mut longitude) = (464_000_000, 137_000_000);
    (0..points)
        .map(|_| {
            // At the borders of the walk's box it starts over, far away from poles and dateline.
            latitude = 460_000_000 + (latitude - 460_000_000 + 600 + step(700)) % 10_000_000;
            longitude = 130_000_000 + (longitude - 130_000_000 + 900 + step(1000)) % 10_000_000;
            (latitude, longitude)
        })
        .collect()
}

/// Where else there are people, and the signs of latitude and longitude there: a number below zero
/// takes ten bytes on the wire.
pub const ELSEWHERE: [(&str, (i32, i32)); 3] =
    [("north-west", (1, -1)), ("south-east", (-1, 1)), ("south-west", (-1, -1))];

/// The mirror image of a walk in another quarter of the world.
pub fn mirrored(walk: &[(i32, i32)], signs: (i32, i32)) -> Vec<(i32, i32)> {
    walk.iter().map(|&(latitude, longitude)| (signs.0 * latitude, signs.1 * longitude)).collect()
}

/// The walk as a request body, one point a message.
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

/// A message as gRPC frames it.
pub fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}
