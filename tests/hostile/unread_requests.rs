//! S3: clients make the server hold requests that it cannot process: unread answers stop the reading, DATA
//! frames are tiny, or messages never become complete.
//!
//! `--max-memory` bounds what all connections together can make the server hold.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use waywiser::proto::waywiser_v1 as v1;

use crate::connection::{Connection, POLITE, unread};
use crate::frames::message;
use crate::healthy::Healthy;
use crate::messages::{MEASURE_PATHS, RECORD_PATH, host};
use crate::report::{PATIENCE, Report, attack, is_long, mib, ms};
use crate::server::{IDLE, MAX_MEMORY, PROCESS_MEMORY, Server};

const CONNECTIONS: u8 = 12;
const MAX_MEMORY_BYTES: u64 = 32 << 20;
/// Twice the budget, since an allocator has an overhead, and what the process needs otherwise.
const GROWTH_MAX: u64 = 2 * MAX_MEMORY_BYTES + (64 << 20);

#[derive(Clone)]
struct Flood {
    path: &'static str,
    streams: usize,
    body: Bytes,
    frame_bytes: usize,
    /// Whether the answers are read.
    is_read: bool,
}

/// Sends until no window is left, then holds the connection. Returns the number of streams that were refused.
async fn hold(
    server: SocketAddr,
    source: Option<SocketAddr>,
    flood: Flood,
    full: mpsc::Sender<usize>,
    mut over: watch::Receiver<bool>,
) -> usize {
    const STALLED: Duration = Duration::from_millis(500);
    let manners = if flood.is_read { POLITE } else { unread(0) };
    let Ok(mut connection) = Connection::with(server, source, manners).await else { return 0 };
    // The first settings of the server have its windows.
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
    let wait = async { while !connection.is_over() && connection.step().await {} };
    tokio::select! { () = wait => {}, _ = over.changed() => {} }
    connection.replies().filter(|reply| reply.is_refused()).count()
}

async fn run(report: &mut Report, flood: Flood) {
    let memory = format!("{}MiB", MAX_MEMORY_BYTES >> 20);
    let mut server = Server::start(&[(IDLE, "3s"), (MAX_MEMORY, &memory)]);
    server.limit_memory(PROCESS_MEMORY);
    server.ordinary_call(None).await.unwrap();
    let idle = server.usage();
    let healthy = Healthy::start(&server);
    healthy.calls(50, PATIENCE).await;

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
    let _ = timeout(PATIENCE, fill).await;
    healthy.calls(100, PATIENCE / 6).await;
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

    // What makes no progress ends after the idle timeout; nothing here ends by itself.
    let began = Instant::now();
    while attackers.iter().any(|attacker| !attacker.is_finished()) && began.elapsed() < PATIENCE / 3
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
    report.check(outcome.failures.is_empty(), "other calls get an answer on their connection");
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
    report.check(returned.is_some(), "S4: the memory is returned within a minute");
    report.check(server.is_alive(), "the process survives");
}

/// Short paths, each of which has an answer.
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
fn requests_are_bounded_whose_answers_are_not_taken() {
    attack("S3 unread answers", async |report| {
        let bytes = if is_long() { 640 << 10 } else { 160 << 10 };
        let body = paths(bytes);
        let flood =
            Flood { path: MEASURE_PATHS, streams: 100, body, frame_bytes: 16_384, is_read: false };
        run(report, flood).await;
    });
}

#[test]
fn tiny_frames_are_bounded() {
    attack("S3 tiny frames", async |report| {
        let bytes = if is_long() { 160 << 10 } else { 20 << 10 };
        let body = paths(bytes);
        let flood =
            Flood { path: MEASURE_PATHS, streams: 100, body, frame_bytes: 40, is_read: false };
        run(report, flood).await;
    });
}

#[test]
fn incomplete_messages_are_bounded() {
    attack("S3 incomplete messages", async |report| {
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
