//! Exactly once, shown: real processes and real sockets, and everything that can be lost is lost.
//!
//! In each round some recordings are streamed, each by one client or by two that fight for it, while the
//! server is killed, stopped, continued and told to drain, its disk fills up, clients are killed, and a
//! proxy cuts connections anywhere. Afterwards every summary has the bits of one uninterrupted fold, and nothing that
//! was ever told may turn out not to be so: offsets never went back, what was acknowledged is there,
//! what was finished has not changed.
//!
//!     CHAOS_ROUNDS=500 cargo test --release --test chaos -- --nocapture
//!
//! CHAOS_SEED repeats the choices of a run; which moment they hit is up to the machine. CHAOS_HISTORY
//! set to anything prints what happened. Delays here choose when a fault comes, and no check depends on
//! them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod chance;
mod ledger;
mod process;
mod proxy;
mod round;
mod server;
mod track;
mod watcher;
mod writer;

use std::time::{Instant, SystemTime};

use chance::Chance;
use ledger::Counts;

/// Without CHAOS_ROUNDS: so many, or as many as there is time for.
const ROUNDS: u64 = 20;
const SECONDS: u64 = 45;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, and must be a whole number")))
}

#[test]
fn recordings_survive_anything() {
    if !server::keeps_data() {
        eprintln!(
            "SKIPPED: chaos: `waywiser serve` keeps no recordings in a folder: nothing to survive"
        );
        return;
    }
    let clock =
        || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as u64;
    let seed = setting("CHAOS_SEED").unwrap_or_else(clock);
    let asked = setting("CHAOS_ROUNDS");
    let rounds = asked.unwrap_or(ROUNDS);
    eprintln!("chaos: CHAOS_SEED={seed} CHAOS_ROUNDS={rounds}");
    let probe = tempfile::tempdir().unwrap();
    let mounted = server::SmallDisk::mount(&probe.path().join("disk"));
    if let Err(error) = &mounted {
        eprintln!("SKIPPED: chaos: no disk fills up, since none can be mounted ({error})");
    }
    let can_mount = mounted.is_ok();
    drop(mounted);

    let began = Instant::now();
    let mut chance = Chance::new(seed);
    let mut total = Counts::default();
    let mut done = 0;
    for round in 0..rounds {
        if asked.is_none() && began.elapsed().as_secs() >= SECONDS {
            break;
        }
        // The seed of a later round alone is of use, too: with CHAOS_ROUNDS=1 it is the first.
        let seed = if round == 0 { seed } else { chance.draw() };
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(round::run(seed, folder.path(), can_mount));
        runtime.shutdown_background();
        match outcome {
            Ok(counts) => {
                total += counts;
                done += 1;
                if rounds > ROUNDS && round % 10 == 9 {
                    let seconds = began.elapsed().as_secs();
                    eprintln!("chaos: {} rounds, {seconds} s, {total:?}", round + 1);
                }
            }
            Err(report) => {
                panic!("round {round} of seed (CHAOS_SEED={seed} CHAOS_ROUNDS=1): {report}")
            }
        }
    }
    eprintln!(
        "chaos: {done} of {rounds} rounds in {:.1} s: {total:?}",
        began.elapsed().as_secs_f64()
    );
}

/// What a client that can be killed runs.
#[test]
#[ignore = "the rounds run it, in processes of their own"]
fn client_process() {
    process::client();
}
