//! Weakness: legal resets make the server log megabytes per second.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::connection::Connection;
use crate::frames::{CANCEL, request, reset};
use crate::healthy::Healthy;
use crate::messages::{PATH_LENGTH, host};
use crate::report::{HANG_TIMEOUT, attack, duration};
use crate::server::{Server, describe};

/// The limits of the log: bytes per second, and bytes at once. A line has about 200 bytes.
const LOG_BYTES_PER_SECOND_MAX: f64 = 100_000.0;
const LOG_BURST_BYTES_MAX: f64 = 500_000.0;
/// Far fewer than the limit of pending resets, which would close the connection.
const BATCH: usize = 8;
const CONNECTIONS: u8 = 4;

/// Opens streams and resets them after the server has accepted them. Returns `false` if the connection is closed.
async fn open_and_reset(connection: &mut Connection, count: usize) -> bool {
    let streams: Vec<_> = (0..count).map(|_| connection.new_stream()).collect();
    let opened: Vec<u8> = streams.iter().flat_map(|id| request(*id, PATH_LENGTH, &[])).collect();
    let resets: Vec<u8> = streams.iter().flat_map(|id| reset(*id, CANCEL)).collect();
    connection.send(&opened).await
        && connection.barrier().await
        && connection.send(&resets).await
        && connection.barrier().await
}

/// Resets streams until this time, on one connection after another. Returns the number of resets and of connections
/// that the server closed.
async fn flood(server: std::net::SocketAddr, number: u8, until: Instant) -> (usize, usize) {
    let (mut resets, mut closed) = (0, 0);
    while Instant::now() < until {
        let connection = Connection::with(server, host(number), crate::connection::STANDARD).await;
        let Ok(mut connection) = connection else { continue };
        while Instant::now() < until {
            if !open_and_reset(&mut connection, BATCH).await {
                closed += 1;
                break;
            }
            resets += BATCH;
        }
    }
    (resets, closed)
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn legal_resets_do_not_flood_the_log() {
    attack("legal resets", async |report| {
        let mut server = Server::start(&[]);
        // The server closes a connection that has reset more than half of 1 000 streams.
        let mut first = Connection::connect(server.address).await.unwrap();
        let mut count = 0;
        while count < 3000 && open_and_reset(&mut first, BATCH).await {
            count += BATCH;
        }
        report.figure("streams that one connection could reset", format!("{count} of 3000"));
        report.check(count < 3000, "a connection that resets most of its streams is closed");

        let healthy = Healthy::start(&server);
        let (began, bytes) = (Instant::now(), server.log_bytes());
        let until = began + duration();
        let floods: Vec<_> = (1..=CONNECTIONS)
            .map(|number| tokio::spawn(flood(server.address, number, until)))
            .collect();
        let (mut resets, mut closed) = (0, 0);
        for flood in floods {
            let (reset, close) = flood.await.unwrap();
            (resets, closed) = (resets + reset, closed + close);
        }
        let seconds = began.elapsed().as_secs_f64();
        let bytes = (server.log_bytes() - bytes) as f64;
        report.figure("resets per second", (resets as f64 / seconds).round());
        report.figure("connections closed", closed);
        report.figure("bytes of log per second", (bytes / seconds).round());
        let max = LOG_BYTES_PER_SECOND_MAX * seconds + LOG_BURST_BYTES_MAX;
        let text = format!("{bytes:.0} bytes of log in {seconds:.1} s, at most {max:.0}");
        report.check(bytes <= max, text);
        let outcome = healthy.stop(report).await;
        report.check(outcome.failures.is_empty() && outcome.refused == 0, "other calls are served");

        // The line with the number of suppressed lines may be logged later.
        let waited = Instant::now();
        while server.log_lines("suppressed").is_empty() && waited.elapsed() < HANG_TIMEOUT / 4 {
            sleep(Duration::from_millis(20)).await;
        }
        let lines = server.log_lines("suppressed");
        report.figure("line with a count", format!("{:?}", lines.first()));
        let has_count = lines.iter().any(|line| line.contains(|it: char| it.is_ascii_digit()));
        report.check(has_count, "the log counts the lines that were suppressed");
        report.check(server.is_alive(), "the process survives");
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn a_client_that_cancels_some_calls_keeps_its_connection() {
    attack("some resets", async |report| {
        let server = Server::start(&[]);
        let mut connection = Connection::connect(server.address).await.unwrap();
        // 1 200 streams, a third of which are reset.
        for round in 0..120 {
            if round % 3 == 0 && !open_and_reset(&mut connection, 10).await {
                break;
            }
            for _ in 0..if round % 3 == 0 { 0 } else { 10 } {
                let request = crate::messages::three_four();
                let reply = connection.call(crate::messages::DISPLACEMENT, &request).await;
                let is_right = crate::messages::is_five(&reply);
                report.check(is_right, format!("round {round}: {}", describe(&reply)));
                if !is_right {
                    return;
                }
            }
        }
        report.check(connection.barrier().await, "the connection is open");
    });
}
