//! The start of `waywiser serve`: the settings that it refuses, its exit status, and the files that it creates.

use std::net::TcpListener;

use crate::program::waywiser;

/// Runs a server that cannot start, with this directory in the environment. Returns exit status and error.
fn run_serve(arguments: &[&str], data: &str) -> (Option<i32>, String) {
    let mut serve = waywiser(&["serve"]);
    let output = serve.args(arguments).env("WAYWISER_DATA_DIR", data).output().unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn an_option_out_of_bounds_is_reported_under_its_name() {
    for (arguments, message) in [
        (["--retention", "0s"], "--retention is 0 s, and must be more than 0 s, at most 100 years"),
        (["--drain-timeout", "50ms"], "--drain-timeout is 50 ms, and must be 100 ms to a year"),
        (
            ["--handshake-timeout", "400d"],
            "--handshake-timeout is 400 d, and must be more than 0 s",
        ),
        (
            ["--checkpoint-points", "0"],
            "invalid value '0' for '--checkpoint-points <COUNT>': must be a whole number from 1 to ",
        ),
        (["--max-message-bytes", "0"], "--max-message-bytes is 0, and must be 64 bytes to 64 MiB"),
        (
            ["--log-filter", "ffo=bar=baz"],
            "the log filter \"ffo=bar=baz\" (--log-filter or RUST_LOG) is invalid",
        ),
    ] {
        let (code, errors) = run_serve(&arguments, "");
        assert_eq!(code, Some(2), "{arguments:?}: {errors}");
        assert!(errors.starts_with(&format!("error: {message}")), "{errors}");
        // One line, an empty line and a hint.
        assert_eq!(errors.lines().count(), 3, "{errors}");
    }
}

#[test]
fn a_server_that_cannot_listen_creates_no_directory() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    for by_option in [true, false] {
        let data = folder.path().join("recordings");
        let data = data.to_str().unwrap();
        let arguments = ["--listen", &address, "--data-dir", data];
        let arguments = if by_option { &arguments[..] } else { &arguments[..2] };
        let (code, errors) = run_serve(arguments, data);
        assert_eq!(code, Some(1));
        assert!(errors.contains("choose a port with --listen"), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn an_option_has_precedence_over_the_environment() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, errors) = run_serve(&["--ephemeral", "--listen", &address], "x");
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("cannot listen on"), "{errors}");
    let (code, errors) = run_serve(&["--ephemeral", "--data-dir", "x", "--listen", &address], "");
    assert_eq!(code, Some(2));
    assert!(errors.contains("cannot be used with"), "{errors}");
}

#[test]
fn the_environment_is_used_without_an_option() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let (code, errors) = run_serve(&["--listen", "127.0.0.1:0"], file);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("a-file"), "{errors}");
}

#[test]
fn a_file_of_features_that_is_not_valid_is_reported_and_creates_no_directory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("features.json");
    std::fs::write(&file, "[{\"location\": {\"latitude\": 1}}]").unwrap();
    let file = file.to_str().unwrap();
    let data = folder.path().join("recordings");
    let (code, errors) =
        run_serve(&["--features", file, "--listen", "127.0.0.1:0"], data.to_str().unwrap());
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains(file) && errors.contains("missing field `longitude`"), "{errors}");
    assert!(!data.exists());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_process_with_the_status_of_that_signal() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    use rustix::process::{Pid, Signal, kill_process};

    use crate::serve_process::Serve;
    use crate::support::{PATH_LENGTH, Raw, frames};

    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let options = ["serve", "--ephemeral", "--listen", "127.0.0.1:0", "--drain-timeout", "1h"];
        let mut serve = Serve::spawn(waywiser(&options).stderr(Stdio::piped())).unwrap();
        // The drain waits for this stream.
        let mut raw = Raw::connect(serve.address).await;
        let mut call = raw.call(PATH_LENGTH);
        call.send(frames(&[(0, 0)]));
        assert_eq!(raw.try_call(PATH_LENGTH).await.unwrap().code, tonic::Code::Ok);
        let id = Pid::from_child(&serve.process);
        let mut log = BufReader::new(serve.process.stderr.take().unwrap()).lines();
        kill_process(id, Signal::TERM).unwrap();
        assert!(log.any(|line| line.unwrap().contains("draining")));
        // It is not a second signal to stop, even if it would have started the drain.
        kill_process(id, Signal::HUP).unwrap();
        assert!(log.any(|line| line.unwrap().contains("SIGHUP has no effect during a drain")));
        kill_process(id, signal).unwrap();
        assert_eq!(serve.process.wait().unwrap().code(), Some(status));
        // The line is written before the process ends.
        assert!(log.any(|line| line.unwrap().contains("second signal")));
    }
}
