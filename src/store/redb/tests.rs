//! The embedded store in a real directory: the contract, what is refused at the door, what shares a
//! transaction. `disk.rs` has the disks that fail.

use std::fs;

use futures::future::join_all;

use super::tables::{FORMAT_KEY, NUMBERS};
use super::writer::OpenMode;
use super::*;
use crate::measure::{Fix, Metric, Options, Point};
use crate::recording::Removed;
use crate::store::contract;

pub(super) fn name(id: &str) -> RecordingName {
    RecordingName::from_id(id).unwrap()
}

pub(super) fn opening() -> OpenRequest {
    let options = Some(Options::new(Metric::Planar));
    OpenRequest { options, now_unix_ms: 1_000, expire_unix_ms: 9_000 }
}

pub(super) fn guard(from: &Checkpoint) -> CommitPrecondition {
    CommitPrecondition { epoch: from.epoch, committed_points: from.committed_points() }
}

/// One point more; which one depends on the offset alone.
pub(super) fn grown(from: &Checkpoint) -> Checkpoint {
    let mut next = from.clone();
    let x = from.committed_points() as f64;
    next.accumulator.extend(&[Fix::new(Point::planar(x, (x * 0.7).sin()).unwrap())]).unwrap();
    next
}

#[tokio::test]
async fn it_holds_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    // Two that have to be made.
    let path = directory.path().join("new/store");
    let store = RedbStore::open(&path).unwrap();
    contract::hold(&store).await;
    drop(store);
    // And again in what is left of it.
    contract::hold(&RedbStore::open(&path).unwrap()).await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart_and_epochs_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    let begun = store.open(name("walk"), opening()).await.unwrap();
    let next = grown(&begun);
    store.commit(name("walk"), guard(&begun), next.clone()).await.unwrap();
    let gone = store.open(name("gone"), opening()).await.unwrap();
    store.delete(name("gone")).await.unwrap();
    drop(store);

    let store = RedbStore::open(directory.path()).unwrap();
    assert_eq!(store.load(name("walk")).await, Ok(Some(next)));
    let again = store.open(name("gone"), opening()).await.unwrap();
    assert!(again.epoch > gone.epoch);
}

#[tokio::test]
async fn all_that_wait_share_a_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    let names: Vec<_> = (0..500).map(|i| name(&format!("many-{i}"))).collect();
    let opened = join_all(names.iter().map(|name| store.open(name.clone(), opening()))).await;
    let steps = names.iter().zip(opened).map(|(name, begun)| {
        let begun = begun.unwrap();
        store.commit(name.clone(), guard(&begun), grown(&begun))
    });
    assert!(join_all(steps).await.into_iter().all(|outcome| outcome.is_ok()));
    let stats = store.stats();
    assert_eq!(stats.requests, 1_000);
    assert!(stats.transactions < 200, "{stats:?}");
    // What is refused costs no transaction.
    let ghost = CommitPrecondition { epoch: 0, committed_points: 0 };
    let next = store.load(names[0].clone()).await.unwrap().unwrap();
    store.commit(names[0].clone(), ghost, next).await.unwrap_err();
    assert_eq!(store.stats().transactions, stats.transactions);
}

#[tokio::test]
async fn a_dropped_future_does_not_take_the_request_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    let begun = store.open(name("walk"), opening()).await.unwrap();
    // Polled once, which asks, and dropped.
    let commit = store.commit(name("walk"), guard(&begun), grown(&begun));
    let _ = futures::FutureExt::now_or_never(commit);
    drop(store);
    let store = RedbStore::open(directory.path()).unwrap();
    assert_eq!(store.load(name("walk")).await, Ok(Some(grown(&begun))));
}

#[tokio::test]
async fn a_damaged_record_is_lost_and_others_are_not() {
    let directory = tempfile::tempdir().unwrap();
    drop(RedbStore::open(directory.path()).unwrap());
    let path = directory.path().join("recordings.redb");
    let database = open::database(&path, None, &open::Disk::default(), OpenMode::Again).unwrap();
    let transaction = database.begin_write().unwrap();
    let bytes = b"not a record".as_slice();
    transaction.open_table(tables::RECORDINGS).unwrap().insert("b", bytes).unwrap();
    transaction.commit().unwrap();
    drop(database);

    let store = RedbStore::open(directory.path()).unwrap();
    let first = store.open(name("a"), opening()).await.unwrap();
    let damaged = StoreError::Damaged("it is not a checkpoint or cut short (12 bytes)".into());
    assert_eq!(store.load(name("b")).await, Err(damaged.clone()));
    assert_eq!(store.open(name("b"), opening()).await, Err(damaged.clone()));
    let outcome = store.commit(name("b"), guard(&first), grown(&first)).await;
    assert_eq!(outcome, Err(damaged.clone()));
    let page = store.list(None, 9).await.unwrap();
    assert_eq!(page, [(name("a"), Ok(first.clone())), (name("b"), Err(damaged))]);
    let swept = store.sweep(Sweep::expired(i64::MAX), None).await.unwrap();
    let last = first.epoch;
    assert_eq!(swept.removed, [Removed { name: name("a"), epoch: last }]);
    assert_eq!(store.delete(name("b")).await, Ok(Some(last)), "the last epoch that was assigned");
    store.open(name("b"), opening()).await.unwrap();
}

#[test]
fn a_directory_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let refusal = |path: &Path| {
        let error = RedbStore::open(path).unwrap_err();
        let text = error.to_string().replace(&directory.path().display().to_string(), "DIR");
        (error, text)
    };
    let at = |id: &str| directory.path().join(id);

    let held = RedbStore::open(at("held")).unwrap();
    let (error, text) = refusal(&at("held"));
    assert!(matches!(error, StoreOpenError::InUse { .. }));
    insta::assert_snapshot!(
        text,
        @"DIR/held is in use by another process: stop that one, or use another directory"
    );
    drop(held);
    let path = at("held/recordings.redb");
    let database = open::database(&path, None, &open::Disk::default(), OpenMode::Again).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(NUMBERS).unwrap().insert(FORMAT_KEY, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let (error, text) = refusal(&at("held"));
    assert!(matches!(error, StoreOpenError::Newer { found: 2, known: 1, .. }));
    insta::assert_snapshot!(
        text,
        @"DIR/held/recordings.redb has format 2 and this program knows up to 1: use the newer program, or another directory"
    );

    fs::write(at("file"), "").unwrap();
    let (error, text) = refusal(&at("file"));
    assert!(matches!(error, StoreOpenError::NotADirectory { .. }), "{error:?}");
    insta::assert_snapshot!(
        text,
        @"DIR/file is not a directory: name one, or a path at which one can be made"
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
                @"DIR/damaged/recordings.redb is damaged or of another program (DB corrupted: it is empty): restore it from a backup, or move it away to begin anew without the recordings in it"
            );
        }
    }
}

#[cfg(unix)]
#[test]
#[allow(clippy::print_stderr, reason = "a test that cannot run says so")]
fn a_directory_that_cannot_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(directory.path().join("probe"), "").is_ok() {
        eprintln!("SKIPPED: this user may write everywhere, so nothing can be read-only");
        return;
    }
    let error = RedbStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreOpenError::NotWritable { .. }), "{error:?}");
    assert!(error.to_string().contains("give this process the right to"), "{error}");
}

#[tokio::test]
async fn a_beginning_that_was_cut_short_is_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("recordings.new"), "half").unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    contract::hold(&store).await;
    assert!(!directory.path().join("recordings.new").exists());
}

/// A damaged file is refused when it is opened. If it is not refused, the damage is in a place that is not used, and
/// every recording is whole.
#[tokio::test]
async fn a_damaged_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recordings.redb");
    let store = RedbStore::open(directory.path()).unwrap();
    let names: Vec<_> = (0..30).map(|i| name(&format!("walk-{i}"))).collect();
    for outcome in join_all(names.iter().map(|name| store.open(name.clone(), opening()))).await {
        outcome.unwrap();
    }
    drop(store);
    let lock = directory.path().join("lock");
    let (whole, note) = (fs::read(&path).unwrap(), fs::read(&lock).unwrap());
    // Every used byte would take minutes: some of those that are not zero.
    let used: Vec<_> = (0..whole.len()).filter(|&at| whole[at] != 0).step_by(701).collect();
    assert!(used.len() > 10, "{}", used.len());
    let (mut refused, mut well) = (0, 0);
    for at in used {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, bytes).unwrap();
        fs::write(&lock, &note).unwrap();
        let Ok(store) = RedbStore::open(directory.path()) else {
            refused += 1;
            continue;
        };
        assert_eq!(store.list(None, 100).await.unwrap().len(), names.len(), "byte {at}");
        let opened = join_all(names.iter().map(|name| store.open(name.clone(), opening()))).await;
        for (name, opened) in names.iter().zip(opened) {
            assert_eq!(opened.unwrap().accumulator.point_count(), 0, "{name}, byte {at}");
            well += 1;
        }
    }
    assert!(refused > 0 && well > 0, "{refused} files refused, {well} recordings read from others");
}

/// What may happen to the directory of an open store.
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
        let begun = store.open(name("walk"), opening()).await.unwrap();
        change(&path);
        let commit = store.commit(name("walk"), guard(&begun), grown(&begun)).await;
        let Err(StoreError::Unavailable(text)) = commit else { panic!("{commit:?}") };
        let text = text.replace(&parent.path().display().to_string(), "DIR");
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                text,
                @"DIR/data was deleted, moved or replaced while the server runs, so that a restart would not find what is stored now: put it back, or restart the server"
            );
        }
        assert!(matches!(store.load(name("walk")).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.list(None, 1).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.delete(name("walk")).await, Err(StoreError::Unavailable(_))));
        assert!(store.open(name("other"), opening()).await.is_err());
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
    let begun = store.open(name("walk"), opening()).await.unwrap();
    fs::rename(&path, &aside).unwrap();
    let commit = store.commit(name("walk"), guard(&begun), grown(&begun)).await;
    assert!(matches!(commit, Err(StoreError::Unavailable(_))), "{commit:?}");
    fs::rename(&aside, &path).unwrap();
    store.commit(name("walk"), guard(&begun), grown(&begun)).await.unwrap();
    drop(store);
    let stored = RedbStore::open(&path).unwrap().load(name("walk")).await;
    assert_eq!(stored, Ok(Some(grown(&begun))));
}

#[tokio::test]
async fn a_file_that_is_an_older_copy_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (path, older) = (directory.path().join("recordings.redb"), directory.path().join("older"));
    let store = RedbStore::open(directory.path()).unwrap();
    store.open(name("first"), opening()).await.unwrap();
    drop(store);
    fs::copy(&path, &older).unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    store.open(name("second"), opening()).await.unwrap();
    drop(store);
    fs::rename(&older, &path).unwrap();
    let error = RedbStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreOpenError::Older { found: 1, noted: 2, .. }), "{error:?}");
    let text = error.to_string().replace(&directory.path().display().to_string(), "DIR");
    insta::assert_snapshot!(
        text,
        @"DIR/recordings.redb ends with transaction 1, and 2 were stored: it is an older copy, or its header is damaged. Restore the latest copy; to use this one without the recordings that it lacks, delete the file named lock next to it"
    );
    fs::remove_file(directory.path().join("lock")).unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    assert!(store.load(name("first")).await.unwrap().is_some());
    drop(store);
    // A new file begins from the start.
    fs::remove_file(&path).unwrap();
    RedbStore::open(directory.path()).unwrap();
}

#[tokio::test]
async fn a_store_holds_its_maximum_of_recordings() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path()).unwrap().with_max_recordings(3);
    contract::hold_maximum(&store, 3).await;
}
