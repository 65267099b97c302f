//! Namespaces in a file: records belong to their full names, the numbers of recordings are right after a restart and
//! in files of other programs, and exports.

use redb::ReadableTable as _;

use super::*;
use crate::recording::{ExportQuery, Namespace, SWEEP_STEP};
use crate::store::codec;
use crate::store::redb::tables::{COUNTS, RECORDINGS};

fn in_namespace(namespace: &str, id: &str) -> RecordingName {
    let namespace: Namespace = namespace.parse().unwrap();
    RecordingName::in_namespace(Some(&namespace), id).unwrap()
}

/// Changes the file of a closed store.
fn change(directory: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let path = directory.join("recordings.redb");
    let database = open::database(&path, None, &open::Disk::default(), OpenMode::Reopen).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

/// Returns the stored numbers of recordings.
fn counts(directory: &Path) -> Vec<(String, u64)> {
    let path = directory.join("recordings.redb");
    let database = open::database(&path, None, &open::Disk::default(), OpenMode::Reopen).unwrap();
    let table = database.begin_read().unwrap().open_table(COUNTS).unwrap();
    let entries = table.iter().unwrap().map(Result::unwrap);
    entries.map(|(namespace, count)| (namespace.value().to_owned(), count.value())).collect()
}

fn expected(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    counts.iter().map(|&(namespace, count)| (namespace.to_owned(), count)).collect()
}

#[tokio::test]
async fn a_record_belongs_to_its_full_name() {
    let names = [name("walk"), in_namespace("a", "walk"), in_namespace("b", "walk")];
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    for own in &names {
        let checkpoint = store.open(own.clone(), request()).await.unwrap();
        let bytes = codec::encode(own, &checkpoint);
        for other in &names {
            assert_eq!(codec::decode(other, &bytes).is_ok(), other == own, "{own} as {other}");
        }
    }
}

#[tokio::test]
async fn the_numbers_of_recordings_survive_a_restart_and_removals_of_all_kinds() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    for id in ["a", "b", "c"] {
        store.open(name(id), request()).await.unwrap();
        store.open(in_namespace("n", id), request()).await.unwrap();
        store.open(name(id), request()).await.unwrap();
    }
    store.open(in_namespace("gone", "a"), request()).await.unwrap();
    store.delete(in_namespace("gone", "a")).await.unwrap();
    store.delete(name("c")).await.unwrap();
    drop(store);
    assert_eq!(counts(directory.path()), expected(&[("", 2), ("n", 3)]));

    // A damaged recording counts until it is deleted.
    change(directory.path(), |transaction| {
        let mut recordings = transaction.open_table(RECORDINGS).unwrap();
        recordings.insert("\u{7f}n\0a", b"damaged".as_slice()).unwrap();
    });
    let store = RedbStore::open(directory.path()).unwrap();
    assert_eq!(store.checked().damaged, ["namespaces/n/paths/a"]);
    assert_eq!(store.checked().recordings, 5);
    let limited = OpenRequest { max_in_namespace: Some(3), ..request() };
    let full = store.open(in_namespace("n", "d"), limited.clone()).await;
    assert!(matches!(full, Err(StoreError::NamespaceFull(_))), "{full:?}");
    assert!(store.delete(in_namespace("n", "a")).await.unwrap().is_some());
    store.open(in_namespace("n", "d"), limited).await.unwrap();
    store.sweep(Sweep::expired(i64::MAX), None).await.unwrap();
    drop(store);
    assert_eq!(counts(directory.path()), []);
}

#[tokio::test]
async fn the_numbers_of_recordings_are_counted_in_files_of_other_programs() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    for id in ["a", "b", "c"] {
        store.open(name(id), request()).await.unwrap();
        store.open(in_namespace("n", id), request()).await.unwrap();
    }
    drop(store);
    let limited = OpenRequest { max_in_namespace: Some(3), ..request() };
    // A program before namespaces has no table, or leaves it as it was.
    let without = |transaction: &redb::WriteTransaction| {
        assert!(transaction.delete_table(COUNTS).unwrap());
    };
    let outdated = |transaction: &redb::WriteTransaction| {
        let mut table = transaction.open_table(COUNTS).unwrap();
        table.insert("", 1).unwrap();
        table.remove("n").unwrap();
        table.insert("gone", 9).unwrap();
    };
    let changes: [&dyn Fn(&redb::WriteTransaction); 2] = [&without, &outdated];
    for other in changes {
        change(directory.path(), other);
        let store = RedbStore::open(directory.path()).unwrap();
        for full in [name("d"), in_namespace("n", "d")] {
            let outcome = store.open(full, limited.clone()).await;
            assert!(matches!(outcome, Err(StoreError::NamespaceFull(_))), "{outcome:?}");
        }
        drop(store);
        assert_eq!(counts(directory.path()), expected(&[("", 3), ("n", 3)]));
    }
}

/// Returns all steps of an export.
async fn export(store: &dyn CheckpointStore, now_unix_ms: i64, bytes_max: usize) -> Vec<Exported> {
    let (mut steps, mut after) = (Vec::new(), None);
    loop {
        let step = store.export(ExportQuery { after, now_unix_ms, bytes_max }).await.unwrap();
        after = step.next.clone();
        steps.push(step);
        if after.is_none() {
            return steps;
        }
    }
}

#[tokio::test]
async fn an_export_has_the_stored_bytes_in_steps() {
    let directory = tempfile::tempdir().unwrap();
    let disk = RedbStore::open(directory.path()).unwrap();
    let memory = crate::store::MemoryStore::default();
    let stores: [&dyn CheckpointStore; 2] = [&disk, &memory];
    for store in stores {
        assert_eq!(export(store, 0, 1).await, [Exported::default()]);
        let count = 2 * SWEEP_STEP + 1;
        let mut expected = Vec::new();
        let names = (0..count).map(|i| match i % 2 {
            0 => name(&format!("walk-{i:05}")),
            _ => in_namespace("n", &format!("walk-{i:05}")),
        });
        // Every third recording expires.
        let requests = names.clone().zip(0..).map(|(name, i)| {
            let expire_unix_ms = if i % 3 == 0 { 2_000 } else { 9_000 };
            store.open(name, OpenRequest { expire_unix_ms, ..request() })
        });
        for (name, opened) in names.zip(join_all(requests).await) {
            let opened = opened.unwrap();
            if opened.expire_unix_ms > 2_000 {
                expected.push((name.clone(), Ok(codec::encode(&name, &opened))));
            }
        }
        expected.sort_by(|(a, _), (b, _)| a.cmp(b));
        for bytes_max in [0, 10_000, usize::MAX] {
            let steps = export(store, 2_000, bytes_max).await;
            for step in &steps {
                let len = |(_, record): &(RecordingName, Result<Vec<u8>, StoreError>)| {
                    record.as_ref().unwrap().len()
                };
                let bytes: usize = step.records.iter().map(len).sum();
                let last = step.records.last().map_or(0, len);
                assert!(bytes - last <= bytes_max && step.records.len() <= SWEEP_STEP);
            }
            let all: Vec<_> = steps.into_iter().flat_map(|step| step.records).collect();
            assert_eq!(all, expected);
        }
    }
    drop(disk);
    change(directory.path(), |transaction| {
        let mut recordings = transaction.open_table(RECORDINGS).unwrap();
        recordings.insert("walk-00002", b"damaged".as_slice()).unwrap();
    });
    let disk = RedbStore::open(directory.path()).unwrap();
    let steps = export(&disk, 2_000, usize::MAX).await;
    let damaged = steps.iter().flat_map(|step| &step.records).filter(|(_, record)| record.is_err());
    assert_eq!(damaged.map(|(name, _)| name.id()).collect::<Vec<_>>(), ["walk-00002"]);
}
