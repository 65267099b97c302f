//! Frames and bytes that violate HTTP/2. The server may close only the connection that sent them.

use tokio::time::timeout;

use crate::connection::Connection;
use crate::frames::{
    self, ACK, CONTINUATION, DATA, END_HEADERS, GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, data, frame, header, request, settings, window_update,
};
use crate::healthy::Healthy;
use crate::hpack;
use crate::messages::PATH_LENGTH;
use crate::report::{HANG_TIMEOUT, Report, attack, duration, is_long};
use crate::server::Server;
use crate::wire::Wire;

/// Returns sequences of frames to send after the preface, each with a violation.
fn violations() -> Vec<(&'static str, Vec<u8>)> {
    let open = request(1, PATH_LENGTH, &[]);
    let with = |more: Vec<u8>| [open.clone(), more].concat();
    let block = |fields: &[(&str, &str)]| {
        let mut block = Vec::new();
        fields.iter().for_each(|(name, value)| hpack::literal(&mut block, name, value.as_bytes()));
        frame(HEADERS, END_HEADERS, 1, &block)
    };
    let max = (1 << 31) - 1;
    vec![
        ("a connection window beyond 2^31", window_update(0, max)),
        ("a stream window beyond 2^31", with(window_update(1, max))),
        ("an update by zero", window_update(0, 0)),
        ("an initial window beyond 2^31", settings(&[(frames::INITIAL_WINDOW_SIZE, u32::MAX)])),
        ("a frame size below 2^14", settings(&[(5, 1)])),
        ("push of 2", settings(&[(2, 2)])),
        ("settings of 5 bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        ("settings on a stream", frame(SETTINGS, 0, 1, &[])),
        ("an acknowledgement with settings", frame(SETTINGS, ACK, 0, &[0; 6])),
        ("acknowledgements without settings", frame(SETTINGS, ACK, 0, &[]).repeat(100)),
        ("data on stream 0", data(0, b"x", false)),
        ("data on an idle stream", data(9, b"x", false)),
        ("data beyond the window", with(data(1, &[0; 16_384], false).repeat(2000))),
        ("more padding than data", with(frame(DATA, PADDED, 1, &[200, 1, 2]))),
        ("padding without a length", with(frame(DATA, PADDED, 1, &[]))),
        ("headers on stream 0", frame(HEADERS, END_HEADERS, 0, &[])),
        ("headers on an even stream", frame(HEADERS, END_HEADERS, 2, &[])),
        ("headers on a lower stream", [request(5, PATH_LENGTH, &[]), open.clone()].concat()),
        ("headers that depend on themselves", frame(HEADERS, 0x24, 1, &[0, 0, 0, 1, 9])),
        ("headers without pseudo-headers", block(&[("te", "trailers")])),
        ("a connection header", block(&[(":method", "POST"), ("connection", "close")])),
        ("a header in upper case", block(&[(":method", "POST"), ("TE", "trailers")])),
        ("a path twice", block(&[(":path", "/"), (":path", "/")])),
        ("an index of 0", frame(HEADERS, END_HEADERS, 1, &[0x80])),
        ("an index beyond the table", frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff, 0x7f])),
        ("an endless integer", frame(HEADERS, END_HEADERS, 1, &[0xff; 200])),
        ("a text beyond the block", frame(HEADERS, END_HEADERS, 1, &[0, 0x7f, 0xff, 0x7f])),
        ("a table size beyond the setting", frame(HEADERS, END_HEADERS, 1, &[0x3f, 0xff, 0x7f])),
        ("a second header block that does not end the stream", with(request(1, PATH_LENGTH, &[]))),
        ("a continuation without headers", frame(CONTINUATION, END_HEADERS, 1, &[])),
        ("data within headers", [frame(HEADERS, 0, 1, &[]), data(1, b"x", false)].concat()),
        ("a reset of stream 0", frame(RST_STREAM, 0, 0, &[0; 4])),
        ("a reset of an idle stream", frame(RST_STREAM, 0, 7, &[0; 4])),
        ("a reset of 3 bytes", with(frame(RST_STREAM, 0, 1, &[0; 3]))),
        ("a priority of 4 bytes", frame(PRIORITY, 0, 1, &[0; 4])),
        ("a push by the client", with(frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]))),
        ("a ping of 7 bytes", frame(PING, 0, 0, &[0; 7])),
        ("a ping on a stream", frame(PING, 0, 1, &[0; 8])),
        ("a goaway on a stream", frame(GOAWAY, 0, 1, &[0; 8])),
        ("a goaway of 3 bytes", frame(GOAWAY, 0, 0, &[0; 3])),
        ("a frame beyond the limit", header(DATA, 0, 1, (1 << 24) - 1).to_vec()),
    ]
}

/// Sends the bytes, closes the sending side, and waits until the server has closed the connection.
async fn send_and_close(server: &Server, bytes: &[u8]) -> bool {
    let mut wire = Wire::connect(server.address, None).await.unwrap();
    // The server may reset the connection before everything is sent.
    let _ = wire.send(bytes).await;
    wire.shutdown().await;
    timeout(HANG_TIMEOUT / 3, wire.rest()).await.is_ok()
}

async fn check_served(report: &mut Report, mut server: Server, healthy: Healthy) {
    let outcome = healthy.stop(report).await;
    let is_served = outcome.failures.is_empty() && outcome.refused == 0;
    report.check(is_served && !outcome.latencies.is_empty(), "other calls are served");
    let call = server.ordinary_call(None).await.map(drop);
    report.check(server.is_alive() && call.is_ok(), format!("the server answers: {call:?}"));
    let panics = server.log_lines("panicked");
    report.check(panics.is_empty(), format!("{panics:?}"));
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn malformed_frames() {
    attack("malformed frames", async |report| {
        let server = Server::start(&[]);
        let healthy = Healthy::start(&server);
        for (name, frames) in violations() {
            let bytes = [PREFACE, &settings(&[]), &frames].concat();
            let is_closed = send_and_close(&server, &bytes).await;
            report.check(is_closed, format!("the connection is closed after {name}"));
            // The same on a connection whose client does not close its side.
            let mut connection = Connection::connect(server.address).await.unwrap();
            connection.send(&frames).await;
            let _ = timeout(HANG_TIMEOUT / 60, connection.barrier()).await;
        }
        report.figure("violations", violations().len());
        check_served(report, server, healthy).await;
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn random_bytes() {
    attack("random bytes", async |report| {
        let server = Server::start(&[]);
        let healthy = Healthy::start(&server);
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let rounds = if is_long() { 1000 * duration().as_secs() } else { 300 };
        for round in 0..rounds {
            let length = (random() % 3000) as usize;
            let noise: Vec<u8> = (0..length).map(|_| random() as u8).collect();
            let bytes = match round % 3 {
                0 => noise,
                1 => [PREFACE, &settings(&[]), &noise].concat(),
                // Frames with valid headers and random payloads.
                _ => {
                    let kind = (random() % 11) as u8;
                    let frames = noise.chunks(50).flat_map(|payload| {
                        frame(kind, payload[0], u32::from(payload[0] % 8), payload)
                    });
                    let open = request(1, PATH_LENGTH, &[]);
                    [PREFACE, &settings(&[]), &open, &frames.collect::<Vec<_>>()].concat()
                }
            };
            let is_closed = send_and_close(&server, &bytes).await;
            report.check(is_closed, format!("the connection of round {round} is closed"));
        }
        report.figure("connections", rounds);
        check_served(report, server, healthy).await;
    });
}
