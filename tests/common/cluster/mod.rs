//! A database cluster in a temporary folder: a server process, its settings, users and sockets.
#![allow(dead_code, reason = "each test target uses a part of it")]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::reserved::reserved_address;

mod binaries;
mod postmaster;
mod standby;

pub use binaries::Binaries;
use postmaster::Postmaster;
pub use standby::wait_for_sync;

/// The owner of the database, and its password.
pub const USER: &str = "waywiser";
pub const PASSWORD: &str = "correct-horse";
pub const DATABASE: &str = "waywiser";

/// Settings that make tests faster. `fsync` only matters when the operating system crashes.
const SETTINGS: &str = "
fsync = off
shared_buffers = 16MB
max_connections = 40
max_wal_size = 128MB
wal_keep_size = 256MB
dynamic_shared_memory_type = mmap
listen_addresses = '127.0.0.1'
log_min_messages = warning
log_line_prefix = '%m [%p] %q%u@%d '
password_encryption = scram-sha-256
";

const HBA: &str = "
local all postgres trust
local replication postgres trust
host replication postgres 127.0.0.1/32 trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
";

/// A cluster whose server can be stopped, killed, paused and started again. Dropping it ends the server and removes the
/// folder.
pub struct Cluster {
    folder: TempDir,
    pub binaries: Binaries,
    postmaster: Option<Postmaster>,
    /// Reserves the port while no server listens on it.
    _reserved: TcpSocket,
    pub address: SocketAddr,
    /// Environment variables of the server process.
    pub environment: Vec<(String, String)>,
}

impl Cluster {
    /// Starts a cluster with an empty database. Returns `None`, after printing so, if no PostgreSQL is installed.
    pub async fn start() -> Option<Self> {
        Self::with("").await
    }

    /// Starts a cluster with additional settings.
    pub async fn with(settings: &str) -> Option<Self> {
        Self::initialized(settings, &[], |_| {}).await
    }

    /// Starts a cluster in a folder that `prepare` has changed, with additional arguments of `initdb`.
    pub async fn initialized(
        settings: &str,
        arguments: &[&str],
        prepare: impl FnOnce(&Self),
    ) -> Option<Self> {
        let mut cluster = Self::empty(Binaries::find()?);
        prepare(&cluster);
        cluster.initialize(arguments);
        cluster.configure(SETTINGS);
        cluster.configure(settings);
        cluster.write("pg_hba.conf", HBA);
        cluster.launch().await;
        cluster.sql("postgres", &format!("CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")).await;
        cluster.sql("postgres", &format!("CREATE DATABASE {DATABASE} OWNER {USER}")).await;
        Some(cluster)
    }

    fn initialize(&self, arguments: &[&str]) {
        let mut initdb = self.binaries.command("initdb");
        initdb.args(["--no-sync", "--data-checksums", "--auth=trust", "--username=postgres"]);
        initdb.args(["--locale=C", "--encoding=UTF8", "--pgdata"]).arg(self.data());
        let initdb = initdb.args(arguments).output().unwrap();
        assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
    }

    /// Makes the folder of a cluster and reserves its port.
    fn empty(binaries: Binaries) -> Self {
        let folder = tempfile::Builder::new().prefix("waywiser-pg").tempdir().unwrap();
        binaries.own(folder.path());
        let (reserved, address) = reserved_address();
        let environment = Vec::new();
        Self { folder, binaries, postmaster: None, _reserved: reserved, address, environment }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder of the cluster and of its Unix socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Returns what the server has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Appends settings to `postgresql.conf`. They take effect at the next start or reload.
    pub fn configure(&self, settings: &str) {
        let file = self.data().join("postgresql.conf");
        let mut file = OpenOptions::new().append(true).open(file).unwrap();
        writeln!(file, "{settings}").unwrap();
    }

    /// Replaces a file of the cluster, readable only by the server.
    pub fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.data().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.binaries.own(&path);
    }

    /// Puts lines before the rules of `pg_hba.conf`, and reloads it.
    pub async fn authenticate(&self, rules: &str) {
        self.write("pg_hba.conf", &format!("{rules}\n{HBA}"));
        self.reload().await;
    }

    /// Makes the server read its settings again, and waits until each next statement of a session uses them.
    pub async fn reload(&self) {
        // A new session inherits the time of the postmaster, which has signalled the other sessions before it starts
        // this one. A session that is idle handles the signal before its next statement.
        let loaded = async || self.sql("postgres", "SELECT pg_conf_load_time()").await;
        let before = loaded().await;
        self.sql("postgres", "SELECT pg_reload_conf()").await;
        for _ in 0..3_000 {
            if loaded().await != before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server did not read its settings again:\n{}", self.log());
    }

    /// Starts the server and waits until it answers.
    pub async fn launch(&mut self) {
        assert!(self.postmaster.is_none(), "the server is running");
        self.launch_without_waiting();
        loop {
            if self.try_connect("postgres", "postgres").await.is_ok() {
                return;
            }
            if self.postmaster.as_mut().unwrap().has_ended() {
                panic!("PostgreSQL did not start:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts the server process.
    pub fn launch_without_waiting(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = self.binaries.command("postgres");
        command.arg("-D").arg(self.data());
        command.arg("-c").arg(format!("port={}", self.address.port()));
        command.arg("-c").arg(format!("unix_socket_directories={}", self.folder.path().display()));
        command.envs(self.environment.iter().cloned());
        self.postmaster = Some(Postmaster::spawn(command, log));
    }

    /// Returns whether the server process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.postmaster.as_mut().is_none_or(Postmaster::has_ended)
    }

    /// Stops the server like `pg_ctl stop -m fast`: ends all sessions.
    pub async fn stop(&mut self) {
        self.postmaster.take().unwrap().end(rustix::process::Signal::INT).await;
    }

    /// Kills the postmaster and waits until its other processes have noticed it and ended.
    pub async fn kill(&mut self) {
        self.postmaster.take().unwrap().end(rustix::process::Signal::KILL).await;
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.launch().await;
    }

    /// Pauses all processes of the server.
    pub fn pause(&self) {
        self.postmaster.as_ref().unwrap().pause();
    }

    pub fn resume(&self) {
        self.postmaster.as_ref().unwrap().resume();
    }

    /// Returns the URL of the database for its owner.
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// Returns the URL of the database at the address of a proxy.
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("postgres://{USER}:{PASSWORD}@{address}/{DATABASE}")
    }

    /// Connects through the Unix socket.
    ///
    /// # Errors
    /// Returns the error of the server, also while it does not run.
    pub async fn try_connect(
        &self,
        user: &str,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.folder.path()).port(self.address.port());
        config.user(user).password(PASSWORD).dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Opens a session of the superuser.
    pub async fn session(&self, database: &str) -> Client {
        self.try_connect("postgres", database).await.unwrap()
    }

    /// Executes statements as the superuser. Returns the rows as text.
    ///
    /// # Panics
    /// If a statement fails.
    pub async fn sql(&self, database: &str, statements: &str) -> Vec<Vec<String>> {
        query(&self.session(database).await, statements).await
    }

    /// Returns the first value of a query in the database of the store.
    pub async fn value(&self, statement: &str) -> String {
        let rows = self.sql(DATABASE, statement).await;
        rows.first().and_then(|row| row.first()).cloned().unwrap_or_default()
    }
}

/// Executes statements in a session. Returns the rows as text.
///
/// # Panics
/// If a statement fails.
pub async fn query(session: &Client, statements: &str) -> Vec<Vec<String>> {
    let messages = session.simple_query(statements).await;
    let messages = messages.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}
