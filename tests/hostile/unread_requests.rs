//! Weakness: clients make the server hold requests that it cannot process. They do not read answers, send tiny DATA
//! frames, or send incomplete messages.
//!
//! `--max-memory` bounds the memory of all connections together.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use waywiser::proto::waywiser_v1 as v1;

use crate::connection::{Connection, STANDARD, unread};
use crate::frames::message;
use crate::healthy::Healthy;
use crate::messages::{MEASURE_PATHS, RECORD_PATH, host};
use crate::report::{HANG_TIMEOUT, Report, attack, is_long, mib, ms};
use crate::server::{PROCESS_MEMORY, Server};

const CONNECTIONS: u8 = 12;
const MAX_MEMORY_BYTES: u64 = 32 << 20;
/// Twice the budget, because of the overhead of the allocator, and 64 MiB for the rest of the process.
const GROWTH_MAX: u64 = 2 * MAX_MEMORY_BYTES + (64 << 20);

#[derive(Clone)]
struct Flood {
    path: &'static str,
    streams: usize,
    body: Bytes,
    frame_bytes: usize,
    /// Whether the client reads the answers.
    is_read: bool,
}

/// Sends until the windows are used up, then keeps the connection open. Returns the number of refused streams.
async fn hold(
    server: SocketAddr,
    source: Option<SocketAddr>,
    flood: Flood,
    full: mpsc::Sender<usize>,
    mut over: watch::Receiver<bool>,
) -> usize {
    const STALLED: Duration = Duration::from_millis(500);
    let behaviour = if flood.is_read { STANDARD } else { unread(0) };
    let Ok(mut connection) = Connection::with(server, source, behaviour).await else { return 0 };
    // Waits for the first settings of the server, which set the windows.
    connection.barrier().await;
    let mut bodies = Vec::new();
    for _ in 0..flood.streams {
        bodies.push((connection.open(flood.path, &[]).await, flood.body.clone()));
    }
    let mut sent = 0;
    loop {
        sent += connection.send_what_fits(&mut bodies, flood.frame_bytes).await;
        let is_done = bodies.iter().all(|(id, body)| body.is_empty() || connection.is_ended(*id));
        if is_done || !timeout(STALLED, connection.step()).await.unwrap_or(false) {
            break;
        }
    }
    let _ = full.send(sent).await;
    let wait = async { while !connection.is_finished() && connection.step().await {} };
    tokio::select! { () = wait => {}, _ = over.changed() => {} }
    connection.replies().filter(|reply| reply.is_refused()).count()
}

async fn run(report: &mut Report, flood: Flood) {
    let memory = format!("{}MiB", MAX_MEMORY_BYTES >> 20);
    let mut server = Server::start(&[("--stream-idle-timeout", "3s"), ("--max-memory", &memory)]);
    server.limit_memory(PROCESS_MEMORY);
    server.ordinary_call(None).await.unwrap();
    let idle = server.usage();
    let healthy = Healthy::start(&server);
    healthy.calls(50, HANG_TIMEOUT).await;

    let (full, mut filled) = mpsc::channel(1);
    let (end, over) = watch::channel(false);
    let attackers: Vec<_> = (1..=CONNECTIONS)
        .map(|number| {
            let flood = flood.clone();
            tokio::spawn(hold(server.address, host(number), flood, full.clone(), over.clone()))
        })
        .collect();
    drop((full, over));
    let mut sent = 0;
    let fill = async {
        while let Some(bytes) = filled.recv().await {
            sent += bytes;
        }
    };
    let _ = timeout(HANG_TIMEOUT, fill).await;
    healthy.calls(100, HANG_TIMEOUT / 6).await;
    let usage = server.usage();
    report.figure("bytes sent on 12 connections", mib(sent as u64));
    report.figure(
        "memory",
        format!("idle {}, peak {}", mib(idle.resident_bytes), mib(usage.peak_bytes)),
    );
    let growth = usage.peak_bytes - idle.peak_bytes.min(usage.peak_bytes);
    let is_met = server.is_alive() && growth <= GROWTH_MAX;
    report
        .check(is_met, format!("the memory grows by {}, at most {}", mib(growth), mib(GROWTH_MAX)));

    // The streams make no progress, so they must end after the idle timeout.
    let began = Instant::now();
    while attackers.iter().any(|attacker| !attacker.is_finished())
        && began.elapsed() < HANG_TIMEOUT / 3
    {
        sleep(Duration::from_millis(20)).await;
    }
    let held = attackers.iter().filter(|attacker| !attacker.is_finished()).count();
    report.figure(
        "connections with open streams after the timeout",
        format!("{held}, {}", ms(began.elapsed())),
    );
    report.check(held == 0, "streams without progress end after the idle timeout of 3 s");
    for _ in 0..20 {
        let call = server.ordinary_call(None).await.map(drop);
        report.check(call.is_ok(), format!("a call after the attack: {call:?}"));
    }
    let outcome = healthy.stop(report).await;
    report.check(outcome.failures.is_empty(), "other calls are answered on their connection");
    let is_served = outcome.latencies.len() > outcome.refused;
    report.check(is_served, format!("other calls are served: {} refused", outcome.refused));

    let _ = end.send(true);
    let mut refused = 0;
    for attacker in attackers {
        refused += attacker.await.unwrap();
    }
    report.figure("streams that were refused", refused);
    let returned = server.memory_returns_to(idle.resident_bytes).await;
    report.figure("memory within 100 MB of idle after", format!("{:?}", returned.map(ms)));
    report.check(returned.is_some(), "the memory is freed within a minute");
    report.check(server.is_alive(), "the process survives");
}

/// Returns messages of short paths, each of which has an answer.
fn paths(bytes: usize) -> Bytes {
    let point = v1::Point { x: 1.0, y: 1.0, ..Default::default() };
    let path = v1::MeasurePathsRequest {
        path_id: "x".repeat(20),
        points: vec![point, point],
        end_path: true,
        ..Default::default()
    };
    let path = message(false, &path.encode_to_vec());
    path.repeat(bytes / path.len()).into()
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn requests_with_unread_answers_are_bounded() {
    attack("unread answers", async |report| {
        let bytes = if is_long() { 640 << 10 } else { 160 << 10 };
        let body = paths(bytes);
        let flood =
            Flood { path: MEASURE_PATHS, streams: 100, body, frame_bytes: 16_384, is_read: false };
        run(report, flood).await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn tiny_frames_are_bounded() {
    attack("tiny frames", async |report| {
        let bytes = if is_long() { 160 << 10 } else { 20 << 10 };
        let body = paths(bytes);
        let flood =
            Flood { path: MEASURE_PATHS, streams: 100, body, frame_bytes: 40, is_read: false };
        run(report, flood).await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn incomplete_messages_are_bounded() {
    attack("incomplete messages", async |report| {
        let mut body = vec![0, 0, 1, 0, 0];
        body.resize(65_000, 0x20);
        let flood = Flood {
            path: RECORD_PATH,
            streams: 250,
            body: body.into(),
            frame_bytes: 16_384,
            is_read: true,
        };
        run(report, flood).await;
    });
}
