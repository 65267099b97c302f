//! `waywiser serve` as it begins: what it refuses, by which exit status, and what it then leaves behind.

use std::net::TcpListener;

use crate::program::waywiser;

/// Runs it where it cannot last, with this directory named by the environment.
fn refused(arguments: &[&str], data: &str) -> (Option<i32>, String) {
    let mut serve = waywiser(&["serve"]);
    let output = serve.args(arguments).env("WAYWISER_DATA_DIR", data).output().unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn an_option_out_of_bounds_is_named_as_it_was_typed() {
    for (arguments, message) in [
        (["--retention", "0s"], "--retention is 0 s, and must be more than 0 s, at most 100 years"),
        (["--drain-timeout", "50ms"], "--drain-timeout is 50 ms, and must be at least 100 ms"),
        (
            ["--handshake-timeout", "400d"],
            "--handshake-timeout is 400 d, and must be more than 0 s",
        ),
        (["--checkpoint-points", "0"], "--checkpoint-points is 0, and must be at least 1"),
        (["--max-message-bytes", "0"], "--max-message-bytes is 0, and must be 64 bytes to 64 MiB"),
        (
            ["--log-filter", "ffo=bar=baz"],
            "the log filter \"ffo=bar=baz\" (--log-filter or RUST_LOG)",
        ),
    ] {
        let (code, complaints) = refused(&arguments, "");
        assert_eq!(code, Some(2), "{arguments:?}: {complaints}");
        assert!(complaints.starts_with(&format!("error: {message}")), "{complaints}");
        // One line, and a hint behind an empty one.
        assert_eq!(complaints.lines().count(), 3, "{complaints}");
    }
}

#[test]
fn a_server_that_cannot_listen_leaves_no_directory_behind() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    for by_option in [true, false] {
        let data = folder.path().join("recordings");
        let data = data.to_str().unwrap();
        let arguments = ["--listen", &address, "--data-dir", data];
        let arguments = if by_option { &arguments[..] } else { &arguments[..2] };
        let (code, complaints) = refused(arguments, data);
        assert_eq!(code, Some(1));
        assert!(complaints.contains("choose a port with --listen"), "{complaints}");
        assert_eq!(complaints.lines().count(), 1, "{complaints}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_flag_wins_over_the_environment() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, complaints) = refused(&["--ephemeral", "--listen", &address], "x");
    assert_eq!(code, Some(1), "{complaints}");
    assert!(complaints.contains("cannot listen on"), "{complaints}");
    let (code, complaints) = refused(&["--ephemeral", "--data-dir", "x", "--listen", &address], "");
    assert_eq!(code, Some(2));
    assert!(complaints.contains("cannot be used with"), "{complaints}");
}

#[test]
fn the_environment_names_the_directory_where_no_option_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let (code, complaints) = refused(&["--listen", "127.0.0.1:0"], file);
    assert_eq!(code, Some(1), "{complaints}");
    assert!(complaints.contains("a-file"), "{complaints}");
}
