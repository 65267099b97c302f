//! Damaged database files. Whatever is wrong with a file, the store refuses to open it, or returns each recording
//! with exactly the bits that were stored. No recording silently goes missing.
//!
//! `cargo test` runs some rounds. `DAMAGE_ROUNDS=300 cargo test --test it damage -- --nocapture` runs more and
//! prints a summary; `DAMAGE_SEED` repeats one round; `DAMAGE_KIND` is one kind of damage;
//! `DAMAGE_IMAGE` makes nearly the same file again.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use futures::future::join_all;
use waywiser::measure::{Fix, Metric, Options, Point};
use waywiser::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, ListQuery, OpenRequest, RecordingName,
    StoreError,
};
use waywiser::store::RedbStore;

const FILE: &str = "recordings.redb";
const ROUNDS: u64 = 25;
const RECORDINGS: u64 = 600;
const PAGE: usize = 4096;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn name(index: u64) -> RecordingName {
    // Names of many lengths, so that branch pages hold long keys, too.
    let filler = "x".repeat((index * 7 % 90) as usize);
    format!("paths/walk-{:03}-{filler}", index * 389 % RECORDINGS).parse().unwrap()
}

fn grown(from: &Checkpoint, points: u64) -> Checkpoint {
    let mut next = from.clone();
    let start = from.committed_points();
    let fixes = (start..start + points).map(|i| Fix::new(Point::planar(i as f64, 0.3).unwrap()));
    next.accumulator.extend(&fixes.collect::<Vec<_>>()).unwrap();
    next
}

type Stored = BTreeMap<RecordingName, Checkpoint>;

/// Opens the recordings of a range and commits some points to each. Groups of random sizes do so at the same time.
async fn record(
    store: &RedbStore,
    stored: &mut Stored,
    mut range: std::ops::Range<u64>,
    random: &mut fastrand::Rng,
) {
    while !range.is_empty() {
        let end = range.end.min(range.start + random.u64(1..=2 * RECORDINGS));
        record_group(store, stored, range.start..end).await;
        range.start = end;
    }
}

async fn record_group(store: &RedbStore, stored: &mut Stored, range: std::ops::Range<u64>) {
    let options = Some(Options::new(Metric::Planar));
    let opening =
        OpenRequest { options, now_unix_ms: 1, expire_unix_ms: i64::MAX, max_in_namespace: None };
    let steps = range.map(|index| {
        let opening = opening.clone();
        async move {
            let opened = store.open(name(index), opening).await.unwrap();
            let precondition = CommitPrecondition {
                epoch: opened.epoch,
                committed_points: opened.committed_points(),
            };
            let next = grown(&opened, 1 + index % 5);
            store.commit(name(index), precondition, next.clone()).await.unwrap();
            (name(index), next)
        }
    });
    stored.extend(join_all(steps).await);
}

/// A directory with a store that was closed, or killed.
struct Image {
    files: Vec<(String, Vec<u8>)>,
    older: Vec<u8>,
    stored: Stored,
}

fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let read = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

impl Image {
    async fn new(is_closed: bool, seed: u64) -> Self {
        let random = &mut fastrand::Rng::with_seed(seed);
        let directory = tempfile::tempdir().unwrap();
        let mut stored = Stored::new();
        let store = RedbStore::open(directory.path()).unwrap();
        record(&store, &mut stored, 0..RECORDINGS / 2, random).await;
        drop(store);
        let older = fs::read(directory.path().join(FILE)).unwrap();
        let store = RedbStore::open(directory.path()).unwrap();
        for first in 0..5 {
            record(&store, &mut stored, first * 20..RECORDINGS, random).await;
        }
        for index in 0..20 {
            store.delete(name(index)).await.unwrap();
            stored.remove(&name(index));
        }
        let mut store = Some(store);
        if is_closed {
            store = None;
        }
        let files = files(directory.path());
        drop(store);
        Self { files, older, stored }
    }

    /// Damages the file of the database. Returns what was done.
    fn damage(&self, random: &mut fastrand::Rng) -> (Vec<u8>, String) {
        let bytes = &self.files.iter().find(|(name, _)| name == FILE).unwrap().1;
        let mut bytes = bytes.clone();
        let len = bytes.len();
        let used: Vec<_> = (0..len / PAGE)
            .filter(|page| bytes[page * PAGE..][..PAGE].iter().any(|&byte| byte != 0))
            .collect();
        let mut page = || used[random.usize(..used.len())] * PAGE;
        let (first, second) = (page(), page());
        let kind = random.usize(..10);
        let what = match variable("DAMAGE_KIND").map_or(kind, |kind| kind as usize) {
            0 | 1 => {
                let at = first + random.usize(..PAGE);
                let bit = random.u8(..8);
                bytes[at] ^= 1 << bit;
                format!("bit {bit} of byte {at} flipped")
            }
            2 => {
                let at = first + random.usize(..PAGE - 16);
                let count = random.usize(1..16);
                random.fill(&mut bytes[at..at + count]);
                format!("{count} bytes at {at} changed")
            }
            3 => {
                // Somewhere in the header.
                let at = random.usize(..320);
                bytes[at] ^= 1 << random.u8(..8);
                format!("a bit of byte {at} flipped")
            }
            4 => {
                let size = [512, PAGE, 16 * PAGE][random.usize(..3)];
                let at = first / size * size;
                let end = (at + size).min(len);
                bytes[at..end].fill(0);
                format!("{at}..{end} zeroed")
            }
            5 => {
                let (low, high) = (first.min(second), first.max(second));
                if low < high {
                    let (left, right) = bytes.split_at_mut(high);
                    left[low..low + PAGE].swap_with_slice(&mut right[..PAGE]);
                }
                format!("pages at {low} and {high} swapped")
            }
            6 => {
                let mut end = random.usize(..len);
                if random.bool() {
                    end = end / PAGE * PAGE;
                }
                bytes.truncate(end);
                format!("truncated to {end} of {len}")
            }
            7 | 8 => {
                let count = random.usize(1..8);
                let mut at = if random.u8(..4) == 0 { 0 } else { first };
                at = at.min(self.older.len() - PAGE);
                let end = (at + count * PAGE).min(self.older.len());
                bytes[at..end].copy_from_slice(&self.older[at..end]);
                format!("{at}..{end} from an older copy")
            }
            _ => {
                random.fill(&mut bytes[first..first + PAGE]);
                format!("the page at {first} overwritten")
            }
        };
        (bytes, what)
    }
}

#[derive(Debug, Default)]
struct Outcome {
    refused: u64,
    whole: u64,
    failures: Vec<String>,
}

/// Compares a store with what was stored. The check at the start finds all damage, so that no request fails.
async fn compare(store: &RedbStore, stored: &Stored) -> Result<(), String> {
    let check = |name: &RecordingName, answer: Result<Checkpoint, StoreError>| match answer {
        Ok(found) if Some(&found) == stored.get(name) => Ok(()),
        Ok(_) if !stored.contains_key(name) => Err(format!("{name} was deleted and is back")),
        Ok(_) => Err(format!("{name} has another state")),
        Err(error) => Err(format!("{name}: {error:?}")),
    };
    for name in stored.keys() {
        match store.load(name.clone()).await.transpose() {
            None => return Err(format!("{name} is not found")),
            Some(answer) => check(name, answer)?,
        }
    }
    let mut listed = Vec::new();
    loop {
        match store.list(ListQuery::all().after(listed.last().cloned()), 100).await {
            Ok(page) if page.is_empty() => break,
            Ok(page) => {
                for (name, answer) in page {
                    check(&name, answer)?;
                    listed.push(name);
                }
            }
            Err(error) => return Err(format!("the list: {error:?}")),
        }
    }
    if let Some(missing) = stored.keys().find(|name| !listed.contains(name)) {
        return Err(format!("{missing} is not in the list"));
    }
    Ok(())
}

async fn round(image: &Image, seed: u64, outcome: &mut Outcome) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (bytes, what) = image.damage(&mut random);
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in &image.files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    fs::write(directory.path().join(FILE), bytes).unwrap();
    let opened = catch_unwind(AssertUnwindSafe(|| RedbStore::open(directory.path())));
    let failure = match opened {
        Err(_) => Some("opening it panics".to_owned()),
        Ok(Err(error)) => {
            outcome.refused += 1;
            let text = error.to_string();
            (!text.contains(FILE)).then(|| format!("the error does not name the file: {text}"))
        }
        Ok(Ok(store)) => match compare(&store, &image.stored).await {
            Ok(()) => {
                outcome.whole += 1;
                None
            }
            Err(failure) => Some(failure),
        },
    };
    outcome
        .failures
        .extend(failure.map(|failure| format!("DAMAGE_SEED={seed}: {what}: {failure}")));
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "the summary of a long run")]
async fn no_recording_goes_missing_in_a_damaged_file() {
    let seeds = match variable("DAMAGE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("DAMAGE_ROUNDS").unwrap_or(ROUNDS),
    };
    let image = variable("DAMAGE_IMAGE").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let images = [Image::new(true, image).await, Image::new(false, image).await];
    let mut outcome = Outcome::default();
    for seed in seeds {
        round(&images[(seed % 3 == 2) as usize], seed, &mut outcome).await;
    }
    println!("{outcome:#?}");
    assert!(outcome.failures.is_empty(), "DAMAGE_IMAGE={image}: {:#?}", outcome.failures);
    assert!(outcome.refused + outcome.whole > 0);
}
