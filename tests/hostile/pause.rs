//! Weakness: after a pause, the server closes connections although their answers to its pings arrived during the pause.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use crate::connection::Connection;
use crate::messages::{DISPLACEMENT, is_five, three_four};
use crate::report::{HANG_TIMEOUT, attack};
use crate::server::{Server, describe};

const CONNECTIONS: usize = 10;

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn connections_survive_a_pause_of_the_server() {
    attack("pause", async |report| {
        let mut server =
            Server::start(&[("--keepalive-interval", "1s"), ("--keepalive-timeout", "5s")]);
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut client = Connection::connect(server.address).await.unwrap();
            client.barrier().await;
            clients.push(client);
        }
        // The clients answer the first ping, and the next ping only during the pause.
        for client in &mut clients {
            let seen = client.pings;
            let ping = async { while client.pings == seen && client.step().await {} };
            timeout(HANG_TIMEOUT, ping).await.unwrap();
        }
        // The server has sent the next ping, and does not miss an answer for several seconds.
        sleep(Duration::from_millis(1500)).await;
        server.signal(Signal::STOP);
        for client in &mut clients {
            // Answers all frames that have arrived.
            while timeout(Duration::from_millis(20), client.step()).await.unwrap_or(false) {}
        }
        sleep(Duration::from_millis(5500)).await;
        server.signal(Signal::CONT);
        let (mut survived, mut failure) = (0, None);
        for client in &mut clients {
            let request = three_four();
            let reply = timeout(HANG_TIMEOUT / 3, client.call(DISPLACEMENT, &request)).await;
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
