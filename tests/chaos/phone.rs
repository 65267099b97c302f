//! Phones: the apps of one device send fixes over HTTP, up to ten requests at a time and in any order, while every answer
//! is lost at least once and the server is killed. The totals must be those of one ordered stream, to the last bit.
//!
//! The order that fixes arrive in is random within blocks. A block is smaller than the buffer that puts fixes in order (64),
//! so that no fix is late when it arrives for the first time. Requests of earlier blocks are sent again later: their fixes
//! are late or duplicates.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prost_types::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use waywiser::proto::waywiser_v1::path_service_client::PathServiceClient;
use waywiser::proto::waywiser_v1::{self as pb};

use crate::checker::{Counts, EventLog};
use crate::reserved::reserved_address;
use crate::rng::Rng;
use crate::server::{Server, random_options};

/// The requests at a time.
const PARALLEL: usize = 10;
/// The most fixes of a block. The buffer of a recording of a phone has 64.
const BLOCK: u64 = 60;
/// The time that a request has until it is answered with success, on a busy machine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

#[derive(Clone, Copy)]
struct Fix {
    unix_s: i64,
    longitude: f64,
    latitude: f64,
    accuracy_m: u32,
}

/// Returns a day of rides and stops with noise, over a midnight. Some fixes are inaccurate, and some are too far away.
fn fixes(rng: &mut Rng) -> Vec<Fix> {
    let (mut x, mut y) = (138_000_000_i64, 463_000_000_i64);
    // From 20:30 UTC. The day of the time zone ends at 22:00 UTC, so that most tracks have two days.
    let mut unix_s = 1_716_237_000 + rng.between(0, 7_000) as i64;
    let mut is_moving = true;
    let fix = |index| {
        unix_s += rng.magnitude(1, 90) as i64;
        is_moving ^= rng.one_in(20);
        // The first ride is long, because a day of stops has no length to compare.
        if is_moving || index < 100 {
            x += rng.between(0, 3_000) as i64;
            y += rng.between(0, 2_000) as i64;
        }
        let noise = |rng: &mut Rng| rng.between(0, 400) as i64 - 200;
        let jump = if rng.one_in(30) { 300_000_000 } else { 0 };
        Fix {
            unix_s,
            longitude: (x + noise(rng) + jump) as f64 / 1e7,
            latitude: (y + noise(rng)) as f64 / 1e7,
            accuracy_m: if rng.one_in(15) { 900 } else { rng.magnitude(1, 60) as u32 },
        }
    };
    (0..300).map(fix).collect()
}

/// A request as it is sent: the head and the body.
fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// Returns the requests with these fixes, in one of the protocols.
fn requests(rng: &mut Rng, fixes: &[Fix]) -> Vec<Vec<u8>> {
    match rng.between(0, 2) {
        0 => {
            let features: Vec<String> = fixes
                .iter()
                .map(|Fix { unix_s, longitude, latitude, accuracy_m }| {
                    format!(
                        "{{\"geometry\":{{\"coordinates\":[{longitude},{latitude}]}},\"properties\":{{\"timestamp\":\
                         {unix_s},\"horizontal_accuracy\":{accuracy_m},\"device_id\":\"jane/phone\"}}}}"
                    )
                })
                .collect();
            let body = format!("{{\"locations\":[{}]}}", features.join(","));
            vec![request("/ingest/overland", &body)]
        }
        1 => {
            let message = |Fix { unix_s, longitude, latitude, accuracy_m }: &Fix| {
                let body = format!(
                    "{{\"_type\":\"location\",\"lat\":{latitude},\"lon\":{longitude},\"tst\":{unix_s},\"acc\":\
                     {accuracy_m},\"topic\":\"owntracks/jane/phone\"}}"
                );
                request("/ingest/owntracks", &body)
            };
            fixes.iter().map(message).collect()
        }
        _ => {
            let message = |Fix { unix_s, longitude, latitude, accuracy_m }: &Fix| {
                let query = format!(
                    "id=jane%2Fphone&lat={latitude}&lon={longitude}&timestamp={unix_s}&accuracy={accuracy_m}"
                );
                request(&format!("/ingest/osmand?{query}"), "")
            };
            fixes.iter().map(message).collect()
        }
    }
}

/// Sends a request whose answer is lost: after its first byte, or after a random time.
async fn lose(server: SocketAddr, request: &[u8], rng: &mut Rng) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    let cut =
        if rng.one_in(3) { rng.between(0, request.len() as u64) as usize } else { request.len() };
    stream.write_all(&request[..cut]).await?;
    if cut < request.len() {
        return Ok(());
    }
    let time = if rng.one_in(3) { rng.millis(0, 20) } else { REQUEST_TIMEOUT };
    let mut byte = [0];
    let _ = timeout(time, stream.read(&mut byte)).await;
    stream.set_zero_linger()
}

/// Sends a request. Returns its status and the answer.
async fn send(server: SocketAddr, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(request).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Sends a request until it succeeds, as apps do. The first answer is lost.
///
/// # Errors
/// If the server refuses it as one that can never succeed.
async fn deliver(
    server: SocketAddr,
    request: Vec<u8>,
    mut rng: Rng,
    events: Arc<EventLog>,
) -> Result<(), String> {
    let _ = lose(server, &request, &mut rng).await;
    events.count(|counts| counts.lost_answers += 1);
    let repeat = async {
        loop {
            let answer = send(server, &request).await.unwrap_or_default();
            let status = answer.split(' ').nth(1).unwrap_or_default();
            match status {
                "200" => return Ok(()),
                // The server is killed or stops, or another request has to wait.
                "" | "429" | "503" | "500" => sleep(rng.millis(1, 30)).await,
                _ => return Err(format!("the answer to a request is {answer}")),
            }
        }
    };
    timeout(REQUEST_TIMEOUT, repeat).await.map_err(|_| "a request had no success in time")??;
    if rng.one_in(5) {
        let _ = send(server, &request).await;
    }
    Ok(())
}

async fn client(address: SocketAddr) -> Result<PathServiceClient<Channel>, String> {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
    Ok(PathServiceClient::new(channel))
}

async fn summary(address: SocketAddr, name: &str) -> Result<pb::PathSummary, String> {
    let request = pb::GetPathRequest { name: name.to_owned(), include_recent_points: false };
    let reply =
        client(address).await?.get_path(request).await.map_err(|error| error.to_string())?;
    Ok(reply.into_inner().path.unwrap().summary.unwrap())
}

/// Returns the totals, without what counts repetitions. The raw length has the late fixes.
fn totals(summary: pb::PathSummary) -> pb::PathSummary {
    pb::PathSummary { point_count: 0, rejections: Vec::new(), raw_length_m: None, ..summary }
}

/// Runs a round in a folder.
///
/// # Errors
/// Returns the first violation with the end of the log of the server.
pub async fn run(seed: u64, folder: &Path) -> Result<Counts, String> {
    let mut rng = Rng::new(seed);
    let events = EventLog::new();
    let (_reserved, http) = reserved_address();
    let mut options = random_options(&mut rng);
    options.extend(["--http".to_owned(), http.to_string()]);
    options.extend(["--ingest-time-zone".to_owned(), "Europe/Ljubljana".to_owned()]);
    let store = vec!["--data-dir".to_owned(), folder.join("data").display().to_string()];
    let log = folder.join("server.log");
    let mut server = Server::start(log, store, options, Arc::clone(&events)).await?;
    let outcome = drive(&mut rng, &mut server, http, &events).await;
    if std::env::var_os("CHAOS_HISTORY").is_some() {
        eprintln!("{}", events.history());
    }
    match outcome.err().or_else(|| server.panic()) {
        None => Ok(events.counts()),
        Some(what) => Err(format!("{what}\n\n{}\n{}", events.history(), server.log())),
    }
}

async fn drive(
    rng: &mut Rng,
    server: &mut Server,
    http: SocketAddr,
    events: &Arc<EventLog>,
) -> Result<(), String> {
    const NAME: &str = "paths/jane~2Fphone";
    let fixes = fixes(rng);
    let mut earlier: Vec<Vec<u8>> = Vec::new();
    let mut rest = &fixes[..];
    while !rest.is_empty() {
        let length = (rng.between(1, BLOCK) as usize).min(rest.len());
        let (block, next) = rest.split_at(length);
        rest = next;
        let mut shuffled = block.to_vec();
        for index in (1..length).rev() {
            shuffled.swap(index, rng.between(0, index as u64) as usize);
        }
        let size = length.div_ceil(PARALLEL);
        let mut queues: Vec<Vec<Vec<u8>>> =
            shuffled.chunks(size).map(|fixes| requests(rng, fixes)).collect();
        if !earlier.is_empty() {
            let index = rng.between(0, earlier.len() as u64 - 1) as usize;
            queues[0].insert(0, earlier[index].clone());
        }
        earlier.extend(queues.iter().flatten().cloned());
        let mut phones = JoinSet::new();
        for queue in queues {
            let (mut rng, events) = (rng.fork(), Arc::clone(events));
            phones.spawn(async move {
                for request in queue {
                    deliver(http, request, rng.fork(), Arc::clone(&events)).await?;
                }
                Ok::<_, String>(())
            });
        }
        if rng.one_in(3) {
            sleep(rng.millis(0, 40)).await;
            events.count(|counts| counts.kills += 1);
            server.kill().await?;
            sleep(rng.millis(0, 20)).await;
            server.spawn().await?;
        }
        while let Some(delivered) = phones.join_next().await {
            delivered.map_err(|error| error.to_string())??;
        }
    }
    let found = summary(server.address, NAME).await?;
    let expected = ordered(server.address, &fixes, found.options.clone()).await?;
    if expected.length_m.unwrap_or_default() < 1_000.0 || expected.windows.is_empty() {
        return Err(format!("the track of the round is not one to compare: {expected:?}"));
    }
    // Also after a kill.
    server.kill().await?;
    server.spawn().await?;
    for found in [found, summary(server.address, NAME).await?] {
        let found = totals(found);
        if found != expected {
            return Err(format!("the totals differ:\n{found:?}\n{expected:?}"));
        }
        events.count(|counts| counts.points += fixes.len());
    }
    Ok(())
}

/// Returns the totals of one ordered stream without repetitions.
async fn ordered(
    address: SocketAddr,
    fixes: &[Fix],
    options: Option<pb::PathOptions>,
) -> Result<pb::PathSummary, String> {
    let points = fixes.iter().map(|fix| pb::Point {
        x: fix.longitude,
        y: fix.latitude,
        time: Some(Timestamp { seconds: fix.unix_s, nanos: 0 }),
        accuracy_m: Some(fix.accuracy_m.into()),
        ..Default::default()
    });
    let message = pb::RecordPathRequest {
        name: "paths/ordered".to_owned(),
        options,
        points: points.collect(),
        ..Default::default()
    };
    let stream = tokio_stream::iter([message]);
    let reply =
        client(address).await?.record_path(stream).await.map_err(|error| error.to_string())?;
    Ok(totals(reply.into_inner().summary.unwrap()))
}
