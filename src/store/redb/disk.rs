//! Tests of the store on a simulated disk that fails at chosen steps and loses unsynced writes in a power failure.
//! Acknowledged commits are never lost, and each answer is correct.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use redb::{Builder, StorageBackend};

use super::tests::{grown, name, precondition, request};
use super::*;

#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    /// The bytes that reads return.
    live: Vec<u8>,
    /// The bytes that survive a power failure.
    durable: Vec<u8>,
    /// The writes since the last sync. Each of them may be on the disk or not.
    unsynced: Vec<(usize, Vec<u8>)>,
    /// The number of writes, syncs and changes of length.
    steps: u64,
    /// These steps fail.
    failing: Option<std::ops::Range<u64>>,
    /// Writes beyond this offset fail.
    full_at: Option<usize>,
    /// The step of the power failure, and a pattern. Each bit of the pattern decides whether an unsynced write is lost.
    power_failure: Option<(u64, u64)>,
    /// The bytes on the disk after the power failure, and the number of commits that were acknowledged before it.
    image: Option<(Vec<u8>, u64)>,
    acknowledged: u64,
}

impl State {
    /// Counts a step.
    fn step(&mut self, len: usize) -> io::Result<()> {
        self.steps += 1;
        if let Some((at, pattern)) = self.power_failure
            && at == self.steps
        {
            self.image = Some((self.after_power_failure(pattern), self.acknowledged));
        }
        if self.failing.as_ref().is_some_and(|failing| failing.contains(&self.steps)) {
            return Err(io::Error::other("the disk does not answer"));
        }
        if self.full_at.is_some_and(|full_at| len > full_at) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn after_power_failure(&self, pattern: u64) -> Vec<u8> {
        let mut image = self.durable.clone();
        for (index, (offset, data)) in self.unsynced.iter().enumerate() {
            if pattern.rotate_right(index as u32 % 64) & 1 == 1 {
                write_at(&mut image, *offset, data);
            }
        }
        image
    }
}

fn write_at(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        let bytes = state.live.get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let len = usize::try_from(len).unwrap();
        // A file grows by a hole, which needs no space on the disk.
        state.step(0)?;
        state.live.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if let Err(error) = state.step(0) {
            // As in Linux: pages that could not be synced are marked clean, and are lost.
            state.unsynced.clear();
            return Err(error);
        }
        for (offset, data) in std::mem::take(&mut state.unsynced) {
            write_at(&mut state.durable, offset, &data);
        }
        let len = state.live.len();
        state.durable.resize(len, 0);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        state.step(offset + data.len())?;
        write_at(&mut state.live, offset, data);
        state.unsynced.push((offset, data.to_vec()));
        Ok(())
    }
}

impl Disk {
    /// Returns a disk with a new database.
    fn with_database() -> Self {
        let disk = Self::default();
        open::create_tables(&Builder::new().create_with_backend(disk.clone()).unwrap()).unwrap();
        assert!(disk.0.lock().unwrap().unsynced.is_empty());
        disk
    }

    /// Returns a disk with these bytes.
    fn with_bytes(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State {
            live: bytes.clone(),
            durable: bytes,
            ..State::default()
        })))
    }

    /// Returns an independent copy.
    fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().unwrap().clone())))
    }

    fn store(&self) -> RedbStore {
        let (disk, shared) = (self.clone(), open::Disk::default());
        let counters = Arc::clone(&shared.counters);
        let opener = Box::new(move |mode| open::with_backend(disk.clone(), &shared, mode));
        RedbStore::start(Path::new("disk"), opener, counters, None).unwrap()
    }

    fn plan(&self, plan: impl FnOnce(&mut State)) {
        plan(&mut self.0.lock().unwrap());
    }
}

/// The number of commits. More commits would repeat the same steps.
const COMMITS: u64 = 4;

/// Opens a recording and commits one point at a time.
async fn record(disk: &Disk, store: &RedbStore) {
    let mut last = store.open(name("walk"), request()).await.unwrap();
    for count in 1..=COMMITS {
        let next = grown(&last);
        store.commit(name("walk"), precondition(&last), next.clone()).await.unwrap();
        disk.plan(|state| state.acknowledged = count);
        last = next;
    }
}

/// Returns the number of steps of the disk before and after [`record`].
async fn steps_of_record(initial: &Disk) -> (u64, u64) {
    let disk = initial.copy();
    let store = disk.store();
    let before = disk.0.lock().unwrap().steps;
    record(&disk, &store).await;
    let after = disk.0.lock().unwrap().steps;
    (before, after)
}

#[tokio::test]
async fn acknowledged_commits_survive_a_power_failure() {
    let initial = Disk::with_database();
    let (before, after) = steps_of_record(&initial).await;
    let expected = folds(&initial).await;
    let mut in_flight = 0;
    for step in before + 1..=after {
        for pattern in [u64::MAX, 0xA5F0_C33C_9966_1234] {
            let disk = initial.copy();
            disk.plan(|state| state.power_failure = Some((step, pattern)));
            record(&disk, &disk.store()).await;
            let (image, acknowledged) = disk.0.lock().unwrap().image.take().unwrap();

            let store = Disk::with_bytes(image).store();
            let stored = store.load(name("walk")).await.unwrap();
            let count = stored.as_ref().map_or(0, Checkpoint::committed_points);
            assert!(
                count == acknowledged || count == acknowledged + 1,
                "{count} points of {acknowledged} acknowledged, at step {step}, pattern {pattern:x}"
            );
            in_flight += count - acknowledged;
            if let Some(stored) = stored {
                assert_eq!(stored.accumulator, expected[count as usize].accumulator);
                // The recording can be continued.
                let again = store.open(name("walk"), request()).await.unwrap();
                store.commit(name("walk"), precondition(&again), grown(&again)).await.unwrap();
            } else {
                assert_eq!(acknowledged, 0);
            }
        }
    }
    // Some commits were on the disk before they were acknowledged.
    assert!(in_flight > 0);
}

/// Returns the checkpoints by number of commits.
async fn folds(initial: &Disk) -> Vec<Checkpoint> {
    let mut folds = vec![initial.copy().store().open(name("walk"), request()).await.unwrap()];
    for _ in 0..=COMMITS {
        folds.extend(folds.last().map(grown));
    }
    folds
}

/// One step of the disk fails. Each answer is success or failure, never unknown, and it is correct. Acknowledged commits
/// survive a power failure.
#[tokio::test]
async fn every_answer_is_true_if_the_disk_fails_once() {
    let initial = Disk::with_database();
    let (before, after) = steps_of_record(&initial).await;
    let (mut refused, mut done) = (0, 0);
    for step in before + 1..=after {
        let disk = initial.copy();
        let store = disk.store();
        disk.plan(|state| state.failing = Some(step..step + 1));
        let mut last = loop {
            match store.open(name("walk"), request()).await {
                Ok(opened) => break opened,
                Err(StoreError::Unavailable(_)) => refused += 1,
                Err(error) => panic!("{error}, at step {step}"),
            }
        };
        while last.committed_points() < COMMITS {
            let next = grown(&last);
            match store.commit(name("walk"), precondition(&last), next.clone()).await {
                Ok(()) => last = next,
                Err(StoreError::Unavailable(_)) => refused += 1,
                Err(error) => panic!("{error}, at step {step}"),
            }
            let stored = store.load(name("walk")).await.unwrap().unwrap();
            assert_eq!(stored, last, "at step {step}");
            let image = disk.0.lock().unwrap().after_power_failure(0);
            let stored = Disk::with_bytes(image).store().load(name("walk")).await.unwrap().unwrap();
            assert_eq!(stored, last, "after a power failure, at step {step}");
        }
        done += 1;
    }
    assert!(refused > 0 && refused < done, "{refused} refused of {done}");
}

/// The store recovers without a restart when the disk works again.
#[tokio::test]
async fn a_disk_that_works_again_is_used_again() {
    let initial = Disk::with_database();
    let (before, after) = steps_of_record(&initial).await;
    for step in before + 1..=after {
        let disk = initial.copy();
        let store = disk.store();
        let opened = store.open(name("walk"), request()).await.unwrap();
        disk.plan(|state| state.failing = Some(step..u64::MAX));
        let mut last = opened.clone();
        let outcome = loop {
            let next = grown(&last);
            match store.commit(name("walk"), precondition(&last), next.clone()).await {
                Ok(()) => last = next,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(outcome, StoreError::Unknown(_) | StoreError::Unavailable(_)),
            "{outcome:?}"
        );
        let next = grown(&last);
        let again = store.commit(name("walk"), precondition(&last), next.clone()).await;
        assert!(matches!(again, Err(StoreError::Unavailable(_))), "{again:?}");
        let read = store.load(name("walk")).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");

        disk.plan(|state| state.failing = None);
        // Any request makes the store open the file again.
        store.delete(name("absent")).await.unwrap();
        let stored = store.load(name("walk")).await.unwrap().unwrap();
        let is_committed = stored == next;
        assert!(is_committed || stored == last, "at step {step}");
        assert!(!is_committed || matches!(outcome, StoreError::Unknown(_)), "at step {step}");
        store.commit(name("walk"), precondition(&stored), grown(&stored)).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_space() {
    let disk = Disk::with_database();
    let store = disk.store();
    let first = store.open(name("first"), request()).await.unwrap();
    let full_at = disk.0.lock().unwrap().live.len();
    disk.plan(|state| state.full_at = Some(full_at));
    let mut count = 0;
    let error = loop {
        let names = (0..100).map(|i| name(&format!("more-{count}-{i}")));
        let opened = join_all(names.map(|name| store.open(name, request()))).await;
        if let Some(error) = opened.into_iter().find_map(Result::err) {
            break error;
        }
        count += 1;
        assert!(count < 1_000, "the disk is never full");
    };
    insta::assert_snapshot!(error, @"the store is not available: I/O error: no storage space");
    // Stored recordings are readable.
    assert_eq!(store.load(name("first")).await, Ok(Some(first.clone())));
    disk.plan(|state| state.full_at = None);
    store.commit(name("first"), precondition(&first), grown(&first)).await.unwrap();
    assert_eq!(store.load(name("first")).await, Ok(Some(grown(&first))));
}

/// One bit of a page changes on the disk while the store is open. No recording is missing: each is returned as it was
/// stored, or reported as damaged.
#[tokio::test]
async fn a_page_that_changes_under_an_open_store_is_detected() {
    let initial = Disk::with_database();
    let names: Vec<_> = (0..150).map(|i| name(&format!("walk-{i}-{}", "x".repeat(90)))).collect();
    let mut stored = Vec::new();
    let store = initial.store();
    for opened in join_all(names.iter().map(|name| store.open(name.clone(), request()))).await {
        stored.push(opened.unwrap());
    }
    drop(store);
    let used: Vec<_> = {
        let live = &initial.0.lock().unwrap().live;
        let pages = live.chunks(4096).enumerate().skip(1);
        let used = pages.filter(|(_, page)| page.iter().any(|&byte| byte != 0));
        used.map(|(page, _)| page).collect()
    };
    assert!(used.len() > 20, "{}", used.len());
    let (mut damaged, mut intact, mut independent) = (0, 0, 0);
    for (round, page) in used.into_iter().enumerate() {
        let disk = initial.copy();
        let store = disk.store();
        // A failure makes the store open the file again, so that its cache is empty.
        disk.plan(|state| state.failing = Some(state.steps + 1..state.steps + 2));
        let has_probe = store.open(name("probe"), request()).await.is_ok();
        disk.plan(|state| state.live[page * 4096 + (round * 37) % 4096] ^= 1 << (round % 8));
        for (name, stored) in names.iter().zip(&stored) {
            match store.load(name.clone()).await {
                Ok(found) => {
                    assert_eq!(found.as_ref(), Some(stored), "{name}, page {page}");
                    intact += 1;
                }
                Err(StoreError::Damaged(_)) => damaged += 1,
                Err(error) => panic!("{error}, page {page}"),
            }
        }
        match store.list(ListQuery::all(), 1_000).await {
            Ok(listed) => {
                let count = names.len() + usize::from(has_probe);
                assert_eq!(listed.len(), count, "page {page}");
            }
            Err(error) => assert!(matches!(error, StoreError::Damaged(_)), "{error}"),
        }
        // Only requests that need a damaged page fail.
        let opened = join_all(names.iter().map(|name| store.open(name.clone(), request()))).await;
        if opened.iter().any(Result::is_err) {
            independent += opened.iter().filter(|opened| opened.is_ok()).count();
        }
        for ((name, stored), opened) in names.iter().zip(&stored).zip(opened) {
            match opened {
                Ok(opened) => {
                    assert_eq!(Checkpoint { epoch: stored.epoch, ..opened }, *stored, "{name}");
                }
                Err(StoreError::Damaged(_) | StoreError::Unknown(_)) => {}
                Err(error) => panic!("{error}, page {page}"),
            }
        }
    }
    assert!(damaged > 0 && intact > damaged, "{damaged} damaged, {intact} intact");
    assert!(independent > 0);
}
