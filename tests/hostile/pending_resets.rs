//! Streams that are reset before the server accepts them: an attack ("rapid reset", CVE-2023-44487), and a proxy that
//! multiplexes clients on one connection, one of which cancels its calls.
//!
//! The limit must be so low that the attack is harmless, and so high that the proxy keeps its connection.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::connection::{Connection, STANDARD};
use crate::frames::{CANCEL, request, reset};
use crate::healthy::Healthy;
use crate::messages::{
    DISPLACEMENT, Legs, PATH_LENGTH, RECORD_PATH, first_message, host, is_five, plain_legs,
    repeated, three_four,
};
use crate::report::{HANG_TIMEOUT, Report, attack, duration, is_long, mib, ms, setting};
use crate::server::{Server, describe};

/// Streams of one write of the attack.
const BATCH: usize = 200;
/// The limit of the growth of the server's peak memory.
const GROWTH_MAX: u64 = 150 << 20;

/// Returns the values of `--max-pending-resets` to compare. Only the default must meet all requirements.
fn limits() -> Vec<Option<u64>> {
    let others = if is_long() { vec![64, 128, 256, 512, 1024, 4096] } else { Vec::new() };
    others.into_iter().map(Some).chain([None]).collect()
}

fn name(limit: Option<u64>) -> String {
    limit.map_or("default".to_owned(), |limit| limit.to_string())
}

/// Starts a server with this limit, which trusts the proxies of these tests or not.
fn server(limit: Option<u64>, trusts_proxies: bool) -> Server {
    let text = limit.map(|limit| limit.to_string());
    let mut options: Vec<(&str, &str)> = Vec::new();
    options.extend(text.as_deref().map(|text| ("--max-pending-resets", text)));
    if trusts_proxies {
        options.push(("--trust-forwarded-for", "127.0.0.1"));
    }
    Server::start(&options)
}

/// Returns frames that open streams and reset each at once.
fn opened_and_reset(connection: &mut Connection, count: usize) -> Vec<u8> {
    let streams: Vec<u32> = (0..count).map(|_| connection.new_stream()).collect();
    let pair = |id| [request(id, PATH_LENGTH, &[]), reset(id, CANCEL)].concat();
    streams.into_iter().flat_map(pair).collect()
}

async fn attack_with(report: &mut Report, limit: Option<u64>) {
    let server = server(limit, false);
    let idle = server.usage();
    let healthy = Healthy::start(&server);
    let (began, mut resets, mut closed) = (Instant::now(), 0, 0);
    while began.elapsed() < duration() {
        let Ok(mut connection) = Connection::with(server.address, host(1), STANDARD).await else {
            continue;
        };
        while began.elapsed() < duration() {
            let batch = opened_and_reset(&mut connection, BATCH);
            let is_sent = timeout(HANG_TIMEOUT / 60, connection.send(&batch)).await;
            if !is_sent.unwrap_or(false) {
                closed += 1;
                break;
            }
            resets += BATCH;
        }
    }
    let usage = server.usage();
    let cpu = usage.cpu.saturating_sub(idle.cpu);
    let outcome = healthy.stop(report).await;
    report.figure(
        format!("limit {}", name(limit)),
        format!(
            "{resets} resets on {closed} connections, {:.1} us of CPU time each; p99 of others {}; peak {}",
            cpu.as_secs_f64() * 1e6 / (resets.max(1) as f64),
            ms(outcome.percentile(99)),
            mib(usage.peak_bytes),
        ),
    );
    if limit.is_none() {
        report.check(closed > 0, "the server closes the connections of the attack");
        report.check(outcome.failures.is_empty(), "other calls are served");
        let growth = usage.peak_bytes.saturating_sub(idle.peak_bytes);
        report.check(growth < GROWTH_MAX, format!("the memory grows by {}", mib(growth)));
    }
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn rapid_resets_end_their_connection() {
    attack("rapid resets by limit", async |report| {
        for limit in limits() {
            attack_with(report, limit).await;
        }
    });
}

/// Keeps the threads of the server busy with long legs, on other connections.
fn busy(server: &Server) -> JoinSet<()> {
    let body = [first_message(), repeated(&plain_legs(Legs::Long), 1 << 20)].concat();
    let mut streams = JoinSet::new();
    for _ in 0..4 {
        let (address, body) = (server.address, bytes::Bytes::from(body.clone()));
        streams.spawn(async move {
            loop {
                let Ok(mut connection) = Connection::connect(address).await else { return };
                let stream = connection.open(RECORD_PATH, &[]).await;
                connection.send_bodies(vec![(stream, body.clone())]).await;
            }
        });
    }
    streams
}

/// A proxy that has `cancels` calls cancelled every 10 ms, and one call that must be answered. Returns the number of
/// intervals that the connection survived, at most `intervals`, and the failure that ended it.
async fn multiplex(server: &Server, cancels: usize, intervals: usize) -> (usize, Option<String>) {
    let mut connection = Connection::connect(server.address).await.unwrap();
    let mut ticks = interval(Duration::from_millis(10));
    for done in 0..intervals {
        ticks.tick().await;
        let batch = opened_and_reset(&mut connection, cancels);
        connection.send(&batch).await;
        let request = three_four();
        let call = timeout(HANG_TIMEOUT, connection.call(DISPLACEMENT, &request));
        let reply = call.await.unwrap_or_default();
        if !is_five(&reply) {
            return (done, Some(format!("{}, goaway {:?}", describe(&reply), connection.goaway)));
        }
    }
    (intervals, None)
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn a_multiplexing_proxy_keeps_its_connection() {
    attack("cancelling proxy", async |report| {
        let intervals = 100 * setting("HOSTILE_SECONDS").unwrap_or(1) as usize;
        for limit in limits() {
            let server = server(limit, true);
            let mut load = busy(&server);
            for cancels in [10, 30, 50, 100, 200, 400] {
                let (survived, failure) = multiplex(&server, cancels, intervals).await;
                report.figure(
                    format!("limit {}, {cancels} cancelled calls each 10 ms", name(limit)),
                    format!("{survived} of {intervals} intervals {}", failure.unwrap_or_default()),
                );
                if limit.is_none() {
                    report
                        .check(survived == intervals, format!("{cancels} cancelled calls survive"));
                }
            }
            load.shutdown().await;
        }
    });
}
