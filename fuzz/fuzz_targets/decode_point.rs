//! The decoder of points accepts the same byte strings as prost, with the same values.
#![no_main]
use prost::Message as _;
use waywiser::{internals::wire::decode_point, proto::my_package::Point};

libfuzzer_sys::fuzz_target!(|message: &[u8]| {
    let expected = Point::decode(message).ok().map(|point| (point.x, point.y));
    assert_eq!(decode_point(message).ok(), expected);
});
