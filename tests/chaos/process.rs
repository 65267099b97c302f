//! Runs a writer in a child process that can be killed.
//!
//! The child is this test program. An environment variable holds its arguments. It prints durable offsets and
//! violations to standard output.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, sleep, sleep_until};

use crate::checker::{Checker, EventLog};
use crate::rng::Rng;
use crate::track::Track;
use crate::writer::Writer;

const VARIABLE: &str = "CHAOS_CLIENT";
const COMMITTED: &str = "chaos committed ";
const VIOLATION: &str = "chaos violation ";

/// Records in a process that is killed and restarted until the path is finished.
pub async fn record(
    checker: Arc<Checker>,
    track_seed: u64,
    mut rng: Rng,
    address: SocketAddr,
    faults_stopped: Arc<AtomicBool>,
) {
    while !checker.is_complete() && checker.events.violation().is_none() {
        let arguments = format!("{address} {} {track_seed} {}", checker.name, rng.next_u64());
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "client_process", "--ignored", "--nocapture"])
            .env(VARIABLE, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // The end of its input notifies the process that no more faults occur.
        let mut input = process.stdin.take();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let killed_at = Instant::now() + rng.millis(50, 2_000);
        loop {
            if faults_stopped.load(Ordering::Relaxed) {
                input = None;
            }
            let line = tokio::select! {
                line = lines.next_line() => line,
                () = sleep_until(killed_at), if input.is_some() => {
                    checker.record("client process: SIGKILL");
                    checker.events.count(|counts| counts.killed_clients += 1);
                    let _ = process.kill().await;
                    break;
                }
                () = sleep(Duration::from_millis(50)) => continue,
            };
            let Ok(Some(line)) = line else { break };
            if let Some(points) =
                line.strip_prefix(COMMITTED).and_then(|points| points.parse().ok())
            {
                checker.record(format_args!("client process: {points} points are durable"));
                checker.observe_offset(points);
            } else if let Some(what) = line.strip_prefix(VIOLATION) {
                checker.report_violation(format_args!("client process: {what}"));
            }
        }
        let _ = process.wait().await;
    }
}

/// Runs the client process.
pub fn client() {
    let Ok(arguments) = std::env::var(VARIABLE) else { return };
    let arguments: Vec<_> = arguments.split(' ').collect();
    let number = |text: &str| text.parse::<u64>().unwrap();
    let events = EventLog::new();
    let track = Track::random(&mut Rng::new(number(arguments[2])));
    let checker = Checker::new(arguments[1].to_owned(), track, Arc::clone(&events));
    let faults_stopped = Arc::new(AtomicBool::new(false));
    let writer = Writer {
        checker: Arc::clone(&checker),
        rng: Rng::new(number(arguments[3])),
        address: arguments[0].parse().unwrap(),
        faults_stopped: Arc::clone(&faults_stopped),
        is_second_writer: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let report = async {
            loop {
                let changed = events.changed.notified();
                print_state(&checker);
                changed.await;
            }
        };
        let input_end = async {
            let mut buffer = [0];
            while tokio::io::stdin().read(&mut buffer).await.is_ok_and(|count| count > 0) {}
            faults_stopped.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        };
        tokio::select! { () = writer.run() => {}, () = report => {}, () = input_end => {} }
    });
    print_state(&checker);
    // Dropping the runtime would wait for the thread that reads the input.
    runtime.shutdown_background();
}

/// Prints the first violation, or else the number of durable points.
fn print_state(checker: &Checker) {
    if let Some(violation) = checker.events.violation() {
        println!("{VIOLATION}{}", violation.replace('\n', " "));
    } else if let Some(points) = checker.bound().committed_points() {
        println!("{COMMITTED}{points}");
    }
}
