//! Reads arbitrary bytes as Overland.
#![no_main]
mod read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read::check(
    bytes,
    Some(waywiser::formats::Format::Overland)
));
