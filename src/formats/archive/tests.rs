//! Tests of archives. The files in the folder `tests` were written by Info-ZIP 3.0 and Python's zipfile.

mod damage;
mod writer;

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::super::tests::Recorded;
use super::*;
use writer::{Part, Zip};

/// Records the members and their tracks.
#[derive(Default)]
struct Members {
    text: String,
    current: Recorded,
}

impl ArchiveSink for Members {
    fn start_member(&mut self, member: &Member) -> Option<&mut dyn TrackSink> {
        if member.name == "skip" {
            self.text += "skip\n";
            return None;
        }
        self.current = Recorded::default();
        Some(&mut self.current)
    }

    fn end_member(
        &mut self,
        member: &Member,
        result: Result<(), FormatError>,
    ) -> Result<(), SinkError> {
        let name: String = member.name.chars().take(60).collect();
        self.text += &format!("{name:?} ({} bytes):\n{}", member.size, self.current.ended.concat());
        self.text += &self.current.notes.concat();
        if let Err(error) = result {
            self.text += &format!("{}\n", error.in_file("error"));
        }
        Ok(())
    }
}

/// Returns the members of an archive, and the error of the archive.
fn members(archive: &[u8]) -> String {
    let mut sink = Members::default();
    let result = read_archive(Cursor::new(archive), &ReadOptions::default(), &mut sink);
    let error = result.err().map(|error| error.in_file("a.zip")).unwrap_or_default();
    sink.text + &error
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

const GPX: &[u8] = b"<gpx><trk><trkseg><trkpt lat='1' lon='2'/></trkseg></trk></gpx>";
const CSV: &[u8] = b"lat,lon\n1,2\n";

#[test]
fn the_archives_of_other_programs_are_read() {
    for archive in [&include_bytes!("tests/infozip.zip")[..], include_bytes!("tests/zip64.zip")] {
        insta::allow_duplicates! { insta::assert_snapshot!(members(archive), @r#"
        "tracks/a.csv" (12 bytes):
        track / (2 1) = none
        "b.gpx" (77 bytes):
        track / (2 1) = "b"
        "#); }
    }
    insta::assert_snapshot!(members(include_bytes!("tests/zip64-stream.zip")), @r#"
    "-" (77 bytes):
    track / (2 1) = "b"
    "#);
    insta::assert_snapshot!(members(include_bytes!("tests/stream.kmz")), @r#"
    "doc.kml" (107 bytes):
    track / (2 1) (3 1) = "k"
    "files/icon.png" (16 bytes):
    error: not a supported track file but a PNG image; an image has no track; export the track itself
    "#);
}

#[test]
fn members_are_read_in_the_order_of_the_directory() {
    let mut zip = Zip::default();
    zip.add(Part { name: b"z.csv", content: CSV, ..Part::default() });
    zip.add(Part { name: b"folder/", ..Part::default() });
    zip.add(Part { name: b"folder/.DS_Store", content: b"x", ..Part::default() });
    zip.add(Part { name: b"__MACOSX/folder/._a.gpx", content: b"x", ..Part::default() });
    zip.add(Part { name: b"skip", content: b"x", ..Part::default() });
    zip.add(Part { name: b"folder\\a.gpx", content: GPX, is_stored: true, ..Part::default() });
    // The same name twice, and a name that is not a path in the archive.
    zip.add(Part { name: b"z.csv", content: b"lat,lon\n3,4\n", ..Part::default() });
    zip.add(Part { name: b"../../etc/a.csv", content: CSV, ..Part::default() });
    insta::assert_snapshot!(members(&zip.finish()), @r#"
    "z.csv" (12 bytes):
    track / (2 1) = none
    skip
    "folder/a.gpx" (63 bytes):
    track / (2 1) = none
    "z.csv" (12 bytes):
    track / (4 3) = none
    "../../etc/a.csv" (12 bytes):
    track / (2 1) = none
    "#);
}

#[test]
fn the_bytes_around_an_archive_are_skipped() {
    let mut zip = Zip::default();
    zip.add(Part { name: b"a.csv", content: CSV, ..Part::default() });
    let archive = zip.finish();
    let expected = members(&archive);
    insta::assert_snapshot!(expected, @r#"
    "a.csv" (12 bytes):
    track / (2 1) = none
    "#);
    assert_eq!(members(&[b"#!/bin/sh\n", &archive[..]].concat()), expected);
    assert_eq!(members(&[&archive[..], b"\0\0\0"].concat()), expected);
    // A comment that contains the signature of the end record.
    let comment = b"a PK\x05\x06 signature in a comment";
    let mut commented = archive;
    let length = commented.len();
    commented[length - 2] = comment.len() as u8;
    commented.extend(comment);
    assert_eq!(members(&commented), expected);
}

#[test]
fn a_compressed_member_is_read() {
    let mut zip = Zip::default();
    zip.add(Part { name: b"a.gpx.gz", content: &gzip(GPX), ..Part::default() });
    let damaged = &gzip(GPX)[..30];
    zip.add(Part { name: b"b.gpx.gz", content: damaged, ..Part::default() });
    insta::assert_snapshot!(members(&zip.finish()), @r#"
    "a.gpx.gz" (73 bytes):
    track / (2 1) = none
    "b.gpx.gz" (30 bytes):
    error: byte 30: the gzip data ends early; the file is incomplete
    "#);
}

#[test]
fn the_sink_can_stop_the_reading() {
    struct Stop(u32);
    impl ArchiveSink for Stop {
        fn start_member(&mut self, _: &Member) -> Option<&mut dyn TrackSink> {
            self.0 += 1;
            None
        }
        fn end_member(&mut self, _: &Member, _: Result<(), FormatError>) -> Result<(), SinkError> {
            Ok(())
        }
    }
    struct StopAtEnd(Recorded, u32);
    impl ArchiveSink for StopAtEnd {
        fn start_member(&mut self, _: &Member) -> Option<&mut dyn TrackSink> {
            self.1 += 1;
            Some(&mut self.0)
        }
        fn end_member(&mut self, _: &Member, _: Result<(), FormatError>) -> Result<(), SinkError> {
            Err(SinkError::Stop)
        }
    }
    let mut zip = Zip::default();
    (0..3).for_each(|_| zip.add(Part { name: b"a.csv", content: CSV, ..Part::default() }));
    let archive = zip.finish();
    let options = ReadOptions::default();
    let mut skip = Stop(0);
    read_archive(Cursor::new(&archive), &options, &mut skip).unwrap();
    assert_eq!(skip.0, 3);
    let mut stop = StopAtEnd(Recorded::default(), 0);
    let error = read_archive(Cursor::new(&archive), &options, &mut stop).unwrap_err();
    assert!(matches!(error, FormatError::Stopped));
    assert_eq!(stop.1, 1);
}

#[test]
fn an_archive_is_recognised_and_refused_as_a_stream() {
    let archive = Zip::default().finish();
    assert!(is_archive(&archive) && is_archive(include_bytes!("tests/infozip.zip")));
    assert!(
        is_archive(b"PK\x07\x08PK\x03\x04") && !is_archive(b"PK,lat,lon\n") && !is_archive(b"")
    );
    let error = super::super::tests::error(include_bytes!("tests/infozip.zip"));
    insta::assert_snapshot!(error, @"a zip archive can only be read from a file, because its directory is at the end; save it to a file, or unpack it");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut archive = include_bytes!("tests/zip64.zip").to_vec();
        for (at, byte) in flips {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        if is_cut {
            archive.truncate(cut.index(archive.len()));
        }
        members(&archive);
    }
}
