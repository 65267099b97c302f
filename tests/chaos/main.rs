//! Checks that recordings are stored exactly once while processes, connections and disks fail.
//!
//! `cargo test` does not run these tests, because they take long and fill disks only as root. Run them with:
//!
//!     cargo test --test chaos -- --ignored --nocapture --test-threads=1
//!     CHAOS_ROUNDS=500 cargo test --release --test chaos -- --ignored --nocapture recordings_survive_faults
//!     CHAOS_ROUNDS=300 cargo test --release --test chaos -- --ignored --nocapture fixes_of_phones_survive_faults
//!     CHAOS_ROUNDS=300 cargo test --release --test chaos -- --ignored --nocapture a_cluster_survives_faults
//!
//! In each round one or two clients write to each recording. Meanwhile the server is killed, stopped, continued and
//! drained, its disk fills up, clients are killed, and a proxy cuts connections. Another test has phones that send fixes
//! over HTTP, whose answers are lost. The last test has several servers
//! behind HAProxy that share a PostgreSQL database with a synchronous standby. Its faults are also those of the
//! database: killed servers of PostgreSQL, lost answers, cancelled waits for the standby, and failovers with an old
//! primary that comes back. At the end every summary must be bit-identical to one uninterrupted fold. All answers must
//! have been consistent: offsets never decreased, acknowledged points are stored, and finished paths did not change.
//!
//! * `CHAOS_ROUNDS`: the number of rounds. By default 20, or as many as fit into 45 seconds.
//! * `CHAOS_SEED`: repeats the choices of a run, but not their timing.
//! * `CHAOS_HISTORY`: if set, prints the events of each round.
//! * `WAYWISER_BIN`: the binary to test instead of the one that cargo built.
//! * `WAYWISER_POSTGRES_BIN`: the folder with the programs of PostgreSQL.
//!
//! Delays choose the time of a fault. No check depends on them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/binary.rs"]
mod binary;
mod checker;
mod clients;
mod cluster;
#[path = "../common/cluster/mod.rs"]
mod database;
#[path = "../common/database_proxy/mod.rs"]
mod database_proxy;
mod phone;
mod process;
mod proxy;
#[path = "../common/reserved.rs"]
mod reserved;
#[path = "../common/rng.rs"]
mod rng;
mod round;
mod server;
#[path = "../common/skip.rs"]
mod skip;
#[path = "../common/small_disk.rs"]
mod small_disk;
mod track;
mod verify;
mod watcher;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use checker::Counts;
use rng::Rng;
use skip::skipped;

/// The limits without CHAOS_ROUNDS.
const ROUNDS: u64 = 20;
const SECONDS: u64 = 45;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; it must be a whole number")))
}

/// Runs rounds until their number or their time is reached. `run` runs one with this seed in a folder, and returns
/// `None` if it cannot run here.
///
/// # Panics
/// If a round finds a violation.
fn run_rounds(run: impl AsyncFn(u64, PathBuf, bool) -> Result<Option<Counts>, String>) {
    let clock =
        || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as u64;
    let seed = setting("CHAOS_SEED").unwrap_or_else(clock);
    let requested = setting("CHAOS_ROUNDS");
    let rounds = requested.unwrap_or(ROUNDS);
    eprintln!("chaos: CHAOS_SEED={seed} CHAOS_ROUNDS={rounds}");
    let probe = tempfile::tempdir().unwrap();
    let mounted = small_disk::SmallDisk::mount(&probe.path().join("disk"), 12);
    if let Err(error) = &mounted {
        skipped(format_args!("chaos: full disks, because a disk cannot be mounted: {error}"));
    }
    let can_mount = mounted.is_ok();
    drop(mounted);

    let began = Instant::now();
    let mut rng = Rng::new(seed);
    let mut total = Counts::default();
    let mut done = 0;
    for round in 0..rounds {
        if requested.is_none() && began.elapsed().as_secs() >= SECONDS {
            break;
        }
        // Each round has its own seed, so that CHAOS_ROUNDS=1 can repeat a later round.
        let seed = if round == 0 { seed } else { rng.next_u64() };
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(run(seed, folder.path().to_owned(), can_mount));
        runtime.shutdown_background();
        match outcome {
            Ok(None) => return,
            Ok(Some(counts)) => {
                total += counts;
                done += 1;
                if rounds > ROUNDS && round % 10 == 9 {
                    let seconds = began.elapsed().as_secs();
                    eprintln!("chaos: {} rounds, {seconds} s, {total:?}", round + 1);
                }
            }
            Err(report) => {
                panic!(
                    "round {round} failed (repeat it with CHAOS_SEED={seed} CHAOS_ROUNDS=1): {report}"
                )
            }
        }
    }
    eprintln!(
        "chaos: {done} of {rounds} rounds in {:.1} s: {total:?}",
        began.elapsed().as_secs_f64()
    );
}

#[test]
#[ignore = "run by: cargo test --test chaos -- --ignored"]
fn recordings_survive_faults() {
    run_rounds(async |seed, folder, can_mount| {
        round::run(seed, &folder, can_mount).await.map(Some)
    });
}

#[test]
#[ignore = "run by: cargo test --test chaos -- --ignored"]
fn fixes_of_phones_survive_faults() {
    run_rounds(async |seed, folder, _| phone::run(seed, &folder).await.map(Some));
}

/// Prints the times without progress after each kind of fault.
#[test]
#[ignore = "run by: cargo test --test chaos -- --ignored"]
fn a_cluster_survives_faults() {
    if !cluster::is_installed() {
        skipped(
            "chaos of a cluster, because HAProxy is not installed; run tests/postgres/run --install",
        );
        return;
    }
    let takeovers = Arc::new(cluster::Takeovers::default());
    run_rounds(async |seed, folder, can_mount| {
        cluster::run(seed, &folder, can_mount, &takeovers).await
    });
    eprintln!("chaos: time until all recordings made progress:{}", takeovers.report());
}

/// The client process that rounds start and kill. It does nothing without its environment variable.
#[test]
#[ignore = "run by the chaos test, as a child process"]
fn client_process() {
    process::client();
}
