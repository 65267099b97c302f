//! Backups in memory: what is written is read, and any other file is refused with a position.

use proptest::prelude::*;

use super::*;
use crate::measure::{Fix, Metric, Options, PathAccumulator, Point};
use crate::recording::{Checkpoint, RecordingName};
use crate::store::codec;

type Records = Vec<(RecordingName, Vec<u8>)>;

fn records(names: &[&str]) -> Records {
    let mut records = Vec::new();
    for (name, epoch) in names.iter().zip(1..) {
        let name: RecordingName = name.parse().unwrap();
        let mut accumulator = PathAccumulator::new(Options::new(Metric::Planar));
        let fix = |i: u64| Fix::new(Point::planar(i as f64, 0.5).unwrap());
        accumulator.extend(&(0..epoch).map(fix).collect::<Vec<_>>()).unwrap();
        let checkpoint = Checkpoint {
            epoch,
            complete: epoch % 2 == 0,
            accumulator,
            create_unix_ms: 1,
            update_unix_ms: 2,
            expire_unix_ms: 3,
        };
        let record = codec::encode(&name, &checkpoint);
        records.push((name, record));
    }
    records
}

fn some() -> Records {
    records(&["paths/a", "paths/b", "namespaces/n/paths/a", "namespaces/n/paths/b"])
}

fn write(records: &Records) -> Vec<u8> {
    let mut writer = BackupWriter::new(Vec::new(), 7).unwrap();
    for (name, record) in records {
        writer.add(name.clone(), record).unwrap();
    }
    assert_eq!(writer.count(), records.len() as u64);
    writer.finish().unwrap()
}

fn read(file: &[u8]) -> Result<Records, BackupError> {
    let reader = BackupReader::new(file)?;
    assert_eq!(reader.created_unix_ms(), 7);
    reader.collect()
}

#[test]
fn what_is_written_is_read() {
    for records in [Records::new(), some()] {
        assert_eq!(read(&write(&records)).unwrap(), records);
    }
}

#[test]
fn every_shorter_file_is_refused_at_its_end() {
    let file = write(&some());
    for len in 0..file.len() {
        match read(&file[..len]).unwrap_err() {
            BackupError::Foreign => assert!(len < MAGIC.len()),
            BackupError::Truncated { position } => assert_eq!(position, len as u64),
            error => panic!("{len} bytes: {error}"),
        }
    }
}

#[test]
fn every_changed_byte_is_found() {
    let file = write(&some());
    for at in 0..file.len() {
        for flip in [1, 0x80, 0xff] {
            let mut changed = file.clone();
            changed[at] ^= flip;
            let position = match read(&changed).unwrap_err() {
                BackupError::Damaged { position, .. } => position,
                BackupError::Truncated { position } => position,
                // The first twelve bytes.
                BackupError::Foreign if at < 8 => 0,
                BackupError::Newer { .. } if (8..12).contains(&at) => 0,
                error => panic!("byte {at}: {error}"),
            };
            let is_len = position == file.len() as u64;
            assert!(position <= at as u64 || is_len, "byte {at}, reported at {position}");
        }
    }
}

#[test]
fn a_file_with_valid_checksums_and_other_content_is_refused() {
    let text = |records: &Records| {
        let mut writer = BackupWriter::new(Vec::new(), 7).unwrap();
        let mut added = records.iter().map(|(name, record)| writer.add(name.clone(), record));
        added.find_map(Result::err).unwrap().to_string()
    };
    let mut reversed = some();
    reversed.swap(0, 1);
    insta::assert_snapshot!(text(&reversed), @"the record of paths/a is not in the order of names");
    let mut swapped = some();
    let record = swapped[0].1.clone();
    swapped[1].1 = record;
    assert!(text(&swapped).starts_with("the record of paths/b is not valid: its checksum is"));

    let file = write(&some());
    let more = [&file[..], b"x"].concat();
    insta::assert_snapshot!(
        read(&more).unwrap_err().to_string().replace(&file.len().to_string(), "LEN"),
        @"it is damaged at byte LEN (more bytes follow its end): use another backup"
    );
    // Two backups, one after the other.
    assert!(read(&[&file[..], &file].concat()).is_err());
    // A recording that is missing or repeated has valid checksums of its own.
    let len = |(name, record): &(RecordingName, Vec<u8>)| 11 + name.as_str().len() + record.len();
    let parts: Vec<_> = some().iter().map(len).collect();
    let second = START_BYTES + parts[0]..START_BYTES + parts[0] + parts[1];
    let missing = [&file[..second.start], &file[second.end..]].concat();
    let repeated = [&file[..second.end], &file[second.start..]].concat();
    assert!(matches!(read(&missing), Err(BackupError::Damaged { .. })));
    assert!(matches!(read(&repeated), Err(BackupError::Damaged { .. })));
}

#[test]
fn other_files_are_refused_with_a_text() {
    insta::assert_snapshot!(
        read(b"<gpx></gpx>").unwrap_err(),
        @"it is not a backup of waywiser: use a file that `waywiser store backup` has written"
    );
    let mut newer = write(&some());
    newer[8] = 2;
    insta::assert_snapshot!(
        read(&newer).unwrap_err(),
        @"it has format 2, and this program reads formats up to 1: use the newer program"
    );
    // A length that the file does not have allocates nothing.
    let mut long = write(&some());
    long[START_BYTES + 3..START_BYTES + 7].copy_from_slice(&[0xff, 0xff, 0xff, 3]);
    assert!(matches!(read(&long), Err(BackupError::Truncated { .. })));
}

/// Returns the expiry of each recording after a restore at `now_unix_ms`, with the numbers of renewed, extended and left out
/// ones. The recordings were changed at 2 and expired at `expire_unix_ms`, in backups that were made at 7.
fn restored(
    expire_unix_ms: &[i64],
    now_unix_ms: i64,
    expiry: RestoredExpiry,
) -> (Vec<i64>, [u64; 3]) {
    let names: Vec<_> = (0..expire_unix_ms.len()).map(|i| format!("paths/{i}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let with_expiry = |((name, record), expire_unix_ms): ((RecordingName, Vec<u8>), &i64)| {
        let checkpoint = codec::decode(&name, &record).unwrap();
        let checkpoint = Checkpoint { expire_unix_ms: *expire_unix_ms, ..checkpoint };
        (name.clone(), codec::encode(&name, &checkpoint))
    };
    let records: Records =
        records(&names).into_iter().zip(expire_unix_ms).map(with_expiry).collect();
    let mut renewal = Renewal::new(records.iter().cloned().map(Ok), 7, now_unix_ms, expiry);
    let mut times = Vec::new();
    for recording in renewal.by_ref() {
        let (name, record) = recording.unwrap();
        let found = codec::decode(&name, &record).unwrap();
        let (_, stored) = records.iter().find(|(stored, _)| *stored == name).unwrap();
        let stored = codec::decode(&name, stored).unwrap();
        times.push(found.expire_unix_ms);
        assert_eq!(Checkpoint { expire_unix_ms: stored.expire_unix_ms, ..found }, stored);
    }
    (times, [renewal.renewed(), renewal.extended(), renewal.left_out()])
}

#[test]
fn a_restored_recording_expires_after_the_time_that_it_had_left() {
    let renew = |ms| RestoredExpiry::Renew { at_least: std::time::Duration::from_millis(ms) };
    let times = [8, 107, 1_100, i64::MAX];
    assert_eq!(restored(&times, 1_007, renew(0)), (vec![1_008, 1_107, 2_100, i64::MAX], [2, 0, 0]));
    assert_eq!(
        restored(&times, 1_007, renew(500)),
        (vec![1_507, 1_507, 2_100, i64::MAX], [2, 2, 0])
    );
    assert_eq!(restored(&times, 7, renew(0)), (times.to_vec(), [0; 3]));
    // None of them has expired, and the minimum is longer than the time left of two.
    assert_eq!(restored(&times, 7, renew(500)).1, [0, 2, 0]);
    // The clock of the restore is earlier than that of the backup.
    assert_eq!(restored(&times, 1, renew(0)), (times.to_vec(), [0; 3]));
    // The clock of the backup was later than the clock of the server: the retention was 3 ms and 5 ms.
    assert_eq!(restored(&[5, 7], 1_007, renew(0)), (vec![1_010, 1_012], [2, 0, 0]));
    assert_eq!(restored(&times, i64::MAX, renew(u64::MAX)).0, [i64::MAX; 4]);
}

#[test]
fn kept_times_of_expiry_leave_out_what_has_expired() {
    let times = [8, 1_007, 1_008, i64::MAX];
    assert_eq!(restored(&times, 1_007, RestoredExpiry::Keep), (vec![1_008, i64::MAX], [0, 0, 2]));
    assert_eq!(restored(&times, 7, RestoredExpiry::Keep), (times.to_vec(), [0; 3]));
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
        let start = write(&some());
        let tail = [&start[..START_BYTES], &bytes].concat();
        prop_assert!(read(&tail).is_err());
    }
}
