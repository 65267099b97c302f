//! `waywiser bench` as a program, with the server of this crate and with servers that send wrong replies.

use std::process::Output;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use waywiser::proto::routeguide;
use waywiser::recording::{CheckpointStore as _, ListQuery};
use waywiser::store::MemoryStore;

use crate::program;
use crate::support::{Server, frame};

/// Runs the program while the server of the test continues.
async fn waywiser(arguments: &[&str]) -> Output {
    let mut command = program::waywiser(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

async fn json(arguments: &[&str]) -> serde_json::Value {
    let output = waywiser(arguments).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A server that reads every stream to its end and replies with this number of points.
async fn counting(point_count: i32) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(count(stream, point_count));
        }
    });
    url
}

async fn count(stream: TcpStream, point_count: i32) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(data) = body.data().await {
                let _ = body.flow_control().release_capacity(data.unwrap().len());
            }
            let mut send = respond.send_response(http::Response::new(()), false).unwrap();
            let reply = routeguide::RouteSummary { point_count, ..Default::default() };
            send.send_data(frame(&prost::Message::encode_to_vec(&reply)), false).unwrap();
            let ok = ("grpc-status".parse().unwrap(), "0".parse().unwrap());
            send.send_trailers([ok].into_iter().collect()).unwrap();
        });
    }
}

#[tokio::test]
async fn a_server_is_driven_and_its_replies_are_checked() {
    let server = Server::start().await;
    let url = format!("http://{}", server.address);
    let pid = std::process::id().to_string();
    for method in ["path-length", "record-route"] {
        #[rustfmt::skip]
        let report = json(&[
            "bench", "--json", "--server", &url, "--server-pid", &pid, "--method", method,
            "--points", "5000", "--streams", "3", "--connections", "2", "--chunk-bytes", "1000", "--repeats", "2",
        ]).await;
        assert_eq!(report["method"], method);
        assert_eq!(report["rounds"], 2);
        assert!(report["ceiling_points_per_s"]["median"].as_f64().unwrap() > 0.0);
        assert_eq!(report["bytes_per_stream"], 80_000);
        let [server] = &report["servers"].as_array().unwrap()[..] else { panic!("{report}") };
        assert_eq!(server["server"], url);
        assert!(server["points_per_s"]["median"].as_f64().unwrap() > 0.0);
        if cfg!(target_os = "linux") {
            assert!(server["memory_peak_bytes"].as_u64().unwrap() > 0);
            assert!(server["server_cpu_ns_per_point"]["median"].is_number());
        }
    }
}

#[tokio::test]
async fn paths_are_sent_in_both_layouts_by_every_model_with_and_without_a_name() {
    let store = Arc::new(MemoryStore::default());
    let server = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    let url = format!("http://{}", server.address);
    for layout in ["rows", "columns"] {
        for (model, extra) in
            [("geodesic", None), ("haversine", Some("--times")), ("planar", Some("--named"))]
        {
            #[rustfmt::skip]
            let mut arguments = vec![
                "bench", "--json", "--server", &url, "--method", "record-path", "--layout", layout, "--model", model,
                "--points", "5000", "--streams", "3", "--connections", "2", "--chunk-bytes", "1000", "--repeats", "2",
                // The length of this server is bit-identical.
                "--length-tolerance", "0",
            ];
            arguments.extend(extra);
            let report = json(&arguments).await;
            assert_eq!(report["method"], "record-path");
            let call = report["servers"][0]["call"].as_str().unwrap();
            assert!(call.contains(layout) && call.contains(model), "{call}");
            assert_eq!(call.contains("named"), extra == Some("--named"), "{call}");
            assert!(report["ceiling_points_per_s"]["median"].as_f64().unwrap() > 0.0);
        }
    }
    // The recordings were deleted.
    assert!(store.list(ListQuery::all(), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_length_of_a_repeated_track_is_checked() {
    // More points than the file has, and messages that do not divide it.
    for extra in ["--times", "--named"] {
        #[rustfmt::skip]
        let report = json(&[
            "bench", "examples/hill-walk.gpx", "--json", "--method", "record-path", "--points", "10001",
            "--points-per-message", "7", "--repeats", "1", "--length-tolerance", "0", extra,
        ]).await;
        assert_eq!(report["points_per_stream"], 10_001);
    }
}

#[tokio::test]
async fn two_loads_on_one_server_are_compared_by_ratios() {
    let directory = tempfile::tempdir().unwrap();
    #[rustfmt::skip]
    let report = json(&[
        "bench", "--json", "--method", "record-path", "--data-dir", directory.path().to_str().unwrap(), "--named",
        "--vary", "named=false,model=planar", "--vary", "layout=rows", "--points", "2000", "--repeats", "3",
    ]).await;
    let calls = [0, 1].map(|side| report["servers"][side]["call"].as_str().unwrap());
    let expected = [
        "record-path, columns of 4 096 points, geodesic, named",
        "record-path, rows of 1 000 points, planar",
    ];
    assert_eq!(calls, expected);
    assert_eq!(report["servers"][0]["server"], report["servers"][1]["server"]);
    assert!(report["second_to_first"]["points_per_s"]["median"].as_f64().unwrap() > 0.0);
    if cfg!(target_os = "linux") {
        assert!(report["second_to_first"]["server_cpu_per_point"]["median"].is_number());
    }
}

#[tokio::test]
async fn without_a_server_the_load_goes_to_one_in_the_process() {
    let output = waywiser(&["bench", "--points", "2000", "--warm-up", "0", "--repeats", "1"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = text(&output.stdout);
    assert!(report.contains("a server in this process"), "{report}");
    assert!(report.contains("Client and server share this process"), "{report}");
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[tokio::test]
async fn the_ceiling_is_that_of_a_server_that_counts_bytes() {
    let report =
        json(&["bench", "--json", "--ceiling", "--points", "30000", "--repeats", "1"]).await;
    assert_eq!(report["servers"][0]["server"], "a server that only counts bytes");
    assert!(report["ceiling_points_per_s"].is_null());
}

#[tokio::test]
async fn two_servers_are_compared_by_ratios() {
    let (first, second) = (Server::start().await, Server::start().await);
    let (first, second) =
        (format!("http://{}", first.address), format!("http://{}", second.address));
    #[rustfmt::skip]
    let report = json(&[
        "bench", "--json", "--server", &first, "--compare", &second, "--points", "2000", "--repeats", "3",
    ]).await;
    assert_eq!(report["servers"].as_array().unwrap().len(), 2);
    assert!(report["second_to_first"]["points_per_s"]["median"].as_f64().unwrap() > 0.0);
    // Without a process id, the CPU time is unknown.
    assert!(report["second_to_first"]["server_cpu_per_point"].is_null());
}

#[tokio::test]
async fn a_wrong_reply_ends_the_run() {
    let url = counting(7).await;
    let output = waywiser(&["bench", "--server", &url, "--points", "8"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        format!("error: {url}: stream 0: 8 points were sent and the server counted 7\n")
    );
    let url = counting(8).await;
    let output = waywiser(&["bench", "--server", &url, "--points", "8"]).await;
    let error = text(&output.stderr);
    assert!(error.contains("and the server replied 0"), "{error}");
    // With an infinite tolerance, only the number of points is checked.
    let url = counting(8).await;
    let arguments = ["bench", "--server", &url, "--points", "8", "--length-tolerance", "inf"];
    assert!(waywiser(&arguments).await.status.success());
}

#[tokio::test]
async fn a_refusal_is_reported_while_points_are_sent() {
    let server =
        Server::with(|config| config.stream_idle_timeout = std::time::Duration::from_millis(1))
            .await;
    let url = format!("http://{}", server.address);
    // Live streams send nothing between two points, for longer than the idle timeout of this server.
    #[rustfmt::skip]
    let output = waywiser(&[
        "bench", "--json", "--server", &url, "--live", "4", "--connections", "2", "--interval", "300ms", "--duration", "900ms",
    ]).await;
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["failed_streams"], &report["answered_streams"]), (&4.into(), &0.into()));
    assert!(report["failures"][0].as_str().unwrap().contains("DeadlineExceeded"), "{report}");
}

#[tokio::test]
async fn live_streams_send_one_point_per_interval_and_receive_a_reply() {
    let server = Server::start().await;
    let url = format!("http://{}", server.address);
    #[rustfmt::skip]
    let report = json(&[
        "bench", "--json", "--server", &url, "--live", "50", "--connections", "5", "--interval", "20ms", "--duration", "100ms",
    ]).await;
    assert_eq!(report["answered_streams"], 50);
    assert_eq!(report["points"], 250);
    assert_eq!(report["failed_streams"], 0);
}

#[tokio::test]
async fn live_streams_can_be_recordings() {
    let store = Arc::new(MemoryStore::default());
    let server = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    let url = format!("http://{}", server.address);
    #[rustfmt::skip]
    let report = json(&[
        "bench", "--json", "--server", &url, "--method", "record-path", "--named", "--live", "20", "--connections", "2",
        "--interval", "20ms", "--duration", "100ms", "--length-tolerance", "0",
    ]).await;
    assert_eq!(report["call"], "record-path, rows of 1 point, geodesic, named");
    assert_eq!((&report["answered_streams"], &report["points"]), (&20.into(), &100.into()));
    assert_eq!(report["failures"].as_array().unwrap().len(), 0);
    assert!(store.list(ListQuery::all(), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn calls_at_a_fixed_rate_have_percentiles_and_are_bounded() {
    let store = Arc::new(MemoryStore::default());
    let server = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    let url = format!("http://{}", server.address);
    #[rustfmt::skip]
    let report = json(&[
        "bench", "--json", "--server", &url, "--method", "record-path", "--named", "--rate", "400", "--duration", "100ms",
        "--points", "7", "--connections", "2", "--max-open", "3",
    ]).await;
    assert_eq!((&report["answered_calls"], &report["failed_calls"]), (&40.into(), &0.into()));
    let time = |name: &str| report["latency"][name].as_f64().unwrap();
    let times = ["p50_us", "p90_us", "p99_us", "p999_us", "max_us"].map(time);
    assert!(times[0] > 0.0 && times.is_sorted(), "{times:?}");
    assert!(store.list(ListQuery::all(), 10).await.unwrap().is_empty());
    // A server that replies wrongly: each call fails, and the first errors are printed.
    let url = counting(6).await;
    #[rustfmt::skip]
    let output = waywiser(&[
        "bench", "--json", "--server", &url, "--rate", "1000", "--duration", "20ms", "--points", "7",
    ]).await;
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["failed_calls"], 20);
    let failures = report["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 5);
    assert!(failures[0].as_str().unwrap().contains("the server counted 6"), "{report}");
}

#[tokio::test]
async fn an_absolute_tolerance_accepts_a_server_that_truncates() {
    let url = counting(8).await;
    #[rustfmt::skip]
    let arguments = [
        "bench", "--server", &url, "--points", "8", "--method", "record-route", "--length-tolerance-abs", "1000",
    ];
    // This server replies a length of 0 for a track of about 100 m.
    assert!(waywiser(&arguments).await.status.success());
    let output = waywiser(&arguments[..7]).await;
    let error = text(&output.stderr);
    assert!(error.contains("--length-tolerance"), "{error}");
}

#[tokio::test]
async fn a_reply_without_a_grpc_status_is_reported_with_its_http_status() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let response = http::Response::builder().status(413).body(()).unwrap();
            respond.send_response(response, true).unwrap();
        }
    });
    let output = waywiser(&["bench", "--server", &url, "--points", "8"]).await;
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains("HTTP status 413 Payload Too Large"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_http2_is_reported_before_points_are_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        // Closes the connection when the client does.
        let mut buffer = [0; 1024];
        while let Ok(1..) = stream.read(&mut buffer).await {}
    });
    let output = waywiser(&["bench", "--server", &url]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("it answered with HTTP/1: HTTP/1.1 400 Bad Request"),
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test]
async fn a_server_that_stops_answering_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut kept = Vec::new();
                while let Some(Ok(stream)) = connection.accept().await {
                    kept.push(stream);
                }
            });
        }
    });
    // With points that fit into the window, and with points that do not.
    for points in ["10", "100000"] {
        #[rustfmt::skip]
        let output = waywiser(&[
            "bench", "--server", &url, "--points", points, "--stall-timeout", "50ms",
        ]).await;
        assert_eq!(
            text(&output.stderr),
            format!("error: {url}: the server read no bytes and sent no reply for 50ms\n")
        );
    }
    #[rustfmt::skip]
    let output = waywiser(&[
        "bench", "--server", &url, "--live", "2", "--interval", "10ms", "--duration", "50ms", "--stall-timeout", "50ms",
    ]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("the server did not reply in time"),
        "{}",
        text(&output.stdout)
    );
}

#[tokio::test]
async fn a_process_that_does_not_exist_is_reported() {
    if cfg!(target_os = "linux") {
        #[rustfmt::skip]
        let output = waywiser(&[
            "bench", "--server", "http://127.0.0.1:1", "--server-pid", "4294967295",
        ]).await;
        assert!(
            text(&output.stderr).contains("process 4294967295 does not exist"),
            "{}",
            text(&output.stderr)
        );
    }
}

#[tokio::test]
async fn contradicting_arguments_are_refused() {
    for (arguments, message) in [
        (&["--connections", "2"][..], "--connections 2 is more than the 1 stream"),
        (&["--named"], "--named needs --method record-path"),
        (&["--live=10", "--duration=2s"], "--duration 2s is less than three times --interval 1s"),
    ] {
        let output = waywiser(&[&["bench"], arguments].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error_line = text(&output.stderr);
        assert_eq!(error_line.lines().next(), Some(&*format!("error: {message}")), "{error_line}");
    }
    for arguments in [
        ["--ceiling", "--server=http://127.0.0.1:1"],
        ["--data-dir=.", "--server=http://127.0.0.1:1"],
        ["--vary=named", "--live=7"],
        ["--vary=streams=7", "--json"],
        ["--live=7", "--interval=0s"],
        ["--server=ftp://127.0.0.1:1", "--json"],
        ["--header=authorization=secret", "--json"],
    ] {
        let output = waywiser(&[&["bench"], &arguments[..]].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
