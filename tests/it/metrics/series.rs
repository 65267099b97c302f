//! The content of the metrics: what calls, connections and commits change.

use std::collections::BTreeMap;

use prost::Message as _;
use tokio_stream::StreamExt as _;
use waywiser::proto::waywiser_v1 as pb;

use super::Observed;
use super::exposition::{Families, Format, parse};
use crate::support::{Raw, frame, frames};

/// Returns the value of a sample, or `None` without a sample with these labels.
pub fn value(families: &Families, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let samples = families.values().flat_map(|family| &family.samples);
    let found = samples.into_iter().find(|found| found.name == name && found.labels == labels);
    found.map(|sample| sample.value)
}

/// Reads the metrics until a sample has this value.
async fn wait_for(server: &Observed, name: &str, labels: &[(&str, &str)], expected: f64) {
    loop {
        let families = parse(&server.metrics(), Format::Prometheus).unwrap();
        if value(&families, name, labels) == Some(expected) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_formats_are_valid_and_have_the_same_samples() {
    let server = Observed::start();
    server.use_services().await;
    let labels = [("grpc_method", "waywiser.v1.PathService/GetPath"), ("grpc_status", "NOT_FOUND")];
    wait_for(&server, "grpc_server_call_duration_seconds_count", &labels, 1.0).await;
    let labels = [
        ("grpc_method", "my_package.DisplacementService/computePathLength"),
        ("grpc_status", "OK"),
    ];
    wait_for(&server, "grpc_server_call_duration_seconds_count", &labels, 1.0).await;
    let prometheus = parse(&server.metrics(), Format::Prometheus).unwrap();
    let open_metrics = parse(&server.open_metrics(), Format::OpenMetrics).unwrap();
    let names = |families: &Families| {
        let samples = families.values().flat_map(|family| family.samples.iter());
        // The formats write the bounds of buckets differently: 1 and 1.0.
        let label = |(key, value): (&String, &String)| match value.parse::<f64>() {
            Ok(bound) if key == "le" => (key.clone(), bound.to_string()),
            _ => (key.clone(), value.clone()),
        };
        let labels = |labels: &BTreeMap<_, _>| labels.iter().map(label).collect::<Vec<_>>();
        samples.map(|sample| (sample.name.clone(), labels(&sample.labels))).collect::<Vec<_>>()
    };
    let (mut one, mut other) = (names(&prometheus), names(&open_metrics));
    one.sort();
    other.sort();
    assert_eq!(one, other);
    assert!(one.len() > 150, "{}", one.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn points_count_while_their_stream_is_open() {
    let server = Observed::start();
    let mut raw = Raw::connect(server.serve.address).await;
    let mut call = raw.call(crate::support::PATH_LENGTH);
    let points: Vec<_> = (0..1_000).map(|x| (x, 7)).collect();
    let body = frames(&points);
    let bytes = body.len() as f64;
    call.send(body);
    let labels = [("grpc_method", "my_package.DisplacementService/computePathLength")];
    wait_for(&server, "waywiser_points_total", &labels, 1_000.0).await;
    wait_for(&server, "waywiser_received_messages_total", &labels, 1_000.0).await;
    let families = parse(&server.metrics(), Format::Prometheus).unwrap();
    assert_eq!(value(&families, "waywiser_received_bytes_total", &labels), Some(bytes));
    assert_eq!(value(&families, "waywiser_calls_open", &labels), Some(1.0));
    assert_eq!(value(&families, "grpc_server_call_started_total", &labels), Some(1.0));
    let ended = [labels[0], ("grpc_status", "OK")];
    assert_eq!(value(&families, "grpc_server_call_duration_seconds_count", &ended), None);
    call.close();
    call.answer().await.unwrap();
    wait_for(&server, "grpc_server_call_duration_seconds_count", &ended, 1.0).await;
    wait_for(&server, "waywiser_calls_open", &labels, 0.0).await;
    let families = parse(&server.metrics(), Format::Prometheus).unwrap();
    assert_eq!(value(&families, "waywiser_points_total", &labels), Some(1_000.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_that_quotas_stop_a_stream_counts() {
    let server = Observed::with(&["--ephemeral", "--max-points-per-second-per-peer", "1000"]);
    let mut raw = Raw::connect(server.serve.address).await;
    let mut call = raw.call(crate::support::PATH_LENGTH);
    let labels = [("grpc_method", "my_package.DisplacementService/computePathLength")];
    let points: Vec<_> = (0..500).map(|x| (x, 7)).collect();
    call.send(frames(&points));
    wait_for(&server, "waywiser_points_total", &labels, 500.0).await;
    wait_for(&server, "waywiser_throttled_seconds_total", &labels, 0.0).await;
    // Three times the points of a second, of which a burst of one second is free.
    (0..5).for_each(|_| call.send(frames(&points)));
    loop {
        let families = parse(&server.metrics(), Format::Prometheus).unwrap();
        if value(&families, "waywiser_throttled_seconds_total", &labels) > Some(0.0) {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_reasons_and_unknown_methods_share_one_label() {
    let server = Observed::start();
    let mut raw = Raw::connect(server.serve.address).await;
    for index in 0..50 {
        raw.try_call(&format!("/no.Such{index}/Method")).await.unwrap();
    }
    raw.try_call("/waywiser.v1.PathService/GetPath").await.unwrap();
    let unknown = [("grpc_status", "UNIMPLEMENTED"), ("reason", "METHOD_UNKNOWN")];
    wait_for(&server, "waywiser_call_errors_total", &unknown, 50.0).await;
    let empty = [("grpc_status", "INVALID_ARGUMENT"), ("reason", "REQUEST_COUNT")];
    wait_for(&server, "waywiser_call_errors_total", &empty, 1.0).await;
    let families = parse(&server.metrics(), Format::Prometheus).unwrap();
    let other = [("grpc_method", "other")];
    assert_eq!(value(&families, "grpc_server_call_started_total", &other), Some(50.0));
    assert!(!server.metrics().contains("Such"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_at_its_stream_limit_is_shown() {
    let server = Observed::with(&["--ephemeral", "--max-streams-per-connection", "2"]);
    let mut raw = Raw::connect(server.serve.address).await;
    let mut first = raw.call(crate::support::PATH_LENGTH);
    wait_for(&server, "waywiser_connections_open", &[], 1.0).await;
    wait_for(&server, "waywiser_connections_at_stream_limit", &[], 0.0).await;
    let _second = raw.call(crate::support::PATH_LENGTH);
    wait_for(&server, "waywiser_connections_at_stream_limit", &[], 1.0).await;
    first.close();
    first.answer().await.unwrap();
    wait_for(&server, "waywiser_connections_at_stream_limit", &[], 0.0).await;
    raw.abort().await;
    wait_for(&server, "waywiser_connections_open", &[], 0.0).await;
    wait_for(&server, "waywiser_connections_ended_total", &[("reason", "peer")], 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_connections_and_other_protocols_are_counted() {
    let server = Observed::with(&["--ephemeral", "--max-connections", "1"]);
    let mut raw = Raw::connect(server.serve.address).await;
    let _open = raw.call(crate::support::PATH_LENGTH);
    wait_for(&server, "waywiser_connections_open", &[], 1.0).await;
    let labels = [("grpc_method", "my_package.DisplacementService/computePathLength")];
    wait_for(&server, "waywiser_calls_open", &labels, 1.0).await;
    let _refused = tokio::net::TcpStream::connect(server.serve.address).await.unwrap();
    let limit = [("limit", "connections")];
    wait_for(&server, "waywiser_connections_refused_total", &limit, 1.0).await;
    raw.abort().await;
    wait_for(&server, "waywiser_connections_open", &[], 0.0).await;
    super::ask(server.serve.address, "GET / HTTP/1.1\r\nHost: a\r\n");
    let reason = [("reason", "other_protocol")];
    wait_for(&server, "waywiser_connections_ended_total", &reason, 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_shows_its_writer_its_watcher_and_its_commits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let server = Observed::with(&["--data-dir", path]);
    let mut raw = Raw::connect(server.serve.address).await;
    let piece = |finish_write| pb::RecordPathRequest {
        name: "paths/a".into(),
        points: vec![pb::Point { x: 1.0, y: 2.0, ..Default::default() }],
        finish_write,
        ..Default::default()
    };
    let mut writer = raw.call("/waywiser.v1.PathService/RecordPath");
    writer.send(frame(&piece(false).encode_to_vec()));
    wait_for(&server, "waywiser_recordings_open", &[], 1.0).await;
    let url = format!("http://{}", server.serve.address);
    let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    let mut paths = pb::path_service_client::PathServiceClient::new(channel);
    let request =
        pb::WatchPathRequest { name: "paths/a".into(), allow_missing: true, ..Default::default() };
    let mut updates = paths.watch_path(request).await.unwrap().into_inner();
    updates.next().await.unwrap().unwrap();
    wait_for(&server, "waywiser_watchers", &[], 1.0).await;
    let end = pb::RecordPathRequest { finish_write: true, ..Default::default() };
    writer.send(frame(&end.encode_to_vec()));
    writer.close();
    assert_eq!(writer.answer().await.unwrap().code, tonic::Code::Ok);
    wait_for(&server, "waywiser_recordings_open", &[], 0.0).await;
    wait_for(&server, "waywiser_store_recordings", &[], 1.0).await;
    let families = parse(&server.metrics(), Format::Prometheus).unwrap();
    let at_least_one = |name, labels: &[_]| {
        let found = value(&families, name, labels);
        assert!(found >= Some(1.0), "{name} {labels:?} is {found:?}");
    };
    at_least_one("waywiser_store_requests_total", &[("operation", "commit")]);
    at_least_one("waywiser_commit_duration_seconds_count", &[]);
    at_least_one("waywiser_store_batch_requests_count", &[]);
    at_least_one("waywiser_store_transactions_total", &[]);
    at_least_one("waywiser_store_syncs_total", &[]);
    at_least_one("waywiser_store_written_bytes_total", &[]);
    assert_eq!(value(&families, "waywiser_store_up", &[]), Some(1.0));
    assert!(value(&families, "waywiser_memory_budget_bytes", &[]) > Some(1e6));
    let record = [("grpc_method", "waywiser.v1.PathService/RecordPath")];
    assert_eq!(value(&families, "waywiser_points_total", &record), Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_earlier_points_of_a_recording_do_not_count_again() {
    let server = Observed::start();
    let mut raw = Raw::connect(server.serve.address).await;
    for round in 0..3_u64 {
        let points = (0..10).map(|x| pb::Point { x: f64::from(x), ..Default::default() }).collect();
        let request = pb::RecordPathRequest {
            name: "paths/a".into(),
            write_offset: Some(10 * round),
            points,
            ..Default::default()
        };
        let mut call = raw.call("/waywiser.v1.PathService/RecordPath");
        call.send(frame(&request.encode_to_vec()));
        call.close();
        let _ = call.answer().await.unwrap();
    }
    let record = [("grpc_method", "waywiser.v1.PathService/RecordPath")];
    wait_for(&server, "waywiser_calls_open", &record, 0.0).await;
    let families = parse(&server.metrics(), Format::Prometheus).unwrap();
    assert_eq!(value(&families, "waywiser_points_total", &record), Some(30.0));
}

#[test]
fn the_certificate_and_failures_of_handshakes_and_reloads_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let server = Observed::with_security(directory.path());
    let families = parse(&server.open_metrics(), Format::OpenMetrics).unwrap();
    let get = |families: &Families, name| value(families, name, &[]).unwrap();
    // 2035-01-01T00:00:00Z.
    assert_eq!(
        get(&families, "waywiser_tls_certificate_expiry_timestamp_seconds"),
        2_051_222_400.0
    );
    assert_eq!(get(&families, "waywiser_tls_handshake_failures_total"), 0.0);
    super::ask(server.serve.address, "GET / HTTP/1.1\r\nHost: a\r\n");
    std::fs::write(directory.path().join("tokens.toml"), "[[").unwrap();
    std::fs::write(directory.path().join("server.key"), "-----BEGIN").unwrap();
    super::signal(&server.serve, "-HUP");
    loop {
        let families = parse(&server.metrics(), Format::Prometheus).unwrap();
        let failures = [
            get(&families, "waywiser_tls_handshake_failures_total"),
            get(&families, "waywiser_tls_reload_failures_total"),
            value(&families, "waywiser_credentials_load_failures_total", &[("source", "tokens")])
                .unwrap(),
        ];
        if failures.iter().all(|count| *count >= 1.0) {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(server.ask("GET", "/readyz", "").status, 200);
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_described() {
    let server = Observed::start();
    let families = parse(&server.metrics(), Format::Prometheus).unwrap();
    let get = |name| value(&families, name, &[]).unwrap();
    assert!(get("process_resident_memory_bytes") > 1e6);
    assert!(get("process_open_fds") > 3.0 && get("process_max_fds") > get("process_open_fds"));
    assert!(get("process_threads") > 1.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let age = now.as_secs_f64() - get("process_start_time_seconds");
    assert!((-2.0..3_600.0).contains(&age), "{age}");
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(value(&families, "waywiser_build_info", &version), Some(1.0));
}
