//! Floods of legal or almost legal frames that are known to break servers. These are regression tests.

use std::time::Instant;

use tokio::time::timeout;

use crate::connection::{Connection, STANDARD};
use crate::frames::{
    CANCEL, CONTINUATION, END_HEADERS, HEADERS, PRIORITY, SETTINGS, data, frame, goaway, ping,
    request, reset, window_update,
};
use crate::healthy::Healthy;
use crate::hpack::{self, indexed_literal};
use crate::messages::{PATH_LENGTH, host};
use crate::report::{HANG_TIMEOUT, Report, attack, duration, mib};
use crate::server::{PROCESS_MEMORY, Server};

const BATCH: usize = 200;
/// The limit of the growth of the server's peak memory.
const GROWTH_MAX: u64 = 150 << 20;

/// Sends the batches that `next` returns for `duration()`, on one connection after another, and reads only as much as
/// sending requires.
async fn flood(report: &mut Report, mut next: impl FnMut(&mut Connection) -> Vec<u8>) {
    let mut server = Server::start(&[]);
    server.limit_memory(PROCESS_MEMORY);
    let healthy = Healthy::start(&server);
    healthy.calls(100, HANG_TIMEOUT).await;
    let idle = server.usage();
    let (began, mut batches, mut closed) = (Instant::now(), 0, 0);
    while began.elapsed() < duration() {
        let connection = Connection::with(server.address, host(1), STANDARD).await;
        let Ok(mut connection) = connection else { continue };
        while began.elapsed() < duration() {
            let batch = next(&mut connection);
            // The server may stop reading, which ends the flood on this connection.
            let is_sent =
                timeout(HANG_TIMEOUT / 60, connection.send(&batch)).await.unwrap_or(false);
            if !is_sent {
                closed += 1;
                break;
            }
            batches += 1;
        }
    }
    let usage = server.usage();
    report.figure("batches sent, connections closed", format!("{batches}, {closed}"));
    report.figure(
        "CPU time, peak memory",
        format!("{:?}, {}", usage.cpu.saturating_sub(idle.cpu), mib(usage.peak_bytes)),
    );
    let outcome = healthy.stop(report).await;
    let is_served = outcome.failures.is_empty() && outcome.refused == 0;
    report.check(is_served, "other calls are served");
    report.check(!outcome.latencies.is_empty(), "other calls were made");
    let growth = usage.peak_bytes.saturating_sub(idle.peak_bytes);
    report.check(growth < GROWTH_MAX, format!("the memory grows by {}", mib(growth)));
    let call = server.ordinary_call(None).await.map(drop);
    report.check(server.is_alive() && call.is_ok(), format!("the server answers: {call:?}"));
    let panics = server.log_lines("panicked");
    report.check(panics.is_empty(), format!("{panics:?}"));
}

/// Returns the ids of a batch of new streams, and the frames that open them.
fn open(connection: &mut Connection) -> (Vec<u32>, Vec<u8>) {
    let streams: Vec<_> = (0..BATCH).map(|_| connection.new_stream()).collect();
    let frames = streams.iter().flat_map(|id| request(*id, PATH_LENGTH, &[])).collect();
    (streams, frames)
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn rapid_reset() {
    attack("rapid reset", async |report| {
        flood(report, |connection| {
            let (streams, _) = open(connection);
            let pair = |id| [request(id, PATH_LENGTH, &[]), reset(id, CANCEL)].concat();
            streams.into_iter().flat_map(pair).collect()
        })
        .await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn provoked_resets() {
    attack("MadeYouReset", async |report| {
        flood(report, |connection| {
            let (streams, opened) = open(connection);
            // A window update of zero is a stream error, so the server resets the stream.
            [opened, streams.into_iter().flat_map(|id| window_update(id, 0)).collect()].concat()
        })
        .await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn continuation_flood() {
    attack("CONTINUATION flood", async |report| {
        let mut block = Vec::new();
        hpack::literal(&mut block, "x", &[b'x'; 1000]);
        flood(report, |connection| {
            let stream = connection.new_stream();
            let first = frame(HEADERS, 0, stream, &hpack::request(PATH_LENGTH, &[]));
            [first, frame(CONTINUATION, 0, stream, &block).repeat(BATCH)].concat()
        })
        .await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn empty_continuations() {
    attack("empty CONTINUATION", async |report| {
        flood(report, |connection| {
            let stream = connection.new_stream();
            let first = frame(HEADERS, 0, stream, &hpack::request(PATH_LENGTH, &[]));
            [first, frame(CONTINUATION, 0, stream, &[]).repeat(50 * BATCH)].concat()
        })
        .await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn settings_flood() {
    attack("SETTINGS flood", async |report| {
        let batch = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]).repeat(BATCH);
        flood(report, |_| batch.clone()).await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn ping_flood() {
    attack("PING flood", async |report| {
        let batch = ping(7).repeat(BATCH);
        flood(report, |_| batch.clone()).await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn priority_and_goaway_flood() {
    attack("PRIORITY and GOAWAY flood", async |report| {
        let pair = [frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16]), goaway(0, 0)].concat();
        let batch = pair.repeat(BATCH);
        flood(report, |_| batch.clone()).await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn window_update_flood() {
    attack("WINDOW_UPDATE flood", async |report| {
        let batch = window_update(0, 1).repeat(BATCH);
        flood(report, |_| batch.clone()).await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn empty_data_flood() {
    attack("empty DATA", async |report| {
        flood(report, |connection| {
            let stream = connection.new_stream();
            [request(stream, PATH_LENGTH, &[]), data(stream, &[], false).repeat(BATCH)].concat()
        })
        .await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn hpack_bomb() {
    attack("HPACK bomb", async |report| {
        // The block of 16 KB adds an entry of 4 KB to the table and refers to it 12 000 times.
        flood(report, |connection| {
            let stream = connection.new_stream();
            let mut block = hpack::request(PATH_LENGTH, &[]);
            indexed_literal(&mut block, "x", &[b'x'; 4000]);
            block.extend([0x80 | 62; 12_000]);
            let bomb = frame(HEADERS, END_HEADERS, stream, &block);
            [bomb, reset(stream, CANCEL)].concat()
        })
        .await;
    });
}
