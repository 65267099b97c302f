//! Weakness: a client that sends as fast as it can delays the calls of other clients.
//!
//! The greedy client has a quota, as a peer or as a principal. Another client sends a message each 10 ms and waits for
//! its answer.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use waywiser::proto::waywiser_v1 as v1;

use crate::binary::waywiser;
use crate::connection::{Connection, STANDARD};
use crate::frames::{data, message};
use crate::messages::{MEASURE_PATHS, PATH_LENGTH, host};
use crate::report::{HANG_TIMEOUT, Report, attack_on_latency, ms, setting};
use crate::server::{Server, is_optimised};

/// Connections of the greedy client, and streams of each.
const CONNECTIONS: usize = 4;
const STREAMS: usize = 16;
const INTERVAL: Duration = Duration::from_millis(10);
/// Points of the largest DATA frame. A stream pays for a frame after it has read it.
const FRAME_POINTS: u64 = 16_384 / 9;

/// Returns a rate that one thread of a server folds in a small part of its time.
fn points_per_second() -> &'static str {
    if is_optimised() { "2000000" } else { "200000" }
}

/// The authorization headers of the clients, empty for a server without authentication.
#[derive(Clone, Default)]
struct Clients {
    greedy: String,
    other: String,
}

impl Clients {
    /// Creates a token for each client, in the token file at `tokens`.
    fn with_tokens(tokens: &Path) -> Self {
        let token = |name: &str| {
            let file = tokens.with_file_name(name);
            let mut command = waywiser(["token", "new", "--name", name, "--append"]);
            let status = command.arg(tokens).arg("--output").arg(&file).status().unwrap();
            assert!(status.success(), "token new: {status}");
            format!("Bearer {}", fs::read_to_string(file).unwrap().trim())
        };
        Self { greedy: token("greedy"), other: token("other") }
    }

    /// Returns the address of the greedy client. Principals have the same one, so that only their tokens differ.
    fn greedy_host(&self) -> Option<SocketAddr> {
        if self.greedy.is_empty() { host(9) } else { None }
    }
}

/// Returns the headers of a client.
fn headers(authorization: &str) -> Vec<(&str, &str)> {
    let header = (!authorization.is_empty()).then_some(("authorization", authorization));
    header.into_iter().collect()
}

/// Sends points on many streams as fast as the server takes them.
fn greedy(server: &Server, clients: &Clients) -> JoinSet<()> {
    let point = message(false, &[0x08, 3, 0x10, 4]);
    let body = Bytes::from(point.repeat(8 << 20));
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (address, body) = (server.address, body.clone());
        let (authorization, source) = (clients.greedy.clone(), clients.greedy_host());
        connections.spawn(async move {
            loop {
                let Ok(mut connection) = Connection::with(address, source, STANDARD).await else {
                    return;
                };
                let mut bodies = Vec::new();
                for _ in 0..STREAMS {
                    let stream = connection.open(PATH_LENGTH, &headers(&authorization)).await;
                    bodies.push((stream, body.clone()));
                }
                connection.send_bodies(bodies).await;
            }
        });
    }
    connections
}

/// Measures paths on one stream, one each 10 ms. Returns the times from when each was due to its answer, sorted.
async fn latencies(server: &Server, clients: &Clients, count: usize) -> Vec<Duration> {
    let path = v1::MeasurePathsRequest {
        options: Some(v1::PathOptions { model: v1::Model::Planar.into(), ..Default::default() }),
        points: [0.0, 1.0].map(|x| v1::Point { x, ..Default::default() }).to_vec(),
        end_path: true,
        ..Default::default()
    };
    let path = message(false, &path.encode_to_vec());
    let mut connection = Connection::connect(server.address).await.unwrap();
    let stream = connection.open(MEASURE_PATHS, &headers(&clients.other)).await;
    let mut times = Vec::new();
    let mut due = Instant::now();
    for _ in 0..count {
        sleep_until(due).await;
        let received = connection.partial_reply(stream).map_or(0, |reply| reply.data.len());
        connection.send(&data(stream, &path, false)).await;
        let answered = async {
            while connection.partial_reply(stream).is_some_and(|reply| reply.data.len() == received)
                && connection.step().await
            {}
        };
        timeout(HANG_TIMEOUT, answered).await.unwrap();
        times.push(due.elapsed());
        due = (due + INTERVAL).max(Instant::now());
    }
    let reply = connection.partial_reply(stream).unwrap();
    assert!(!reply.is_ended, "{}", crate::server::describe(reply));
    times.sort();
    times
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).saturating_sub(1)]
}

fn text(sorted: &[Duration]) -> String {
    let of = |percent| ms(percentile(sorted, percent));
    format!("p50 {}, p99 {}, max {}", of(50), of(99), of(100))
}

/// Stops the server, and returns the number of points that it has folded for the greedy client, from its log of calls.
async fn greedy_points(report: &mut Report, server: &mut Server, clients: &Clients) -> u64 {
    // Every call is in the log when the process has exited.
    server.signal(Signal::TERM);
    let has_exited = server.exit_since(std::time::Instant::now()).await.is_some();
    report.check(has_exited, "the server exits, so that its log is complete");
    report.check(server.log_lines("suppressed=").is_empty(), "no line of the log is left out");
    let of_greedy = match clients.greedy_host() {
        Some(host) => format!("peer={}:", host.ip()),
        None => "principal=\"greedy\"".to_owned(),
    };
    let lines = server.log_lines(&of_greedy);
    let points = |line: &String| {
        let (_, points) = line.split_once(" points=")?;
        points.split_whitespace().next()?.parse::<u64>().ok()
    };
    let points: Vec<u64> = lines.iter().filter_map(points).collect();
    report.check(points.len() >= CONNECTIONS * STREAMS, format!("calls: {}", points.len()));
    points.iter().sum()
}

/// Checks that the greedy client got its quota and not more: the points of the time, a burst of a second, and a frame
/// for each of its streams. Without a quota it gets more, so that the check can fail.
fn check_share(report: &mut Report, points: u64, time: Duration, is_limited: bool) {
    let per_second: f64 = points_per_second().parse().unwrap();
    let frames = (2 * CONNECTIONS * STREAMS) as u64 * FRAME_POINTS;
    let most = per_second * (time.as_secs_f64() + 1.0) + frames as f64;
    report.figure("points of the greedy client, and its limit", format!("{points}, {most:.0}"));
    if !is_limited {
        report.check(points as f64 > most, "without a quota, the client gets more points");
        return;
    }
    report
        .check(points as f64 <= most, format!("{points} points are above the quota of {most:.0}"));
    report.check(points > 0, "the greedy client is served, too");
}

/// Runs both clients and returns the p99 of the other one. With a quota, checks it, and the share of the greedy client.
async fn run(report: &mut Report, options: &[(&str, &str)], clients: &Clients) -> Duration {
    let count = 100 * setting("HOSTILE_SECONDS").unwrap_or(3) as usize;
    let mut server = Server::start(options);
    let idle = latencies(&server, clients, count).await;
    report.figure("without load", text(&idle));
    let before = server.usage().cpu;
    let load_began = Instant::now();
    let mut load = greedy(&server, clients);
    // Until the greedy client has used up its burst.
    sleep(Duration::from_secs(2)).await;
    let began = Instant::now();
    let loaded = latencies(&server, clients, count).await;
    let cpu = server.usage().cpu.saturating_sub(before).as_secs_f64();
    report.figure("with a greedy client", text(&loaded));
    report.figure(
        "CPU time of the server per second",
        ms(Duration::from_secs_f64(cpu / (began.elapsed().as_secs_f64() + 2.0))),
    );
    load.shutdown().await;
    let points = greedy_points(report, &mut server, clients).await;
    let load_time = load_began.elapsed();
    // An answer takes a fraction of a millisecond, which is below the noise of a busy machine.
    let limit = (2 * percentile(&idle, 99)).max(Duration::from_millis(2));
    let p99 = percentile(&loaded, 99);
    let is_limited = options.iter().any(|(option, _)| option.starts_with("--max-points"));
    check_share(report, points, load_time, is_limited);
    if is_limited {
        let is_met = p99 <= limit || !is_optimised();
        report.check(is_met, format!("the p99 is {}, at most {}", ms(p99), ms(limit)));
    }
    p99
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn a_greedy_client_with_a_quota_does_not_delay_others() {
    attack_on_latency("greedy client", async |report| {
        let limited = [("--max-points-per-second-per-peer", points_per_second())];
        let p99 = run(report, &limited, &Clients::default()).await;
        report.figure("p99 with the quota", ms(p99));
        let p99 = run(report, &[], &Clients::default()).await;
        report.figure("p99 without the quota", ms(p99));
    });
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn a_greedy_principal_does_not_delay_another_one_at_the_same_address() {
    attack_on_latency("greedy principal", async |report| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tokens.toml");
        let clients = Clients::with_tokens(&file);
        let tokens = ("--tokens", file.to_str().unwrap());
        let limited = [tokens, ("--max-points-per-second", points_per_second())];
        let p99 = run(report, &limited, &clients).await;
        report.figure("p99 with the quota", ms(p99));
        let p99 = run(report, &[tokens], &clients).await;
        report.figure("p99 without the quota", ms(p99));
    });
}
