//! A client as a process of its own, so that it can be killed as such: this program once more, told by
//! its environment what to record. What it is told of the path, it hands on by its standard output.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, sleep, sleep_until};

use crate::chance::Chance;
use crate::ledger::{Journal, Ledger};
use crate::track::Track;
use crate::writer::Writer;

const VARIABLE: &str = "CHAOS_CLIENT";
const TOLD: &str = "chaos told ";
const VIOLATION: &str = "chaos violation ";

/// Records in a process that is killed now and then, and started again, until the path is finished.
pub async fn record(
    ledger: Arc<Ledger>,
    track_seed: u64,
    mut chance: Chance,
    address: SocketAddr,
    is_calm: Arc<AtomicBool>,
) {
    while !ledger.is_complete() && ledger.journal.violation().is_none() {
        let told = format!("{address} {} {track_seed} {}", ledger.name, chance.draw());
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "client_process", "--ignored", "--nocapture"])
            .env(VARIABLE, told)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // It is calm when its input ends.
        let mut input = process.stdin.take();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let dies_at = Instant::now() + chance.millis(50, 2_000);
        loop {
            if is_calm.load(Ordering::Relaxed) {
                input = None;
            }
            let line = tokio::select! {
                line = lines.next_line() => line,
                () = sleep_until(dies_at), if input.is_some() => {
                    ledger.note("client process: SIGKILL");
                    ledger.journal.count(|counts| counts.killed_clients += 1);
                    let _ = process.kill().await;
                    break;
                }
                () = sleep(Duration::from_millis(50)) => continue,
            };
            let Ok(Some(line)) = line else { break };
            if let Some(points) = line.strip_prefix(TOLD).and_then(|points| points.parse().ok()) {
                ledger.note(format_args!("client process: was told {points}"));
                ledger.heard(points);
            } else if let Some(what) = line.strip_prefix(VIOLATION) {
                ledger.violated(format_args!("client process: {what}"));
            }
        }
        let _ = process.wait().await;
    }
}

/// What the process does.
pub fn client() {
    let Ok(told) = std::env::var(VARIABLE) else { return };
    let told: Vec<_> = told.split(' ').collect();
    let number = |text: &str| text.parse::<u64>().unwrap();
    let journal = Journal::new();
    let track = Track::draw(&mut Chance::new(number(told[2])));
    let ledger = Ledger::new(told[1].to_owned(), track, Arc::clone(&journal));
    let is_calm = Arc::new(AtomicBool::new(false));
    let writer = Writer {
        ledger: Arc::clone(&ledger),
        chance: Chance::new(number(told[3])),
        address: told[0].parse().unwrap(),
        is_calm: Arc::clone(&is_calm),
        is_rival: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tell = async {
            loop {
                let news = journal.news.notified();
                if let Some(what) = journal.violation() {
                    println!("{VIOLATION}{}", what.replace('\n', " "));
                } else if let Some(points) = ledger.floor().committed_points() {
                    println!("{TOLD}{points}");
                }
                news.await;
            }
        };
        let calm = async {
            let mut nothing = [0];
            while tokio::io::stdin().read(&mut nothing).await.is_ok_and(|count| count > 0) {}
            is_calm.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        };
        tokio::select! { () = writer.run() => {}, () = tell => {}, () = calm => {} }
    });
    // Whatever was told last.
    if let Some(what) = journal.violation() {
        println!("{VIOLATION}{}", what.replace('\n', " "));
    } else if let Some(points) = ledger.floor().committed_points() {
        println!("{TOLD}{points}");
    }
    // The thread that reads the input would hold up the runtime's end.
    runtime.shutdown_background();
}
