//! Calls at a fixed rate: each starts at its scheduled time, whether or not the earlier ones have ended.
//!
//! The time of a call counts from its scheduled start. A server that stalls therefore shows in the times of all calls
//! that were due meanwhile, also of those that this process could not start.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::drive::{Connections, FAILURES_MAX, Load, exchange};
use super::stats::Times;

/// The rate of the calls and how long they start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Calls per second.
    pub rate: f64,
    pub duration: Duration,
    /// Maximum number of calls at the same time. A call that is due while all are open waits.
    pub open_max: usize,
}

impl Pace {
    /// Returns the number of calls.
    pub(crate) fn call_count(self) -> usize {
        ((self.rate * self.duration.as_secs_f64()).round() as usize).max(1)
    }

    fn due(self, start: Instant, number: usize) -> Instant {
        start + Duration::from_secs_f64(number as f64 / self.rate)
    }
}

/// The results of all calls.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Calls that received the right reply.
    pub answered: usize,
    /// The time from the scheduled start of a call to the end of its reply.
    pub latencies: Times,
    /// The delay of each call between its scheduled and its actual start.
    pub lateness: Times,
    /// The time until the last reply.
    pub elapsed: Duration,
    /// The errors of the first few calls that failed.
    pub failures: Vec<String>,
    pub failure_count: usize,
}

impl Outcome {
    fn add(&mut self, ended: Result<(Duration, Duration), String>) {
        match ended {
            Ok((lateness, latency)) => {
                self.answered += 1;
                self.lateness.record(lateness);
                self.latencies.record(latency);
            }
            Err(error) => {
                self.failure_count += 1;
                if self.failures.len() < FAILURES_MAX {
                    self.failures.push(error);
                }
            }
        }
    }
}

/// Makes all calls of a load at their times, and waits for their replies.
pub(crate) async fn paced(connections: Connections, load: Arc<Load>, pace: Pace) -> Outcome {
    let start = Instant::now();
    let slots = Arc::new(Semaphore::new(pace.open_max));
    let mut calls = JoinSet::new();
    let mut outcome = Outcome::default();
    let joined = |ended: Result<_, tokio::task::JoinError>| {
        ended.map_err(|error| error.to_string()).and_then(|ended| ended)
    };
    for number in 0..load.stream_count {
        let due = pace.due(start, number);
        sleep_until(due).await;
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let (connections, load) = (connections.clone(), Arc::clone(&load));
        calls.spawn(async move {
            let _slot = slot;
            let lateness = due.elapsed();
            call(&connections, &load, number)
                .await
                .map(|()| (lateness, due.elapsed()))
                .map_err(|error| format!("call {number}: {error}"))
        });
        // Removes calls that have ended, so that memory is bounded by the number of open calls.
        while let Some(ended) = calls.try_join_next() {
            outcome.add(joined(ended));
        }
    }
    while let Some(ended) = calls.join_next().await {
        outcome.add(joined(ended));
    }
    outcome.elapsed = start.elapsed();
    outcome
}

async fn call(connections: &Connections, load: &Load, number: usize) -> Result<(), String> {
    let call = async {
        let (response, body) = connections.call(load.call.path(), number).await?;
        let first = load.first_message(0, number);
        let (reply, _) = exchange(load, first, response, body, &AtomicU64::new(0)).await?;
        connections.check(load, reply)
    };
    let late = |_| Err("the server did not reply in time".to_owned());
    timeout(load.stall_timeout, call).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_calls_is_the_rate_times_the_duration() {
        let count =
            |rate, ms| Pace { rate, duration: Duration::from_millis(ms), open_max: 1 }.call_count();
        assert_eq!(count(10.0, 60_000), 600);
        assert_eq!(count(0.5, 1_000), 1);
        assert_eq!(count(1000.0, 1), 1);
    }
}
