//! Arbitrary stored bytes are refused, or decode to a checkpoint that encoding and decoding preserve.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waywiser::internals::check_any_checkpoint(bytes));
