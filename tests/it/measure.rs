//! `waywiser measure --server`: what a server measures is reported as what is measured here, byte for byte,
//! and whatever fails is told by its name.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};

use futures::{StreamExt as _, stream};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::program::{run_beside, waywiser};
use crate::proxy::Proxy;
use crate::support::{Server, reserved_address};

/// Files of every kind, good and bad.
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
    let files = |word: &str| match word.contains('.') && word.parse::<f64>().is_err() {
        true => folder.join(word).to_str().unwrap().to_owned(),
        false => word.to_owned(),
    };
    let words: Vec<_> = arguments.split_whitespace().map(files).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let here = run_beside(&[&["measure"], &words[..]].concat()).await;
    let url = format!("http://{}", server.address);
    let there = run_beside(&[&["measure", "--server", &url], &words[..]].concat()).await;
    assert!(here.1.lines().count() > 1, "{}", here.2);
    assert!(there == here, "{arguments}\n{there:?}\n{here:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_a_server_is_the_one_made_here() {
    let (server, folder) = (Server::start().await, folder());
    let policy = "--max-speed 30 --min-step 1.5 --max-gap-time 5min --max-gap 400 --max-accuracy 30 \
                  --reanchor-count 2 --reject-backward-time --stopped-speed 0.5 --elevation 3d";
    for arguments in [
        "table.csv long.gpx lines.geojson".to_owned(),
        "--json table.csv long.gpx lines.geojson long.gpx".to_owned(),
        "--csv --segment-column run table.csv lines.geojson".to_owned(),
        "--details long.gpx table.csv".to_owned(),
        format!("{policy} table.csv long.gpx lines.geojson"),
        format!("{policy} --json --model haversine --segment-column run table.csv long.gpx"),
        // Those that are broken fail alone, and so does what is not there.
        "--json half.gpx table.csv empty.csv half.gpx missing.gpx lines.geojson half.gpx"
            .to_owned(),
        // Files without a track: the server ends the call as soon as it begins.
        "--csv empty.csv empty.csv".to_owned(),
        // Half a track, and then many files without one.
        format!("half.gpx {} lines.geojson", "empty.csv ".repeat(600)),
        "--model planar --csv --track-column bus --time-column t_s --max-speed 50 mixed.csv"
            .to_owned(),
    ] {
        assert_same(&server, folder.path(), &arguments).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_or_another_one_is_told() {
    let (_reserved, closed) = reserved_address();
    let legs = "examples/legs.csv";
    let (code, out, complaints) =
        run_beside(&["measure", "--server", &closed.to_string(), legs]).await;
    assert_eq!((code, &*out), (Some(1), ""));
    assert!(complaints.contains("is a server running there?"), "{complaints}");

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
        let (code, out, complaints) =
            run_beside(&[command, &["--server", &address]].concat()).await;
        assert_eq!((code, &*out), (Some(1), ""), "{command:?}");
        assert!(complaints.contains("the server does not know this method; is it waywiser"));
        assert_eq!(complaints.lines().count(), 1, "{complaints}");
    }
    let (code, out, complaints) = run_beside(&["measure", "--server", &address, legs]).await;
    other.abort();
    assert_eq!((code, &*out), (Some(1), ""), "{complaints}");
    let expected = "does not know waywiser.v1.PathService/MeasurePaths; use a newer one";
    assert!(complaints.contains(expected), "{complaints}");
    assert_eq!(complaints.lines().count(), 1, "{complaints}");
}

/// A run that has measured `legs.csv` and is in the middle of its standard input.
fn half_way(url: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let files = ["examples/legs.csv", "nowhere.gpx", "-", "examples/legs.geojson"];
    let mut run = waywiser(&[&["measure", "--server", url], &files[..]].concat());
    let run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    run.stdin.as_mut().unwrap().write_all(b"lat,lon\n1,1\n1,2\n").unwrap();
    let mut complaints = BufReader::new(run.stderr.take().unwrap());
    let mut line = String::new();
    complaints.read_line(&mut line).unwrap();
    // Complaints come in the order of the input: the file before has its result.
    assert_eq!(line, "error: nowhere.gpx: cannot be read: there is no such file\n");
    (run, complaints)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_is_told_with_the_files_that_have_no_result() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address, vec![]).await;
    let url = format!("http://{}", proxy.address);
    let (run, complaints) = tokio::task::spawn_blocking(move || half_way(&url)).await.unwrap();
    proxy.cut();
    let ended = tokio::task::spawn_blocking(move || {
        let mut run = run;
        // It is not waited for.
        let stdin = run.stdin.take();
        let lines: Vec<_> = complaints.lines().map(Result::unwrap).collect();
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
    assert!(out.contains("221 893.879 m") && out.contains("1 track; 3 files failed"), "{out}");
    server.assert_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_shuts_down_is_told() {
    let mut server =
        Server::with(|config| config.drain_timeout = std::time::Duration::from_millis(100)).await;
    let url = format!("http://{}", server.address);
    let (run, complaints) = tokio::task::spawn_blocking(move || half_way(&url)).await.unwrap();
    server.stop();
    let ended = tokio::task::spawn_blocking(move || {
        let mut run = run;
        let stdin = run.stdin.take();
        let lines: Vec<_> = complaints.lines().map(Result::unwrap).collect();
        let code = run.wait().unwrap().code();
        drop(stdin);
        (code, lines)
    });
    let (code, lines) = ended.await.unwrap();
    assert_eq!(code, Some(1));
    // It says so and closes the connection, of which either may be seen first.
    let is_said = lines[0].contains("the server answered Unavailable: the server is shutting down");
    assert!(is_said || lines[0].contains(" was lost: "), "{lines:?}");
    assert_eq!(lines.len(), 3, "{lines:?}");
    server.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn an_interrupt_ends_it_at_once() {
    use std::os::unix::process::ExitStatusExt as _;
    let server = Server::start().await;
    let url = format!("http://{}", server.address);
    let ended = tokio::task::spawn_blocking(move || {
        let (mut run, complaints) = half_way(&url);
        let id = rustix::process::Pid::from_child(&run);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        let stdin = run.stdin.take();
        let status = run.wait().unwrap();
        drop(stdin);
        (status.signal(), complaints.lines().count())
    });
    assert_eq!(ended.await.unwrap(), (Some(2), 0));
    server.assert_well().await;
}
