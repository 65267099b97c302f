//! Measures how long recordings make no progress after a fault.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::checker::Checker;

/// The times of a run by the kind of the fault.
#[derive(Default)]
pub struct Takeovers(Mutex<BTreeMap<&'static str, Vec<Duration>>>);

impl Takeovers {
    /// Waits, in a task, until more points of every recording are durable than at this time.
    pub fn measure(
        self: &Arc<Self>,
        fault: &'static str,
        checkers: &[Arc<Checker>],
        tasks: &mut JoinSet<()>,
    ) {
        let began = Instant::now();
        let before: Vec<_> = checkers
            .iter()
            .filter(|checker| !checker.is_complete())
            .map(|checker| (Arc::clone(checker), checker.bound().committed_points()))
            .collect();
        if before.is_empty() {
            return;
        }
        let times = Arc::clone(self);
        tasks.spawn(async move {
            for (checker, points) in before {
                let is_waiting =
                    || checker.bound().committed_points() <= points && !checker.is_complete();
                while is_waiting() && checker.events.violation().is_none() {
                    sleep(Duration::from_millis(2)).await;
                }
            }
            let mut times = times.0.lock().unwrap_or_else(PoisonError::into_inner);
            times.entry(fault).or_default().push(began.elapsed());
        });
    }

    /// Returns the number, the median and the maximum of each kind.
    pub fn report(&self) -> String {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (fault, times) in times.iter_mut() {
            times.sort_unstable();
            let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
            let (median, max) = (ms(times.get(times.len() / 2)), ms(times.last()));
            let count = times.len();
            text +=
                &format!("\n  {fault}: {count} times, median {median:.0} ms, maximum {max:.0} ms");
        }
        text
    }
}
