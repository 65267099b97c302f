//! Every command with standard output or standard error closed: no panic, the documented exit status, and
//! the same text on the other stream.

use std::io::{Read as _, pipe};
use std::process::{Child, Command, Stdio};

use crate::program::waywiser;
use crate::proxy::{Fault, Proxy};
use crate::support::{Server, reserved_address};

/// The way in which an output stream of the program is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    Nothing,
    /// It is a pipe whose reader has exited.
    StdoutReader,
    StderrReader,
    /// The shell closes the file descriptor.
    Stdout,
    Stderr,
}

const ALL: [Closed; 5] =
    [Closed::Nothing, Closed::StdoutReader, Closed::StderrReader, Closed::Stdout, Closed::Stderr];

/// Starts the program; a stream that is not closed is piped to the test.
fn start(arguments: &[&str], closed: Closed) -> Child {
    let mut command = waywiser(arguments);
    if matches!(closed, Closed::Stdout | Closed::Stderr) {
        let redirection = if closed == Closed::Stdout { ">&-" } else { "2>&-" };
        let program = command.get_program().to_owned();
        command = Command::new("sh");
        command.arg("-c").arg(format!("exec \"$0\" \"$@\" {redirection}")).arg(program);
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.stdin(Stdio::null()).env_remove("RUST_LOG");
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // The reader is dropped before the program starts.
    let broken = || pipe().unwrap().1;
    match closed {
        Closed::StdoutReader => drop(command.stdout(broken())),
        Closed::StderrReader => drop(command.stderr(broken())),
        _ => {}
    }
    command.spawn().unwrap()
}

/// Runs the program. Returns the exit status (`None` for a signal), standard output and standard error.
async fn run(arguments: &[&str], closed: Closed) -> (Option<i32>, String, String) {
    let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let run = move || {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let output = start(&arguments, closed).wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Returns the part of an output that is the same in each run, without ports, rates and the numbers of `bench`.
fn stable(command: &str, text: &str) -> String {
    let is_stable = |line: &&str| !line.contains("http://") && !line.contains("points/s");
    let lines: Vec<_> = text.lines().filter(is_stable).collect();
    let is_measured = |c: char| c.is_ascii_digit() || c == ' ';
    match command {
        "bench" => lines.join("\n").replace(is_measured, ""),
        _ => lines.join("\n"),
    }
}

/// Runs a command with each stream closed in each way, and compares with a run where all are open.
async fn assert_same(expected: i32, arguments: &[&str]) {
    let open = run(arguments, Closed::Nothing).await;
    assert_eq!(open.0, Some(expected), "{arguments:?}: {open:?}");
    for closed in ALL {
        let (code, out, messages) = run(arguments, closed).await;
        let context = format!("{arguments:?} with {closed:?}: {code:?}\n{out}\n{messages}");
        assert_eq!(code, Some(expected), "{context}");
        if !matches!(closed, Closed::Stdout | Closed::StdoutReader) {
            let command = arguments.first().copied().unwrap_or_default();
            assert_eq!(stable(command, &out), stable(command, &open.1), "{context}");
        }
        if !matches!(closed, Closed::Stderr | Closed::StderrReader) {
            assert_eq!(messages, open.2, "{context}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_usage_errors_work_with_closed_streams() {
    for (expected, arguments) in [
        (0, &["--help"][..]),
        (0, &["--version"]),
        (0, &["measure", "--help"]),
        (2, &[]),
        (2, &["measure"]),
        (2, &["record", "--method", "record-route", "--json", "examples/legs.csv"]),
        (2, &["watch", "paths/a", "--server", "http://127.0.0.1:50051/v1"]),
        (2, &["paths", "show"]),
        (2, &["bench", "--json", "--live", "0"]),
        (2, &["serve", "--retention", "0s"]),
    ] {
        assert_same(expected, arguments).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn successes_and_failures_work_with_closed_streams() {
    let server = Server::start().await;
    let url = &*format!("http://{}", server.address);
    let (_reserved, unused) = reserved_address();
    let unused = &*unused.to_string();
    let (legs, hill) = ("examples/legs.csv", "examples/hill-walk.gpx");
    #[rustfmt::skip]
    let cases = [
        (0, &["measure", legs, hill][..]),
        (0, &["measure", "--json", legs]),
        (1, &["measure", legs, "nowhere.gpx", hill]),
        (0, &["measure", "--server", url, legs, hill]),
        (1, &["measure", "--server", url, legs, "nowhere.gpx"]),
        (1, &["measure", "--server", unused, legs]),
        (0, &["record", legs]),
        (0, &["record", "--method", "record-route", legs]),
        (0, &["record", "--json", "--server", url, hill]),
        (1, &["record", "nowhere.gpx"]),
        (0, &["record", "--server", url, "--name", "paths/hill", hill]),
        (1, &["record", "--server", url, "--name", "paths/hill", legs]),
        (0, &["watch", "--server", url, "paths/hill"]),
        (0, &["paths", "list", "--server", url]),
        (0, &["paths", "show", "--server", url, "paths/hill"]),
        (0, &["paths", "show", "--server", url, "--json", "paths/hill"]),
        (1, &["paths", "show", "--server", url, "paths/none"]),
        (1, &["paths", "delete", "--server", url, "paths/none"]),
        (1, &["paths", "list", "--server", unused]),
        (0, &["bench", "--points", "100", "--streams", "1", "--warm-up", "0", "--repeats", "1", "--no-ceiling"]),
        (1, &["bench", "--server", unused]),
        (1, &["serve", "--ephemeral", "--listen", &url[7..]]),
    ];
    for (expected, arguments) in cases {
        assert_same(expected, arguments).await;
    }
    for closed in ALL {
        let name = &*format!("paths/{closed:?}").to_lowercase();
        let record = ["record", "--server", url, "--name", name, legs];
        assert_eq!(run(&record, closed).await.0, Some(0));
        let delete = ["paths", "delete", "--server", url, name];
        assert_eq!(run(&delete, closed).await, (Some(0), String::new(), String::new()));
    }
}

/// Every command that prints to standard output. The line is an error, so that a script does not use half an output.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_cannot_be_written_is_an_error() {
    let server = Server::start().await;
    let url = &*format!("http://{}", server.address);
    let (legs, hill) = ("examples/legs.csv", "examples/hill-walk.gpx");
    let record = ["record", "--server", url, "--name", "paths/hill", hill];
    assert_eq!(run(&record, Closed::Nothing).await.0, Some(0));
    #[rustfmt::skip]
    let cases = [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["help"],
        &["help", "man"],
        &["serve", "--help"],
        &["measure", "-h"],
        &["store", "restore", "--help"],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["serve", "--print-config"],
        &["config", "check"],
        &["measure", legs],
        &["measure", "--json", legs],
        &["measure", "--csv", legs],
        &["measure", "--server", url, legs],
        &["record", legs],
        &["record", "--json", "--server", url, legs],
        &["record", "--server", url, "--name", "paths/legs", legs],
        &["watch", "--server", url, "paths/hill"],
        &["watch", "--json", "--server", url, "paths/hill"],
        &["paths", "list", "--server", url],
        &["paths", "list", "--json", "--server", url],
        &["paths", "show", "--server", url, "paths/hill"],
        &["store", "backup", "--server", url, "-"],
        &["token", "new", "--name", "van"],
        &["bench", "--points", "100", "--streams", "1", "--warm-up", "0", "--repeats", "1", "--no-ceiling"],
    ];
    for arguments in cases {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut program = waywiser(arguments);
        program.stdout(full).stderr(Stdio::piped());
        let output = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
        let messages = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {messages}");
        let error = messages.lines().find(|line| line.starts_with("error: "));
        let error = error.unwrap_or_else(|| panic!("{arguments:?}: {messages}"));
        assert!(error.contains("No space left on device"), "{arguments:?}: {messages}");
    }
}

/// The notes about a lost connection go to standard error while the command continues.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_reconnects_with_closed_streams() {
    let server = Server::start().await;
    let direct = format!("http://{}", server.address);
    let legs = "examples/legs.csv";
    let name = ["--name", "paths/legs"];
    let record = [&["record", "--server", &direct, legs], &name[..]].concat();
    let (_, recorded, _) = run(&record, Closed::Nothing).await;
    let (_, watched, _) = run(&["watch", "--server", &direct, "paths/legs"], Closed::Nothing).await;
    for closed in ALL {
        for (expected, arguments) in [
            (&watched, &["watch", "paths/legs"][..]),
            (&recorded, &["record", legs, name[0], name[1]]),
        ] {
            // The proxy closes the first connection. The preface and the settings of HTTP/2 are shorter than
            // this, so the call has begun.
            let proxy = Proxy::start(server.address, vec![Fault::Fin(120)]).await;
            let url = format!("http://{}", proxy.address);
            let (code, out, notes) = run(&[arguments, &["--server", &url]].concat(), closed).await;
            let context = format!("{arguments:?} with {closed:?}: {out}\n{notes}");
            assert_eq!(code, Some(0), "{context}");
            assert!(proxy.connections() > 1, "{context}");
            if !matches!(closed, Closed::Stdout | Closed::StdoutReader) {
                assert_eq!(out, *expected, "{context}");
            }
            if !matches!(closed, Closed::Stderr | Closed::StderrReader) {
                assert!(notes.starts_with("note: "), "{context}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_continues_after_a_first_connection_that_was_closed_without_an_answer() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address, vec![Fault::Fin(1), Fault::Fin(1)]).await;
    let url = format!("http://{}", proxy.address);
    let record = ["record", "examples/legs.csv", "--name", "paths/legs", "--server", &url];
    let (code, out, notes) = run(&record, Closed::Nothing).await;
    assert_eq!(code, Some(0), "{out}\n{notes}");
    assert!(proxy.connections() > 2, "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_runs_until_a_signal_with_closed_streams() {
    for closed in ALL {
        let (_reserved, address) = reserved_address();
        let address = &*address.to_string();
        let mut serve = start(&["serve", "--ephemeral", "--listen", address], closed);
        let list = ["paths", "list", "--server", address];
        while run(&list, Closed::Nothing).await.0 != Some(0) {
            assert_eq!(serve.try_wait().unwrap(), None, "{closed:?}");
        }
        let record = ["record", "--server", address, "examples/legs.csv"];
        assert_eq!(run(&record, Closed::Nothing).await.0, Some(0));
        let id = rustix::process::Pid::from_child(&serve);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let output = tokio::task::spawn_blocking(move || {
            let mut texts = [String::new(), String::new()];
            serve.stdout.take().map(|mut out| out.read_to_string(&mut texts[0]));
            serve.stderr.take().map(|mut log| log.read_to_string(&mut texts[1]));
            (serve.wait().unwrap().code(), texts)
        });
        let (code, [out, log]) = output.await.unwrap();
        assert_eq!(code, Some(0), "{closed:?}: {log}");
        let is_out = matches!(closed, Closed::Stdout | Closed::StdoutReader);
        assert_eq!(out.starts_with("listening on "), !is_out, "{closed:?}: {out}");
        let is_log = matches!(closed, Closed::Stderr | Closed::StderrReader);
        assert_eq!(log.contains("MeasurePaths"), !is_log, "{closed:?}: {log}");
    }
}
