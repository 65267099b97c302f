//! S5: only the first watcher of a recording was sent its current state.

use crate::connection::Connection;
use crate::frames::{data, message};
use crate::messages::{RECORD_PATH, WATCH_PATH, recording};
use crate::report::{PATIENCE, attack};
use crate::server::Server;
use prost::Message as _;
use tokio::time::timeout;
use waywiser::proto::waywiser_v1 as v1;

const WATCHERS: usize = 20;

/// Receives until the stream has its first message.
async fn first_message(connection: &mut Connection, stream: u32) -> bool {
    let has_message = |connection: &Connection| {
        connection.so_far(stream).is_some_and(|reply| !reply.data.is_empty())
    };
    while !has_message(connection) && !connection.is_ended(stream) && connection.step().await {}
    has_message(connection)
}

#[test]
fn every_watcher_receives_the_current_state() {
    attack("S5 watchers", async |report| {
        let server = Server::start(&[]);
        let mut writer = Connection::connect(server.address).await.unwrap();
        // The stream stays open, so the recording is not finished and does not grow.
        let stream = writer.open(RECORD_PATH, &[]).await;
        let first = recording("paths/watched", 10, false).encode_to_vec();
        writer.send(&data(stream, &message(false, &first), false)).await;

        let request =
            v1::WatchPathRequest { name: "paths/watched".to_owned(), allow_missing: true };
        let mut first = Connection::connect(server.address).await.unwrap();
        let watch = first.ask(WATCH_PATH, &request).await;
        let durable = async {
            // One message per commit: a recording without points may be first.
            while first.so_far(watch).is_none_or(|reply| {
                let messages = reply.data.get(5..).unwrap_or_default();
                v1::WatchPathResponse::decode(messages)
                    .is_ok_and(|watched| watched.path.is_none_or(|path| path.committed_points == 0))
            }) && first.step().await
            {}
        };
        timeout(PATIENCE, durable).await.unwrap();

        // Half of them on one connection, the others on connections of their own.
        let mut shared = Connection::connect(server.address).await.unwrap();
        let mut received = 0;
        for index in 0..WATCHERS {
            let mut own = Connection::connect(server.address).await.unwrap();
            let connection = if index % 2 == 0 { &mut shared } else { &mut own };
            let watch = connection.ask(WATCH_PATH, &request).await;
            let state = first_message(connection, watch);
            received += usize::from(timeout(PATIENCE / 12, state).await.unwrap_or(false));
            if received <= index / 2 {
                break; // most do not receive it, so the others need not be waited for
            }
        }
        report.figure(
            "further watchers that received the state",
            format!("{received} of {WATCHERS}"),
        );
        report.check(received == WATCHERS, "every watcher receives the current state");
    });
}
