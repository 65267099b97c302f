//! Measures the cost of checkpoints: many recordings that commit once a second, and then the maximum rate of commits.
//! Writes and syncs real files, so the result depends on the disk.
//!
//! usage: `cargo bench --bench store -- [DIRECTORY [RECORDINGS [SECONDS [POINTS]]]]`
//!
//! The defaults are the system's temporary directory, 10 000 recordings, 10 seconds, and 10 points between two commits
//! of a recording.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{interval_at, sleep_until};
use waywiser::measure::{Fix, Metric, Options, PathAccumulator, Point};
use waywiser::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, OpenRequest, RecordingName,
};
use waywiser::store::{RedbStore, StoreStats};

/// Returns the CPU time of this process, which includes the work of the recordings.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The last checkpoint of a recording, and the durations of its commits.
struct Recording {
    last: Checkpoint,
    commit_times: Vec<Duration>,
}

fn name(index: usize) -> RecordingName {
    format!("paths/vehicle-{index:06}").parse().unwrap()
}

fn opening() -> OpenRequest {
    let options = Some(Options::new(Metric::Geodesic));
    OpenRequest { options, now_unix_ms: 0, expire_unix_ms: i64::MAX, max_in_namespace: None }
}

fn fix(offset: u64) -> Fix {
    let offset = offset as f64;
    Fix::new(Point::geographic(46.0 + offset * 1e-5, 13.0 + offset * 1e-5).unwrap())
}

fn grow(last: &Checkpoint, points: u64) -> Checkpoint {
    let mut next = last.clone();
    let from = last.committed_points();
    let fixes: Vec<_> = (from..from + points).map(fix).collect();
    next.accumulator.extend(&fixes).unwrap();
    next
}

async fn commit(store: &RedbStore, index: usize, recording: &mut Recording, points: u64) {
    let last = &recording.last;
    let next = grow(last, points);
    let precondition =
        CommitPrecondition { epoch: last.epoch, committed_points: last.committed_points() };
    let start = Instant::now();
    store.commit(name(index), precondition, next.clone()).await.unwrap();
    recording.commit_times.push(start.elapsed());
    recording.last = next;
}

/// Runs all recordings for `time`. Each commits once per `interval`, at its own offset, or else as often as possible.
async fn run(
    store: &Arc<RedbStore>,
    opened: Vec<Checkpoint>,
    time: Duration,
    interval: Option<Duration>,
    points: u64,
) -> (Vec<Recording>, Duration, Duration, StoreStats) {
    let before = store.stats();
    let (start, cpu_before) = (Instant::now(), cpu());
    let count = opened.len() as u32;
    let mut tasks = JoinSet::new();
    for (index, last) in opened.into_iter().enumerate() {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut recording = Recording { last, commit_times: Vec::new() };
            let offset =
                interval.map(|interval| interval * index as u32 / count).unwrap_or_default();
            sleep_until((start + offset).into()).await;
            let mut ticks = interval.map(|interval| interval_at((start + offset).into(), interval));
            while start.elapsed() < time {
                if let Some(ticks) = &mut ticks {
                    ticks.tick().await;
                }
                commit(&store, index, &mut recording, points).await;
            }
            (index, recording)
        });
    }
    let mut all = tasks.join_all().await;
    let (elapsed, cpu) = (start.elapsed(), cpu() - cpu_before);
    all.sort_by_key(|&(index, _)| index);
    let after = store.stats();
    let mut stats = after;
    stats.requests -= before.requests;
    stats.transactions -= before.transactions;
    stats.syncs -= before.syncs;
    stats.bytes -= before.bytes;
    stats.busy -= before.busy;
    (all.into_iter().map(|(_, recording)| recording).collect(), elapsed, cpu, stats)
}

fn report(name: &str, all: &[Recording], elapsed: Duration, cpu: Duration, stats: StoreStats) {
    let mut times: Vec<_> =
        all.iter().flat_map(|recording| &recording.commit_times).copied().collect();
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    let per_second = |count: u64| count as f64 / elapsed.as_secs_f64();
    println!(
        "{name}: {:.0} commits/s, {:.1} transactions/s of {:.0} commits, {:.1} syncs/s, \
         {:.1} MB/s written; a commit takes {:.1} ms (median), {:.1} ms (p99), {:.1} ms (max); \
         the writer is busy {:.0} % of the time, the process uses {:.2} cores",
        per_second(stats.requests),
        per_second(stats.transactions),
        stats.requests as f64 / stats.transactions.max(1) as f64,
        per_second(stats.syncs),
        per_second(stats.bytes) / 1e6,
        at(0.5),
        at(0.99),
        at(1.0),
        stats.busy.as_secs_f64() / elapsed.as_secs_f64() * 100.0,
        cpu.as_secs_f64() / elapsed.as_secs_f64(),
    );
}

/// Checks that the store has the committed checkpoints, and that they equal one uninterrupted fold.
async fn check(store: &RedbStore, all: &[Recording]) {
    for (index, recording) in all.iter().enumerate().step_by(all.len().div_ceil(100)) {
        let stored = store.load(name(index)).await.unwrap().unwrap();
        assert_eq!(stored, recording.last, "{index}");
        let mut whole = PathAccumulator::new(*stored.accumulator.options());
        whole.extend(&(0..stored.committed_points()).map(fix).collect::<Vec<_>>()).unwrap();
        assert_eq!(stored.accumulator, whole, "{index}");
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    // Like criterion, `--test` runs everything once.
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let mut arguments = arguments.into_iter().filter(|argument| !argument.starts_with("--"));
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().unwrap());
    let (recordings, seconds) = if is_test { (100, 1) } else { (number(10_000), number(10)) };
    let points = number(10);
    let directory = tempfile::tempdir_in(parent).unwrap();
    let store = Arc::new(RedbStore::open(directory.path()).unwrap());
    let time = Duration::from_secs(seconds);

    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for index in 0..recordings as usize {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            store.open(name(index), opening()).await.unwrap();
        });
    }
    tasks.join_all().await;
    let rate = recordings as f64 / start.elapsed().as_secs_f64();
    println!("{recordings} recordings opened, {rate:.0} per second");
    let mut opened = Vec::new();
    for index in 0..recordings as usize {
        opened.push(store.load(name(index)).await.unwrap().unwrap());
    }

    let second = Some(Duration::from_secs(1));
    let (all, elapsed, cpu, stats) = run(&store, opened, time, second, points).await;
    report("one commit per second and recording", &all, elapsed, cpu, stats);
    check(&store, &all).await;

    let last = all.into_iter().map(|recording| recording.last).collect();
    let (all, elapsed, cpu, stats) = run(&store, last, time, None, points).await;
    report("maximum rate of commits", &all, elapsed, cpu, stats);
    check(&store, &all).await;

    drop(store);
    let path = directory.path().join("recordings.redb");
    let megabytes = std::fs::metadata(path).unwrap().len() as f64 / 1e6;
    let start = Instant::now();
    let store = RedbStore::open(directory.path()).unwrap();
    let opening_ms = start.elapsed().as_secs_f64() * 1e3;
    println!("the file has {megabytes:.0} MB; opening it takes {opening_ms:.1} ms");
    check(&store, &all).await;
}
