//! Live streams: many trackers, each sending a point now and then as a DATA frame of its own.
//!
//! What they cost is not points a second but what they hold: memory, timers, frames.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::drive::{Connections, Load, read_reply};
use super::stats::Times;

/// How the streams live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub interval: Duration,
    pub duration: Duration,
}

/// What came of the streams.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How many were open all the time and answered right.
    pub answered: usize,
    /// Points that those sent.
    pub point_count: u64,
    /// How late each point was, for want of time here: a generator that is late measures itself.
    pub lateness: Times,
    /// From the end of each stream to its reply.
    pub latencies: Times,
    /// Why the others failed; the first few of them.
    pub failures: Vec<String>,
    pub failure_count: usize,
}

/// How many failures are told in full.
const FAILURES_TOLD: usize = 5;

/// Runs all streams of a load from now on: the first point of each comes at its place within the
/// first interval, so that the points of all are spread evenly.
pub(crate) async fn live(connections: Connections, load: Arc<Load>, pace: Pace) -> Outcome {
    let start = Instant::now();
    let lateness = Arc::<Mutex<Times>>::default();
    let mut streams = JoinSet::new();
    for number in 0..load.stream_count {
        let phase = pace.interval.mul_f64(number as f64 / load.stream_count as f64);
        let (end, lateness) = (start + pace.duration, Arc::clone(&lateness));
        let stream = Stream { number, start: start + phase, end, pace, lateness };
        let (connections, load) = (connections.clone(), Arc::clone(&load));
        streams.spawn(async move { stream.run(&connections, &load).await });
    }
    let mut outcome = Outcome::default();
    while let Some(stream) = streams.join_next().await {
        match stream.map_err(|error| error.to_string()).and_then(|stream| stream) {
            Ok(latency) => {
                outcome.answered += 1;
                outcome.point_count += load.track.point_count;
                outcome.latencies.record(latency);
            }
            Err(error) => {
                outcome.failure_count += 1;
                if outcome.failures.len() < FAILURES_TOLD {
                    outcome.failures.push(error);
                }
            }
        }
    }
    outcome.lateness = std::mem::take(&mut *locked(&lateness));
    outcome
}

/// Nothing is left half done by who holds it.
fn locked(lateness: &Mutex<Times>) -> MutexGuard<'_, Times> {
    lateness.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many points a stream sends: all do the same, or their replies could not be checked by one
/// length.
pub(crate) fn points_of_a_stream(pace: Pace) -> u64 {
    // The last one comes an interval before the end at the latest phase, and closes the stream.
    let intervals = pace.duration.as_nanos() / pace.interval.as_nanos().max(1);
    u64::try_from(intervals).unwrap_or(u64::MAX).max(1)
}

struct Stream {
    number: usize,
    start: Instant,
    end: Instant,
    pace: Pace,
    /// Of the points of all streams.
    lateness: Arc<Mutex<Times>>,
}

impl Stream {
    /// Sends the points and waits for the reply; gives how long that took to come.
    async fn run(self, connections: &Connections, load: &Load) -> Result<Duration, String> {
        let number = self.number;
        let failed = |error: &dyn std::fmt::Display| format!("stream {number}: {error}");
        let opening = timeout_at(self.end, connections.call(load.call.path(), number)).await;
        let Ok(opening) = opening else {
            return Err(failed(&"it could not be opened; how many may a connection have there?"));
        };
        let (mut response, mut body) = opening?;
        let track = &load.track;
        let point_count = track.point_count;
        let mut at = 0;
        for index in 0..point_count {
            let due = self.start + self.pace.interval.mul_f64(index as f64);
            tokio::select! {
                () = sleep_until(due) => {}
                answer = &mut response => {
                    let error = match answer {
                        Ok(answer) => read_reply(answer).await.err(),
                        Err(error) => Some(error.to_string()),
                    };
                    return Err(failed(&error.unwrap_or_else(|| "it was answered early".to_owned())));
                }
            }
            locked(&self.lateness).record(due.elapsed());
            // The first message of what is left: its prefix says how long it is.
            let prefix = track.slice(at, 5);
            let point = track.slice(at, 5 + prefix.last().copied().map_or(0, usize::from));
            at += point.len() as u64;
            // The stream opens with it, in one frame.
            let opening = if index == 0 { load.opening(0, number) } else { Bytes::new() };
            let point = if opening.is_empty() { point } else { [opening, point].concat().into() };
            // A few bytes a second: they wait for no window.
            body.send_data(point, index + 1 == point_count).map_err(|error| failed(&error))?;
        }
        let closed = Instant::now();
        let reply = async {
            let answer = response.await.map_err(|error| error.to_string())?;
            read_reply(answer).await
        };
        let reply = timeout(load.patience, reply).await;
        let reply = reply.map_err(|_| failed(&"it was not answered"))?;
        let reply = reply.map_err(|error| failed(&error))?;
        connections.check(load, reply).map_err(|error| failed(&error))?;
        Ok(closed.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_sends_a_point_an_interval_and_one_at_least() {
        let points = |interval_ms, duration_ms| {
            points_of_a_stream(Pace {
                interval: Duration::from_millis(interval_ms),
                duration: Duration::from_millis(duration_ms),
            })
        };
        assert_eq!(points(1000, 60_000), 60);
        assert_eq!(points(1000, 1), 1);
        assert_eq!(points(300, 1000), 3);
    }
}
