//! Reads arbitrary bytes as a Parquet file. The library may panic, and the reader handles that; other panics are faults.
#![no_main]
use std::panic;

use waywiser::formats::Format;

mod read;

libfuzzer_sys::fuzz_target!(
    init: {
        // The hook of libfuzzer-sys ends the process on each panic, also on one that is caught.
        let end = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_library = |file: &str| file.contains("/registry/") || file.starts_with("/rustc/");
            if !info.location().is_some_and(|location| is_library(location.file())) {
                end(info);
            }
        }));
    },
    |bytes: &[u8]| read::check_seekable(bytes, Format::Parquet)
);
