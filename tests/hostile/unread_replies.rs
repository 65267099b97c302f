//! Weakness: a client requests large replies with few bytes and never reads them.
//!
//! A ListPaths request of about 160 bytes returns a page of up to 64 KiB. With windows of 0 or 1 byte the server must
//! hold the replies. It must survive with limited memory, serve other clients, end such replies, and free the memory.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use waywiser::proto::waywiser_v1 as v1;

use crate::connection::{Connection, STANDARD, unread};
use crate::healthy::Healthy;
use crate::messages::{LIST_PATHS, RECORD_PATH, host, recording};
use crate::report::{HANG_TIMEOUT, attack, is_long, mib, ms};
use crate::server::{PROCESS_MEMORY, Server};

const HOSTS: u8 = 20;
const STREAMS_PER_CONNECTION: usize = 250;

/// Records 1 000 short paths, 50 from each of 20 hosts, so that the limit per host does not apply. Returns the number
/// of recordings.
async fn record(server: &Server) -> usize {
    let mut recorded = 0;
    for number in 1..=HOSTS {
        let mut client = Connection::with(server.address, host(number), STANDARD).await.unwrap();
        let mut streams = Vec::new();
        for index in 0..1000 / usize::from(HOSTS) {
            // Long names make long replies.
            let name = format!("paths/{number:03}-{index:03}-{}", "x".repeat(110));
            let first = recording(&name, 10, true);
            streams.push(client.send_request(RECORD_PATH, &first).await);
        }
        for stream in streams {
            recorded += usize::from(client.reply(stream).await.code == Some(0));
        }
    }
    recorded
}

/// Requests pages and reads none. Returns the connection when the server has ended all replies.
async fn request_and_never_read(server: std::net::SocketAddr, number: usize) -> Connection {
    let window = (number % 2) as u32;
    let source = host(number as u8 + 1);
    let mut connection = Connection::with(server, source, unread(window)).await.unwrap();
    let page = v1::ListPathsRequest { page_size: 1000, ..Default::default() };
    for _ in 0..STREAMS_PER_CONNECTION {
        connection.send_request(LIST_PATHS, &page).await;
    }
    while !connection.is_finished() && connection.step().await {}
    connection
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn unread_replies_do_not_exhaust_the_memory() {
    attack("unread replies", async |report| {
        // The short run has a third of the size.
        let (connections, limit, memory) =
            if is_long() { (20, PROCESS_MEMORY, "512MiB") } else { (7, 320 << 20, "64MiB") };
        let mut server =
            Server::start(&[("--stream-idle-timeout", "2s"), ("--max-memory", memory)]);
        let recorded = record(&server).await;
        report.figure("recordings", recorded);
        assert!(recorded > 900, "{recorded}");
        let idle = server.usage();
        report.figure("idle memory", mib(idle.resident_bytes));
        server.limit_memory(limit);

        let healthy = Healthy::start(&server);
        let began = Instant::now();
        let attackers: Vec<_> = (0..connections)
            .map(|number| tokio::spawn(request_and_never_read(server.address, number)))
            .collect();
        let (mut ended, mut streams) = (0, 0);
        for attacker in attackers {
            let left = (HANG_TIMEOUT / 2).saturating_sub(began.elapsed());
            let aborts = attacker.abort_handle();
            match timeout(left.max(Duration::from_millis(1)), attacker).await {
                Ok(connection) => {
                    let connection = connection.unwrap();
                    let replies = connection.replies().count();
                    let is_closed = connection.is_closed;
                    let over = connection.replies().filter(|it| it.is_ended || is_closed).count();
                    (ended, streams) = (ended + over, streams + replies);
                }
                Err(_) => {
                    aborts.abort();
                    streams += STREAMS_PER_CONNECTION;
                }
            }
            if !server.is_alive() {
                break;
            }
        }
        let time = ms(began.elapsed());
        let is_alive = server.is_alive();
        report.figure("peak memory", mib(server.usage().peak_bytes));
        report.figure("replies that the server ended", format!("{ended} of {streams} in {time}"));
        report.figure("process", if is_alive { "runs" } else { "has aborted" });
        report.check(is_alive, format!("the process survives in {}", mib(limit)));
        report.check(
            ended == streams && is_alive,
            "unread replies end after the idle timeout of 2 s",
        );
        let outcome = healthy.stop(report).await;
        report.check(outcome.failures.is_empty(), "other calls are answered");
        if !is_alive {
            return;
        }
        for _ in 0..20 {
            let call = server.ordinary_call(None).await.map(drop);
            report.check(call.is_ok(), format!("a call after the attack: {call:?}"));
        }
        sleep(Duration::from_millis(100)).await;
        report.figure("memory after the attack", mib(server.usage().resident_bytes));
        let returned = server.memory_returns_to(idle.resident_bytes).await;
        report.figure("memory within 100 MB of idle after", format!("{:?}", returned.map(ms)));
        report.check(returned.is_some(), "the memory is freed within a minute");
    });
}
