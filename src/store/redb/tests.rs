//! The store in a real directory: the contract, refused directories, shared transactions. `disk.rs` tests disks that
//! fail.

mod namespaces;
mod restore;

use std::fs;

use futures::future::join_all;

use super::tables::{FORMAT_KEY, NUMBERS};
use super::writer::OpenMode;
use super::*;
use crate::measure::{Fix, Metric, Options, Point};
use crate::recording::{ListQuery, Removed};
use crate::store::codec::tests::golden;
use crate::store::contract;

pub(super) fn name(id: &str) -> RecordingName {
    RecordingName::from_id(id).unwrap()
}

pub(super) fn request() -> OpenRequest {
    let options = Some(Options::new(Metric::Planar));
    OpenRequest { options, now_unix_ms: 1_000, expire_unix_ms: 9_000, max_in_namespace: None }
}

pub(super) fn precondition(from: &Checkpoint) -> CommitPrecondition {
    CommitPrecondition { epoch: from.epoch, committed_points: from.committed_points() }
}

/// Returns the checkpoint with one more point, which depends only on the offset.
pub(super) fn grown(from: &Checkpoint) -> Checkpoint {
    let mut next = from.clone();
    let x = from.committed_points() as f64;
    next.accumulator.extend(&[Fix::new(Point::planar(x, (x * 0.7).sin()).unwrap())]).unwrap();
    next
}

#[tokio::test]
async fn the_contract_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    // Neither of the two directories exists.
    let path = directory.path().join("new/store");
    let store = RedbStore::open(&path).unwrap();
    contract::check_store(&store).await;
    drop(store);
    // Once more in the same directory.
    contract::check_store(&RedbStore::open(&path).unwrap()).await;
}

#[tokio::test]
async fn answered_requests_survive_a_restart_and_epochs_continue() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    let created = store.open(name("walk"), request()).await.unwrap();
    let next = grown(&created);
    store.commit(name("walk"), precondition(&created), next.clone()).await.unwrap();
    let gone = store.open(name("gone"), request()).await.unwrap();
    store.delete(name("gone")).await.unwrap();
    drop(store);

    let store = RedbStore::open(directory.path()).unwrap();
    assert_eq!(store.load(name("walk")).await, Ok(Some(next)));
    let again = store.open(name("gone"), request()).await.unwrap();
    assert!(again.epoch > gone.epoch);
}

#[tokio::test]
async fn waiting_requests_share_a_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    let names: Vec<_> = (0..500).map(|i| name(&format!("many-{i}"))).collect();
    let opened = join_all(names.iter().map(|name| store.open(name.clone(), request()))).await;
    let steps = names.iter().zip(opened).map(|(name, created)| {
        let created = created.unwrap();
        store.commit(name.clone(), precondition(&created), grown(&created))
    });
    assert!(join_all(steps).await.into_iter().all(|outcome| outcome.is_ok()));
    let stats = store.stats();
    assert_eq!(stats.requests, 1_000);
    assert!(stats.transactions < 200, "{stats:?}");
    // A refused request needs no transaction.
    let stale = CommitPrecondition { epoch: 0, committed_points: 0 };
    let next = store.load(names[0].clone()).await.unwrap().unwrap();
    store.commit(names[0].clone(), stale, next).await.unwrap_err();
    assert_eq!(store.stats().transactions, stats.transactions);
}

#[tokio::test]
async fn a_dropped_future_does_not_cancel_the_request() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    let created = store.open(name("walk"), request()).await.unwrap();
    // One poll sends the request.
    let commit = store.commit(name("walk"), precondition(&created), grown(&created));
    let _ = futures::FutureExt::now_or_never(commit);
    drop(store);
    let store = RedbStore::open(directory.path()).unwrap();
    assert_eq!(store.load(name("walk")).await, Ok(Some(grown(&created))));
}

#[tokio::test]
async fn a_damaged_record_does_not_affect_others() {
    let directory = tempfile::tempdir().unwrap();
    drop(RedbStore::open(directory.path()).unwrap());
    let path = directory.path().join("recordings.redb");
    let database = open::database(&path, None, &open::Disk::default(), OpenMode::Reopen).unwrap();
    let transaction = database.begin_write().unwrap();
    let bytes = b"not a record".as_slice();
    transaction.open_table(tables::RECORDINGS).unwrap().insert("b", bytes).unwrap();
    transaction.commit().unwrap();
    drop(database);

    let store = RedbStore::open(directory.path()).unwrap();
    let first = store.open(name("a"), request()).await.unwrap();
    let damaged =
        StoreError::Damaged("it is not a checkpoint, or it is cut short (12 bytes)".into());
    assert_eq!(store.load(name("b")).await, Err(damaged.clone()));
    assert_eq!(store.open(name("b"), request()).await, Err(damaged.clone()));
    let outcome = store.commit(name("b"), precondition(&first), grown(&first)).await;
    assert_eq!(outcome, Err(damaged.clone()));
    let page = store.list(ListQuery::all(), 9).await.unwrap();
    assert_eq!(page, [(name("a"), Ok(first.clone())), (name("b"), Err(damaged))]);
    let swept = store.sweep(Sweep::expired(i64::MAX), None).await.unwrap();
    let last = first.epoch;
    assert_eq!(swept.removed, [Removed { name: name("a"), epoch: last }]);
    assert_eq!(store.delete(name("b")).await, Ok(Some(last)), "the last assigned epoch");
    store.open(name("b"), request()).await.unwrap();
}

/// Returns the record of the only recording in a closed store.
fn record(directory: &Path) -> Vec<u8> {
    let path = directory.join("recordings.redb");
    let database = open::database(&path, None, &open::Disk::default(), OpenMode::Reopen).unwrap();
    let recordings = database.begin_read().unwrap().open_table(tables::RECORDINGS).unwrap();
    recordings.get(golden::name().id()).unwrap().unwrap().value().to_vec()
}

#[tokio::test]
async fn a_recording_of_an_earlier_version_is_continued() {
    let request = OpenRequest {
        options: None,
        now_unix_ms: -2,
        expire_unix_ms: i64::MAX,
        max_in_namespace: None,
    };
    for golden in golden::records().into_iter().filter(|golden| !golden.checkpoint.complete) {
        for (hex, version) in golden.versions.iter().zip(golden.first_version..) {
            let directory = tempfile::tempdir().unwrap();
            drop(RedbStore::open(directory.path()).unwrap());
            let path = directory.path().join("recordings.redb");
            let database =
                open::database(&path, None, &open::Disk::default(), OpenMode::Reopen).unwrap();
            let transaction = database.begin_write().unwrap();
            let stored = golden::bytes(hex);
            transaction
                .open_table(tables::RECORDINGS)
                .unwrap()
                .insert(golden::name().id(), stored.as_slice())
                .unwrap();
            transaction.commit().unwrap();
            drop(database);

            let store = RedbStore::open(directory.path()).unwrap();
            assert_eq!(store.load(golden::name()).await, Ok(Some(golden.read_as(version))));
            let options = Options::builder(Metric::Planar).max_gap(7.5).build().unwrap();
            let other = OpenRequest { options: Some(options), ..request.clone() };
            assert_eq!(store.open(golden::name(), other).await, Err(StoreError::OptionsDiffer));
            let opened = store.open(golden::name(), request.clone()).await.unwrap();
            let expected =
                Checkpoint { epoch: 1, expire_unix_ms: i64::MAX, ..golden.read_as(version) };
            assert_eq!(opened, expected);
            drop(store);
            // Opening writes the current version. It copies a fold that has this version.
            let opened = record(directory.path());
            assert_eq!(opened[4], version.max(5));
            assert_eq!(version >= 5, opened[44..] == stored[44..]);
            let store = RedbStore::open(directory.path()).unwrap();
            let end = Checkpoint { complete: true, ..expected.clone() };
            store.commit(golden::name(), precondition(&expected), end.clone()).await.unwrap();
            assert_eq!(store.load(golden::name()).await, Ok(Some(end)));
        }
    }
}

#[test]
fn the_error_of_a_refused_directory_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let refusal = |path: &Path| {
        let error = RedbStore::open(path).unwrap_err();
        let text = error.to_string().replace(&directory.path().display().to_string(), "DIR");
        (error, text)
    };
    let at = |id: &str| directory.path().join(id);

    let used = RedbStore::open(at("used")).unwrap();
    let (error, text) = refusal(&at("used"));
    assert!(matches!(error, StoreOpenError::InUse { .. }));
    insta::assert_snapshot!(
        text,
        @"DIR/used is in use by another process: stop that one, or use another directory"
    );
    drop(used);
    let path = at("used/recordings.redb");
    let database = open::database(&path, None, &open::Disk::default(), OpenMode::Reopen).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(NUMBERS).unwrap().insert(FORMAT_KEY, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let (error, text) = refusal(&at("used"));
    assert!(matches!(error, StoreOpenError::Newer { found: 2, known: 1, .. }));
    insta::assert_snapshot!(
        text,
        @"DIR/used/recordings.redb has format 2, and this program reads formats up to 1: use the newer program, or another directory"
    );

    fs::write(at("file"), "").unwrap();
    let (error, text) = refusal(&at("file"));
    assert!(matches!(error, StoreOpenError::NotADirectory { .. }), "{error:?}");
    insta::assert_snapshot!(
        text,
        @"DIR/file is not a directory: use a directory, or a path where one can be created"
    );
    let (error, _) = refusal(&at("file/below"));
    assert!(matches!(error, StoreOpenError::NotADirectory { .. }), "{error:?}");

    fs::create_dir(at("damaged")).unwrap();
    for bytes in [b"".as_slice(), b"GPX", &[0; 9_999]] {
        fs::write(at("damaged/recordings.redb"), bytes).unwrap();
        let (error, text) = refusal(&at("damaged"));
        assert!(matches!(error, StoreOpenError::Damaged { .. }), "{error:?}");
        if bytes.is_empty() {
            insta::assert_snapshot!(
                text,
                @"DIR/damaged/recordings.redb is damaged, or it is a file of another program (DB corrupted: it is empty): restore it from a backup, or move it away to start with an empty store"
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(directory.path().join("probe"), "").is_ok() {
        // Not with a macro: libtest captures their output.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: this user can write to read-only directories");
        return;
    }
    let error = RedbStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreOpenError::NotWritable { .. }), "{error:?}");
    assert!(error.to_string().contains("give this process write permission"), "{error}");
}

#[cfg(unix)]
#[test]
fn new_files_are_for_their_owner_only_and_existing_directories_keep_their_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let (served, restored) = (folder.path().join("a/served"), folder.path().join("restored"));
    drop(RedbStore::open(&served).unwrap());
    assert_eq!(RedbStore::restore(&restored, std::iter::empty()).unwrap(), 0);
    for directory in [&served, &restored] {
        assert_eq!(mode(directory), 0o700);
        assert_eq!(mode(&directory.join("recordings.redb")), 0o600);
        assert_eq!(mode(&directory.join("lock")), 0o600);
    }
    set_mode(&served, 0o750);
    set_mode(&served.join("recordings.redb"), 0o640);
    drop(RedbStore::open(&served).unwrap());
    assert_eq!((mode(&served), mode(&served.join("recordings.redb"))), (0o750, 0o640));
    // The rest of an interrupted start.
    let existing = folder.path().join("existing");
    fs::create_dir(&existing).unwrap();
    set_mode(&existing, 0o755);
    fs::write(existing.join("recordings.new"), "partial").unwrap();
    set_mode(&existing.join("recordings.new"), 0o644);
    drop(RedbStore::open(&existing).unwrap());
    assert_eq!((mode(&existing), mode(&existing.join("recordings.redb"))), (0o755, 0o600));
}

#[tokio::test]
async fn an_interrupted_creation_is_repeated() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("recordings.new"), "half").unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    contract::check_store(&store).await;
    assert!(!directory.path().join("recordings.new").exists());
}

/// A damaged file is refused when it is opened. Otherwise the damage is in an unused place, and every recording is
/// readable.
#[tokio::test]
async fn a_damaged_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recordings.redb");
    let store = RedbStore::open(directory.path()).unwrap();
    let names: Vec<_> = (0..30).map(|i| name(&format!("walk-{i}"))).collect();
    for outcome in join_all(names.iter().map(|name| store.open(name.clone(), request()))).await {
        outcome.unwrap();
    }
    drop(store);
    let lock = directory.path().join("lock");
    let (whole, note) = (fs::read(&path).unwrap(), fs::read(&lock).unwrap());
    // Testing every used byte would take minutes. This tests some of those that are not zero.
    let used: Vec<_> = (0..whole.len()).filter(|&at| whole[at] != 0).step_by(701).collect();
    assert!(used.len() > 10, "{}", used.len());
    let (mut refused, mut readable) = (0, 0);
    for at in used {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, bytes).unwrap();
        fs::write(&lock, &note).unwrap();
        let Ok(store) = RedbStore::open(directory.path()) else {
            refused += 1;
            continue;
        };
        assert_eq!(
            store.list(ListQuery::all(), 100).await.unwrap().len(),
            names.len(),
            "byte {at}"
        );
        let opened = join_all(names.iter().map(|name| store.open(name.clone(), request()))).await;
        for (name, opened) in names.iter().zip(opened) {
            assert_eq!(opened.unwrap().accumulator.point_count(), 0, "{name}, byte {at}");
            readable += 1;
        }
    }
    assert!(
        refused > 0 && readable > 0,
        "{refused} files refused, {readable} recordings read from others"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_is_replaced_makes_the_store_unavailable() {
    let parent = tempfile::tempdir().unwrap();
    let (path, aside) = (parent.path().join("data"), parent.path().join("aside"));
    let delete = |path: &Path| fs::remove_dir_all(path).unwrap();
    let lose_lock = |path: &Path| fs::remove_file(path.join("lock")).unwrap();
    let replace = |path: &Path| {
        fs::rename(path, path.with_file_name("aside")).unwrap();
        drop(RedbStore::open(path).unwrap());
    };
    let copy = |path: &Path| {
        // The same content in another file.
        let (file, copied) = (path.join("recordings.redb"), path.join("copy"));
        fs::copy(&file, &copied).unwrap();
        fs::rename(&copied, &file).unwrap();
    };
    let changes: [&dyn Fn(&Path); 4] = [&delete, &lose_lock, &replace, &copy];
    for change in changes {
        let store = RedbStore::open(&path).unwrap();
        let created = store.open(name("walk"), request()).await.unwrap();
        change(&path);
        let commit = store.commit(name("walk"), precondition(&created), grown(&created)).await;
        let Err(StoreError::Unavailable(text)) = commit else { panic!("{commit:?}") };
        let text = text.to_string().replace(&parent.path().display().to_string(), "DIR");
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                text,
                @"DIR/data was deleted, moved or replaced while the server runs, so that a restart would not find what is stored now: put it back, or restart the server"
            );
        }
        assert!(matches!(store.load(name("walk")).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.list(ListQuery::all(), 1).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.delete(name("walk")).await, Err(StoreError::Unavailable(_))));
        assert!(store.open(name("other"), request()).await.is_err());
        drop(store);
        for path in [&path, &aside] {
            let _ = fs::remove_dir_all(path);
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_is_put_back_is_used_again() {
    let parent = tempfile::tempdir().unwrap();
    let (path, aside) = (parent.path().join("data"), parent.path().join("aside"));
    let store = RedbStore::open(&path).unwrap();
    let created = store.open(name("walk"), request()).await.unwrap();
    fs::rename(&path, &aside).unwrap();
    let commit = store.commit(name("walk"), precondition(&created), grown(&created)).await;
    assert!(matches!(commit, Err(StoreError::Unavailable(_))), "{commit:?}");
    fs::rename(&aside, &path).unwrap();
    store.commit(name("walk"), precondition(&created), grown(&created)).await.unwrap();
    drop(store);
    let stored = RedbStore::open(&path).unwrap().load(name("walk")).await;
    assert_eq!(stored, Ok(Some(grown(&created))));
}

#[tokio::test]
async fn a_file_that_is_an_older_copy_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (path, older) = (directory.path().join("recordings.redb"), directory.path().join("older"));
    let store = RedbStore::open(directory.path()).unwrap();
    store.open(name("first"), request()).await.unwrap();
    drop(store);
    fs::copy(&path, &older).unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    store.open(name("second"), request()).await.unwrap();
    drop(store);
    fs::rename(&older, &path).unwrap();
    let error = RedbStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreOpenError::Older { found: 1, noted: 2, .. }), "{error:?}");
    let text = error.to_string().replace(&directory.path().display().to_string(), "DIR");
    insta::assert_snapshot!(
        text,
        @"DIR/recordings.redb ends with transaction 1, but 2 transactions were stored: it is an older copy, or its header is damaged. Restore the latest copy. To use this copy without the missing recordings, delete the file named lock next to it"
    );
    fs::remove_file(directory.path().join("lock")).unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    assert!(store.load(name("first")).await.unwrap().is_some());
    drop(store);
    // A new file starts with transaction 0, although the lock file has a larger number.
    fs::remove_file(&path).unwrap();
    RedbStore::open(directory.path()).unwrap();
}

#[tokio::test]
async fn the_maximum_number_of_recordings_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path()).unwrap().with_max_recordings(3);
    contract::check_maximum(&store, 3).await;
}
