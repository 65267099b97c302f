//! One round: clients write and watch recordings while faults occur. Then the faults stop, and every recording must
//! be finished exactly once with bit-identical totals, also after a restart.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::checker::{Checker, Counts, EventLog};
use crate::process;
use crate::proxy::Proxy;
use crate::rng::Rng;
use crate::server::Server;
use crate::small_disk::SmallDisk;
use crate::track::Track;
use crate::verify::verify;
use crate::watcher::watch;
use crate::writer::Writer;

/// The time that clients have to finish after the last fault, on a busy machine.
const FINISH_TIMEOUT: Duration = Duration::from_secs(90);

/// Runs a round in a folder.
///
/// # Errors
/// Returns the first violation with the events before it.
pub async fn run(seed: u64, folder: &Path, can_mount: bool) -> Result<Counts, String> {
    let mut rng = Rng::new(seed);
    let events = EventLog::new();
    let data = folder.join("data");
    let disk = (can_mount && rng.one_in(4)).then(|| SmallDisk::mount(&data, 12)).transpose()?;
    let options = vec![
        "--checkpoint-interval".to_owned(),
        format!("{}ms", rng.magnitude(1, 60)),
        "--checkpoint-points".to_owned(),
        rng.magnitude(1, 5_000).to_string(),
        "--drain-timeout".to_owned(),
        format!("{}ms", rng.magnitude(100, 600)),
    ];
    events.record(format_args!("{options:?}, small disk: {}", disk.is_some()));
    let store = vec!["--data-dir".to_owned(), data.display().to_string()];
    let log = folder.join("server.log");
    let mut server = Server::start(log, store, options, Arc::clone(&events)).await?;
    let mut round = Round {
        proxy: Proxy::start(server.address, rng.fork(), Arc::clone(&events)).await,
        checkers: Vec::new(),
        faults_stopped: Arc::new(AtomicBool::new(false)),
        actors: JoinSet::new(),
        events: Arc::clone(&events),
    };
    round.start_clients(&mut rng);
    let outcome = async {
        for _ in 0..rng.between(3, 8) {
            round.inject_fault(&mut rng, &mut server, disk.as_ref()).await?;
        }
        round.stop_faults().await?;
        // Finished paths must also survive a kill.
        verify(&round.checkers, &round.events, server.address).await?;
        server.kill().await?;
        server.spawn().await?;
        verify(&round.checkers, &round.events, server.address).await?;
        server.drain().await
    };
    let outcome = outcome.await;
    round.actors.shutdown().await;
    if std::env::var_os("CHAOS_HISTORY").is_some() {
        eprintln!("{}", events.history());
    }
    match events.violation().or(outcome.err()).or_else(|| server.panic()) {
        None => Ok(events.counts()),
        Some(what) => Err(format!(
            "{what}\n\nthe last events:\n{}\nthe end of the server's log:\n{}",
            events.history(),
            server.log()
        )),
    }
}

struct Round {
    proxy: Proxy,
    checkers: Vec<Arc<Checker>>,
    faults_stopped: Arc<AtomicBool>,
    actors: JoinSet<()>,
    events: Arc<EventLog>,
}

impl Round {
    /// Starts the writers and watchers of all recordings.
    fn start_clients(&mut self, rng: &mut Rng) {
        for number in 0..rng.between(1, 4) {
            let track_seed = rng.next_u64();
            let track = Track::random(&mut Rng::new(track_seed));
            let name = format!("paths/chaos-{number}");
            self.events.record(format_args!("{name}: {} points", track.len()));
            let checker = Checker::new(name, track, Arc::clone(&self.events));
            let first = if rng.one_in(3) {
                let (checker, faults_stopped) =
                    (Arc::clone(&checker), Arc::clone(&self.faults_stopped));
                let (rng, address) = (rng.fork(), self.proxy.address);
                self.actors.spawn(process::record(
                    checker,
                    track_seed,
                    rng,
                    address,
                    faults_stopped,
                ));
                1
            } else {
                0
            };
            let second_writers = u64::from(rng.one_in(3));
            for number in first..=second_writers {
                let writer = Writer {
                    checker: Arc::clone(&checker),
                    rng: rng.fork(),
                    address: self.proxy.address,
                    faults_stopped: Arc::clone(&self.faults_stopped),
                    is_second_writer: number > 0,
                };
                self.actors.spawn(writer.run());
            }
            self.actors.spawn(watch(Arc::clone(&checker), rng.fork(), self.proxy.address));
            self.checkers.push(checker);
        }
    }

    /// Injects one fault into the server, at a random time or just after a commit.
    async fn inject_fault(
        &self,
        rng: &mut Rng,
        server: &mut Server,
        disk: Option<&SmallDisk>,
    ) -> Result<(), String> {
        sleep(rng.millis(0, 60)).await;
        if rng.one_in(2) {
            let changed = self.events.changed.notified();
            let _ = timeout(Duration::from_millis(200), changed).await;
            sleep(rng.millis(0, 4)).await;
        }
        if let Some(disk) = disk
            && rng.one_in(2)
        {
            self.events.record("disk: full");
            self.events.count(|counts| counts.full_disks += 1);
            disk.fill();
            sleep(rng.millis(10, 400)).await;
            let is_killed = rng.one_in(3);
            if is_killed {
                server.kill().await?;
            }
            disk.free();
            self.events.record("disk: free");
            return if is_killed { server.spawn().await } else { Ok(()) };
        }
        match rng.between(0, 5) {
            0 => {
                self.events.count(|counts| counts.stops += 1);
                server.pause();
                sleep(rng.millis(1, 200)).await;
                if rng.one_in(3) {
                    self.events.count(|counts| counts.kills += 1);
                    server.kill().await?;
                    server.spawn().await?;
                } else {
                    server.resume();
                }
            }
            1 => {
                self.events.count(|counts| counts.drains += 1);
                server.drain().await?;
                server.spawn().await?;
            }
            _ => {
                self.events.count(|counts| counts.kills += 1);
                server.kill().await?;
                sleep(rng.millis(0, 30)).await;
                server.spawn().await?;
            }
        }
        Ok(())
    }

    /// Stops all faults and waits until all clients have finished.
    async fn stop_faults(&mut self) -> Result<(), String> {
        self.events.record("faults stopped");
        self.faults_stopped.store(true, Ordering::Relaxed);
        self.proxy.stop_faults();
        let all = async { while self.actors.join_next().await.is_some() {} };
        if timeout(FINISH_TIMEOUT, all).await.is_err() {
            return Err("a client did not finish after faults had stopped".to_owned());
        }
        match self.events.violation() {
            Some(what) => Err(what),
            None => Ok(()),
        }
    }
}
