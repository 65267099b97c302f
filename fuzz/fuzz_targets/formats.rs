//! Reading arbitrary bytes as a track file returns an error at most.
#![no_main]
use waywiser::formats::{Fix, ReadOptions, SinkError, TrackSink, read};

struct Ignore;
#[rustfmt::skip]
impl TrackSink for Ignore {
    fn start_track(&mut self) -> Result<(), SinkError> { Ok(()) }
    fn switch_track(&mut self, _: usize) -> Result<(), SinkError> { Ok(()) }
    fn start_segment(&mut self) -> Result<(), SinkError> { Ok(()) }
    fn fix(&mut self, _: Fix) -> Result<(), SinkError> { Ok(()) }
    fn end_track(&mut self, _: Option<&str>) -> Result<(), SinkError> { Ok(()) }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = read(bytes, &ReadOptions::default(), &mut Ignore);
});
