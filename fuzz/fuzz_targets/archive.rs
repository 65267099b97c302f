//! Reads arbitrary bytes as a zip archive: the result is tracks of its members or errors.
#![no_main]
use std::io::Cursor;

use waywiser::Fix;
use waywiser::formats::{
    ArchiveSink, FormatError, Member, ReadOptions, SinkError, TrackSink, read_archive,
};

struct Ignore;

impl TrackSink for Ignore {
    fn fix(&mut self, _: Fix) -> Result<(), SinkError> {
        Ok(())
    }
}

impl ArchiveSink for Ignore {
    fn start_member(&mut self, _: &Member) -> Option<&mut dyn TrackSink> {
        Some(self)
    }

    fn end_member(&mut self, _: &Member, _: Result<(), FormatError>) -> Result<(), SinkError> {
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = read_archive(Cursor::new(bytes), &ReadOptions::default(), &mut Ignore);
});
