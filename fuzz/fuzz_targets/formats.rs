//! Reads arbitrary bytes as a track file: the result is tracks or an error.
#![no_main]
use waywiser::Fix;
use waywiser::formats::{ReadOptions, SinkError, TrackSink, read};

struct Ignore;

impl TrackSink for Ignore {
    fn fix(&mut self, _: Fix) -> Result<(), SinkError> {
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = read(bytes, &ReadOptions::default(), &mut Ignore);
});
