//! S13: a server that was paused closes connections whose answers to its pings have arrived meanwhile.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use crate::connection::Connection;
use crate::messages::{DISPLACEMENT, is_five, three_four};
use crate::report::{PATIENCE, attack};
use crate::server::{KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, Server, describe, option};

const CONNECTIONS: usize = 10;

#[test]
fn connections_survive_a_pause_of_the_server() {
    attack("S13 pause", async |report| {
        // Without the option the timeout is 20 s.
        let timeout_ms = if option(KEEPALIVE_TIMEOUT).is_some() { 500 } else { 20_000 };
        let text = format!("{timeout_ms}ms");
        let mut server =
            Server::start(&[(KEEPALIVE_INTERVAL, "200ms"), (KEEPALIVE_TIMEOUT, &text)]);
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut client = Connection::connect(server.address).await.unwrap();
            client.barrier().await;
            clients.push(client);
        }
        // The first ping is answered. The next one arrives and is answered only during the pause.
        for client in &mut clients {
            let seen = client.pings;
            let ping = async { while client.pings == seen && client.step().await {} };
            timeout(PATIENCE, ping).await.unwrap();
        }
        sleep(Duration::from_millis(300)).await;
        server.signal(Signal::STOP);
        for client in &mut clients {
            // Answers what has arrived, and stops at the first silence.
            while timeout(Duration::from_millis(20), client.step()).await.unwrap_or(false) {}
        }
        sleep(Duration::from_millis(timeout_ms + 1000)).await;
        server.signal(Signal::CONT);
        let (mut survived, mut failure) = (0, None);
        for client in &mut clients {
            let request = three_four();
            let reply = timeout(PATIENCE / 3, client.call(DISPLACEMENT, &request)).await;
            let reply = reply.unwrap_or_default();
            if is_five(&reply) && client.goaway.is_none() {
                survived += 1;
            } else {
                failure = Some(describe(&reply));
            }
        }
        report.figure(
            "connections that survived",
            format!("{survived} of {CONNECTIONS} {failure:?}"),
        );
        report.check(survived == CONNECTIONS, format!("{survived} of {CONNECTIONS} survive"));
        report.check(server.is_alive(), "the process lives");
    });
}
