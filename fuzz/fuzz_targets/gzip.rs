//! Reads arbitrary bytes that are compressed with gzip and cut.
#![no_main]
mod read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read::check_gzip(bytes));
