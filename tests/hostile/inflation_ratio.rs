//! Weakness: small compressed messages inflate to many bytes. The server refuses a stream whose inflation ratio is
//! above 100 after 1 MiB of inflated bytes.

use crate::connection::Connection;
use crate::messages::{GZIP, Legs, RECORD_PATH, first_message, gzip_legs, repeated};
use crate::report::{HANG_TIMEOUT, attack};
use crate::server::{Server, describe};

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn a_stream_that_inflates_too_much_is_refused() {
    attack("inflation ratio", async |report| {
        let server = Server::start(&[]);
        let (frame, plain_bytes) = gzip_legs(Legs::Long, usize::MAX);
        let ratio = plain_bytes / frame.len();
        report.figure("ratio", ratio);
        assert!(ratio > 150, "{ratio}");

        // The limit does not apply to a short stream.
        let mut connection = Connection::connect(server.address).await.unwrap();
        let stream = connection.open(RECORD_PATH, &[GZIP]).await;
        let body = [first_message(), repeated(&frame, 3 * frame.len())].concat();
        connection.send_bodies(vec![(stream, body.into())]).await;
        connection.send(&crate::frames::data(stream, &[], true)).await;
        let answered = tokio::time::timeout(HANG_TIMEOUT, connection.reply(stream)).await;
        let reply = answered.unwrap_or_default();
        report.check(reply.code == Some(0), format!("short stream: {}", describe(&reply)));

        let stream = connection.open(RECORD_PATH, &[GZIP]).await;
        let body = [first_message(), repeated(&frame, 1_000_000)].concat();
        let sent = async {
            connection.send_bodies(vec![(stream, body.into())]).await;
            connection.reply(stream).await
        };
        let reply = tokio::time::timeout(HANG_TIMEOUT / 3, sent).await.unwrap_or_default();
        report.figure("long stream", describe(&reply));
        report
            .check(reply.code == Some(8), format!("RESOURCE_EXHAUSTED, not {}", describe(&reply)));
    });
}
