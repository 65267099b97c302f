//! Weakness: a client causes much CPU time with few bytes, by compressed messages of long geodesic legs.
//!
//! Sends four streams of 1 MB. Other calls must stay fast, the work must stop when the client disconnects, and a drain
//! must end in time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::connection::Connection;
use crate::healthy::Healthy;
use crate::messages::{
    GZIP, Legs, RECORD_PATH, first_message, gzip_legs_below_ratio, plain_legs, repeated,
};
use crate::report::{HANG_TIMEOUT, Report, attack_on_latency, duration, mib, ms};
use crate::server::{Server, is_optimised};

const STREAMS: usize = 4;
const STREAM_BYTES: usize = 1_000_000;
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// The additional time for the signal and for the exit of the process.
const EXIT_TIME: Duration = Duration::from_millis(500);

/// Returns the limit of the p99 latency of other calls. It is higher on a machine that is slow without an attack, and
/// for an unoptimised binary, whose units of work take longer.
fn p99_max(idle_p99: Duration) -> Duration {
    if is_optimised() {
        (5 * idle_p99).max(Duration::from_millis(20))
    } else {
        (20 * idle_p99).max(Duration::from_secs(2))
    }
}

/// Returns the limit of the CPU time after the client disconnects: 100 ms on each core.
fn remaining_cpu_max() -> Duration {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    let each = if is_optimised() { 100 } else { 1000 };
    cores * Duration::from_millis(each)
}

/// Sends four streams of this frame as fast as the server grants windows. Each has its own connection, so that all
/// threads of the server have work.
fn begin(server: &Server, frame: &[u8], headers: &'static [(&str, &str)]) -> JoinSet<()> {
    let body = Bytes::from([first_message(), repeated(frame, STREAM_BYTES)].concat());
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        let (address, body) = (server.address, body.clone());
        streams.spawn(async move {
            let mut connection = Connection::connect(address).await.unwrap();
            let stream = connection.open(RECORD_PATH, headers).await;
            connection.send_bodies(vec![(stream, body)]).await;
            connection.until_closed().await;
        });
    }
    streams
}

async fn run(report: &mut Report, frame: Vec<u8>, headers: &'static [(&str, &str)]) {
    let mut server = Server::start(&[("--drain-timeout", "2s")]);
    let idle_p99 = Healthy::idle_p99(&server, report).await;
    let before = server.usage();

    let mut attackers = begin(&server, &frame, headers);
    let healthy = Healthy::start(&server);
    healthy.calls(500, 10 * duration()).await;
    let outcome = healthy.stop(report).await;
    let (p99, max) = (outcome.percentile(99), p99_max(idle_p99));
    report.check(p99 <= max, format!("p99 of other calls is {}, at most {}", ms(p99), ms(max)));
    report.check(outcome.failures.is_empty(), "other calls are answered");
    report.figure("CPU time during the attack", ms(server.usage().cpu - before.cpu));
    report.figure("peak memory", mib(server.usage().peak_bytes));

    attackers.shutdown().await;
    let remaining = server.cpu_until_quiet(HANG_TIMEOUT / 3).await;
    let text = remaining.map_or("more than 20 s".to_owned(), ms);
    report.figure("CPU time after the client disconnected", &text);
    let max = remaining_cpu_max();
    let is_met = remaining.is_some_and(|remaining| remaining <= max);
    report.check(
        is_met,
        format!("the server works for {text} without a client, at most {}", ms(max)),
    );

    // A new server, if the work of the first attack still runs.
    if remaining.is_none() {
        server = Server::start(&[("--drain-timeout", "2s")]);
    }
    let before = server.usage().cpu;
    let mut attackers = begin(&server, &frame, headers);
    let began = Instant::now();
    while server.usage().cpu < before + Duration::from_millis(100)
        && began.elapsed() < HANG_TIMEOUT / 6
    {
        sleep(Duration::from_millis(5)).await;
    }
    let signalled = Instant::now();
    server.signal(Signal::TERM);
    let ended = server.exit_since(signalled).await;
    let text = ended.map_or("more than 60 s".to_owned(), |(time, status)| {
        format!("{} with {status}", ms(time))
    });
    report.figure("end after SIGTERM, with a drain time of 2 s", &text);
    let max = DRAIN_TIME + EXIT_TIME;
    let is_met = ended.is_some_and(|(time, status)| time <= max && status.success());
    report.check(is_met, format!("a drain of 2 s takes {text}, at most {}", ms(max)));
    attackers.shutdown().await;
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn compressed_legs_do_not_delay_other_calls() {
    attack_on_latency("gzip, long legs", async |report| {
        let (frame, ratio) = gzip_legs_below_ratio(100, Legs::Long);
        report
            .figure("bytes of a message of 6 400 legs, ratio", format!("{}, {ratio}", frame.len()));
        run(report, frame, &[GZIP]).await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn compressed_antipodal_legs_do_not_delay_other_calls() {
    attack_on_latency("gzip, antipodal legs", async |report| {
        let (frame, ratio) = gzip_legs_below_ratio(100, Legs::Antipodal);
        report
            .figure("bytes of a message of 6 400 legs, ratio", format!("{}, {ratio}", frame.len()));
        run(report, frame, &[GZIP]).await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn plain_legs_do_not_delay_other_calls() {
    attack_on_latency("plain, long legs", async |report| {
        run(report, plain_legs(Legs::Long), &[]).await;
    });
}
