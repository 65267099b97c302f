//! Weakness: only the first watcher of a recording receives its current state.

use crate::connection::Connection;
use crate::frames::{data, message};
use crate::messages::{RECORD_PATH, WATCH_PATH, recording};
use crate::report::{HANG_TIMEOUT, attack};
use crate::server::Server;
use prost::Message as _;
use tokio::time::timeout;
use waywiser::proto::waywiser_v1 as v1;

const WATCHERS: usize = 20;

/// Receives frames until the stream has its first message. Returns whether it has one.
async fn receives_message(connection: &mut Connection, stream: u32) -> bool {
    let has_message = |connection: &Connection| {
        connection.partial_reply(stream).is_some_and(|reply| !reply.data.is_empty())
    };
    while !has_message(connection) && !connection.is_ended(stream) && connection.step().await {}
    has_message(connection)
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn every_watcher_receives_the_current_state() {
    attack("watchers", async |report| {
        let server = Server::start(&[]);
        let mut writer = Connection::connect(server.address).await.unwrap();
        // The stream stays open, so the recording is not finished and does not grow.
        let stream = writer.open(RECORD_PATH, &[]).await;
        let first = recording("paths/watched", 10, false).encode_to_vec();
        writer.send(&data(stream, &message(false, &first), false)).await;

        let request = v1::WatchPathRequest {
            name: "paths/watched".to_owned(),
            allow_missing: true,
            ..Default::default()
        };
        let mut first = Connection::connect(server.address).await.unwrap();
        let watch = first.send_request(WATCH_PATH, &request).await;
        let durable = async {
            // Each commit sends a message, and the first one may have no points.
            while first.partial_reply(watch).is_none_or(|reply| {
                let messages = reply.data.get(5..).unwrap_or_default();
                v1::WatchPathResponse::decode(messages)
                    .is_ok_and(|watched| watched.path.is_none_or(|path| path.committed_points == 0))
            }) && first.step().await
            {}
        };
        timeout(HANG_TIMEOUT, durable).await.unwrap();

        // Half of the watchers share a connection, the others have their own.
        let mut shared = Connection::connect(server.address).await.unwrap();
        let mut received = 0;
        for index in 0..WATCHERS {
            let mut own = Connection::connect(server.address).await.unwrap();
            let connection = if index % 2 == 0 { &mut shared } else { &mut own };
            let watch = connection.send_request(WATCH_PATH, &request).await;
            let state = receives_message(connection, watch);
            received += usize::from(timeout(HANG_TIMEOUT / 4, state).await.unwrap_or(false));
            if received <= index / 2 {
                break; // the check fails already
            }
        }
        report.figure(
            "further watchers that received the state",
            format!("{received} of {WATCHERS}"),
        );
        report.check(received == WATCHERS, "every watcher receives the current state");
    });
}
