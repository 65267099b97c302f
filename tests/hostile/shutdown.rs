//! Weakness: a drain waits for clients without open streams.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::report::{attack, ms};
use crate::server::Server;
use crate::wire::Wire;

const DRAIN_TIME: Duration = Duration::from_secs(45);

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn a_drain_does_not_wait_for_idle_connections() {
    attack("drain", async |report| {
        // Idle clients answer pings but never close, or read nothing, or have sent no preface.
        for kind in ["answer pings", "read nothing", "sent no preface"] {
            let mut server = Server::start(&[("--drain-timeout", "45s")]);
            let (mut tasks, mut unread, mut silent) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..10 {
                if kind == "sent no preface" {
                    silent.push(Wire::connect(server.address, None).await.unwrap());
                    continue;
                }
                let mut client = server.ordinary_call(None).await.unwrap();
                client.barrier().await;
                if kind == "answer pings" {
                    tasks.push(tokio::spawn(async move { client.until_closed().await }));
                } else {
                    unread.push(client);
                }
            }
            // After this call, the server has accepted all earlier connections.
            drop(server.ordinary_call(None).await.unwrap());
            let signalled = Instant::now();
            server.signal(Signal::TERM);
            let ended = server.exit_since(signalled).await;
            let text = ended.map_or("more than 60 s".to_owned(), |(time, status)| {
                format!("{} with {status}", ms(time))
            });
            report.figure(format!("end with idle clients that {kind}"), &text);
            let is_met = ended.is_some_and(|(time, _)| time <= DRAIN_TIME / 3);
            report.check(is_met, format!("a drain with idle clients that {kind} takes {text}"));
            drop((tasks, unread, silent));
        }
    });
}
