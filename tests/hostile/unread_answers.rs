//! Weakness: a client uploads small compressed files to the HTTP listener and never reads the large answers.
//!
//! A file of about 300 KiB has an answer of about 5 MiB. With windows of 0 bytes the server must hold the answers. It
//! must survive with limited memory, refuse further files, serve other clients, end such answers, and free the memory.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::healthy::Healthy;
use crate::report::{HANG_TIMEOUT, attack, is_long, mib, ms};
use crate::server::Server;

const CONNECTIONS: usize = 4;
/// The number of tracks of the file and of points of each track. All points are in the lines of the answer.
const TRACKS: usize = 200;
const POINTS: usize = 500;

/// Returns a table of straight tracks, compressed.
fn file() -> Bytes {
    let mut text = String::from("track,lon,lat,time,elevation\n");
    for track in 0..TRACKS {
        for point in 0..POINTS {
            let (lon, lat) = (track as f64 * 0.1, point as f64 * 1e-4);
            writeln!(
                text,
                "{track},{lon:.4},{lat:.4},{},{}",
                1_700_000_000 + point * 10,
                point % 97
            )
            .unwrap();
        }
    }
    let mut compressed = GzEncoder::new(Vec::new(), Compression::best());
    compressed.write_all(text.as_bytes()).unwrap();
    compressed.finish().unwrap().into()
}

/// What became of the requests.
#[derive(Default)]
struct Outcomes {
    /// Answers that began, and that the server ended.
    ended: usize,
    /// Requests that the server refused because it has no memory for them.
    refused: usize,
    /// Connections that the server closed, because they held more than others.
    closed: usize,
    /// Other outcomes.
    failures: Vec<String>,
}

impl Outcomes {
    fn add(&mut self, other: Self) {
        self.ended += other.ended;
        self.refused += other.refused;
        self.closed += other.closed;
        self.failures.extend(other.failures);
    }
}

/// Uploads the file this many times, on a new connection if the server closes one, and reads no answer.
async fn upload_and_never_read(address: SocketAddr, file: Bytes, requests: usize) -> Outcomes {
    let (mut outcomes, mut uploads) = (Outcomes::default(), 0);
    while uploads < requests {
        let mut answers = Vec::new();
        let connection = connection(address, &file, requests, &mut uploads, &mut answers);
        outcomes.add(connection.await);
        for mut answer in answers {
            match answer.data().await {
                Some(Err(_)) => outcomes.ended += 1,
                other => {
                    let length = other.map(|data| data.map(|data| data.len()));
                    outcomes.failures.push(format!("an answer with the window 0: {length:?}"));
                }
            }
        }
    }
    outcomes
}

/// Uploads the file on new streams of one connection, one after the other, until the server closes the connection.
async fn connection(
    address: SocketAddr,
    file: &Bytes,
    requests: usize,
    uploads: &mut usize,
    answers: &mut Vec<h2::RecvStream>,
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let stream = TcpStream::connect(address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let Ok((mut client, connection)) = builder.initial_window_size(0).handshake(stream).await
    else {
        outcomes.closed += 1;
        *uploads += 1;
        return outcomes;
    };
    tokio::spawn(connection);
    while *uploads < requests {
        *uploads += 1;
        let answer = async {
            client = client.clone().ready().await?;
            let request = http::Request::post("http://localhost/api/measure?file=a.csv.gz");
            let (response, mut body) = client.send_request(request.body(()).unwrap(), false)?;
            // The server may refuse the request before it has the whole body.
            let _ = body.send_data(file.clone(), true);
            response.await
        };
        match answer.await {
            Ok(answer) if answer.status() == StatusCode::OK => answers.push(answer.into_body()),
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
                outcomes.refused += 1;
            }
            Ok(answer) => outcomes.failures.push(answer.status().to_string()),
            Err(error) if error.is_io() || error.is_go_away() => {
                outcomes.closed += 1;
                break;
            }
            Err(error) => outcomes.failures.push(error.to_string()),
        }
    }
    outcomes
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn unread_answers_do_not_exhaust_the_memory() {
    attack("unread answers over HTTP", async |report| {
        // The short run has a third of the size.
        let (requests, limit, memory) =
            if is_long() { (90, 640 << 20, "256MiB") } else { (30, 320 << 20, "64MiB") };
        let mut server = Server::start(&[
            ("--stream-idle-timeout", "2s"),
            ("--max-memory", memory),
            ("--http", "127.0.0.1:0"),
        ]);
        let address = server.http_address().await;
        let idle = server.usage();
        report.figure("idle memory", mib(idle.resident_bytes));
        server.limit_memory(limit);
        let file = file();
        report.figure("uploaded file", format!("{} bytes", file.len()));

        let healthy = Healthy::start(&server);
        let began = Instant::now();
        let attackers: Vec<_> = (0..CONNECTIONS)
            .map(|_| tokio::spawn(upload_and_never_read(address, file.clone(), requests)))
            .collect();
        let mut outcomes = Outcomes::default();
        for attacker in attackers {
            let aborts = attacker.abort_handle();
            match timeout(HANG_TIMEOUT, attacker).await {
                Ok(more) => outcomes.add(more.unwrap()),
                Err(_) => {
                    aborts.abort();
                    outcomes.failures.push("no end".to_owned());
                }
            }
        }
        let Outcomes { ended, refused, closed, failures } = outcomes;
        let time = ms(began.elapsed());
        let is_alive = server.is_alive();
        report.figure("peak memory", mib(server.usage().peak_bytes));
        report.figure("answers", format!("{ended} ended, {refused} refused in {time}"));
        report.figure("connections that the server closed", closed);
        report.check(is_alive, format!("the process survives in {}", mib(limit)));
        report.check(
            failures.is_empty(),
            format!("each answer is ended, refused or lost with its connection: {failures:?}"),
        );
        report.check(ended > 0, "the server begins answers");
        report.check(refused + closed > 0, "the answers use up the memory");
        let outcome = healthy.stop(report).await;
        report.check(outcome.failures.is_empty(), "other calls are answered");
        if !is_alive {
            return;
        }
        sleep(Duration::from_millis(100)).await;
        report.figure("memory after the attack", mib(server.usage().resident_bytes));
        let returned = server.memory_returns_to(idle.resident_bytes).await;
        report.figure("memory within 100 MB of idle after", format!("{:?}", returned.map(ms)));
        report.check(returned.is_some(), "the memory is freed within a minute");
    });
}
