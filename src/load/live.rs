//! Live streams: many trackers, each sending one point per interval as a DATA frame of its own.
//!
//! Their cost is not in points per second but in what the server holds for each: memory, timers, frames.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::drive::{Connections, FAILURES_MAX, Load, receive_reply};
use super::stats::Times;

/// The interval between the points of a stream, and the duration of all streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub interval: Duration,
    pub duration: Duration,
}

impl Schedule {
    /// Returns the number of points of each stream. All streams send the same points, so that one length checks all
    /// replies.
    pub(crate) fn points_per_stream(self) -> u64 {
        // The last point of a stream is due one interval before the end at the latest, and closes the stream.
        let intervals = self.duration.as_nanos() / self.interval.as_nanos().max(1);
        u64::try_from(intervals).unwrap_or(u64::MAX).max(1)
    }
}

/// The results of all streams.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Streams that were open all the time and received the right reply.
    pub answered: usize,
    /// Points of these streams.
    pub point_count: u64,
    /// The delay of each point that this process caused, because it was busy. With large delays, the load generator
    /// measures itself.
    pub lateness: Times,
    /// The time from the end of each stream to its reply.
    pub latencies: Times,
    /// The errors of the first few streams that failed.
    pub failures: Vec<String>,
    pub failure_count: usize,
}

/// Runs all streams of a load. The first points of the streams are spread evenly over the first interval.
pub(crate) async fn live(connections: Connections, load: Arc<Load>, schedule: Schedule) -> Outcome {
    let start = Instant::now();
    let lateness = Arc::<Mutex<Times>>::default();
    let mut streams = JoinSet::new();
    for number in 0..load.stream_count {
        let phase = schedule.interval.mul_f64(number as f64 / load.stream_count as f64);
        let (end, interval) = (start + schedule.duration, schedule.interval);
        let lateness = Arc::clone(&lateness);
        let stream = Stream { number, start: start + phase, end, interval, lateness };
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
                if outcome.failures.len() < FAILURES_MAX {
                    outcome.failures.push(error);
                }
            }
        }
    }
    outcome.lateness = std::mem::take(&mut *locked(&lateness));
    outcome
}

/// Locks the times. A panic cannot leave them in an invalid state.
fn locked(lateness: &Mutex<Times>) -> MutexGuard<'_, Times> {
    lateness.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Stream {
    number: usize,
    start: Instant,
    end: Instant,
    interval: Duration,
    /// Shared by all streams.
    lateness: Arc<Mutex<Times>>,
}

impl Stream {
    /// Sends the points and waits for the reply. Returns the time from the last point to the reply.
    async fn run(self, connections: &Connections, load: &Load) -> Result<Duration, String> {
        let number = self.number;
        let failed = |error: &dyn std::fmt::Display| format!("stream {number}: {error}");
        let opened = timeout_at(self.end, connections.call(load.call.path(), number)).await;
        let Ok(opened) = opened else {
            return Err(failed(
                &"could not be opened in time; check the limit on streams per connection of the server",
            ));
        };
        let (mut response, mut body) = opened?;
        let track = &load.track;
        let point_count = track.point_count;
        let mut at = 0;
        for index in 0..point_count {
            let due = self.start + self.interval.mul_f64(index as f64);
            tokio::select! {
                () = sleep_until(due) => {}
                answer = &mut response => {
                    let error = match answer {
                        Ok(answer) => receive_reply(answer).await.err(),
                        Err(error) => Some(error.to_string()),
                    };
                    let early = || "the server replied before the end of the stream".to_owned();
                    return Err(failed(&error.unwrap_or_else(early)));
                }
            }
            locked(&self.lateness).record(due.elapsed());
            // The next message of the track: its prefix has its length.
            let prefix = track.slice(at, 5);
            let point = track.slice(at, 5 + prefix.last().copied().map_or(0, usize::from));
            at += point.len() as u64;
            // The first frame also has the first message of the stream.
            let first = if index == 0 { load.first_message(0, number) } else { Bytes::new() };
            let point = if first.is_empty() { point } else { [first, point].concat().into() };
            // A few bytes per second fit into any window.
            body.send_data(point, index + 1 == point_count).map_err(|error| failed(&error))?;
        }
        let closed = Instant::now();
        let reply = async {
            let answer = response.await.map_err(|error| error.to_string())?;
            receive_reply(answer).await
        };
        let reply = timeout(load.stall_timeout, reply).await;
        let reply = reply.map_err(|_| failed(&"the server did not reply in time"))?;
        let reply = reply.map_err(|error| failed(&error))?;
        connections.check(load, reply).map_err(|error| failed(&error))?;
        Ok(closed.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_sends_one_point_per_interval_and_at_least_one() {
        let points = |interval_ms, duration_ms| {
            let (interval, duration) =
                (Duration::from_millis(interval_ms), Duration::from_millis(duration_ms));
            Schedule { interval, duration }.points_per_stream()
        };
        assert_eq!(points(1000, 60_000), 60);
        assert_eq!(points(1000, 1), 1);
        assert_eq!(points(300, 1000), 3);
    }
}
