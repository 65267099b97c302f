//! Reads arbitrary bytes as a request of a phone app or a tracker.
//!
//! The first byte chooses the protocol, the second one the type of the body. The first line is the query string. What is
//! accepted must be a fix that a recording can have, and the counts must agree.
#![no_main]

use waywiser::ingest::{Batch, FIXES_MAX, Protocol, Request, recording_id};

/// 2024-05-20T10:13:20Z.
const NOW_UNIX_NS: i64 = 1_716_200_000_000_000_000;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [protocol, kind, bytes @ ..] = bytes else { return };
    let protocol = Protocol::ALL[usize::from(*protocol) % Protocol::ALL.len()];
    let line = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(0);
    let (query, body) = bytes.split_at(line);
    let query = String::from_utf8_lossy(query);
    let request = Request {
        query: &query,
        content_type: (kind & 1 == 1).then_some("application/json"),
        user: (kind & 2 == 2).then_some("jane"),
        device: (kind & 4 == 4).then_some(&query),
        body,
        now_unix_ns: NOW_UNIX_NS,
    };
    let Ok(batch) = protocol.parse(&request) else { return };
    let Batch { fixes, events, problems, bad_count, bad_counts, .. } = batch;
    assert!(fixes.len() + events.len() + bad_count <= FIXES_MAX);
    assert!(problems.len() <= bad_count);
    assert_eq!(bad_counts.iter().sum::<usize>(), bad_count);
    for fix in fixes {
        assert!(fix.fix.point().is_some() && fix.fix.unix_ns().is_some());
        if let Some(device) = fix.device {
            recording_id(&device).expect("the parser has checked the name");
        }
    }
});
