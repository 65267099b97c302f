//! The program as a user runs it: output, error messages, exit status.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use crate::binary;
use crate::support::{Server, reserved_address};

pub fn waywiser(arguments: &[&str]) -> Command {
    let mut command = binary::waywiser(arguments);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

pub fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = waywiser(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn the_error_of_a_port_in_use_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, out, errors) = run(&["serve", "--ephemeral", "--listen", &address]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(errors.contains("cannot listen on"), "{errors}");
    assert!(errors.contains("choose a port with --listen"), "{errors}");
}

#[test]
fn an_error_names_what_the_user_has_written() {
    let (_reserved, closed) = reserved_address();
    let server = closed.to_string();
    for (arguments, code, message) in [
        (
            &["store", "backup", "/nonexistent/x"][..],
            1,
            "error: /nonexistent/x cannot be written: No such file or directory (os error 2)\n",
        ),
        (&["bench", "--no-ceiling"], 1, &format!("error: no connection to http://{server}: ")),
        (
            &["paths", "list", "--header", "a b=c"],
            2,
            "error: invalid value '(not shown)' for '--header <KEY=VALUE>': the header cannot be sent: it is not a",
        ),
    ] {
        let (exit, out, errors) = run(&[arguments, &["--server", &server]].concat());
        assert_eq!((exit, out.as_str()), (Some(code), ""), "{errors}");
        assert!(errors.starts_with(message), "{errors}");
    }
}

#[test]
#[cfg(unix)]
fn a_server_works_with_a_closed_log() {
    let mut serve = waywiser(&["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
    let mut serve = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(serve.stderr.take());
    let mut line = [0; 64];
    let read = serve.stdout.as_mut().unwrap().read(&mut line).unwrap();
    let line = std::str::from_utf8(&line[..read]).unwrap().trim();
    let address = line.strip_prefix("listening on ").unwrap();
    for _ in 0..3 {
        let (code, _, errors) = run(&["record", "--server", address, "examples/legs.csv"]);
        assert_eq!((code, errors.as_str()), (Some(0), ""));
    }
    let id = serve.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(serve.wait().unwrap().code(), Some(0));
}

#[test]
#[cfg(unix)]
fn a_server_logs_its_commits_when_it_stops() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let mut serve =
        waywiser(&["serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--log-format", "json"]);
    let mut serve = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 64];
    let read = serve.stdout.as_mut().unwrap().read(&mut line).unwrap();
    let line = std::str::from_utf8(&line[..read]).unwrap().trim();
    let address = line.strip_prefix("listening on ").unwrap();
    let (code, _, errors) =
        run(&["record", "--server", address, "--name", "paths/legs", "examples/legs.csv"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let id = serve.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let output = serve.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let log = String::from_utf8(output.stderr).unwrap();
    let line = log.lines().find(|line| line.contains("committed recordings"));
    let line: serde_json::Value = serde_json::from_str(line.expect(&log)).unwrap();
    let value = |field: &str| line["fields"][field].as_f64().or(line[field].as_f64()).unwrap();
    assert!(value("commits") >= 1.0 && value("syncs") >= 1.0, "{line}");
    assert_eq!(value("failed"), 0.0);
    assert!(value("commit_p99_ms") >= value("commit_p50_ms"), "{line}");
}

/// Runs the program while a server of the test continues.
pub async fn run_async(arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let run = move || run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_is_recorded_under_a_name_watched_listed_and_deleted() {
    let server = Server::start().await;
    let url = format!("http://{}", server.address);
    let record =
        ["record", "--server", &url, "--name", "paths/hill", "--json", "examples/hill-walk.gpx"];
    let (code, first, errors) = run_async(&record).await;
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    // The length is bit-identical to that of `measure`.
    let (_, measured, _) = run_async(&["measure", "--json", "examples/hill-walk.gpx"]).await;
    let length = |json: &str| {
        let at = json.find("\"length_m\":").unwrap();
        json[at..].split([',', '}']).next().unwrap().to_owned()
    };
    assert_eq!(length(&first), length(&measured));
    let (code, again, _) = run_async(&record).await;
    assert_eq!((code, &again), (Some(0), &first));

    let other = ["record", "--server", &url, "--name", "paths/hill", "examples/legs.csv"];
    let (code, _, errors) = run_async(&other).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("paths/hill has 9448 points already"), "{errors}");

    let (_, listed, _) = run_async(&["paths", "list", "--server", &url]).await;
    assert!(listed.contains("paths/hill") && listed.contains("finished"), "{listed}");
    let (_, shown, _) = run_async(&["paths", "show", "paths/hill", "--server", &url]).await;
    assert!(shown.contains("12 391.620 m"), "{shown}");
    let (code, watched, _) = run_async(&["watch", "paths/hill", "--server", &url, "--json"]).await;
    assert_eq!(code, Some(0));
    assert!(watched.contains("\"complete\":true") && watched.contains("9448"), "{watched}");
    let delete = ["paths", "delete", "paths/hill", "--server", &url];
    assert_eq!(run_async(&delete).await.0, Some(0));
    let (code, _, errors) = run_async(&delete).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("NotFound"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_an_unavailable_server_prints_one_note_and_continues() {
    let (reserved, closed) = reserved_address();
    let mut watch = waywiser(&["watch", "paths/a", "--server", &closed.to_string()]);
    let mut watch = watch.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut notes = BufReader::new(watch.stderr.take().unwrap()).lines();
    let next = |mut notes: std::io::Lines<_>| {
        tokio::task::spawn_blocking(move || (notes.next().unwrap().unwrap(), notes))
    };
    let note;
    (note, notes) = next(notes).await.unwrap();
    assert!(note.starts_with(&format!("note: no connection to {closed}: ")), "{note}");
    assert!(note.contains("; retrying "), "{note}");
    let store = std::sync::Arc::new(waywiser::store::MemoryStore::default());
    let _server = Server::on(reserved.listen(16).unwrap(), store, |_| {});
    let mut more = Vec::new();
    for _ in 0..2 {
        let note;
        (note, notes) = next(notes).await.unwrap();
        more.push(note);
    }
    more.sort();
    let waits = "note: paths/a does not exist yet; waiting for it";
    assert_eq!(more, [waits, "note: the server is available again"]);
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn usage_errors_and_failures_have_different_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let two = folder.path().join("two.gpx");
    let track =
        "<trk><trkseg><trkpt lat=\"1\" lon=\"1\"/><trkpt lat=\"1\" lon=\"2\"/></trkseg></trk>";
    std::fs::write(&two, format!("<gpx>{track}{track}</gpx>")).unwrap();
    let two = two.to_str().unwrap();
    let (_reserved, closed) = reserved_address();
    let closed = closed.to_string();
    let (path, other) = ("http://127.0.0.1:50051/v1", "ftp://127.0.0.1:50051");
    let address =
        "for '--server <URL>': must be a URL such as http://127.0.0.1:50051, without a path";
    for (expected, arguments, message) in [
        (2, vec!["record", "--name", "paths/a", two], "--server <URL>"),
        (
            2,
            vec!["record", "--method", "record-route", "--min-step", "2", two],
            "--min-step cannot be used with --method",
        ),
        (2, vec!["record", "--server", path, two], address),
        (2, vec!["measure", "--server", path, two], address),
        (2, vec!["watch", "paths/a", "--server", other], address),
        (2, vec!["paths", "list", "--server", other], address),
        (1, vec!["paths", "list", "--server", &closed], "is a server running there?"),
    ] {
        let (code, out, errors) = run(&arguments);
        assert_eq!((code, &*out), (Some(expected), ""), "{arguments:?}");
        assert!(errors.contains(message), "{errors}");
    }
}
