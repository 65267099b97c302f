//! The input of the benchmarks: a walk of fixes about 15 m apart, and its encoding.

// Each benchmark is a separate program and uses only some of these functions.
#![allow(dead_code)]

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use waywiser::proto::my_package;

mod walk;
pub use walk::walk;

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
