//! Tests of gzip-compressed files.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::super::tests::Recorded;
use super::super::{Format, ReadOptions, read};

/// Compresses a file.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Returns what the sink received, and the error.
fn outcome(file: &[u8]) -> String {
    let mut sink = Recorded::default();
    let result = read(file, &ReadOptions::default(), &mut sink);
    let error = result.err().map(|error| error.in_file("a.gz")).unwrap_or_default();
    sink.ended.concat() + &sink.notes.concat() + &error
}

const GPX: &str = "<gpx><trk><name>n</name><trkseg><trkpt lat='1' lon='2'/><trkpt lat='1' lon='3'/></trkseg></trk></gpx>";

#[test]
fn files_of_any_format_are_decompressed() {
    insta::assert_snapshot!(outcome(&gzip(GPX.as_bytes())), @r#"track / (2 1) (3 1) = "n""#);
    insta::assert_snapshot!(outcome(&gzip(b"lat,lon\n1,2\n")), @"track / (2 1) = none");
    insta::assert_snapshot!(outcome(&gzip(br#"{"type":"LineString","coordinates":[[1,2],[3,4]]}"#)), @"track / (1 2) (3 4) = none");
    let utf16: Vec<u8> =
        "\u{feff}lat,lon\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    insta::assert_snapshot!(outcome(&gzip(&utf16)), @"track / (2 1) = none");
    let options = ReadOptions { format: Some(Format::Csv), ..Default::default() };
    let mut sink = Recorded::default();
    read(&*gzip(b"lat,lon\n1,2\n"), &options, &mut sink).unwrap();
    assert_eq!(sink.ended, ["track / (2 1) = none\n"]);
}

#[test]
fn the_members_of_a_file_are_one_text() {
    let mut file = gzip(&GPX.as_bytes()[..40]);
    file.extend(gzip(b""));
    file.extend(gzip(&GPX.as_bytes()[40..]));
    insta::assert_snapshot!(outcome(&file), @r#"track / (2 1) (3 1) = "n""#);
}

#[test]
fn bytes_after_the_data_are_reported() {
    for rest in [&b"\0\0\0\0"[..], b"\x1fx", b"lat,lon"] {
        let file = [&gzip(GPX.as_bytes()), rest].concat();
        let text = outcome(&file);
        assert!(text.contains("(3 1)"), "{text}");
        insta::allow_duplicates! { insta::assert_snapshot!(text.lines().last().unwrap(), @"ignored_content, byte 87: the bytes after the gzip data are ignored"); }
    }
}

#[test]
fn a_file_that_ends_early_keeps_what_was_read() {
    let rows: String = (0..5_000_u32).map(|row| format!("{},{}\n", row % 90, row % 179)).collect();
    let file = gzip(format!("lat,lon\n{rows}").as_bytes());
    let mut sink = Recorded::default();
    let error = read(&file[..file.len() / 2], &ReadOptions::default(), &mut sink).unwrap_err();
    assert_eq!(error.position(), Some(super::Position::Byte(file.len() as u64 / 2)));
    insta::assert_snapshot!(error, @"the gzip data ends early; the file is incomplete");
    assert!(sink.ended[0].matches('(').count() > 500, "{}", sink.ended[0].len());
    assert!(sink.ended[0].ends_with("none (incomplete)\n"));
    // The end of the file is within the header, a short file, and the checksum.
    for length in [3, 12, 20, file.len() - 1] {
        let message = outcome(&file[..length]).lines().last().unwrap().to_owned();
        let expected = format!("byte {length}: the gzip data ends early; the file is incomplete");
        assert!(message.ends_with(&expected), "{length}: {message}");
    }
    // The content of a short file is in the part that detects the format.
    let short = gzip(GPX.as_bytes());
    insta::assert_snapshot!(outcome(&short[..short.len() - 9]), @r#"
    track / (2 1) (3 1) = "n"
    a.gz: byte 78: the gzip data ends early; the file is incomplete
    "#);
}

#[test]
fn an_error_of_the_content_precedes_one_of_the_compressed_data_after_it() {
    let mut file = gzip(&[GPX.as_bytes(), b"<x/>", &[b' '; 300]].concat());
    file.truncate(file.len() - 10);
    insta::assert_snapshot!(outcome(&file), @r#"
    track / (2 1) (3 1) = "n"
    a.gz:1:102: a second root element "x" follows the end of the document; keep one document per file
    "#);
}

#[test]
fn damaged_data_keeps_what_was_read() {
    let mut file = gzip(GPX.as_bytes());
    let checksum = file.len() - 8;
    file[checksum] ^= 1;
    insta::assert_snapshot!(outcome(&file), @r#"
    track / (2 1) (3 1) = "n"
    a.gz: byte 87: the gzip data is damaged; download or copy the file again
    "#);
    let mut file = gzip(GPX.as_bytes());
    // The first block has the reserved type 3.
    file[10] |= 0b110;
    insta::assert_snapshot!(outcome(&file), @"a.gz: byte 11: the gzip data is damaged; download or copy the file again");
    insta::assert_snapshot!(outcome(b"\x1f\x8b\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), @"a.gz: byte 10: the gzip data is damaged; download or copy the file again");
}

#[test]
fn nested_data_is_refused() {
    insta::assert_snapshot!(outcome(&gzip(&gzip(GPX.as_bytes()))), @"a.gz: this gzip file contains gzip data; unpack it first, with gunzip");
    insta::assert_snapshot!(outcome(&gzip(b"PK\x03\x04................")), @"a.gz: this gzip file contains a zip archive; unpack it first, with gunzip");
    insta::assert_snapshot!(outcome(&gzip(b"")), @"a.gz: the file is empty");
}

#[test]
fn a_decompression_bomb_keeps_what_was_read() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&GPX.as_bytes()[..GPX.len() - 6]).unwrap();
    let blanks = vec![b' '; 1 << 20];
    (0..66).for_each(|_| encoder.write_all(&blanks).unwrap());
    encoder.write_all(b"</gpx>").unwrap();
    insta::assert_snapshot!(outcome(&encoder.finish().unwrap()), @r#"
    track / (2 1) (3 1) = "n"
    a.gz: byte 65303: the data is more than 200 times as large as its gzip file; if that is intended, unpack it first, with gunzip
    "#);
}

proptest! {
    #[test]
    fn the_size_of_reads_does_not_matter(
        content in prop::collection::vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = gzip(&[GPX.as_bytes(), &content].concat());
        file.extend(gzip(b" "));
        file.truncate(cut.index(2 * file.len()));
        let (mut quick, mut slow) = (Recorded::default(), Recorded::default());
        let one = read(&*file, &ReadOptions::default(), &mut quick).map_err(|error| error.to_string());
        let reader = std::io::BufReader::with_capacity(1, &*file);
        let two = read(reader, &ReadOptions::default(), &mut slow).map_err(|error| error.to_string());
        prop_assert_eq!(one, two);
        prop_assert_eq!(quick.ended, slow.ended);
    }

    #[test]
    fn no_bytes_make_it_panic(
        content in prop::collection::vec(any::<u8>(), 0..300),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut file = gzip(&[GPX.as_bytes(), &content].concat());
        for (at, byte) in flips {
            let at = at.index(file.len());
            file[at] ^= byte;
        }
        outcome(&file);
    }
}
