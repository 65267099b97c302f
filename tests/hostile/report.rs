//! Runs one attack at a time, prints its figures, and reports all its failed checks together.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::skip::skipped;

/// The time after which the server is considered to hang, on a loaded machine.
pub const HANG_TIMEOUT: Duration = Duration::from_secs(60);

/// Held during an attack, because attacks measure latency, CPU time and memory.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; it must be a whole number")))
}

/// Returns the duration of an attack that has no end of its own: HOSTILE_SECONDS, or 1 second.
pub fn duration() -> Duration {
    Duration::from_secs(setting("HOSTILE_SECONDS").unwrap_or(1))
}

/// Returns whether attacks run with their full sizes, because HOSTILE_SECONDS or HOSTILE_ROUNDS is set.
pub fn is_long() -> bool {
    ["HOSTILE_SECONDS", "HOSTILE_ROUNDS"].iter().any(|name| setting(name).is_some())
}

/// The results of one attack.
pub struct Report {
    attack: &'static str,
    failures: Vec<String>,
}

impl Report {
    /// Prints a measured value.
    pub fn figure(&self, name: impl Display, value: impl Display) {
        eprintln!("hostile: {}: {name}: {value}", self.attack);
    }

    /// Collects a failure, so that the attack still prints its other figures.
    pub fn check(&mut self, is_met: bool, requirement: impl Display) {
        if !is_met {
            eprintln!("hostile: {}: NOT MET: {requirement}", self.attack);
            self.failures.push(requirement.to_string());
        }
    }
}

/// Runs an attack HOSTILE_ROUNDS times, once by default.
pub fn attack(name: &'static str, run: impl AsyncFn(&mut Report)) {
    attack_with(1, name, run);
}

/// Runs an attack that measures latency. Other work on the machine raises the latency too, so a round fails only after
/// three failed attempts.
pub fn attack_on_latency(name: &'static str, run: impl AsyncFn(&mut Report)) {
    attack_with(3, name, run);
}

fn attack_with(attempts: usize, name: &'static str, run: impl AsyncFn(&mut Report)) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    raise_file_limit();
    for round in 0..setting("HOSTILE_ROUNDS").unwrap_or(1) {
        let mut failures = Vec::new();
        for _ in 0..attempts {
            let mut report = Report { attack: name, failures: Vec::new() };
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(run(&mut report));
            runtime.shutdown_background();
            failures = report.failures;
            if failures.is_empty() {
                break;
            }
        }
        assert!(failures.is_empty(), "{name}, round {round}: {failures:#?}");
    }
}

/// Raises the limit of open files to the maximum. The server process inherits it.
fn raise_file_limit() {
    const NEEDED: u64 = 4096;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < NEEDED) {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        if raised.is_err() || maximum.is_some_and(|maximum| maximum < NEEDED) {
            skipped(format_args!(
                "hostile: the full number of connections, because only {maximum:?} files can be open, not {NEEDED}"
            ));
        }
    }
}

pub fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

pub fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}
