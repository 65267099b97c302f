//! A collector that keeps the spans that it receives, and the tests that use it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use http::{HeaderMap, Response};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use waywiser::proto::my_package;

use crate::binary::waywiser;
use crate::serve_process::Serve;
use crate::support::{Raw, frame, frames};

/// The parts of `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest` that the tests read.
#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_ns: u64,
    #[prost(fixed64, tag = "8")]
    end_ns: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    string: Option<String>,
    #[prost(int64, optional, tag = "3")]
    int: Option<i64>,
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text =
        |value: &AnyValue| value.string.clone().or_else(|| value.int.map(|int| int.to_string()));
    let pair = |one: &KeyValue| Some((one.key.clone(), text(one.value.as_ref()?)?));
    attributes.iter().filter_map(pair).collect()
}

#[derive(Default)]
struct Received {
    spans: Mutex<Vec<Span>>,
    services: Mutex<Vec<String>>,
    changed: Notify,
}

/// A gRPC server that accepts every export.
struct Collector {
    address: SocketAddr,
    received: Arc<Received>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Received::default());
        let shared = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, received }
    }

    /// Waits for this number of spans.
    async fn spans(&self, count: usize) -> Vec<Span> {
        loop {
            let changed = self.received.changed.notified();
            let spans = self.received.spans.lock().unwrap().clone();
            if spans.len() >= count {
                return spans;
            }
            changed.await;
        }
    }
}

async fn serve(stream: tokio::net::TcpStream, received: Arc<Received>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            let path = request.uri().path().to_owned();
            assert_eq!(path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
            let mut body = request.into_body();
            let mut bytes = BytesMut::new();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                bytes.extend_from_slice(&data);
            }
            let export = Export::decode(&bytes[5..]).unwrap();
            for resource in export.resource_spans {
                let attributes = texts(&resource.resource.unwrap_or_default().attributes);
                received.services.lock().unwrap().extend(attributes.get("service.name").cloned());
                let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                received.spans.lock().unwrap().extend(spans);
            }
            received.changed.notify_waiters();
            let response = Response::builder().header("content-type", "application/grpc");
            let mut send = respond.send_response(response.body(()).unwrap(), false).unwrap();
            send.send_data(frame(&[]), false).unwrap();
            let status = ("grpc-status".parse().unwrap(), "0".parse().unwrap());
            send.send_trailers(HeaderMap::from_iter([status])).unwrap();
        });
    }
}

fn server(arguments: &[&str]) -> Serve {
    let mut command = waywiser(["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
    Serve::spawn(command.args(arguments).stderr(Stdio::null())).unwrap()
}

/// Sends SIGTERM and waits until the process has ended.
fn stop(process: &mut Child) {
    let pid = process.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(process.wait().unwrap().success());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

#[tokio::test(flavor = "multi_thread")]
async fn a_span_describes_its_call_and_continues_the_trace_of_the_client() {
    let collector = Collector::start().await;
    let url = format!("http://{}", collector.address);
    let mut serve = server(&["--otlp-endpoint", &url, "--otlp-trust-traceparent", "all"]);
    let mut raw = Raw::connect(serve.address).await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let mut call = raw.call_with(crate::support::PATH_LENGTH, &[("traceparent", &traceparent)]);
    call.send(frames(&[(0, 0), (3, 4)]));
    call.close();
    call.answer().await.unwrap();
    raw.try_call("/no.Such/Method").await.unwrap();
    // The last spans are sent before the process ends.
    tokio::task::spawn_blocking(move || stop(&mut serve.process)).await.unwrap();
    let spans = collector.spans(2).await;
    assert_eq!(spans.len(), 2);
    let span = spans.iter().find(|span| span.name.ends_with("computePathLength")).unwrap();
    assert_eq!(span.name, "my_package.DisplacementService/computePathLength");
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.into(), PARENT.into()));
    const SERVER: i32 = 2;
    assert_eq!((span.kind, span.span_id.len()), (SERVER, 8));
    assert!(span.start_ns > 0 && span.start_ns <= span.end_ns, "{span:?}");
    let attributes = texts(&span.attributes);
    for (key, expected) in [
        ("rpc.system", "grpc"),
        ("rpc.service", "my_package.DisplacementService"),
        ("rpc.method", "computePathLength"),
        ("rpc.grpc.status_code", "0"),
        ("network.peer.address", "127.0.0.1"),
        ("waywiser.points", "2"),
    ] {
        assert_eq!(attributes.get(key).map(String::as_str), Some(expected), "{key}");
    }
    assert_eq!(span.status.as_ref().map_or(0, |status| status.code), 0);
    let failed = spans.iter().find(|span| span.name == "unknown method").unwrap();
    assert!(failed.parent_span_id.is_empty() && failed.trace_id != span.trace_id);
    const ERROR: i32 = 2;
    assert_eq!(failed.status.as_ref().unwrap().code, ERROR);
    assert_eq!(texts(&failed.attributes)["rpc.grpc.status_code"], "12");
    assert_eq!(collector.received.services.lock().unwrap()[0], "waywiser");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_decides_about_its_traces_and_the_ratio_about_the_others() {
    let collector = Collector::start().await;
    let url = format!("http://{}", collector.address);
    let all = ["--otlp-trust-traceparent", "all"];
    let mut serve =
        server(&[&["--otlp-endpoint", &url, "--otlp-sample-ratio", "0"], &all[..]].concat());
    let mut raw = Raw::connect(serve.address).await;
    let invalid = format!("00-{}-{PARENT}-01", "0".repeat(32));
    let long = "0".repeat(1_000);
    for (traceparent, count) in [
        (format!("00-{TRACE}-{PARENT}-01"), 1),
        (format!("00-{TRACE}-{PARENT}-00"), 3),
        (invalid, 3),
        (long, 3),
        ("nonsense".to_owned(), 3),
    ] {
        for _ in 0..count {
            let mut call =
                raw.call_with(crate::support::PATH_LENGTH, &[("traceparent", &traceparent)]);
            call.close();
            call.answer().await.unwrap();
        }
    }
    raw.try_call(crate::support::PATH_LENGTH).await.unwrap();
    tokio::task::spawn_blocking(move || stop(&mut serve.process)).await.unwrap();
    assert_eq!(collector.spans(1).await.len(), 1);
}

/// Otherwise anyone could make the server send a span for each call.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_traceparent_of_an_authenticated_client_decides_about_its_span() {
    let collector = Collector::start().await;
    let url = format!("http://{}", collector.address);
    let token = waywiser::auth::Token::generate().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens.toml");
    let entry = format!("[[principal]]\nname = 'van'\ntoken_sha256 = ['{}']\n", token.hash());
    std::fs::write(&tokens, entry).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&tokens, mode).unwrap();
    let bearer = format!("Bearer {}", token.as_str());
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    // The ratio decides about the spans of other clients, which begin traces of their own.
    for (ratio, expected) in [("0", 1), ("1", 2)] {
        let mut serve = server(&[
            "--otlp-endpoint",
            &url,
            "--otlp-sample-ratio",
            ratio,
            "--tokens",
            tokens.to_str().unwrap(),
        ]);
        let mut raw = Raw::connect(serve.address).await;
        let parent = ("traceparent", &*traceparent);
        for headers in [&[parent][..], &[parent, ("authorization", &bearer)]] {
            let mut call = raw.call_with(crate::support::PATH_LENGTH, headers);
            call.close();
            call.answer().await.unwrap();
        }
        tokio::task::spawn_blocking(move || stop(&mut serve.process)).await.unwrap();
        collector.spans(expected).await;
        let spans = std::mem::take(&mut *collector.received.spans.lock().unwrap());
        assert_eq!(spans.len(), expected, "{spans:?}");
        let continued: Vec<_> = spans.iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
        assert_eq!(continued.len(), 1, "{spans:?}");
        assert_eq!(texts(&continued[0].attributes)["rpc.grpc.status_code"], "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_exist_or_does_not_answer_stops_no_call() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let (reserved, closed) = crate::support::reserved_address();
    for url in [silent_url, format!("http://{closed}")] {
        let mut serve = server(&["--otlp-endpoint", &url]);
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", serve.address));
        let channel = channel.unwrap().connect().await.unwrap();
        let mut client =
            my_package::displacement_service_client::DisplacementServiceClient::new(channel);
        // More spans than the queue holds.
        for _ in 0..6_000 {
            let request = my_package::Displacement::default();
            let _ = client.compute_displacement(request).await;
        }
        drop(client);
        tokio::task::spawn_blocking(move || stop(&mut serve.process)).await.unwrap();
    }
    drop(reserved);
}

#[test]
fn an_endpoint_that_is_not_a_url_is_refused() {
    for url in ["", "127.0.0.1:4317", "ftp://127.0.0.1", "http://", "http://a b"] {
        let arguments = ["serve", "--ephemeral", "--listen", "127.0.0.1:0", "--otlp-endpoint", url];
        let output = waywiser(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{url:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("use a URL such as http://127.0.0.1:4317"), "{url:?}: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_variable_of_opentelemetry_is_the_default() {
    let collector = Collector::start().await;
    let mut command = waywiser(["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address));
    command.env("OTEL_SERVICE_NAME", "paths").stderr(Stdio::null());
    let mut serve = Serve::spawn(&mut command).unwrap();
    Raw::connect(serve.address).await.try_call(crate::support::PATH_LENGTH).await.unwrap();
    tokio::task::spawn_blocking(move || stop(&mut serve.process)).await.unwrap();
    assert_eq!(collector.spans(1).await.len(), 1);
    assert_eq!(collector.received.services.lock().unwrap()[0], "paths");
}
