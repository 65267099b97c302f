//! A disk in memory that fails when it is told to, and forgets what was not synced when the power goes,
//! under the embedded store: what was acknowledged is there, and what failed has a true answer.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use redb::{Builder, StorageBackend};

use super::tests::{grown, guard, name, opening};
use super::*;

#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    /// What a read gives.
    live: Vec<u8>,
    /// What outlives the power.
    durable: Vec<u8>,
    /// What was written since the last sync; any of it may be on the disk or not.
    unsynced: Vec<(usize, Vec<u8>)>,
    /// Writes, syncs and changes of length so far.
    steps: u64,
    /// These steps fail.
    failing: Option<std::ops::Range<u64>>,
    /// Writing past this fails.
    full_at: Option<usize>,
    /// The power goes at this step; every bit decides of one write that was not synced, over and over.
    power_off: Option<(u64, u64)>,
    /// What was on the disk then, and how many commits had been acknowledged.
    image: Option<(Vec<u8>, u64)>,
    acknowledged: u64,
}

impl State {
    /// Counts a step.
    fn step(&mut self, len: usize) -> io::Result<()> {
        self.steps += 1;
        if let Some((at, luck)) = self.power_off
            && at == self.steps
        {
            self.image = Some((self.after_power_off(luck), self.acknowledged));
        }
        if self.failing.as_ref().is_some_and(|failing| failing.contains(&self.steps)) {
            return Err(io::Error::other("the disk does not answer"));
        }
        if self.full_at.is_some_and(|full_at| len > full_at) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn after_power_off(&self, luck: u64) -> Vec<u8> {
        let mut image = self.durable.clone();
        for (index, (offset, data)) in self.unsynced.iter().enumerate() {
            if luck.rotate_right(index as u32 % 64) & 1 == 1 {
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
        // Only a disk that writes is full: a file grows by a hole.
        state.step(0)?;
        state.live.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if let Err(error) = state.step(0) {
            // As Linux has it: what could not be synced is taken for clean, and is lost.
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
    /// One with a new database on it.
    fn begun() -> Self {
        let disk = Self::default();
        open::begin(&Builder::new().create_with_backend(disk.clone()).unwrap()).unwrap();
        assert!(disk.0.lock().unwrap().unsynced.is_empty());
        disk
    }

    /// A disk that holds just these bytes.
    fn with(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State {
            live: bytes.clone(),
            durable: bytes,
            ..State::default()
        })))
    }

    /// The same again, untouched by what becomes of this one.
    fn copied(&self) -> Self {
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

/// Each further one takes the same steps, and each step is tried.
const COMMITS: u64 = 4;

/// A recording that is opened and then grows by a point a commit.
async fn record(disk: &Disk, store: &RedbStore) {
    let mut last = store.open(name("walk"), opening()).await.unwrap();
    for count in 1..=COMMITS {
        let next = grown(&last);
        store.commit(name("walk"), guard(&last), next.clone()).await.unwrap();
        disk.plan(|state| state.acknowledged = count);
        last = next;
    }
}

/// The steps of the disk before and after it.
async fn steps_of_record(begun: &Disk) -> (u64, u64) {
    let disk = begun.copied();
    let store = disk.store();
    let before = disk.0.lock().unwrap().steps;
    record(&disk, &store).await;
    let after = disk.0.lock().unwrap().steps;
    (before, after)
}

#[tokio::test]
async fn what_was_acknowledged_outlives_the_power() {
    let begun = Disk::begun();
    let (before, after) = steps_of_record(&begun).await;
    let expected = folds(&begun).await;
    let mut in_flight = 0;
    for step in before + 1..=after {
        for luck in [u64::MAX, 0xA5F0_C33C_9966_1234] {
            let disk = begun.copied();
            disk.plan(|state| state.power_off = Some((step, luck)));
            record(&disk, &disk.store()).await;
            let (image, acknowledged) = disk.0.lock().unwrap().image.take().unwrap();

            let store = Disk::with(image).store();
            let stored = store.load(name("walk")).await.unwrap();
            let count = stored.as_ref().map_or(0, Checkpoint::committed_points);
            assert!(
                count == acknowledged || count == acknowledged + 1,
                "{count} points of {acknowledged} acknowledged, at step {step}, luck {luck:x}"
            );
            in_flight += count - acknowledged;
            if let Some(stored) = stored {
                assert_eq!(stored.accumulator, expected[count as usize].accumulator);
                // And it can be gone on with.
                let again = store.open(name("walk"), opening()).await.unwrap();
                store.commit(name("walk"), guard(&again), grown(&again)).await.unwrap();
            } else {
                assert_eq!(acknowledged, 0);
            }
        }
    }
    // Some commits were on the disk before anybody was told.
    assert!(in_flight > 0);
}

/// The checkpoints after so many commits.
async fn folds(begun: &Disk) -> Vec<Checkpoint> {
    let mut folds = vec![begun.copied().store().open(name("walk"), opening()).await.unwrap()];
    for _ in 0..=COMMITS {
        folds.extend(folds.last().map(grown));
    }
    folds
}

/// Whichever step of the disk fails, once, each answer is yes or no, and true; and what was answered is
/// there when the power goes.
#[tokio::test]
async fn a_disk_that_fails_once_is_answered_for_truly() {
    let begun = Disk::begun();
    let (before, after) = steps_of_record(&begun).await;
    let (mut refused, mut done) = (0, 0);
    for step in before + 1..=after {
        let disk = begun.copied();
        let store = disk.store();
        disk.plan(|state| state.failing = Some(step..step + 1));
        let mut last = loop {
            match store.open(name("walk"), opening()).await {
                Ok(opened) => break opened,
                Err(StoreError::Unavailable(_)) => refused += 1,
                Err(error) => panic!("{error}, at step {step}"),
            }
        };
        while last.committed_points() < COMMITS {
            let next = grown(&last);
            match store.commit(name("walk"), guard(&last), next.clone()).await {
                Ok(()) => last = next,
                Err(StoreError::Unavailable(_)) => refused += 1,
                Err(error) => panic!("{error}, at step {step}"),
            }
            let stored = store.load(name("walk")).await.unwrap().unwrap();
            assert_eq!(stored, last, "at step {step}");
            let image = disk.0.lock().unwrap().after_power_off(0);
            let stored = Disk::with(image).store().load(name("walk")).await.unwrap().unwrap();
            assert_eq!(stored, last, "after the power, at step {step}");
        }
        done += 1;
    }
    assert!(refused > 0 && refused < done, "{refused} refused of {done}");
}

/// While the disk is away nothing is promised; when it is back the store is, by itself.
#[tokio::test]
async fn a_disk_that_comes_back_is_used_again() {
    let begun = Disk::begun();
    let (before, after) = steps_of_record(&begun).await;
    for step in before + 1..=after {
        let disk = begun.copied();
        let store = disk.store();
        let opened = store.open(name("walk"), opening()).await.unwrap();
        disk.plan(|state| state.failing = Some(step..u64::MAX));
        let mut last = opened.clone();
        let outcome = loop {
            let next = grown(&last);
            match store.commit(name("walk"), guard(&last), next.clone()).await {
                Ok(()) => last = next,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(outcome, StoreError::Unknown(_) | StoreError::Unavailable(_)),
            "{outcome:?}"
        );
        let next = grown(&last);
        let again = store.commit(name("walk"), guard(&last), next.clone()).await;
        assert!(matches!(again, Err(StoreError::Unavailable(_))), "{again:?}");
        let read = store.load(name("walk")).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");

        disk.plan(|state| state.failing = None);
        // Any request makes the store look again.
        store.delete(name("absent")).await.unwrap();
        let stored = store.load(name("walk")).await.unwrap().unwrap();
        let was_done = stored == next;
        assert!(was_done || stored == last, "at step {step}");
        assert!(!was_done || matches!(outcome, StoreError::Unknown(_)), "at step {step}");
        store.commit(name("walk"), guard(&stored), grown(&stored)).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let disk = Disk::begun();
    let store = disk.store();
    let first = store.open(name("first"), opening()).await.unwrap();
    let full_at = disk.0.lock().unwrap().live.len();
    disk.plan(|state| state.full_at = Some(full_at));
    let mut count = 0;
    let error = loop {
        let names = (0..100).map(|i| name(&format!("more-{count}-{i}")));
        let opened = join_all(names.map(|name| store.open(name, opening()))).await;
        if let Some(error) = opened.into_iter().find_map(Result::err) {
            break error;
        }
        count += 1;
        assert!(count < 1_000, "the disk is never full");
    };
    insta::assert_snapshot!(error, @"the store is not available: I/O error: no storage space");
    // What there was can be read.
    assert_eq!(store.load(name("first")).await, Ok(Some(first.clone())));
    disk.plan(|state| state.full_at = None);
    store.commit(name("first"), guard(&first), grown(&first)).await.unwrap();
    assert_eq!(store.load(name("first")).await, Ok(Some(grown(&first))));
}

/// A bit of any page changes on the disk while the store is open. No recording goes missing: it is returned as it
/// was stored, or reported as damaged.
#[tokio::test]
async fn a_page_that_changes_under_an_open_store_is_detected() {
    let begun = Disk::begun();
    let names: Vec<_> = (0..150).map(|i| name(&format!("walk-{i}-{}", "x".repeat(90)))).collect();
    let mut stored = Vec::new();
    let store = begun.store();
    for opened in join_all(names.iter().map(|name| store.open(name.clone(), opening()))).await {
        stored.push(opened.unwrap());
    }
    drop(store);
    let used: Vec<_> = {
        let live = &begun.0.lock().unwrap().live;
        let pages = live.chunks(4096).enumerate().skip(1);
        let used = pages.filter(|(_, page)| page.iter().any(|&byte| byte != 0));
        used.map(|(page, _)| page).collect()
    };
    assert!(used.len() > 20, "{}", used.len());
    let (mut damaged, mut whole, mut done_with_others) = (0, 0, 0);
    for (round, page) in used.into_iter().enumerate() {
        let disk = begun.copied();
        let store = disk.store();
        // A failure makes the store open the file again, so that its cache is empty.
        disk.plan(|state| state.failing = Some(state.steps + 1..state.steps + 2));
        let has_probe = store.open(name("probe"), opening()).await.is_ok();
        disk.plan(|state| state.live[page * 4096 + (round * 37) % 4096] ^= 1 << (round % 8));
        for (name, stored) in names.iter().zip(&stored) {
            match store.load(name.clone()).await {
                Ok(found) => {
                    assert_eq!(found.as_ref(), Some(stored), "{name}, page {page}");
                    whole += 1;
                }
                Err(StoreError::Damaged(_)) => damaged += 1,
                Err(error) => panic!("{error}, page {page}"),
            }
        }
        match store.list(None, 1_000).await {
            Ok(listed) => {
                let count = names.len() + usize::from(has_probe);
                assert_eq!(listed.len(), count, "page {page}");
            }
            Err(error) => assert!(matches!(error, StoreError::Damaged(_)), "{error}"),
        }
        // A request that needs a damaged page fails, and one that does not is done.
        let opened = join_all(names.iter().map(|name| store.open(name.clone(), opening()))).await;
        if opened.iter().any(Result::is_err) {
            done_with_others += opened.iter().filter(|opened| opened.is_ok()).count();
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
    assert!(damaged > 0 && whole > damaged, "{damaged} damaged, {whole} whole");
    assert!(done_with_others > 0);
}
