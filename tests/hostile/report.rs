//! One attack at a time, its figures, and all its failed checks at once.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The guard against hanging. A loaded machine is slow; only a server that hangs takes this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Attacks measure latency, CPU time and memory, so two never run at the same time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; it must be a whole number")))
}

/// Reports a part that this machine cannot run, on standard error itself: libtest captures what the print macros write.
pub fn skipped(reason: impl Display) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: hostile: {reason}");
}

/// How long an attack without an end of its own lasts: HOSTILE_SECONDS.
pub fn duration() -> Duration {
    Duration::from_secs(setting("HOSTILE_SECONDS").unwrap_or(1))
}

/// Whether a long run is asked for, with the sizes of the measured attacks.
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

    /// Notes a failure, so that the attack still yields its other figures.
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

/// The same for an attack that measures latency, which other work on the machine raises as well: a round fails when it
/// fails three times in a row.
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

/// Raises the limit of open files, which a server inherits, to what the system permits.
fn raise_file_limit() {
    const NEEDED: u64 = 4096;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < NEEDED) {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        if raised.is_err() || maximum.is_some_and(|maximum| maximum < NEEDED) {
            skipped(format_args!("fewer than {NEEDED} files can be open: {maximum:?}"));
        }
    }
}

pub fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

pub fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}
