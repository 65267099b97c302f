//! The rules of the house that the compiler does not know, held by reading the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// The files of a room, or one file.
fn sources(room: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut paths = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room)];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
    assert!(!files.is_empty(), "no sources in {room}");
    files
}

/// The code of a file without its tests and comments.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn assert_absent(rooms: &[&str], words: &[&str]) {
    for room in rooms {
        for (path, text) in sources(room) {
            let code = code(&text);
            for word in words {
                assert!(!code.contains(word), "{word} in {}", path.display());
            }
        }
    }
}

#[test]
fn the_pure_rooms_know_no_runtime_no_clock_and_no_chance() {
    let impure =
        ["tokio", "tonic", "hyper", "std::net", "std::fs", "Instant", "SystemTime", "rand"];
    assert_absent(&["measure", "wire", "formats", "recording", "client/replay.rs"], &impure);
    // A store may wait and may read files, but knows no protocol and takes the time from its caller.
    assert_absent(&["checkpoint"], &["tonic", "prost", "hyper", "std::net", "SystemTime", "rand"]);
}

#[test]
fn rooms_know_only_the_rooms_below_them() {
    assert_absent(
        &["measure"],
        &[
            "crate::wire",
            "crate::checkpoint",
            "crate::recording",
            "crate::service",
            "crate::server",
            "crate::client",
        ],
    );
    let above_stores =
        ["crate::wire", "crate::formats", "crate::service", "crate::server", "crate::client"];
    assert_absent(&["checkpoint", "recording"], &above_stores);
    assert_absent(&["checkpoint"], &["crate::recording"]);
    assert_absent(&["wire", "formats"], &["crate::checkpoint", "crate::recording"]);
    // Of the stores, a client knows the names of recordings.
    let stores = ["CheckpointStore", "Checkpoint,", "crate::recording"];
    assert_absent(&["client"], &stores);
    assert_absent(&["wire", "formats"], &["crate::service", "crate::server", "crate::client"]);
    assert_absent(&["service"], &["crate::server", "crate::client", "crate::formats"]);
    assert_absent(&["server"], &["crate::client", "crate::formats"]);
    assert_absent(&["client"], &["crate::server", "crate::service", "crate::formats"]);
    let lower =
        ["measure", "wire", "formats", "checkpoint", "recording", "service", "server", "client"];
    assert_absent(&lower, &["crate::cli"]);
}

#[test]
fn generated_types_stop_at_the_services_and_the_client() {
    // The server only hands the descriptors on to reflection.
    let checked = ["measure", "wire", "formats", "checkpoint", "recording", "cli"];
    assert_absent(&checked, &["crate::proto"]);
    assert_absent(&["server"], &["proto::my_package", "proto::routeguide"]);
}

#[test]
fn every_file_says_what_it_is() {
    for (path, text) in sources("") {
        assert!(text.starts_with("//! "), "{} opens without a word", path.display());
    }
}
