//! A round with several servers: they share one database with a synchronous standby, and HAProxy distributes the calls
//! of the clients.
//!
//! The faults are those of processes, of the network between all parts, of the disk of the database, and failovers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use waywiser::store::{PostgresSettings, PostgresStore};

use crate::checker::{Counts, EventLog};
use crate::clients::Clients;
use crate::database_proxy::Fault;
use crate::reserved::reserved_address;
use crate::rng::Rng;
use crate::server::{Server, random_options};
use crate::verify::verify;

mod balancer;
mod database;
mod takeover;

use balancer::Balancer;
pub use balancer::is_installed;
use database::{COMMIT, Database, Loss};
pub use takeover::Takeovers;

/// The time that clients have to finish after the last fault, on a busy machine.
const FINISH_TIMEOUT: Duration = Duration::from_secs(180);

/// Maximum number of attempts to check the recordings after the faults.
const ATTEMPTS_MAX: usize = 40;

/// Runs a round in a folder. Returns `None`, after printing so, if no PostgreSQL is installed.
///
/// # Errors
/// Returns the first violation with the events before it.
pub async fn run(
    seed: u64,
    folder: &Path,
    can_mount: bool,
    takeovers: &Arc<Takeovers>,
) -> Result<Option<Counts>, String> {
    let mut rng = Rng::new(seed);
    let events = EventLog::new();
    let count = rng.between(2, 3) as usize;
    let has_disk = can_mount && rng.one_in(3);
    let Some(database) = Database::start(count, has_disk, Arc::clone(&events)).await else {
        return Ok(None);
    };
    let settings = PostgresSettings::parse(&database.url(0)).map_err(|error| error.to_string())?;
    PostgresStore::migrate(&settings).await.map_err(|error| error.to_string())?;
    let options = random_options(&mut rng);
    events.record(format_args!("{count} servers, {options:?}, small disk: {has_disk}"));
    let (mut servers, mut addresses, mut reserved) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let (socket, checks) = reserved_address();
        reserved.push(socket);
        let mut options = options.clone();
        options.extend(["--admin-listen".to_owned(), checks.to_string()]);
        let store = vec!["--store".to_owned(), database.url(number)];
        let log = folder.join(format!("server-{number}.log"));
        let server = Server::start(log, store, options, Arc::clone(&events)).await?;
        addresses.push((server.address, checks));
        servers.push(server);
    }
    let balancer = Balancer::start(folder, &addresses).await;
    let mut round = Round {
        clients: Clients::start(balancer.address, 2..=5, 2, &mut rng, &events).await,
        servers,
        database,
        measurements: JoinSet::new(),
        takeovers: Arc::clone(takeovers),
        events: Arc::clone(&events),
    };
    let outcome = round.complete(&mut rng, &balancer).await;
    round.clients.end().await;
    round.measurements.shutdown().await;
    if std::env::var_os("CHAOS_HISTORY").is_some() {
        eprintln!("{}", events.history());
    }
    let panic = || round.servers.iter().find_map(Server::panic);
    match events.violation().or(outcome.err()).or_else(panic) {
        None => Ok(Some(events.counts())),
        Some(what) => {
            let logs: String = round.servers.iter().map(|server| server.log() + "\n--\n").collect();
            let (history, database) = (events.history(), round.database.log());
            Err(format!(
                "{what}\n\nthe last events:\n{history}\nthe end of the logs of the servers:\n{logs}\n\
                 the end of the log of the database:\n{database}"
            ))
        }
    }
}

struct Round {
    clients: Clients,
    servers: Vec<Server>,
    database: Database,
    measurements: JoinSet<()>,
    takeovers: Arc<Takeovers>,
    events: Arc<EventLog>,
}

impl Round {
    async fn complete(&mut self, rng: &mut Rng, balancer: &Balancer) -> Result<(), String> {
        for _ in 0..rng.between(3, 6) {
            self.inject_fault(rng).await?;
            if let Some(what) = self.events.violation() {
                return Err(what);
            }
        }
        self.stop_faults().await?;
        // Each server reports the same, also after a kill of everything.
        self.verify(balancer).await?;
        for server in &mut self.servers {
            server.kill().await?;
        }
        self.database.remove_old().await;
        self.database.restart_after_kill().await;
        for server in &mut self.servers {
            server.spawn().await?;
        }
        self.verify(balancer).await?;
        for server in &mut self.servers {
            server.drain().await?;
        }
        Ok(())
    }

    /// Checks all recordings at each server, and through HAProxy.
    async fn verify(&self, balancer: &Balancer) -> Result<(), String> {
        for server in &self.servers {
            self.verify_at(server.address).await?;
        }
        self.verify_at(balancer.address).await
    }

    /// Checks all recordings at one address. Repeats what is unavailable: an idle connection to an old primary fails
    /// when it is used.
    async fn verify_at(&self, address: SocketAddr) -> Result<(), String> {
        let mut attempts = 0;
        loop {
            let outcome = verify(&self.clients.checkers, &self.events, address).await;
            attempts += 1;
            match outcome {
                Err(text) if text.contains("code: Unavailable") && attempts < ATTEMPTS_MAX => {
                    self.events.record(format_args!("verified again, because {text}"));
                    sleep(Duration::from_millis(250)).await;
                }
                outcome => return outcome,
            }
        }
    }

    fn measure(&mut self, fault: &'static str) {
        self.takeovers.measure(fault, &self.clients.checkers, &mut self.measurements);
    }

    /// Injects one fault at a random time or just after a commit.
    async fn inject_fault(&mut self, rng: &mut Rng) -> Result<(), String> {
        self.clients.wait(rng, 150).await;
        match rng.between(0, 9) {
            0..=2 => self.fault_of_server(rng).await,
            3 => {
                self.measure("database killed and started");
                self.events.count(|counts| counts.database_kills += 1);
                self.database.restart_after_kill().await;
                Ok(())
            }
            4 | 5 => {
                let loss = match rng.between(0, 2) {
                    0 => Loss::Killed,
                    1 => Loss::Paused,
                    _ => Loss::Cut,
                };
                self.database.remove_old().await;
                self.measure(match loss {
                    Loss::Killed => "failover, primary killed",
                    Loss::Paused => "failover, primary paused",
                    Loss::Cut => "failover, primary cut off",
                });
                self.events.count(|counts| counts.failovers += 1);
                self.database.promote(loss, rng).await;
                Ok(())
            }
            6 => {
                self.events.count(|counts| counts.cancelled_waits += 1);
                self.database.cancel_waits(rng).await;
                Ok(())
            }
            7 if self.database.has_disk() => {
                self.events.count(|counts| counts.full_disks += 1);
                self.database.fill_disk(rng).await;
                Ok(())
            }
            7 | 8 => self.lose_answer(rng).await,
            _ => {
                self.cut_network(rng).await;
                Ok(())
            }
        }
    }

    /// Kills, pauses or drains a server.
    async fn fault_of_server(&mut self, rng: &mut Rng) -> Result<(), String> {
        let number = rng.between(0, self.servers.len() as u64 - 1) as usize;
        self.events.record(format_args!("server {number}:"));
        match rng.between(0, 3) {
            0 => {
                self.events.count(|counts| counts.stops += 1);
                self.measure("server paused");
                self.servers[number].pause();
                sleep(rng.millis(1, 1_500)).await;
                self.servers[number].resume();
            }
            1 => {
                self.events.count(|counts| counts.drains += 1);
                self.measure("server drained");
                self.servers[number].drain().await?;
                self.servers[number].spawn().await?;
            }
            _ => {
                self.events.count(|counts| counts.kills += 1);
                self.measure("server killed");
                self.servers[number].kill().await?;
                sleep(rng.millis(0, 400)).await;
                self.servers[number].spawn().await?;
            }
        }
        Ok(())
    }

    /// Loses the answer to a commit. Sometimes the database is killed before it could answer.
    async fn lose_answer(&mut self, rng: &mut Rng) -> Result<(), String> {
        let server = rng.between(0, self.servers.len() as u64 - 1) as usize;
        let kills = rng.one_in(2);
        let fault = match rng.between(0, 2) {
            _ if kills => Fault::Silence,
            0 => Fault::CutBefore,
            1 => Fault::CutAfter,
            _ => Fault::Silence,
        };
        let route = self.database.route(server);
        let count = route.happened_so_far();
        route.on(COMMIT, fault);
        // The clients may not use this server now.
        let has_happened =
            timeout(Duration::from_millis(400), route.happened(count + 1)).await.is_ok();
        route.disarm();
        self.events.record(format_args!("database: {fault:?} at server {server}: {has_happened}"));
        if has_happened {
            self.events.count(|counts| counts.lost_answers += 1);
        }
        if has_happened && kills {
            self.events.count(|counts| counts.database_kills += 1);
            self.database.restart_after_kill().await;
        }
        // A silent connection is usable again when it is replaced.
        self.database.route(server).cut(false).await;
        Ok(())
    }

    /// Interrupts the network between one or all servers and the database.
    async fn cut_network(&mut self, rng: &mut Rng) {
        let one = rng.between(0, self.servers.len() as u64 - 1) as usize;
        let all = rng.one_in(3);
        let is_blocked = rng.one_in(2);
        self.events.record(format_args!("network: server {one}, all {all}, blocked {is_blocked}"));
        self.events.count(|counts| counts.cuts += 1);
        let time = rng.millis(0, 1_500);
        let cut = async |begins: bool| {
            for (number, routes) in self.database.routes.iter().enumerate() {
                if all || number == one {
                    for route in routes {
                        if is_blocked { route.block(begins) } else { route.cut(begins).await }
                    }
                }
            }
        };
        cut(true).await;
        sleep(time).await;
        cut(false).await;
    }

    /// Stops all faults and waits until all clients have finished.
    async fn stop_faults(&mut self) -> Result<(), String> {
        self.clients.finish(FINISH_TIMEOUT).await?;
        while self.measurements.join_next().await.is_some() {}
        self.events.violation().map_or(Ok(()), Err)
    }
}
