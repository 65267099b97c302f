//! Reads arbitrary bytes as a track file, whose format is detected.
#![no_main]
mod read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read::check(bytes, None));
