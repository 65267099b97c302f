//! Reads arbitrary bytes as a zip archive: the result is tracks of its members or errors.
#![no_main]
mod read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read::check_archive(bytes));
