//! Tests of damaged, encrypted and hostile archives.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::super::ENTRIES_MAX;
use super::writer::{Part, Zip};
use super::{CSV, GPX, members};

#[test]
fn a_member_that_cannot_be_read_does_not_cost_the_others() {
    let mut inner = Zip::default();
    inner.add(Part { name: b"a.csv", content: CSV, ..Part::default() });
    let inner = inner.finish();
    let long_name = [&b"x".repeat(5_000)[..], b".csv"].concat();
    let mut zip = Zip::default();
    for part in [
        Part { name: b"encrypted", flags: 1, ..Part::default() },
        Part { name: b"method", method: Some(14), ..Part::default() },
        Part { name: b"new-method", method: Some(77), ..Part::default() },
        Part { name: b"link", content: b"a.csv", mode: 0o120_777, ..Part::default() },
        Part { name: b"nested.zip", content: &inner, ..Part::default() },
        Part { name: b"crc", crc: Some(7), ..Part::default() },
        Part { name: b"size", size: Some(7), ..Part::default() },
        Part { name: b"cut", compressed_size: Some(9), ..Part::default() },
        Part { name: b"stored", is_stored: true, compressed_size: Some(9), ..Part::default() },
        Part { name: b"offset", offset: Some(3), ..Part::default() },
        Part { name: b"outside", offset: Some(1 << 30), ..Part::default() },
        Part { name: &long_name, ..Part::default() },
        Part {
            name: b"photo.jpg",
            content: b"\xff\xd8\xff\xe0\0\0\0\0\0\0\0\0\0\0\0\0",
            ..Part::default()
        },
        Part { name: b"empty", content: b"", ..Part::default() },
        Part { name: b"last", ..Part::default() },
    ] {
        let is_set = !part.content.is_empty() || part.name == b"empty";
        zip.add(if is_set { part } else { Part { content: GPX, ..part } });
    }
    let text = members(&zip.finish());
    // The name is shortened here and in the archive.
    insta::assert_snapshot!(text, @r#"
    "encrypted" (63 bytes):
    error: this member is encrypted; unpack the archive with its password first
    "method" (63 bytes):
    error: this member is compressed with method 14 (LZMA), which is not supported; unpack the archive first
    "new-method" (63 bytes):
    error: this member is compressed with method 77, which is not supported; unpack the archive first
    "link" (5 bytes):
    error: this member is a symbolic link; links in an archive are not followed
    "nested.zip" (122 bytes):
    error: this member is a zip archive itself; unpack the outer archive first
    "crc" (63 bytes):
    track / (2 1) = none
    error: the checksum of this member is wrong, at about byte 507 of the archive; the archive is damaged
    "size" (7 bytes):
    track / (2 1) = none
    error: the size of this member is not the declared one, at about byte 595 of the archive; the archive is damaged
    "cut" (63 bytes):
    error: the compressed data of this member is damaged, at about byte 638 of the archive; the archive is damaged
    "stored" (63 bytes):
    error: the size of this member is not the declared one, at about byte 726 of the archive; the archive is damaged
    "offset" (63 bytes):
    error: the directory names byte 3 of the archive as the start of this member, but it does not start there; the archive is damaged
    "outside" (63 bytes):
    error: the directory names byte 1073741824 of the archive as the start of this member, but it does not start there; the archive is damaged
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" (63 bytes):
    error: the name of this member is longer than 4096 bytes
    "photo.jpg" (16 bytes):
    error: not a supported track file but a JPEG image; an image has no track; export the track itself
    "empty" (0 bytes):
    error: the file is empty
    "last" (63 bytes):
    track / (2 1) = none
    "#);
}

#[test]
fn damaged_data_keeps_what_was_read() {
    let rows: String =
        (0..20_000_u32).map(|row| format!("{},{}\n", row * 7 % 90, row % 179)).collect();
    let mut zip = Zip::default();
    zip.add(Part {
        name: b"a.csv",
        content: format!("lat,lon\n{rows}").as_bytes(),
        ..Part::default()
    });
    let mut archive = zip.finish();
    let middle = archive.len() * 2 / 3;
    archive[middle..middle + 4].fill(0xff);
    let text = members(&archive);
    assert!(text.matches('(').count() > 500, "{text:.300}");
    assert!(text.contains("(incomplete)"));
    assert!(text.lines().last().unwrap().starts_with("error:"));
}

#[test]
fn an_archive_without_a_directory_is_an_error() {
    let mut zip = Zip::default();
    zip.add(Part { name: b"a.csv", content: CSV, ..Part::default() });
    zip.add(Part { name: b"b.csv", content: CSV, ..Part::default() });
    let archive = zip.finish();
    insta::assert_snapshot!(members(&archive[..archive.len() - 30]), @"a.zip: byte 192: the zip archive has no directory at its end; the file is incomplete or damaged");
    insta::assert_snapshot!(members(b""), @"a.zip: byte 0: the zip archive has no directory at its end; the file is incomplete or damaged");
    insta::assert_snapshot!(members(&Zip::default().finish()), @"a.zip: the zip archive contains no files");
    let mut only_folder = Zip::default();
    only_folder.add(Part { name: b"folder/", ..Part::default() });
    insta::assert_snapshot!(members(&only_folder.finish()), @"a.zip: the zip archive contains no files");
    // The second entry is damaged.
    let mut damaged = archive.clone();
    let entry = damaged.len() - 22 - 46 - 5;
    damaged[entry] = 0;
    insta::assert_snapshot!(members(&damaged), @r#"
    "a.csv" (12 bytes):
    track / (2 1) = none
    a.zip: byte 149: the directory of the zip archive is damaged here; the files after it are not read
    "#);
    // The number of entries is wrong.
    let mut count = archive.clone();
    let end = count.len() - 22;
    count[end + 10] = 3;
    insta::assert_snapshot!(members(&count), @r#"
    "a.csv" (12 bytes):
    track / (2 1) = none
    "b.csv" (12 bytes):
    track / (2 1) = none
    a.zip: byte 200: the directory of the zip archive has 2 entries instead of 3; it is damaged
    "#);
    // The archive is the second part of a split one.
    let mut split = archive;
    split[end + 4] = 1;
    insta::assert_snapshot!(members(&split), @"a.zip: the zip archive is split into several files; join them first, for example with zip -s 0 --out");
}

#[test]
fn names_in_an_extra_field_are_used() {
    let name = b"M_nchen.csv";
    let mut crc = flate2::Crc::new();
    crc.update(name);
    let unicode = "München.csv";
    let mut extra = vec![0x75, 0x70, 5 + unicode.len() as u8, 0, 1];
    extra.extend(crc.sum().to_le_bytes());
    extra.extend(unicode.as_bytes());
    let mut zip = Zip::default();
    zip.add(Part { name, content: CSV, extra: &extra, ..Part::default() });
    // The field belongs to another name.
    zip.add(Part { name: b"other.csv", content: CSV, extra: &extra, ..Part::default() });
    zip.add(Part { name: b"cp437-\x81.csv", content: CSV, ..Part::default() });
    zip.add(Part { name: b"not-utf8-\x81.csv", content: CSV, flags: 1 << 11, ..Part::default() });
    zip.add(Part {
        name: b"extra",
        content: CSV,
        extra: b"\x75\x70\xff\xff\x01",
        ..Part::default()
    });
    insta::assert_snapshot!(members(&zip.finish()), @r#"
    "München.csv" (12 bytes):
    track / (2 1) = none
    "other.csv" (12 bytes):
    track / (2 1) = none
    "cp437-ü.csv" (12 bytes):
    track / (2 1) = none
    "not-utf8-�.csv" (12 bytes):
    track / (2 1) = none
    "extra" (12 bytes):
    track / (2 1) = none
    "#);
}

#[test]
fn the_number_of_entries_is_limited() {
    let mut zip = Zip::default();
    zip.add(Part { name: b"d/", ..Part::default() });
    let entry = zip.directory.clone();
    zip.directory = entry.repeat(ENTRIES_MAX as usize + 1);
    zip.count = ENTRIES_MAX + 1;
    insta::assert_snapshot!(members(&zip.finish()), @"a.zip: byte 12582946: the zip archive has more than 262144 entries; unpack it first");
}

/// A track that has many blanks.
struct Blanks {
    deflated: Vec<u8>,
    size: u32,
    crc: u32,
}

impl Blanks {
    fn new(mib: u32) -> Self {
        let mut content = GPX[..GPX.len() - "</gpx>".len()].to_vec();
        content.resize(content.len() + (mib << 20) as usize, b' ');
        content.extend(b"</gpx>");
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&content).unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(&content);
        let deflated = encoder.finish().unwrap();
        Self { deflated, size: content.len() as u32, crc: crc.sum() }
    }

    fn part<'a>(&'a self, name: &'a [u8]) -> Part<'a> {
        Part {
            name,
            content: &self.deflated,
            is_stored: true,
            method: Some(8),
            size: Some(self.size),
            crc: Some(self.crc),
            ..Part::default()
        }
    }
}

#[test]
fn a_decompression_bomb_keeps_what_was_read() {
    let blanks = Blanks::new(66);
    let mut zip = Zip::default();
    zip.add(blanks.part(b"bomb"));
    zip.add(Part { name: b"a.csv", content: CSV, ..Part::default() });
    insta::assert_snapshot!(members(&zip.finish()), @r#"
    "bomb" (69206079 bytes):
    track / (2 1) = none
    error: the data is more than 200 times as large as its part of the archive; if that is intended, unpack the archive first
    "a.csv" (12 bytes):
    track / (2 1) = none
    "#);
}

#[test]
fn members_that_overlap_are_limited_together() {
    let blanks = Blanks::new(22);
    let mut zip = Zip::default();
    for name in [b"1", b"2", b"3", b"4"] {
        zip.add(Part { offset: Some(0), ..blanks.part(name) });
        // All entries have the data of the first member.
        zip.bytes.truncate("PK\x03\x04".len() + 26 + name.len() + blanks.deflated.len());
    }
    insta::assert_snapshot!(members(&zip.finish()), @r#"
    "1" (23068735 bytes):
    track / (2 1) = none
    "2" (23068735 bytes):
    track / (2 1) = none
    error: this member shares its data with others; the archive is damaged
    "3" (23068735 bytes):
    error: this member shares its data with others; the archive is damaged
    "4" (23068735 bytes):
    error: this member shares its data with others; the archive is damaged
    "#);
}
