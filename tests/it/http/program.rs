//! The program with an HTTP listener: its settings, its log, its metrics, and files that it measures as the command does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{ChildStderr, Command, Stdio};

use serde_json::Value;

use crate::binary;
use crate::program::{run, waywiser};
use crate::serve_process::Serve;

struct Program {
    _serve: Serve,
    log: BufReader<ChildStderr>,
    http: SocketAddr,
    operators: SocketAddr,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut serve = waywiser(&["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
        serve.args(["--admin-listen", "0"]).args(arguments).stderr(Stdio::piped());
        let mut serve = Serve::spawn(&mut serve).unwrap();
        let mut log = BufReader::new(serve.process.stderr.take().unwrap());
        let operators = address(&mut log, "listening for operators");
        let http = address(&mut log, "listening for HTTP");
        Self { _serve: serve, log, http, operators }
    }

    fn post(&self, path: &str, file: &[u8]) -> Value {
        let (status, body) = request(self.http, "POST", path, file);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// Returns the address of the next line of the log with this message.
fn address(log: &mut BufReader<ChildStderr>, message: &str) -> SocketAddr {
    let line = line(log, message);
    let address = line.split("address=").nth(1).unwrap().split([':', ' ']);
    let port = address.map(|part| part.trim()).nth(1).unwrap();
    SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))
}

fn line(log: &mut BufReader<ChildStderr>, text: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "the log has no line with {text:?}");
        if line.contains(text) {
            return line;
        }
    }
}

fn request(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Returns the rows of tracks and the total that the command prints for standard input under this name.
fn measured(arguments: &[&str], file: &std::path::Path) -> (Vec<String>, String) {
    let folder = file.parent().unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let mut command: Command = waywiser(&["measure", "--json"]);
    let output = command.args(arguments).arg(name).current_dir(folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
    let total = rows.pop().unwrap();
    let total = total.strip_prefix("{\"total\":").unwrap().strip_suffix('}').unwrap();
    (rows, total.to_owned())
}

#[test]
fn a_file_is_measured_as_by_the_command() {
    let program = Program::start(&["--http", "0"]);
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let is_track = [".gpx", ".csv", ".geojson", ".fit", ".kml", ".tcx"];
        if !is_track.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        files += 1;
        for options in [
            &[][..],
            &[("preset", "walk"), ("trips", "true"), ("units", "km")],
            &[("min-step", "5"), ("max-speed", "15"), ("by", "day"), ("timezone", "Europe/Berlin")],
        ] {
            let arguments: Vec<String> = options
                .iter()
                .map(|(name, value)| match *value {
                    "true" => format!("--{name}"),
                    value => format!("--{name}={value}"),
                })
                .collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let (rows, total) = measured(&arguments, &file);
            let query: String =
                options.iter().map(|(name, value)| format!("&{name}={value}")).collect();
            let path = format!("/api/measure?file={name}{query}");
            let (status, body) =
                request(program.http, "POST", &path, &std::fs::read(&file).unwrap());
            assert_eq!(status, 200, "{body}");
            // Byte-identical rows.
            let expected =
                format!("{{\"tracks\":[{}],\"total\":{total},\"errors\":", rows.join(","));
            assert!(body.starts_with(&expected), "{name} {options:?}\n{body}\n{expected}");
            let answer: Value = serde_json::from_str(&body).unwrap();
            let lines = answer["lines"].as_array().unwrap();
            assert_eq!(lines.len(), rows.len());
            for (line, row) in lines.iter().zip(answer["tracks"].as_array().unwrap()) {
                let last = line["distance_m"].as_array().unwrap().last().unwrap();
                let length = row["length_m"].as_f64().unwrap();
                // Both are sums of the accepted legs; the one in the line is rounded to millimetres.
                assert!((last.as_f64().unwrap() - length).abs() < 0.001, "{last} {length}");
                let coordinates = line["coordinates"].as_array().unwrap().len();
                assert!(coordinates > 0 && coordinates <= 1000);
            }
        }
    }
    assert!(files > 1, "{files} files");
}

#[test]
fn archives_are_measured_and_bombs_are_refused() {
    let program = Program::start(&["--http", "0"]);
    let mut table = b"lon,lat\n".to_vec();
    for index in 0..2000 {
        table.extend(format!("13.{index:04},46.1\n").bytes());
    }
    let plain = program.post("/api/measure", &table);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&table).unwrap();
    let packed = program.post("/api/measure", &gzip.finish().unwrap());
    assert_eq!(plain["tracks"][0]["length_m"], packed["tracks"][0]["length_m"]);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(b"lon,lat\n").unwrap();
    for _ in 0..80 {
        bomb.write_all(&[b'\n'; 1 << 20]).unwrap();
    }
    let (status, body) = request(program.http, "POST", "/api/measure", &bomb.finish().unwrap());
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("as large as its gzip file"), "{body}");
}

#[test]
fn calls_are_logged_and_counted() {
    let mut program = Program::start(&["--http", "0", "--max-upload-bytes", "10"]);
    assert_eq!(request(program.http, "GET", "/api/paths/x?y=secret", b"").0, 400);
    assert_eq!(request(program.http, "GET", "/api/paths/x", b"").0, 404);
    let ended = line(&mut program.log, "call ended");
    for text in ["GET /api/paths/{name}", "outcome=NotFound", "there is no such recording"] {
        assert!(ended.contains(text), "{ended}");
    }
    let (status, body) = request(program.http, "POST", "/api/measure", b"12345678901");
    assert_eq!(status, 413, "{body}");
    let ended = line(&mut program.log, "call ended");
    assert!(ended.contains("POST /api/measure") && ended.contains("ResourceExhausted"), "{ended}");
    let (_, metrics) = request(program.operators, "GET", "/metrics", b"");
    for sample in [
        "waywiser_http_requests_total{route=\"/api/paths/{name}\",status=\"404\"} 1\n",
        "waywiser_http_requests_total{route=\"/api/measure\",status=\"413\"} 1\n",
        "waywiser_http_event_streams 0\n",
        "waywiser_call_errors_total{grpc_status=\"RESOURCE_EXHAUSTED\",reason=\"UPLOAD_TOO_LARGE\"} 1\n",
        "grpc_server_call_started_total{grpc_method=\"waywiser.v1.PathService/GetPath\"} 1\n",
    ] {
        assert!(metrics.contains(sample), "{sample}{metrics}");
    }
}

#[test]
fn an_address_of_the_network_needs_tls_and_authentication() {
    let (code, _, errors) = run(&["serve", "--ephemeral", "--http", "0.0.0.0:0"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("0.0.0.0:0") && errors.contains("--tls-cert"), "{errors}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.toml");
    std::fs::write(&file, "[http]\nhttp = \"0.0.0.0:0\"\n").unwrap();
    let check = ["config", "check", "--config", file.to_str().unwrap()];
    let mut command = waywiser(&check);
    binary::remove_settings(&mut command);
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("neither TLS nor authentication") && errors.contains("line 2"),
        "{errors}"
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (code, _, errors) =
        run(&["serve", "--ephemeral", "--listen", "127.0.0.1:0", "--http", &taken]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("choose a port with --http"), "{errors}");
}

#[test]
fn the_token_of_a_path_is_in_no_log_line_and_no_metric() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens.toml");
    let tokens = tokens.to_str().unwrap();
    let (code, token, errors) = run(&["token", "new", "--name", "phone", "--append", tokens]);
    assert_eq!(code, Some(0), "{errors}");
    let token = token.trim();
    let zone = ["--ingest-time-zone", "europe/ljubljana", "--log-filter", "trace"];
    let arguments = [&["--http", "0", "--tokens", tokens], &zone[..]].concat();
    let Program { _serve: mut serve, mut log, http, operators } = Program::start(&arguments);
    let log = std::thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        text
    });
    let query = "lat=46&lon=13&timestamp=1716200000";
    let good = format!("/ingest/osmand/{token}?{query}");
    assert_eq!(request(http, "GET", &good, b"").0, 200);
    assert_eq!(request(http, "POST", &good, b"").0, 200);
    let wrong = format!("wrong{token}");
    for (path, status) in [
        (format!("/ingest/osmand/{wrong}?{query}"), 401),
        (format!("/ingest/overland/{token}"), 400),
        (format!("/ingest/osmand/{token}?{query}&timestamp=1"), 400),
        (format!("/ingest/osmand/{token}/x"), 404),
        (format!("/ingest/unknown/{token}"), 404),
    ] {
        let (found, body) = request(http, "POST", &path, b"{");
        assert_eq!(found, status, "{body}");
        assert!(!body.contains(token), "{body}");
    }
    let (status, body) = request(http, "DELETE", &good, b"");
    assert_eq!(status, 405, "{body}");
    let (_, metrics) = request(operators, "GET", "/metrics", b"");
    for sample in [
        "waywiser_http_requests_total{route=\"/ingest/osmand/{token}\",status=\"200\"} 2\n",
        "waywiser_ingest_requests_total{protocol=\"osmand\",outcome=\"accepted\"} 2\n",
        "waywiser_ingest_requests_total{protocol=\"osmand\",outcome=\"refused\"} 1\n",
        "waywiser_ingest_requests_total{protocol=\"overland\",outcome=\"rejected\"} 1\n",
        "waywiser_ingest_fixes_total{protocol=\"osmand\",result=\"accepted\"} 2\n",
        "waywiser_ingest_fixes_total{protocol=\"forward\",result=\"too_late\"} 0\n",
        "grpc_server_call_started_total{grpc_method=\"waywiser.v1.PathService/AppendPoints\"} 5\n",
    ] {
        assert!(metrics.contains(sample), "{sample}{metrics}");
    }
    assert!(!metrics.contains(token), "{metrics}");
    serve.process.kill().unwrap();
    let log = log.join().unwrap();
    assert!(log.contains("POST /ingest/osmand"), "{log}");
    assert!(!log.contains(token), "{log}");
}

#[test]
fn an_unknown_time_zone_is_an_error_at_the_start() {
    let (code, _, errors) = run(&["serve", "--ephemeral", "--ingest-time-zone", "Europe/Lubljana"]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("Europe/Ljubljana"), "{errors}");
}
