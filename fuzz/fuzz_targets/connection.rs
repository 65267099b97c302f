//! Serves a connection over an in-memory pipe. The server never panics, ends after its input, and sends whole frames.
//!
//! The first byte chooses between raw bytes after a valid preface and frames that the input describes: calls of every
//! method, compressed or uncompressed messages that are cut anywhere, and resets. The clock is virtual, so timeouts
//! elapse immediately.
#![no_main]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};
use waywiser::Config;
use waywiser::store::MemoryStore;

use frames::{DATA, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, next_frame, settings};
use script::Script;

#[path = "../../tests/hostile/frames.rs"]
#[allow(dead_code)]
mod frames;
#[path = "../../tests/hostile/hpack.rs"]
#[allow(dead_code)]
mod hpack;
#[path = "connection/script.rs"]
mod script;

/// The default limit of the size of a frame.
const FRAME_BYTES_MAX: usize = 16_384;
/// Longer than every timeout of the server.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// Serves one connection that sends these pieces and then closes. Returns the bytes of the replies.
async fn replies(pieces: Vec<Vec<u8>>) -> Vec<u8> {
    let (client, server) = duplex(64 * 1024);
    let mut config = Config::default();
    config.max_message_bytes = 4096;
    let store = Arc::new(MemoryStore::default());
    let served = tokio::spawn(waywiser::internals::serve_pipe(server, config, store));
    let (mut read, mut write) = split(client);
    let received = tokio::spawn(async move {
        let mut bytes = Vec::new();
        let _ = read.read_to_end(&mut bytes).await;
        bytes
    });
    for piece in pieces {
        // The server may close before it has read everything.
        if write.write_all(&piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let _ = write.shutdown().await;
    drop(write);
    let served = tokio::time::timeout(LONG, served).await;
    served.expect("the connection ends after its input").expect("the server does not panic");
    received.await.unwrap_or_default()
}

/// Checks that the bytes are whole frames. If the client obeyed the protocol, also checks that streams end once.
fn check(replies: &[u8], is_valid_client: bool) {
    let mut input = BytesMut::from(replies);
    let mut ended = HashSet::new();
    while let Some(frame) = next_frame(&mut input) {
        assert!(frame.kind <= 9, "an unknown frame: {frame:?}");
        if !is_valid_client {
            continue;
        }
        assert!(frame.payload.len() <= FRAME_BYTES_MAX, "a frame beyond the limit: {frame:?}");
        if matches!(frame.kind, DATA | HEADERS) {
            assert!(!ended.contains(&frame.stream), "a frame after the end: {frame:?}");
        }
        let is_end = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
        if is_end || frame.kind == RST_STREAM {
            ended.insert(frame.stream);
        }
        if frame.kind == GOAWAY {
            assert!(frame.payload.len() >= 8, "{frame:?}");
        }
    }
    assert!(input.is_empty(), "an incomplete frame at the end: {:?}", &input[..]);
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else { return };
    let is_raw = mode % 2 == 0;
    let mut pieces = vec![[PREFACE, &settings(&[])].concat()];
    if is_raw {
        // The other bits of the first byte choose the size of each write.
        let size = usize::from(mode / 2) * 8 + 1;
        pieces.extend(rest.chunks(size).map(<[u8]>::to_vec));
    } else {
        pieces.extend(Script::new(rest).pieces());
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    let replies = runtime.block_on(replies(pieces));
    check(&replies, !is_raw);
});
