//! The commands that watch, delete and list recordings, and commands whose messages are not read.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

use tokio_stream::iter;
use waywiser::proto::waywiser_v1 as pb;

use crate::program::{run, run_async, waywiser};
use crate::support::pki::Ca;
use crate::support::{Server, reserved_address};

/// Records a finished path of two points.
async fn record(server: &Server, name: &str) {
    let message = pb::RecordPathRequest {
        name: name.to_owned(),
        options: Some(pb::PathOptions { model: pb::Model::Planar.into(), ..Default::default() }),
        points: [0.0, 5.0].map(|x| pb::Point { x, y: 0.0, ..Default::default() }).to_vec(),
        ..Default::default()
    };
    server.paths().await.record_path(iter([message])).await.unwrap();
}

async fn names(server: &Server) -> Vec<String> {
    let page = server.paths().await.list_paths(pb::ListPathsRequest::default()).await.unwrap();
    page.into_inner().paths.into_iter().map(|path| path.name).collect()
}

/// A running `watch --json`.
struct Watch {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(server: &Server, name: &str) -> Self {
        let url = server.address.to_string();
        let mut watch = waywiser(&["watch", name, "--json", "--server", &url]);
        let mut process = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// Returns the state of the next line.
    async fn state(mut self) -> (Self, String) {
        let read = move || {
            let line = self.lines.next().unwrap().unwrap();
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            (self, line["state"].as_str().unwrap().to_owned())
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_has_a_state_for_a_recording_that_is_missing_or_deleted() {
    let server = Server::start().await;
    let (watch, state) = Watch::start(&server, "paths/a").state().await;
    assert_eq!(state, "waiting");
    record(&server, "paths/a").await;
    let (watch, state) = watch.state().await;
    assert_eq!(state, "growing");
    let request = pb::DeletePathRequest { name: "paths/a".to_owned(), allow_missing: false };
    server.paths().await.delete_path(request).await.unwrap();
    // The recording is reported with its first points, and perhaps once before them.
    let (mut watch, mut state) = watch.state().await;
    while state == "growing" {
        (watch, state) = watch.state().await;
    }
    assert_eq!(state, "deleted");
    let output = tokio::task::spawn_blocking(|| watch.process.wait_with_output().unwrap());
    let output = output.await.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*errors), (Some(1), "error: paths/a was deleted\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_recordings_are_deleted_and_each_failure_is_reported() {
    let server = Server::start().await;
    let url = server.address.to_string();
    for name in ["paths/a", "paths/b", "paths/trip-1", "paths/trip-2", "paths/trips"] {
        record(&server, name).await;
    }
    let delete = ["paths", "delete", "--server", &url, "paths/a", "paths/none", "paths/b"];
    let (code, out, errors) = run_async(&delete).await;
    assert_eq!((code, &*out), (Some(1), ""));
    assert!(errors.starts_with("error: paths/none: the server answered NotFound: "), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert_eq!(names(&server).await, ["paths/trip-1", "paths/trip-2", "paths/trips"]);

    let list = ["paths", "list", "--server", &url, "--prefix", "trip-"];
    let (_, out, _) = run_async(&list).await;
    assert_eq!(out.matches("paths/trip-").count(), 2, "{out}");
    assert!(!out.contains("paths/trips"), "{out}");

    let delete = ["paths", "delete", "--server", &url, "--prefix", "paths/trip-"];
    let (code, _, errors) = run_async(&delete).await;
    let expected =
        "error: there are 2 recordings with the prefix paths/trip-; --yes deletes them\n";
    assert_eq!((code, &*errors), (Some(1), expected));
    let (code, out, _) = run_async(&[&delete[..], &["--yes", "--json"]].concat()).await;
    assert_eq!(code, Some(0));
    assert_eq!(out.lines().next(), Some(r#"{"deleted":true,"name":"paths/trip-1"}"#));
    assert_eq!(names(&server).await, ["paths/trips"]);
    let (code, out, _) = run_async(&[&delete[..], &["--yes"]].concat()).await;
    assert_eq!((code, &*out), (Some(0), "deleted 0 recordings with the prefix paths/trip-\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_whole_in_pipes() {
    let server = Server::start().await;
    let url = server.address.to_string();
    let name = format!("paths/{}", "long-".repeat(20));
    record(&server, &name).await;
    let (_, out, _) = run_async(&["paths", "list", "--server", &url]).await;
    assert!(out.contains(&name), "{out}");
    let (_, out, _) = run_async(&["paths", "show", &name, "--server", &url]).await;
    assert!(out.contains(&name), "{out}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(format!("{}.csv", "walk-".repeat(20)));
    std::fs::write(&file, "lat,lon\n1,1\n1,2\n").unwrap();
    let file = file.to_str().unwrap();
    for command in ["measure", "record"] {
        let (_, out, _) = run_async(&[command, file]).await;
        assert!(out.lines().any(|line| line.starts_with(file)), "{out}");
    }
}

/// Runs a command whose standard error is closed. Returns its exit status.
fn closed_stderr(arguments: &[&str]) -> Option<i32> {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = waywiser(arguments);
    let mut process = command.stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    process.wait().unwrap().code()
}

#[test]
fn a_command_whose_messages_are_not_read_keeps_its_exit_status() {
    let (_reserved, closed) = reserved_address();
    let closed = closed.to_string();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for (expected, arguments) in [
        (1, vec!["record", "--server", &closed, "--name", "paths/a", "examples/legs.csv"]),
        (1, vec!["record", "--server", &closed, "examples/legs.csv"]),
        (1, vec!["measure", "--server", &closed, "examples/legs.csv"]),
        (1, vec!["measure", "nowhere.gpx"]),
        (1, vec!["paths", "list", "--server", &closed]),
        (1, vec!["paths", "delete", "--server", &closed, "paths/a", "paths/b"]),
        (2, vec!["watch"]),
        (2, vec!["record", "--jobs"]),
        (1, vec!["serve", "--ephemeral", "--listen", &taken]),
    ] {
        assert_eq!(closed_stderr(&arguments), Some(expected), "{arguments:?}");
    }
}

/// The note of a watch cannot be written. It then waits for the recording, and ends when that is finished.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_whose_messages_are_not_read_continues() {
    let server = Server::start().await;
    let url = server.address.to_string();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut watch = waywiser(&["watch", "paths/a", "--server", &url]);
    let mut watch = watch.stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    let record = ["record", "--server", &url, "--name", "paths/a", "examples/legs.csv"];
    assert_eq!(run_async(&record).await.0, Some(0));
    let status = tokio::task::spawn_blocking(move || watch.wait().unwrap());
    assert_eq!(status.await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_waits_for_its_server_if_that_is_asked_for() {
    let (reserved, address) = reserved_address();
    let url = address.to_string();
    let record = ["record", "--server", &url, "--name", "paths/a", "examples/legs.csv"];
    let (code, _, errors) = run_async(&record).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("--retry-for 5m waits for it"), "{errors}");
    let mut waiting = waywiser(&[&record[..], &["--retry-for", "10m"]].concat());
    let waiting = waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (waiting, first) = tokio::task::spawn_blocking(move || {
        let mut waiting = waiting;
        let mut errors = BufReader::new(waiting.stderr.take().unwrap()).lines();
        let first = errors.next().unwrap().unwrap();
        ((waiting, errors), first)
    })
    .await
    .unwrap();
    assert!(first.starts_with(&format!("note: no connection to {url}: ")), "{first}");
    let listener = reserved.listen(16).unwrap();
    let store = std::sync::Arc::new(waywiser::store::MemoryStore::default());
    let _server = Server::on(listener, store, |_| {});
    let (rest, code) = tokio::task::spawn_blocking(move || {
        let (mut waiting, errors) = waiting;
        let rest: Vec<_> = errors.map(Result::unwrap).collect();
        (rest, waiting.wait().unwrap().code())
    })
    .await
    .unwrap();
    assert_eq!(
        (code, &rest[..]),
        (Some(0), &["note: connected again; the server has 0 points".to_owned()][..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_speaks_tls_with_a_token_of_a_file_or_the_environment() {
    let ca = Ca::new();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let pair = ca.server();
    std::fs::write(path("server.pem"), pair.certificate).unwrap();
    std::fs::write(path("server.key"), pair.key).unwrap();
    std::fs::write(path("ca.pem"), &ca.pem).unwrap();
    std::fs::write(path("token"), "the-good-token-of-this-test-has-40-characters\n").unwrap();
    private(&path("token"));
    let hash = waywiser::auth::TokenHash::of("the-good-token-of-this-test-has-40-characters");
    let principal = format!(
        "[[principal]]\nname = \"van-7\"\nrole = \"writer\"\ntoken_sha256 = [\"{hash}\"]\n"
    );
    std::fs::write(path("tokens.toml"), principal).unwrap();
    private(&path("tokens.toml"));
    let mut serve = waywiser(&["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
    serve.args(["--tls-cert", &path("server.pem"), "--tls-key", &path("server.key")]);
    serve.args(["--tokens", &path("tokens.toml")]).stderr(Stdio::null());
    let serve = crate::serve_process::Serve::spawn(&mut serve).unwrap();
    let (url, ca_file, token_file) =
        (format!("https://localhost:{}", serve.address.port()), path("ca.pem"), path("token"));
    let secure = ["--server", &url, "--ca-file", &ca_file, "--token-file", &token_file];
    for command in [
        &["record", "--name", "paths/hill", "examples/hill-walk.gpx"][..],
        &["record", "examples/legs.csv"],
        &["measure", "examples/legs.csv"],
        &["watch", "paths/hill"],
        &["paths", "show", "paths/hill"],
    ] {
        let (code, out, errors) = run(&[command, &secure].concat());
        assert_eq!((code, &*errors), (Some(0), ""), "{command:?} {out}");
    }
    // The same from the environment.
    let environment = |token: &str| {
        let mut list = waywiser(&["paths", "list"]);
        list.env("WAYWISER_SERVER", &url).env("WAYWISER_CA_FILE", &ca_file);
        let output = list.env("WAYWISER_TOKEN", token).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, out) = environment("the-good-token-of-this-test-has-40-characters");
    assert!(code == Some(0) && out.contains("paths/hill"), "{out}");
    let (code, out) = environment("another-token-that-has-40-characters-too");
    assert!(code == Some(1) && out.contains("check the token in WAYWISER_TOKEN"), "{out}");
    assert!(!out.contains("another-token"), "{out}");
    for command in [
        &["record", "--name", "paths/other", "examples/legs.csv"][..],
        &["record", "--method", "record-route", "examples/legs.csv"],
        &["record", "examples/legs.csv"],
        &["measure", "examples/legs.csv"],
        &["watch", "paths/hill"],
        &["paths", "list"],
        &["paths", "delete", "paths/hill"],
    ] {
        let (code, _, errors) = run(&[command, &secure[..4]].concat());
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("pass a token with --token-file FILE"), "{command:?} {errors}");
    }
}

/// Gives only the owner access to a file.
fn private(path: &str) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = path;
}

#[test]
fn a_variable_of_the_environment_is_a_server_and_jobs_measure_here() {
    let (_reserved, closed) = reserved_address();
    let measured = |arguments: &[&str]| {
        let mut measure = waywiser(&[&["measure", "examples/legs.csv"], arguments].concat());
        let output = measure.env("WAYWISER_SERVER", closed.to_string()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, errors) = measured(&[]);
    assert!(code == Some(1) && errors.contains("is a server running there?"), "{errors}");
    assert_eq!(measured(&["--jobs", "2"]), (Some(0), String::new()));
    let (code, errors) = measured(&["--jobs", "2", "--server", "http://127.0.0.1:9"]);
    assert!(code == Some(2) && errors.contains("--jobs cannot be used with --server"), "{errors}");
}

#[test]
fn an_empty_variable_is_not_set() {
    let (_reserved, closed) = reserved_address();
    let server = closed.to_string();
    for (arguments, code) in [
        (&["measure", "examples/legs.csv"][..], 0),
        (&["paths", "list", "--server", &server], 1),
        (&["bench", "--ca-file", "no-such-file", "--server", &server], 1),
        (&["config", "check"], 0),
    ] {
        let mut command = waywiser(arguments);
        for name in ["SERVER", "CA_FILE", "TOKEN_FILE", "TOKEN", "LISTEN", "ADMIN_LISTEN"] {
            command.env(format!("WAYWISER_{name}"), "");
        }
        command.env("RUST_LOG", "").env("OTEL_EXPORTER_OTLP_ENDPOINT", "");
        let output = command.output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(
            code == 0 || errors.contains(&server) || errors.contains("no-such-file"),
            "{errors}"
        );
    }
    // One that would disable a protection of a server is an error, and other commands do not read it.
    for (arguments, code) in [(&["config", "check"][..], 2), (&["measure", "examples/legs.csv"], 0)]
    {
        for name in ["CONFIG", "JWKS", "TOKENS", "TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA"] {
            let variable = format!("WAYWISER_{name}");
            let output = waywiser(arguments).env(&variable, "").output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{variable}: {errors}");
            let is_named = errors.contains(&format!("{variable} is empty, which would disable"));
            assert_eq!(is_named, code == 2, "{errors}");
        }
    }
    // An empty argument is an error.
    let output = waywiser(&["paths", "list", "--ca-file", ""]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
