//! Tests of damaged FIT files.

use super::{DEG45, T, points, properties, texts, writer};

#[test]
fn a_wrong_checksum_is_a_note() {
    let mut file = points(3).file();
    let count = file.len();
    file[count - 1] ^= 1;
    insta::assert_snapshot!(texts(&file), @r#"
    track / (0 45 t1631065600) (0.00008381903171539307 45 t1631065601) (0.00016763806343078613 45 t1631065602) = none
    checksum, byte 79: the checksum is wrong: the file is damaged, and any of its values may be wrong
    "#);
    let mut file = points(3).file();
    file[12] ^= 1;
    // The checksum of the file covers the header too.
    insta::assert_snapshot!(texts(&file), @r#"
    track / (0 45 t1631065600) (0.00008381903171539307 45 t1631065601) (0.00016763806343078613 45 t1631065602) = none
    checksum, byte 0: the checksum of the header is wrong
    checksum, byte 79: the checksum is wrong: the file is damaged, and any of its values may be wrong
    "#);
    file.truncate(count - 2);
    file[12] ^= 1;
    insta::assert_snapshot!(texts(&file), @r#"
    track / (0 45 t1631065600) (0.00008381903171539307 45 t1631065601) (0.00016763806343078613 45 t1631065602) = none
    checksum, byte 79: the checksum is missing
    "#);
}

#[test]
fn a_file_that_ends_early_is_read_to_its_end() {
    let file = points(20).file();
    let mut last_count = 0;
    for end in 14..file.len() - 2 {
        let (found, error) = properties(&file[..end]);
        let error = error.unwrap();
        assert!(error.starts_with("f.fit: byte "), "{error}");
        assert!(
            found.fix_count >= last_count && found.fix_count <= 20,
            "{end} {} {last_count} {error}",
            found.fix_count
        );
        assert!(found.tracks.iter().all(|track| track.is_incomplete));
        last_count = found.fix_count;
    }
    assert_eq!(last_count, 19);
    let (found, error) = properties(&file[..file.len() - 5]);
    assert_eq!(found.fix_count, 19);
    insta::assert_snapshot!(error.unwrap(), @"f.fit: byte 287: the file ends early: 3 bytes of messages are missing");
    insta::assert_snapshot!(texts(&file[..13]), @"f.fit: byte 13: the file ends early: 286 bytes of messages are missing");
}

#[test]
fn a_wrong_data_size_costs_nothing() {
    let whole = points(20);
    for size in [0, u32::MAX, whole.bytes.len() as u32 - 13, 25] {
        let (found, error) = properties(&whole.file_with_size(size));
        assert_eq!((error, found.fix_count), (None, 20), "{size}");
        assert_eq!(found.notes.len(), 1);
        assert!(!found.tracks[0].is_incomplete);
        // Another file follows.
        let file = [whole.file_with_size(size), points(3).file()].concat();
        let (found, error) = properties(&file);
        assert_eq!((error, found.fix_count), (None, 23), "{size}");
    }
    // Without the checksum too.
    let mut file = whole.file_with_size(0);
    file.truncate(file.len() - 2);
    let (found, error) = properties(&file);
    assert_eq!((error, found.fix_count), (None, 20));
    insta::assert_snapshot!(found.notes[0], @"the header has no data size, because the device did not finish the file; the checksum is not verified");
    // A size beyond the end is a file that ends early.
    let (found, error) = properties(&whole.file_with_size(10_000));
    assert_eq!(found.fix_count, 20);
    assert!(found.tracks[0].is_incomplete);
    insta::assert_snapshot!(error.unwrap(), @"f.fit: byte 300: the file ends early: 9712 bytes of messages are missing");
}

#[test]
fn records_after_damaged_bytes_are_read() {
    let file = points(100).file();
    let middle = file.len() / 2;
    for count in 1..30 {
        for shift in 0..13 {
            let at = middle + shift;
            let removed = [&file[..at], &file[at + count..]].concat();
            let added = [&file[..at], &vec![0x3f; count][..], &file[at..]].concat();
            for damaged in [removed, added] {
                let (found, error) = properties(&damaged);
                let error = error.unwrap_or_else(|| panic!("{count} at {at} {:?}", found.notes));
                assert!(error.starts_with("f.fit: byte "), "{error}");
                assert!(
                    found.fix_count >= 94,
                    "{} of 100, {count} at {at}: {error}",
                    found.fix_count
                );
                assert!(found.tracks[0].is_incomplete);
                // No wrong position: the records before and after have increasing longitudes below 0.01 degrees.
                assert!(
                    found.longitudes.iter().all(|x| (0.0..0.01).contains(x)),
                    "{count} at {at}"
                );
            }
        }
    }
    let removed = [&file[..middle], &file[middle + 3..]].concat();
    let (_, error) = properties(&removed);
    insta::assert_snapshot!(error.unwrap(), @"f.fit: byte 677: the bytes are not a message; 10 bytes are skipped");
}

#[test]
fn a_clock_that_is_set_is_not_damage() {
    let mut writer = writer(false);
    for index in 0..3 {
        writer.point(T - 500_000_000 + index, DEG45, index);
    }
    for index in 0..3 {
        writer.point(T + index, DEG45, index);
    }
    let (found, error) = properties(&writer.file());
    assert_eq!((error, found.fix_count), (None, 6));
}
