//! The program as a person runs it: output, complaints, exit status.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use crate::support::Server;

fn waywiser(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waywiser"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command.env_remove("RUST_LOG");
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = waywiser(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn the_example_track_is_recorded_by_a_server_in_the_process() {
    let (code, out, complaints) = run(&["record", "examples/hill-walk.gpx"]);
    assert_eq!((code, complaints.as_str()), (Some(0), ""), "{out}");
    let total = out.lines().find(|line| line.starts_with("total")).unwrap();
    assert_eq!(total.split_whitespace().collect::<Vec<_>>().join(" "), "total 2 9 448 12 358 m");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_is_recorded_by_a_server_elsewhere() {
    let server = Server::start().await;
    let url = format!("http://{}", server.address);
    let arguments = ["record", "--server", &url, "examples/legs.geojson"].map(str::to_owned);
    let run = move || run(&arguments.each_ref().map(String::as_str));
    let (code, out, _) = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(code, Some(0));
    assert!(out.contains("222 390 m"), "{out}");
}

#[test]
fn what_cannot_be_recorded_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.csv");
    std::fs::write(&bad, "lat,lon\n1,1\n91,2\n").unwrap();
    let bad = bad.to_str().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (arguments, message) in [
        (vec!["record", bad], "bad.csv:3:1: latitude 91 is not between -90 and 90 degrees"),
        (vec!["record", "examples"], "examples: cannot be read: it is a directory"),
        (vec!["record", "nowhere.gpx"], "nowhere.gpx: cannot be read: there is no such file"),
        (vec!["record", "--server", &closed, "examples/legs.csv"], "is a server running there?"),
    ] {
        let (code, _, complaints) = run(&arguments);
        assert_eq!(code, Some(1), "{arguments:?}");
        assert!(complaints.contains(message), "{complaints}");
        assert_eq!(complaints.lines().count(), 1, "{complaints}");
    }
}

#[test]
fn a_port_in_use_is_told_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, out, complaints) = run(&["serve", "--ephemeral", "--listen", &address]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(complaints.contains("cannot listen on"), "{complaints}");
    assert!(complaints.contains("choose a port with --listen"), "{complaints}");
}

#[test]
#[cfg(unix)]
fn a_log_that_nobody_reads_does_not_harm_the_server() {
    let mut serve = waywiser(&["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
    let mut serve = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(serve.stderr.take());
    let mut line = [0; 64];
    let read = serve.stdout.as_mut().unwrap().read(&mut line).unwrap();
    let line = std::str::from_utf8(&line[..read]).unwrap().trim();
    let address = line.strip_prefix("listening on ").unwrap();
    for _ in 0..3 {
        let (code, _, complaints) = run(&["record", "--server", address, "examples/legs.csv"]);
        assert_eq!((code, complaints.as_str()), (Some(0), ""));
    }
    let id = serve.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(serve.wait().unwrap().code(), Some(0));
}
