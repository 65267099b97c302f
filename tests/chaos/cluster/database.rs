//! A primary and its synchronous standby, reached by each server through proxies of its own.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::checker::EventLog;
use crate::database::{Cluster, DATABASE, USER, wait_for_sync};
use crate::database_proxy::Proxy;
use crate::rng::Rng;
use crate::small_disk::SmallDisk;

/// Small files, so that a small disk has space for them.
const SETTINGS: &str =
    "max_wal_size = 8MB\nmin_wal_size = 2MB\nwal_keep_size = 16MB\nmax_connections = 60";
/// The rules need no password, because the standby has the same ones.
const RULES: &str = "host all waywiser 127.0.0.1/32 trust";
const DISK_MEBIBYTES: u32 = 128;
/// The statement that stores points.
pub const COMMIT: &str = "UPDATE waywiser_recording";

/// A server of PostgreSQL, possibly on a small disk.
pub struct Node {
    /// The disk is unmounted before the folder is removed.
    disk: Option<SmallDisk>,
    pub cluster: Cluster,
}

/// How the primary is lost before the standby is promoted.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    Killed,
    /// It continues after the promotion.
    Paused,
    /// No server of waywiser and no standby reaches it until the promotion.
    Cut,
}

pub struct Database {
    pub primary: Node,
    standby: Node,
    /// The primary before the last promotion, which still runs.
    old: Option<Node>,
    /// The number of the primary: the position of its host in the URL.
    slot: usize,
    /// The replication from the primary to the standby.
    link: Proxy,
    /// For each server of waywiser the proxies to both hosts.
    pub routes: Vec<[Proxy; 2]>,
    can_mount: bool,
    events: Arc<EventLog>,
}

/// Mounts a disk for the files of a cluster, or uses the disk of its folder.
fn mount(cluster: &Cluster, can_mount: bool) -> Option<SmallDisk> {
    let disk = can_mount.then(|| SmallDisk::mount(&cluster.data(), DISK_MEBIBYTES).unwrap());
    if let Some(disk) = &disk {
        let private = Permissions::from_mode(0o700);
        std::fs::set_permissions(&disk.folder, private).unwrap();
        cluster.binaries.own(&disk.folder);
    }
    disk
}

impl Database {
    /// Starts both. Returns `None`, after printing so, if no PostgreSQL is installed.
    pub async fn start(servers: usize, can_mount: bool, events: Arc<EventLog>) -> Option<Self> {
        let mut disk = None;
        let prepare = |cluster: &Cluster| disk = mount(cluster, can_mount);
        let cluster = Cluster::initialized(SETTINGS, &["--wal-segsize=1"], prepare).await?;
        cluster.authenticate(RULES).await;
        let primary = Node { disk, cluster };
        let link = Proxy::start(primary.cluster.address).await;
        let standby = Self::new_standby(&primary, &link, can_mount).await;
        let mut routes = Vec::new();
        for _ in 0..servers {
            let primary = Proxy::start(primary.cluster.address).await;
            routes.push([primary, Proxy::start(standby.cluster.address).await]);
        }
        Some(Self { primary, standby, old: None, slot: 0, link, routes, can_mount, events })
    }

    async fn new_standby(primary: &Node, link: &Proxy, can_mount: bool) -> Node {
        let mut disk = None;
        let prepare = |cluster: &Cluster| disk = mount(cluster, can_mount);
        let cluster = primary.cluster.standby_in(link.address, prepare).await;
        primary.cluster.require_standby().await;
        Node { disk, cluster }
    }

    /// Returns the URL of the database for a server of waywiser.
    pub fn url(&self, server: usize) -> String {
        let [first, second] = &self.routes[server];
        let ports = [first, second].map(|proxy| proxy.address.port());
        format!("postgres://{USER}@127.0.0.1:{},127.0.0.1:{}/{DATABASE}", ports[0], ports[1])
    }

    /// Returns the proxy from a server of waywiser to the primary.
    pub fn route(&self, server: usize) -> &Proxy {
        &self.routes[server][self.slot]
    }

    /// Kills the primary and starts it again.
    pub async fn restart_after_kill(&mut self) {
        self.events.record("database: SIGKILL");
        self.primary.cluster.kill().await;
        self.start_primary().await;
    }

    async fn start_primary(&mut self) {
        self.primary.cluster.launch().await;
        wait_for_sync(&self.primary.cluster).await;
        self.events.record("database: started");
    }

    /// Replaces the primary by its standby. The old primary continues if it was not killed.
    pub async fn promote(&mut self, loss: Loss, rng: &mut Rng) {
        self.events.record(format_args!("database: the primary is lost, {loss:?}"));
        match loss {
            Loss::Killed => self.primary.cluster.kill().await,
            Loss::Paused => self.primary.cluster.pause(),
            Loss::Cut => {
                self.link.block(true);
                self.routes.iter().for_each(|routes| routes[self.slot].block(true));
            }
        }
        sleep(rng.millis(0, 200)).await;
        // The old primary never gets another synchronous standby.
        self.link.cut(true).await;
        self.standby.cluster.promote().await;
        self.events.record("database: the standby is promoted");
        std::mem::swap(&mut self.primary, &mut self.standby);
        let old_slot = self.slot;
        self.slot = 1 - old_slot;
        sleep(rng.millis(0, 300)).await;
        match loss {
            Loss::Killed => {}
            Loss::Paused => self.standby.cluster.resume(),
            Loss::Cut => self.routes.iter().for_each(|routes| routes[old_slot].block(false)),
        }
        if !matches!(loss, Loss::Killed) {
            // It accepts connections, but no commit ends.
            self.events.record("database: the old primary is back");
            sleep(rng.millis(0, 2_000)).await;
        }
        let old_link =
            std::mem::replace(&mut self.link, Proxy::start(self.primary.cluster.address).await);
        let standby = Self::new_standby(&self.primary, &self.link, self.can_mount).await;
        let old = std::mem::replace(&mut self.standby, standby);
        drop(old_link);
        if matches!(loss, Loss::Killed) || rng.one_in(2) {
            drop(old);
            self.old = None;
            self.use_standby().await;
            self.events.record("database: the old primary is removed");
        } else {
            // The servers reach it, and not the new standby, until the next promotion.
            self.old = Some(old);
        }
    }

    /// Routes the second host of the URL to the standby.
    async fn use_standby(&self) {
        let address = self.standby.cluster.address;
        for routes in &self.routes {
            routes[1 - self.slot].redirect(address).await;
        }
    }

    /// Removes an old primary that still runs.
    pub async fn remove_old(&mut self) {
        if self.old.take().is_some() {
            self.use_standby().await;
            self.events.record("database: the old primary is removed");
        }
    }

    /// Cancels commits that wait for the standby, while it is away.
    pub async fn cancel_waits(&self, rng: &mut Rng) {
        self.events.record("database: the standby is away");
        self.link.cut(true).await;
        for _ in 0..rng.between(1, 3) {
            sleep(rng.millis(20, 150)).await;
            let cancelled = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            let cancelled = self.primary.cluster.value(cancelled).await;
            self.events.record(format_args!("database: {cancelled} waits are cancelled"));
        }
        sleep(rng.millis(0, 500)).await;
        self.link.cut(false).await;
        wait_for_sync(&self.primary.cluster).await;
        self.events.record("database: the standby is back");
    }

    /// Returns whether the primary has a disk that can be filled.
    pub fn has_disk(&self) -> bool {
        self.primary.disk.is_some()
    }

    /// Fills the disk of the primary for a moment, and starts the primary if it has ended.
    pub async fn fill_disk(&mut self, rng: &mut Rng) {
        let Some(disk) = &self.primary.disk else { return };
        self.events.record("database: the disk is full");
        disk.fill();
        sleep(rng.millis(50, 1_500)).await;
        disk.free();
        self.events.record("database: the disk is free");
        let status = "SELECT 1";
        let answers = async {
            let session = self.primary.cluster.try_connect("postgres", DATABASE).await.ok()?;
            session.batch_execute(status).await.ok()
        };
        // It ends if it could not write its log.
        let is_up = timeout(Duration::from_secs(10), answers).await.ok().flatten().is_some();
        if !is_up || self.primary.cluster.has_ended() {
            self.events.record("database: ended");
            self.primary.cluster.kill().await;
            self.start_primary().await;
        }
    }

    /// Returns the end of the log of the primary.
    pub fn log(&self) -> String {
        let log = self.primary.cluster.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}
