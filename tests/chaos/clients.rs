//! The clients of a round, which write and watch recordings until all of them are finished.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::checker::{Checker, EventLog};
use crate::process;
use crate::proxy::Proxy;
use crate::rng::Rng;
use crate::track::Track;
use crate::watcher::watch;
use crate::writer::Writer;

pub struct Clients {
    proxy: Proxy,
    pub checkers: Vec<Arc<Checker>>,
    faults_stopped: Arc<AtomicBool>,
    actors: JoinSet<()>,
    events: Arc<EventLog>,
}

impl Clients {
    /// Starts the writers and watchers of some recordings, behind a proxy to this address. One in `second_writers`
    /// recordings has two writers.
    pub async fn start(
        address: SocketAddr,
        recordings: RangeInclusive<u64>,
        second_writers: u64,
        rng: &mut Rng,
        events: &Arc<EventLog>,
    ) -> Self {
        let mut clients = Self {
            proxy: Proxy::start(address, rng.fork(), Arc::clone(events)).await,
            checkers: Vec::new(),
            faults_stopped: Arc::new(AtomicBool::new(false)),
            actors: JoinSet::new(),
            events: Arc::clone(events),
        };
        for number in 0..rng.between(*recordings.start(), *recordings.end()) {
            clients.record(format!("paths/chaos-{number}"), second_writers, rng);
        }
        clients
    }

    fn record(&mut self, name: String, second_writers: u64, rng: &mut Rng) {
        let track_seed = rng.next_u64();
        let track = Track::random(&mut Rng::new(track_seed));
        self.events.record(format_args!("{name}: {} points", track.len()));
        let checker = Checker::new(name, track, Arc::clone(&self.events));
        let address = self.proxy.address;
        let is_process = rng.one_in(3);
        if is_process {
            let faults_stopped = Arc::clone(&self.faults_stopped);
            let client = process::record(
                Arc::clone(&checker),
                track_seed,
                rng.fork(),
                address,
                faults_stopped,
            );
            self.actors.spawn(client);
        }
        for number in u64::from(is_process)..=u64::from(rng.one_in(second_writers)) {
            let writer = Writer {
                checker: Arc::clone(&checker),
                rng: rng.fork(),
                address,
                faults_stopped: Arc::clone(&self.faults_stopped),
                is_second_writer: number > 0,
            };
            self.actors.spawn(writer.run());
        }
        self.actors.spawn(watch(Arc::clone(&checker), rng.fork(), address));
        self.checkers.push(checker);
    }

    /// Waits for a random time, and in half of all cases until just after a commit.
    pub async fn wait(&self, rng: &mut Rng, max_ms: u64) {
        sleep(rng.millis(0, max_ms)).await;
        if rng.one_in(2) {
            let changed = self.events.changed.notified();
            let _ = timeout(Duration::from_millis(200), changed).await;
            sleep(rng.millis(0, 4)).await;
        }
    }

    /// Stops the faults of the clients and of their network, and waits until all of them have finished.
    ///
    /// # Errors
    /// If a client does not finish in this time, which is for a busy machine.
    pub async fn finish(&mut self, limit: Duration) -> Result<(), String> {
        self.events.record("faults stopped");
        self.faults_stopped.store(true, Ordering::Relaxed);
        self.proxy.stop_faults();
        let all = async { while self.actors.join_next().await.is_some() {} };
        if timeout(limit, all).await.is_err() {
            return Err("a client did not finish after faults had stopped".to_owned());
        }
        Ok(())
    }

    /// Ends all clients.
    pub async fn end(&mut self) {
        self.actors.shutdown().await;
    }
}
