//! Weakness: reflection accepts messages beyond the size limit, and repeats the requested symbol in headers.

use tokio::time::timeout;

use crate::connection::Connection;
use crate::frames::{data, message};
use crate::report::{HANG_TIMEOUT, attack};
use crate::server::{Server, describe};

const METHODS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Returns a ServerReflectionRequest whose file_containing_symbol has this length.
fn symbol(length: usize) -> Vec<u8> {
    let mut request = vec![0x22];
    prost::encode_length_delimiter(length, &mut request).unwrap();
    request.resize(request.len() + length, b'x');
    request
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn reflection_refuses_large_messages_with_short_headers() {
    attack("reflection", async |report| {
        let mut server = Server::start(&[]);
        for method in METHODS {
            for (length, is_too_large) in [(900, false), (2_000, true), (1_000_000, true)] {
                let mut client = Connection::connect(server.address).await.unwrap();
                client.barrier().await;
                let stream = client.open(method, &[]).await;
                let body = message(false, &symbol(length));
                let call = async {
                    client.send_bodies(vec![(stream, body.into())]).await;
                    client.send(&data(stream, &[], true)).await;
                    client.reply(stream).await
                };
                let reply = timeout(HANG_TIMEOUT / 3, call).await.unwrap_or_default();
                let text = format!("{length} bytes: {}", describe(&reply));
                report.figure("reply", format!("{text}, {} bytes of headers", reply.header_bytes));
                let headers = reply.header_bytes;
                report.check(
                    headers < 4096,
                    format!("{headers} bytes of headers for {length} bytes"),
                );
                report.check(reply.is_ended, format!("the stream ends: {text}"));
                if is_too_large {
                    report.check(reply.code == Some(8), format!("RESOURCE_EXHAUSTED: {text}"));
                }
            }
        }
        let call = server.ordinary_call(None).await.map(drop);
        report
            .check(server.is_alive() && call.is_ok(), format!("other calls are served: {call:?}"));
    });
}
