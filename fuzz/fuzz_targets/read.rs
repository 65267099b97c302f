//! Reads bytes as a track file in one format, and checks what the reader passes on.
//!
//! The first byte chooses the options. The reader must not panic, must keep the order of calls that `TrackSink`
//! documents, must count what it passes on, and must not depend on how many bytes a read returns.

use std::io::{BufReader, Cursor};

use waywiser::Fix;
use waywiser::formats::{
    ArchiveSink, Format, FormatError, Member, Note, OnInvalid, PointsMode, ReadOptions, SinkError,
    TrackInfo, TrackKind, TrackSink, read, read_archive, read_seekable,
};
use waywiser::measure::Space;

/// A track that has not ended.
#[derive(Default)]
struct Open {
    has_segment: bool,
    fix_count: u64,
    invalid_count: u64,
}

#[derive(Default)]
struct Check {
    tracks: Vec<Option<Open>>,
    current: usize,
    /// What was received, for the comparison of two readings.
    received: Vec<String>,
}

impl Check {
    fn open(&mut self) -> &mut Open {
        self.tracks[self.current].as_mut().expect("the track has not ended")
    }

    fn assert_ended(&self) {
        assert!(self.tracks.iter().all(Option::is_none), "each track has ended");
    }
}

impl TrackSink for Check {
    fn start_track(&mut self, _: TrackKind) -> Result<(), SinkError> {
        self.current = self.tracks.len();
        self.tracks.push(Some(Open::default()));
        Ok(())
    }

    fn switch_track(&mut self, index: usize) -> Result<(), SinkError> {
        self.current = index;
        self.open();
        Ok(())
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        self.open().has_segment = true;
        self.received.push("segment".to_owned());
        Ok(())
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        let open = self.open();
        assert!(open.has_segment && fix.point().is_some());
        open.fix_count += 1;
        self.received.push(format!("{} {fix:?}", self.current));
        Ok(())
    }

    fn invalid_point(&mut self) -> Result<(), SinkError> {
        self.open().invalid_count += 1;
        Ok(())
    }

    fn note(&mut self, note: &Note) -> Result<(), SinkError> {
        assert!(note.count > 0 && !note.message.is_empty());
        self.received.push(note.message.clone());
        Ok(())
    }

    fn end_track(&mut self, track: &TrackInfo) -> Result<(), SinkError> {
        let open = self.tracks[self.current].take().expect("the track has not ended");
        assert_eq!(track.invalid_count, open.invalid_count);
        assert_eq!(track.point_count, open.fix_count + open.invalid_count);
        self.received.push(format!("{track:?}"));
        Ok(())
    }
}

/// Reads `bytes` after the first one; `None` detects the format.
#[allow(dead_code, reason = "each target uses one of the functions")]
pub fn check(bytes: &[u8], format: Option<Format>) {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    check_input(bytes, &options(choice, format));
}

fn options(choice: u8, format: Option<Format>) -> ReadOptions {
    let has = |bit: u8| choice >> bit & 1 == 1;
    ReadOptions {
        format,
        space: if has(0) { Space::Planar } else { Space::Geographic },
        on_invalid: match choice >> 1 & 3 {
            0 => OnInvalid::Error,
            1 => OnInvalid::Split,
            _ => OnInvalid::Skip,
        },
        is_strict: choice >> 3 & 3 == 3,
        joins_segments: has(5),
        sorts_by_time: has(6),
        points: if has(7) { PointsMode::Ignore } else { PointsMode::Path },
        ..ReadOptions::default()
    }
}

/// Reads `bytes` after the first one as a file in `format`.
#[allow(dead_code, reason = "each target uses one of the functions")]
pub fn check_seekable(bytes: &[u8], format: Format) {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let options = options(choice, Some(format));
    let _ = run(|sink| read_seekable(Cursor::new(bytes.to_vec()), &options, sink));
}

/// Reads `bytes` after the first one as an archive.
#[allow(dead_code, reason = "each target uses one of the functions")]
pub fn check_archive(bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let _ = read_archive(Cursor::new(bytes), &options(choice, None), &mut Members::default());
}

/// Checks the tracks of each member.
#[derive(Default)]
struct Members {
    is_open: bool,
    member: Check,
}

impl ArchiveSink for Members {
    fn start_member(&mut self, member: &Member) -> Option<&mut dyn TrackSink> {
        assert!(!self.is_open);
        self.is_open = !member.name.starts_with("skip");
        self.member = Check::default();
        self.is_open.then_some(&mut self.member)
    }

    fn end_member(&mut self, _: &Member, result: Result<(), FormatError>) -> Result<(), SinkError> {
        assert!(std::mem::take(&mut self.is_open));
        self.member.assert_ended();
        match result {
            Err(FormatError::Stopped) => panic!("the sink has not stopped"),
            _ => Ok(()),
        }
    }
}

fn check_input(bytes: &[u8], options: &ReadOptions) {
    let mut slow = BufReader::with_capacity(3, bytes);
    assert_eq!(run(|sink| read(bytes, options, sink)), run(|sink| read(&mut slow, options, sink)));
}

/// Returns the result as text, and what the sink received.
fn run(
    read: impl FnOnce(&mut dyn TrackSink) -> Result<(), FormatError>,
) -> (Result<(), String>, Vec<String>) {
    let mut sink = Check::default();
    let result = read(&mut sink).map_err(|error| error.in_file("file"));
    sink.assert_ended();
    (result, sink.received)
}

/// Compresses `bytes` after the first two, and reads the result without some of its last bytes.
#[allow(dead_code, reason = "each target uses one of the functions")]
pub fn check_gzip(bytes: &[u8]) {
    use std::io::Write;
    let [choice, missing, bytes @ ..] = bytes else { return };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("the buffer grows");
    let compressed = gzip.finish().expect("the buffer grows");
    let kept = compressed.len().saturating_sub(usize::from(*missing));
    check_input(&compressed[..kept], &options(*choice, None));
}
