//! An HTTP/1.1 client gets an HTTP/1.1 answer that explains the protocol of the port.

use crate::report::{HANG_TIMEOUT, attack};
use crate::server::Server;
use crate::wire::Wire;

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn an_http1_request_gets_a_readable_answer() {
    attack("HTTP/1.1", async |report| {
        let mut server = Server::start(&[]);
        for request in [
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "POST /my_package.DisplacementService/computeDisplacement HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "OPTIONS * HTTP/1.0\r\n\r\n",
        ] {
            let mut wire = Wire::connect(server.address, None).await.unwrap();
            wire.send(request.as_bytes()).await.unwrap();
            // The server closes, not the client.
            let answer = tokio::time::timeout(HANG_TIMEOUT / 3, wire.rest()).await;
            let is_closed = answer.is_ok();
            let answer = String::from_utf8_lossy(&answer.unwrap_or_default()).into_owned();
            let line = answer.lines().next().unwrap_or_default();
            report.figure("answer", format!("{line:?}, {} bytes", answer.len()));
            let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
            let status = status.and_then(|status| status.parse::<u16>().ok());
            let is_error = status.is_some_and(|code| (400..500).contains(&code) || code == 505);
            report.check(is_error, format!("status 4xx or 505, not {line:?}"));
            let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
            report.check(
                body.contains("gRPC over HTTP/2"),
                format!("the body says \"this port speaks gRPC over HTTP/2\": {body:?}"),
            );
            report.check(is_closed, "the server closes the connection");
        }
        let is_served = server.is_alive() && server.ordinary_call(None).await.is_ok();
        report.check(is_served, "the server answers gRPC calls");
    });
}
