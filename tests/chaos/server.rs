//! A server process that can be stopped, continued, drained, killed, and restarted on the same port and data.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::binary::waywiser;
use crate::checker::EventLog;
use crate::reserved::reserved_address;
use crate::rng::Rng;

/// The time that a server has to start or to drain, on a busy machine.
const SERVER_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the arguments for when a server commits and how long it drains.
pub fn random_options(rng: &mut Rng) -> Vec<String> {
    vec![
        "--checkpoint-interval".to_owned(),
        format!("{}ms", rng.magnitude(1, 60)),
        "--checkpoint-points".to_owned(),
        rng.magnitude(1, 5_000).to_string(),
        "--drain-timeout".to_owned(),
        format!("{}ms", rng.magnitude(100, 600)),
    ]
}

pub struct Server {
    store: Vec<String>,
    log: PathBuf,
    options: Vec<String>,
    events: Arc<EventLog>,
    process: Option<Child>,
    /// Reserves the port while no server listens on it.
    _reserved: TcpSocket,
    pub address: SocketAddr,
}

impl Server {
    /// Starts a server. `store` are the arguments that select its store.
    pub async fn start(
        log: PathBuf,
        store: Vec<String>,
        options: Vec<String>,
        events: Arc<EventLog>,
    ) -> Result<Self, String> {
        let (reserved, address) = reserved_address();
        let process = None;
        let mut server =
            Self { store, log, options, events, process, _reserved: reserved, address };
        server.spawn().await?;
        Ok(server)
    }

    /// Starts the process and waits until it accepts connections.
    pub async fn spawn(&mut self) -> Result<(), String> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let address = self.address.to_string();
        let serve = waywiser(["serve", "--log-filter", "info", "--listen", &address]);
        let mut process = Command::from(serve)
            .args(&self.store)
            .args(&self.options)
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(SERVER_TIMEOUT, lines.next_line()).await;
        let line = line.map_err(|_| "the server did not start in time".to_owned())?;
        let line = line.ok().flatten().unwrap_or_default();
        if line != format!("listening on {}", self.address) {
            return Err(format!("the server did not start: {line:?}"));
        }
        self.process = Some(process);
        self.events.record("server: started");
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        let pid = self.process.as_ref().and_then(Child::id);
        let pid = pid.and_then(|pid| Pid::from_raw(pid as i32));
        let _ = pid.map(|pid| kill_process(pid, signal));
    }

    pub fn pause(&self) {
        self.events.record("server: SIGSTOP");
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.events.record("server: SIGCONT");
        self.signal(Signal::CONT);
    }

    /// Sends SIGKILL, which also ends a stopped process.
    ///
    /// # Errors
    /// Returns an error if the process has ended before.
    pub async fn kill(&mut self) -> Result<(), String> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        if let Ok(Some(status)) = process.try_wait() {
            return Err(format!("the server had ended before it was killed: {status}"));
        }
        self.events.record("server: SIGKILL");
        process.kill().await.map_err(|error| error.to_string())
    }

    /// Sends SIGTERM and waits for a successful exit.
    pub async fn drain(&mut self) -> Result<(), String> {
        self.events.record("server: SIGTERM");
        self.signal(Signal::TERM);
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let status = timeout(SERVER_TIMEOUT, process.wait()).await;
        let status = status.map_err(|_| "the server did not drain in time".to_owned())?;
        let status = status.map_err(|error| error.to_string())?;
        self.events.record(format_args!("server: drained, {status}"));
        if status.success() { Ok(()) } else { Err(format!("the server drained with {status}")) }
    }

    /// Returns the first panic in the log. Panics of redb do not count: the server catches them, and full disks cause
    /// them.
    pub fn panic(&self) -> Option<String> {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines();
        let panic = lines.find(|line| line.contains("panicked at") && !line.contains("/redb-"));
        panic.map(|line| format!("the server panicked: {line}"))
    }

    /// Returns the end of the log.
    pub fn log(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}
