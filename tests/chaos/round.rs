//! One round: clients write and watch recordings while faults occur. Then the faults stop, and every recording must
//! be finished exactly once with bit-identical totals, also after a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::checker::{Counts, EventLog};
use crate::clients::Clients;
use crate::rng::Rng;
use crate::server::{Server, random_options};
use crate::small_disk::SmallDisk;
use crate::verify::verify;

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
    let options = random_options(&mut rng);
    events.record(format_args!("{options:?}, small disk: {}", disk.is_some()));
    let store = vec!["--data-dir".to_owned(), data.display().to_string()];
    let log = folder.join("server.log");
    let mut server = Server::start(log, store, options, Arc::clone(&events)).await?;
    let mut round = Round {
        clients: Clients::start(server.address, 1..=4, 3, &mut rng, &events).await,
        events: Arc::clone(&events),
    };
    let outcome = async {
        for _ in 0..rng.between(3, 8) {
            round.inject_fault(&mut rng, &mut server, disk.as_ref()).await?;
        }
        round.stop_faults().await?;
        // Finished paths must also survive a kill.
        verify(&round.clients.checkers, &round.events, server.address).await?;
        server.kill().await?;
        server.spawn().await?;
        verify(&round.clients.checkers, &round.events, server.address).await?;
        server.drain().await
    };
    let outcome = outcome.await;
    round.clients.end().await;
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
    clients: Clients,
    events: Arc<EventLog>,
}

impl Round {
    /// Injects one fault into the server, at a random time or just after a commit.
    async fn inject_fault(
        &self,
        rng: &mut Rng,
        server: &mut Server,
        disk: Option<&SmallDisk>,
    ) -> Result<(), String> {
        self.clients.wait(rng, 60).await;
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
        self.clients.finish(FINISH_TIMEOUT).await?;
        self.events.violation().map_or(Ok(()), Err)
    }
}
