//! One round: some recordings, those who write and watch them, and faults until there is calm. Then all
//! must be finished, once, with the right bits, and stay so.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_stream::iter;
use tonic::Code;
use waywiser::proto::waywiser_v1 as pb;

use crate::chance::Chance;
use crate::ledger::{Counts, Journal, Ledger};
use crate::process;
use crate::proxy::Proxy;
use crate::server::{Server, SmallDisk};
use crate::track::Track;
use crate::watcher::watch;
use crate::writer::{Client, Writer, ask, connect};

/// Once nothing is lost any more, whatever is under way comes to its end. A busy machine takes seconds.
const CALM_TIME: Duration = Duration::from_secs(90);

/// Runs a round in a folder.
///
/// # Errors
/// What cannot be true, and how it came about.
pub async fn run(seed: u64, folder: &Path, can_mount: bool) -> Result<Counts, String> {
    let mut chance = Chance::new(seed);
    let journal = Journal::new();
    let data = folder.join("data");
    let disk = (can_mount && chance.one_in(4)).then(|| SmallDisk::mount(&data)).transpose()?;
    let options = vec![
        "--checkpoint-interval".to_owned(),
        format!("{}ms", chance.magnitude(1, 60)),
        "--checkpoint-points".to_owned(),
        chance.magnitude(1, 5_000).to_string(),
        "--drain-timeout".to_owned(),
        format!("{}ms", chance.magnitude(100, 600)),
    ];
    journal.note(format_args!("{options:?}, small disk: {}", disk.is_some()));
    let mut server = Server::start(folder, &data, options, Arc::clone(&journal)).await?;
    let mut round = Round {
        proxy: Proxy::start(server.address, chance.fork(), Arc::clone(&journal)).await,
        ledgers: Vec::new(),
        is_calm: Arc::new(AtomicBool::new(false)),
        actors: JoinSet::new(),
        journal: Arc::clone(&journal),
    };
    round.begin(&mut chance);
    let outcome = async {
        let calm_after = chance.distance(3, 8);
        for _ in 0..calm_after {
            round.fault(&mut chance, &mut server, disk.as_ref()).await?;
        }
        round.calm().await?;
        // What is finished is finished, whatever becomes of the server.
        round.verify(server.address).await?;
        server.kill().await?;
        server.begin().await?;
        round.verify(server.address).await?;
        server.drain().await
    };
    let outcome = outcome.await;
    round.actors.shutdown().await;
    if std::env::var_os("CHAOS_HISTORY").is_some() {
        eprintln!("{}", journal.history());
    }
    match journal.violation().or(outcome.err()).or_else(|| server.panic()) {
        None => Ok(journal.counts()),
        Some(what) => Err(format!(
            "{what}\n\nwhat happened before (the end of it):\n{}\nthe server's log (the end of it):\n{}",
            journal.history(),
            server.log()
        )),
    }
}

struct Round {
    proxy: Proxy,
    ledgers: Vec<Arc<Ledger>>,
    is_calm: Arc<AtomicBool>,
    actors: JoinSet<()>,
    journal: Arc<Journal>,
}

impl Round {
    /// Everybody sets to work.
    fn begin(&mut self, chance: &mut Chance) {
        for number in 0..chance.distance(1, 4) {
            let track_seed = chance.draw();
            let track = Track::draw(&mut Chance::new(track_seed));
            let name = format!("paths/chaos-{number}");
            self.journal.note(format_args!("{name}: {} points", track.len()));
            let ledger = Ledger::new(name, track, Arc::clone(&self.journal));
            let first = if chance.one_in(3) {
                let (ledger, is_calm) = (Arc::clone(&ledger), Arc::clone(&self.is_calm));
                let (chance, address) = (chance.fork(), self.proxy.address);
                self.actors.spawn(process::record(ledger, track_seed, chance, address, is_calm));
                1
            } else {
                0
            };
            let rivals = u64::from(chance.one_in(3));
            for rival in first..=rivals {
                let writer = Writer {
                    ledger: Arc::clone(&ledger),
                    chance: chance.fork(),
                    address: self.proxy.address,
                    is_calm: Arc::clone(&self.is_calm),
                    is_rival: rival > 0,
                };
                self.actors.spawn(writer.run());
            }
            self.actors.spawn(watch(Arc::clone(&ledger), chance.fork(), self.proxy.address));
            self.ledgers.push(ledger);
        }
    }

    /// Something goes wrong with the server, at any moment or just when something has become durable.
    async fn fault(
        &self,
        chance: &mut Chance,
        server: &mut Server,
        disk: Option<&SmallDisk>,
    ) -> Result<(), String> {
        sleep(chance.millis(0, 60)).await;
        if chance.one_in(2) {
            let news = self.journal.news.notified();
            let _ = timeout(Duration::from_millis(200), news).await;
            sleep(chance.millis(0, 4)).await;
        }
        if let Some(disk) = disk
            && chance.one_in(2)
        {
            self.journal.note("disk: full");
            self.journal.count(|counts| counts.full_disks += 1);
            disk.fill();
            sleep(chance.millis(10, 400)).await;
            let dies = chance.one_in(3);
            if dies {
                server.kill().await?;
            }
            disk.free();
            self.journal.note("disk: free");
            return if dies { server.begin().await } else { Ok(()) };
        }
        match chance.distance(0, 5) {
            0 => {
                self.journal.count(|counts| counts.stops += 1);
                server.pause();
                sleep(chance.millis(1, 200)).await;
                if chance.one_in(3) {
                    self.journal.count(|counts| counts.kills += 1);
                    server.kill().await?;
                    server.begin().await?;
                } else {
                    server.go_on();
                }
            }
            1 => {
                self.journal.count(|counts| counts.drains += 1);
                server.drain().await?;
                server.begin().await?;
            }
            _ => {
                self.journal.count(|counts| counts.kills += 1);
                server.kill().await?;
                sleep(chance.millis(0, 30)).await;
                server.begin().await?;
            }
        }
        Ok(())
    }

    /// No more faults: everybody comes to an end.
    async fn calm(&mut self) -> Result<(), String> {
        self.journal.note("calm");
        self.is_calm.store(true, Ordering::Relaxed);
        self.proxy.calm();
        let all = async { while self.actors.join_next().await.is_some() {} };
        if timeout(CALM_TIME, all).await.is_err() {
            return Err(
                "somebody did not come to an end although nothing was lost any more".to_owned()
            );
        }
        match self.journal.violation() {
            Some(what) => Err(what),
            None => Ok(()),
        }
    }

    /// All paths are as they were finished, however they are asked for, and stay so.
    async fn verify(&self, address: std::net::SocketAddr) -> Result<(), String> {
        let failed = |status: tonic::Status| format!("nothing was lost, and yet: {status:?}");
        let mut client = connect(address).await.map_err(failed)?;
        let page = client.list_paths(pb::ListPathsRequest::default()).await.map_err(failed)?;
        let names: Vec<_> = page.into_inner().paths.into_iter().map(|path| path.name).collect();
        let expected: Vec<_> = self.ledgers.iter().map(|ledger| ledger.name.clone()).collect();
        if names != expected {
            return Err(format!("{names:?} are listed, and {expected:?} were recorded"));
        }
        for ledger in &self.ledgers {
            let before = ask(&mut client, ledger).await.map_err(failed)?;
            if !before.as_ref().is_some_and(|path| path.complete) {
                return Err(format!("{} is not finished: {before:?}", ledger.name));
            }
            self.send_again(&mut client, ledger).await?;
            let request = pb::WatchPathRequest { name: ledger.name.clone(), allow_missing: false };
            let floor = ledger.floor();
            let mut watch = client.watch_path(request).await.map_err(failed)?.into_inner();
            while let Some(told) = watch.message().await.map_err(failed)? {
                ledger.observe("WatchPath", &floor, &told.path.unwrap_or_default());
            }
            let after = ask(&mut client, ledger).await.map_err(failed)?;
            // Opening it again may have prolonged its life, and nothing else.
            let but_expiry = |path: Option<pb::Path>| {
                format!("{:?}", path.map(|path| pb::Path { expire_time: None, ..path }))
            };
            let (before, after) = (but_expiry(before), but_expiry(after));
            if before != after {
                return Err(format!("a finished path changed\nfrom {before}\nto   {after}"));
            }
        }
        self.journal.violation().map_or(Ok(()), Err)
    }

    /// The client whose reply was lost is told the same again; points past the end are refused.
    async fn send_again(&self, client: &mut Client, ledger: &Ledger) -> Result<(), String> {
        let len = ledger.track.len();
        let mut last = ledger.track.piece(len - 10, len, true);
        last.name.clone_from(&ledger.name);
        last.options = Some(ledger.track.options_message());
        last.finish_write = true;
        let floor = ledger.floor();
        let reply = client.record_path(iter([last.clone()])).await;
        let reply = reply.map_err(|status| format!("a finished path sent again: {status:?}"))?;
        let reply = reply.into_inner();
        let path = pb::Path {
            complete: reply.complete,
            committed_points: reply.committed_points,
            summary: reply.summary,
            ..Default::default()
        };
        ledger.observe("RecordPath", &floor, &path);
        last.write_offset = Some(len as u64 - 9);
        match client.record_path(iter([last])).await {
            Err(status) if status.code() == Code::FailedPrecondition => Ok(()),
            other => Err(format!("a point past the end was answered with {other:?}")),
        }
    }
}
