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
    insta::assert_snapshot!(text, @"");
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
    let error = text.lines().last().unwrap();
    assert!(error.starts_with("error: the compressed data of this member is damaged"), "{error}");
}

#[test]
fn an_archive_without_a_directory_is_an_error() {
    let mut zip = Zip::default();
    zip.add(Part { name: b"a.csv", content: CSV, ..Part::default() });
    zip.add(Part { name: b"b.csv", content: CSV, ..Part::default() });
    let archive = zip.finish();
    insta::assert_snapshot!(members(&archive[..archive.len() - 30]), @"");
    insta::assert_snapshot!(members(b""), @"");
    insta::assert_snapshot!(members(&Zip::default().finish()), @"");
    let mut only_folder = Zip::default();
    only_folder.add(Part { name: b"folder/", ..Part::default() });
    insta::assert_snapshot!(members(&only_folder.finish()), @"");
    // The second entry is damaged.
    let mut damaged = archive.clone();
    let entry = damaged.len() - 22 - 46 - 5;
    damaged[entry] = 0;
    insta::assert_snapshot!(members(&damaged), @"");
    // The number of entries is wrong.
    let mut count = archive.clone();
    let end = count.len() - 22;
    count[end + 10] = 3;
    insta::assert_snapshot!(members(&count), @"");
    // The archive is the second part of a split one.
    let mut split = archive;
    split[end + 4] = 1;
    insta::assert_snapshot!(members(&split), @"");
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
    insta::assert_snapshot!(members(&zip.finish()), @"");
}

#[test]
fn the_number_of_entries_is_limited() {
    let mut zip = Zip::default();
    zip.add(Part { name: b"d/", ..Part::default() });
    let entry = zip.directory.clone();
    zip.directory = entry.repeat(ENTRIES_MAX as usize + 1);
    zip.count = ENTRIES_MAX + 1;
    insta::assert_snapshot!(members(&zip.finish()), @"");
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
    insta::assert_snapshot!(members(&zip.finish()), @"");
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
    insta::assert_snapshot!(members(&zip.finish()), @"");
}
