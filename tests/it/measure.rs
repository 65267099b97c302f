//! `waywiser measure --server`: the output is byte-identical to that without a server, and errors name the files
//! without a result.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};

use futures::{StreamExt as _, stream};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::program::{run_async, waywiser};
use crate::proxy::Proxy;
use crate::skip::skipped;
use crate::support::{Server, reserved_address};

/// Creates a folder with valid and invalid files of all formats.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut table = String::from("lat,lon,ele,time,accuracy,run\n");
    let mut mixed = String::from("bus;x;y;t_s\n");
    let mut long = String::from("<gpx><trk><name>Long \u{202e}way</name><trkseg>");
    for i in 0..4_321 {
        let t = f64::from(i);
        let (latitude, longitude) = (46.0 + (t / 700.0).sin() / 50.0, 14.0 + t * 1.7e-5);
        let (elevation, accuracy) = ((t / 90.0).cos().mul_add(300.0, 700.0), i % 37);
        let time = 1_700_000_000 + if i % 500 == 7 { i - 40 } else { i };
        let elevation = if i % 11 == 3 { String::new() } else { elevation.to_string() };
        table += &format!("{latitude},{longitude},{elevation},{time},{accuracy},{}\n", i / 1_500);
        mixed += &format!("{};{};{};{i}\n", i * 7 % 3, t * 0.1, (t / 31.0).sin());
        if i % 1_000 == 999 {
            long += "</trkseg><trkseg/><trkseg>";
        }
        long +=
            &format!("<trkpt lat='{latitude:.7}' lon='{longitude:.7}'><ele>{i}.5</ele></trkpt>");
    }
    long += "</trkseg><trkseg></trkseg></trk><trk><name>None</name></trk><rte/></gpx>";
    let half = "<gpx><rte><rtept lat='0' lon='0'/></rte><trk><trkseg><trkpt lat='1' lon='0'/>\n\
                <trkpt lat='91' lon='0'/></trkseg></trk></gpx>";
    let lines = r#"{"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"name": "a"}, "geometry": {"type": "MultiLineString",
         "coordinates": [[[179.9, 1, 5], [-179.9, 2, 7]], [[0, 0], [0.1, 0.1]]]}},
        {"type": "Feature", "properties": {}, "geometry": {"type": "LineString",
         "coordinates": [[13.1, 46.1], [13.2, 46.2], [13.3, 46.1]]}}]}"#;
    let files = [
        ("table.csv", &*table),
        ("mixed.csv", &mixed),
        ("long.gpx", &long),
        ("lines.geojson", lines),
        ("half.gpx", half),
        ("empty.csv", ""),
    ];
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

async fn assert_same(server: &Server, folder: &Path, arguments: &str) {
    let files = |argument: &str| match argument.contains('.') && argument.parse::<f64>().is_err() {
        true => folder.join(argument).to_str().unwrap().to_owned(),
        false => argument.to_owned(),
    };
    let arguments: Vec<_> = arguments.split_whitespace().map(files).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let local = run_async(&[&["measure"], &arguments[..]].concat()).await;
    let url = format!("http://{}", server.address);
    let remote = run_async(&[&["measure", "--server", &url], &arguments[..]].concat()).await;
    assert!(local.1.lines().count() > 1, "{}", local.2);
    assert!(remote == local, "{arguments:?}\n{remote:?}\n{local:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_with_a_server_is_identical() {
    let (server, folder) = (Server::start().await, folder());
    let filters = "--max-speed 30 --min-step 1.5 --max-gap-time 5min --max-gap 400 --max-accuracy 30 \
                  --reanchor-count 2 --reject-backward-time --stopped-speed 0.5 --elevation 3d";
    for arguments in [
        "table.csv long.gpx lines.geojson".to_owned(),
        "--json table.csv long.gpx lines.geojson long.gpx".to_owned(),
        "--csv --segment-column run table.csv lines.geojson".to_owned(),
        "--details long.gpx table.csv".to_owned(),
        format!("{filters} table.csv long.gpx lines.geojson"),
        format!("{filters} --json --model haversine --segment-column run table.csv long.gpx"),
        "--preset walk --trips --by day --timezone Europe/Ljubljana long.gpx lines.geojson"
            .to_owned(),
        "--preset phone --json --trips --by hour table.csv long.gpx".to_owned(),
        "--estimate --csv --by month --min-climb 4 --climb-smoothing 0s long.gpx table.csv"
            .to_owned(),
        // A broken or missing file does not fail the others.
        "--json half.gpx table.csv empty.csv half.gpx missing.gpx lines.geojson half.gpx"
            .to_owned(),
        // Without a track the server ends the call at once.
        "--csv empty.csv empty.csv".to_owned(),
        // A track without an end, and then many files without a track.
        format!("half.gpx {} lines.geojson", "empty.csv ".repeat(600)),
        "--model planar --csv --track-column bus --time-column t_s --max-speed 50 mixed.csv"
            .to_owned(),
    ] {
        assert_same(&server, folder.path(), &arguments).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_server_and_another_server_are_errors() {
    let (_reserved, closed) = reserved_address();
    let legs = "examples/legs.csv";
    let (code, out, messages) =
        run_async(&["measure", "--server", &closed.to_string(), legs]).await;
    assert_eq!((code, &*out), (Some(1), ""));
    assert!(messages.contains("is a server running there?"), "{messages}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = stream::unfold(listener, |listener| async {
        Some((listener.accept().await.map(|(stream, _)| stream), listener))
    });
    let (_, health) = tonic_health::server::health_reporter();
    let other = tonic::transport::Server::builder().add_service(health);
    let other = tokio::spawn(other.serve_with_incoming(incoming.boxed()));
    let commands: [&[&str]; 4] = [
        &["paths", "list"],
        &["paths", "show", "paths/a"],
        &["watch", "paths/a"],
        &["record", legs, "--name", "paths/a"],
    ];
    for command in commands {
        let (code, out, messages) = run_async(&[command, &["--server", &address]].concat()).await;
        assert_eq!((code, &*out), (Some(1), ""), "{command:?}");
        assert!(messages.contains("the server does not know this method; is it waywiser"));
        assert_eq!(messages.lines().count(), 1, "{messages}");
    }
    let (code, out, messages) = run_async(&["measure", "--server", &address, legs]).await;
    other.abort();
    assert_eq!((code, &*out), (Some(1), ""), "{messages}");
    let expected = "does not implement waywiser.v1.PathService/MeasurePaths; use a newer server";
    assert!(messages.contains(expected), "{messages}");
    assert_eq!(messages.lines().count(), 1, "{messages}");
}

/// Starts a run and waits until it has measured `legs.csv` and reads its standard input.
fn start_run(url: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let files = ["examples/legs.csv", "nowhere.gpx", "-", "examples/legs.geojson"];
    let mut run = waywiser(&[&["measure", "--server", url], &files[..]].concat());
    let run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    run.stdin.as_mut().unwrap().write_all(b"lat,lon\n1,1\n1,2\n").unwrap();
    let mut messages = BufReader::new(run.stderr.take().unwrap());
    let mut line = String::new();
    messages.read_line(&mut line).unwrap();
    // The messages have the order of the input, so the first file has its result.
    assert_eq!(line, "error: nowhere.gpx: cannot be read: there is no such file\n");
    (run, messages)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_an_error_and_the_files_without_a_result_are_named() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address, vec![]).await;
    let url = format!("http://{}", proxy.address);
    let (run, messages) = tokio::task::spawn_blocking(move || start_run(&url)).await.unwrap();
    proxy.cut();
    let ended = tokio::task::spawn_blocking(move || {
        let mut run = run;
        // The run does not wait for its standard input.
        let stdin = run.stdin.take();
        let lines: Vec<_> = messages.lines().map(Result::unwrap).collect();
        let output = run.wait_with_output().unwrap();
        drop(stdin);
        (output, lines)
    });
    let (output, lines) = ended.await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let lost = format!("error: the connection to http://{} was lost: ", proxy.address);
    assert!(lines[0].starts_with(&lost), "{lines:?}");
    assert_eq!(lines[1..], ["error: -: no result", "error: examples/legs.geojson: no result"]);
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("221 893.879 m") && out.contains("1 track; 3 file"), "{out}");
    server.assert_works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shutdown_of_the_server_is_an_error() {
    let mut server =
        Server::with(|config| config.drain_timeout = std::time::Duration::from_millis(100)).await;
    let url = format!("http://{}", server.address);
    let (run, messages) = tokio::task::spawn_blocking(move || start_run(&url)).await.unwrap();
    server.stop();
    let ended = tokio::task::spawn_blocking(move || {
        let mut run = run;
        let stdin = run.stdin.take();
        let lines: Vec<_> = messages.lines().map(Result::unwrap).collect();
        let code = run.wait().unwrap().code();
        drop(stdin);
        (code, lines)
    });
    let (code, lines) = ended.await.unwrap();
    assert_eq!(code, Some(1));
    // The server sends an error and closes the connection. The client may see either first.
    let has_status =
        lines[0].contains("the server answered Unavailable: the server is shutting down");
    assert!(has_status || lines[0].contains(" was lost: "), "{lines:?}");
    assert_eq!(lines.len(), 3, "{lines:?}");
    server.stopped().await;
}

/// Returns whether this process ignores SIGINT, as a background job of a shell without job control does. A child
/// process inherits this.
#[cfg(unix)]
fn ignores_interrupts() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The bit of signal 2.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 2 != 0)
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn an_interrupt_ends_the_run_at_once() {
    use std::os::unix::process::ExitStatusExt as _;
    if ignores_interrupts() {
        return skipped("an interrupt of measure: this process ignores SIGINT");
    }
    let server = Server::start().await;
    let url = format!("http://{}", server.address);
    let ended = tokio::task::spawn_blocking(move || {
        let (mut run, messages) = start_run(&url);
        let id = rustix::process::Pid::from_child(&run);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        let stdin = run.stdin.take();
        let status = run.wait().unwrap();
        drop(stdin);
        (status.signal(), messages.lines().count())
    });
    assert_eq!(ended.await.unwrap(), (Some(2), 0));
    server.assert_works().await;
}
