//! Stored bytes are refused or mean what they say, whatever they are.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waywiser::store::codec::check_any(bytes));
