//! The healthy client: makes unary calls at a fixed rate, on its own connections and thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::connection::Connection;
use crate::messages;
use crate::report::{HANG_TIMEOUT, Report, ms};
use crate::server::{Server, describe, is_optimised};

/// The interval of calls on each connection. It is longer than an answer takes, so that calls do not queue.
const INTERVAL: Duration = Duration::from_millis(20);
const CONNECTIONS: u32 = 5;

/// The outcome of all calls.
#[derive(Default)]
pub struct Outcome {
    /// Measured from the time when each call was due, so that a stall counts for all calls that it delays. Unoptimised
    /// binaries are measured from the actual start of the call.
    pub latencies: Vec<Duration>,
    /// Calls that the server refused with a code that permits a retry.
    pub refused: usize,
    /// Calls with a wrong answer or none, and lost connections.
    pub failures: Vec<String>,
}

pub struct Healthy {
    thread: Option<JoinHandle<Outcome>>,
    is_stopped: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl Healthy {
    pub fn start(server: &Server) -> Self {
        let (is_stopped, calls) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (address, stop, count) = (server.address, is_stopped.clone(), Arc::clone(&calls));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let each = |number| run(address, number * INTERVAL / CONNECTIONS, &stop, &count);
                let outcomes = futures::future::join_all((0..CONNECTIONS).map(each)).await;
                outcomes.into_iter().fold(Outcome::default(), Outcome::merge)
            })
        });
        Self { thread: Some(thread), is_stopped, calls }
    }

    /// Waits until this many further calls are answered, but at most for `at_most`.
    pub async fn calls(&self, count: usize, at_most: Duration) {
        let (began, target) = (Instant::now(), self.calls.load(Relaxed) + count);
        while self.calls.load(Relaxed) < target && began.elapsed() < at_most {
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Stops after the current call and prints its measurements.
    pub async fn stop(mut self, report: &Report) -> Outcome {
        self.is_stopped.store(true, Relaxed);
        let thread = self.thread.take().unwrap();
        let outcome = tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
        report.figure("healthy client", outcome.describe());
        outcome
    }

    /// Measures the 99th percentile of the latency without an attack.
    pub async fn idle_p99(server: &Server, report: &Report) -> Duration {
        let healthy = Self::start(server);
        healthy.calls(300, HANG_TIMEOUT).await;
        healthy.is_stopped.store(true, Relaxed);
        let p99 = healthy.stop(report).await.percentile(99);
        report.figure("idle p99", ms(p99));
        p99
    }
}

impl Drop for Healthy {
    fn drop(&mut self) {
        self.is_stopped.store(true, Relaxed);
    }
}

impl Outcome {
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort();
        let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(index).copied().unwrap_or(HANG_TIMEOUT)
    }

    fn merge(mut self, other: Self) -> Self {
        self.latencies.extend(other.latencies);
        self.failures.extend(other.failures);
        Self { refused: self.refused + other.refused, ..self }
    }

    fn describe(&self) -> String {
        format!(
            "{} answers, p50 {}, p99 {}, max {}; {} refused, {} failed{}",
            self.latencies.len(),
            ms(self.percentile(50)),
            ms(self.percentile(99)),
            ms(self.percentile(100)),
            self.refused,
            self.failures.len(),
            self.failures.first().map(|first| format!(" ({first})")).unwrap_or_default(),
        )
    }
}

/// Makes calls on one connection, the first one after `delay`.
async fn run(
    address: SocketAddr,
    delay: Duration,
    is_stopped: &AtomicBool,
    calls: &AtomicUsize,
) -> Outcome {
    let mut outcome = Outcome::default();
    sleep(delay).await;
    while !is_stopped.load(Relaxed) {
        let mut connection = match Connection::connect(address).await {
            Ok(connection) => connection,
            Err(error) => {
                outcome.failures.push(error.to_string());
                sleep(INTERVAL).await;
                continue;
            }
        };
        let mut due = Instant::now();
        while !is_stopped.load(Relaxed) {
            sleep_until(due).await;
            // An unoptimised binary may not answer at this rate; its calls must not queue.
            let due_at = if is_optimised() { due } else { Instant::now() };
            let request = messages::three_four();
            let call = connection.call(messages::DISPLACEMENT, &request);
            match timeout(HANG_TIMEOUT, call).await {
                Ok(reply) if messages::is_five(&reply) => outcome.latencies.push(due_at.elapsed()),
                Ok(reply) if reply.is_refused() => outcome.refused += 1,
                Ok(reply) => outcome.failures.push(describe(&reply)),
                Err(_) => outcome.failures.push("no answer".to_owned()),
            }
            calls.fetch_add(1, Relaxed);
            due = due_at + INTERVAL;
            if connection.is_closed || outcome.failures.len() > 1000 {
                sleep(INTERVAL).await;
                break;
            }
        }
    }
    outcome
}
