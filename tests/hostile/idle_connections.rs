//! Weakness: one host opens 1 023 idle connections, which block all other clients.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::connection::Connection;
use crate::frames::{PREFACE, UNKNOWN, header};
use crate::messages::host;
use crate::report::{HANG_TIMEOUT, Report, attack, ms};
use crate::server::Server;
use crate::wire::Wire;

const HELD: usize = 1023;
const OTHERS: usize = 20;

/// The way in which a connection stays open.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    AnswersPings,
    /// One byte of a frame per second.
    SlowFrame,
    /// One byte of the preface per second.
    SlowPreface,
    SendsNothing,
}

/// Opens a connection. Returns a future that keeps it open.
async fn open(server: std::net::SocketAddr, kind: Kind) -> Option<impl Future<Output = ()>> {
    const FRAME_BYTES: usize = 16_000;
    let mut connected = None;
    let mut wire = None;
    if matches!(kind, Kind::AnswersPings | Kind::SlowFrame) {
        let mut connection = Connection::connect(server).await.ok()?;
        if !connection.barrier().await {
            return None;
        }
        connected = Some(connection);
    } else {
        wire = Some(Wire::connect(server, None).await.ok()?);
    }
    Some(async move {
        let mut seconds = interval(Duration::from_secs(1));
        match (kind, connected, wire) {
            (Kind::AnswersPings, Some(mut connection), _) => connection.until_closed().await,
            (Kind::SlowFrame, Some(mut connection), _) => {
                connection.send(&header(UNKNOWN, 0, 0, FRAME_BYTES)).await;
                // A client cannot answer pings within a frame, so the server may close the connection.
                while connection.send(&[0]).await {
                    tokio::select! {
                        _ = seconds.tick() => {}
                        is_open = connection.step() => if !is_open { break },
                    }
                }
            }
            (Kind::SlowPreface, _, Some(mut wire)) => {
                for byte in PREFACE {
                    seconds.tick().await;
                    if wire.send(&[*byte]).await.is_err() {
                        break;
                    }
                }
            }
            (_, _, Some(mut wire)) => drop(wire.rest().await),
            _ => {}
        }
    })
}

/// Connects 20 further clients at the same time, and returns the number that are served.
async fn served(server: &Server, number: Option<u8>) -> (usize, Option<String>) {
    let (mut clients, mut failure) = (Vec::new(), None);
    for _ in 0..OTHERS {
        match server.ordinary_call(number.and_then(host)).await {
            Ok(client) => clients.push(client),
            Err(error) => failure = Some(error),
        }
    }
    (clients.len(), failure)
}

async fn run(report: &mut Report, kind: Kind) {
    // The server pings every second, because answers to pings must not protect an idle connection.
    let mut server = Server::start(&[("--keepalive-interval", "1s")]);
    server.ordinary_call(None).await.unwrap();
    let mut held = JoinSet::new();
    let began = std::time::Instant::now();
    for _ in 0..HELD {
        match timeout(HANG_TIMEOUT / 12, open(server.address, kind)).await {
            Ok(Some(connection)) => drop(held.spawn(connection)),
            Ok(None) => {}
            Err(_) => report.figure("connecting", "no answer"),
        }
    }
    report.figure("connections opened", format!("{} in {}", held.len(), ms(began.elapsed())));
    let other = served(&server, Some(200)).await;
    report.figure("other hosts served", format!("{} of {OTHERS} {:?}", other.0, other.1));
    report.check(other.0 == OTHERS, format!("other hosts are served: {} of {OTHERS}", other.0));
    let same = served(&server, None).await;
    report.figure("same host served", format!("{} of {OTHERS} {:?}", same.0, same.1));
    report.check(same.0 == OTHERS, format!("the same host is served: {} of {OTHERS}", same.0));
    let mut closed = 0;
    while held.try_join_next().is_some() {
        closed += 1;
    }
    report.figure("attacking connections that the server closed", closed);
    report.check(server.is_alive(), "the process survives");
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn idle_connections_that_answer_pings_do_not_block_other_clients() {
    attack("idle connections", async |report| run(report, Kind::AnswersPings).await);
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn connections_with_a_byte_per_second_do_not_block_other_clients() {
    attack("slow frames", async |report| run(report, Kind::SlowFrame).await);
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn slow_prefaces_do_not_block_other_clients() {
    attack("slow prefaces", async |report| run(report, Kind::SlowPreface).await);
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn silent_connections_do_not_block_other_clients() {
    attack("silent connections", async |report| run(report, Kind::SendsNothing).await);
}
