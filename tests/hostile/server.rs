//! The server process under attack: its options, its log, and its CPU time and memory as the kernel reports them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::time::sleep;

use crate::binary::{BINARY, waywiser};
use crate::connection::{Connection, Reply};
use crate::messages;
use crate::report::HANG_TIMEOUT;
use crate::serve_process::Serve;
use crate::skip::skipped;

/// Returns whether the binary is optimised. A binary that `WAYWISER_BIN` names is assumed to be optimised, unless it
/// comes from a debug directory.
pub fn is_optimised() -> bool {
    match std::env::var(BINARY) {
        Ok(path) => !path.contains("/debug/"),
        Err(_) => !cfg!(debug_assertions),
    }
}

/// The memory limit of a server process whose own limits must be sufficient: 1 GiB.
pub const PROCESS_MEMORY: u64 = 1 << 30;

/// The standard error output of the server.
#[derive(Default)]
struct Log {
    bytes: u64,
    lines: Vec<String>,
}

pub struct Server {
    serve: Serve,
    log: Arc<Mutex<Log>>,
    data: Option<PathBuf>,
    pub address: SocketAddr,
}

/// CPU time and memory of the server at one time.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub cpu: Duration,
    pub resident_bytes: u64,
    pub peak_bytes: u64,
}

impl Server {
    /// Starts a server that keeps recordings in memory.
    pub fn start(options: &[(&str, &str)]) -> Self {
        Self::start_with(options, None)
    }

    /// Starts a server that keeps recordings in this directory.
    pub fn with_data(data: PathBuf) -> Self {
        Self::start_with(&[], Some(data))
    }

    fn start_with(options: &[(&str, &str)], data: Option<PathBuf>) -> Self {
        let mut command = waywiser(["serve", "--listen", "127.0.0.1:0"]);
        for (name, value) in options {
            command.args([name, value]);
        }
        match &data {
            Some(data) => command.arg("--data-dir").arg(data),
            None => command.arg("--ephemeral"),
        };
        let mut serve = Serve::spawn(command.stderr(Stdio::piped())).unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let stderr = BufReader::new(serve.process.stderr.take().unwrap());
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in stderr.split(b'\n').map_while(Result::ok) {
                let mut log = sink.lock().unwrap();
                log.bytes += line.len() as u64 + 1;
                let line = String::from_utf8_lossy(&line).into_owned();
                let is_notable = line.contains("panicked") || line.contains("suppressed");
                if is_notable || log.lines.len() < 1000 {
                    log.lines.push(line);
                }
            }
        });
        Self { address: serve.address, serve, log, data }
    }

    /// Returns the address of the HTTP listener, which `--http` has started.
    pub async fn http_address(&self) -> SocketAddr {
        let began = Instant::now();
        loop {
            let lines = self.log_lines("listening for HTTP");
            let address = lines.first().and_then(|line| line.split("address=").nth(1));
            if let Some(address) = address.and_then(|text| text.split(' ').next()) {
                return address.parse().unwrap();
            }
            assert!(began.elapsed() < HANG_TIMEOUT, "the log has no address of HTTP");
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn data(&self) -> Option<&PathBuf> {
        self.data.as_ref()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.serve.process)
    }

    /// Returns whether the process runs.
    pub fn is_alive(&mut self) -> bool {
        self.serve.process.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(self.pid(), signal);
    }

    /// Waits until the process has exited, and returns the time since `since`. Returns `None` if it does not exit.
    pub async fn exit_since(&mut self, since: Instant) -> Option<(Duration, ExitStatus)> {
        while since.elapsed() < HANG_TIMEOUT {
            if let Some(status) = self.serve.process.try_wait().unwrap() {
                return Some((since.elapsed(), status));
            }
            sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// Limits the private memory of the process, which aborts when an allocation exceeds the limit.
    pub fn limit_memory(&self, bytes: u64) {
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        if let Err(error) = rustix::process::prlimit(Some(self.pid()), Resource::Data, limit) {
            skipped(format_args!(
                "hostile: the memory limit of the process, which cannot be set: {error}"
            ));
        }
    }

    /// Returns the current usage, and zeros for a process that has exited.
    pub fn usage(&self) -> Usage {
        /// The unit of CPU time that Linux reports to user space on every architecture.
        const TICKS_PER_SECOND: u64 = 100;
        let pid = self.pid();
        let read = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let stat = read("stat");
        // Skips to the third field, because the second one may contain spaces.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        let status = read("status");
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
        };
        Usage {
            cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
            resident_bytes: kib("VmRSS:") << 10,
            peak_bytes: kib("VmHWM:") << 10,
        }
    }

    /// Waits until the server uses no CPU time, and returns the CPU time until then. Returns `None` after `timeout`.
    pub async fn cpu_until_quiet(&self, timeout: Duration) -> Option<Duration> {
        const QUIET: Duration = Duration::from_millis(200);
        let (began, first) = (Instant::now(), self.usage().cpu);
        let mut last = first;
        while began.elapsed() < timeout {
            sleep(QUIET).await;
            let now = self.usage().cpu;
            if now.saturating_sub(last) <= Duration::from_millis(10) {
                return Some(now.saturating_sub(first));
            }
            last = now;
        }
        None
    }

    /// Waits at most a minute until the resident memory is within 100 MB of this value.
    pub async fn memory_returns_to(&self, idle_bytes: u64) -> Option<Duration> {
        const MARGIN_BYTES: u64 = 100_000_000;
        const MINUTE: Duration = Duration::from_secs(60);
        let began = Instant::now();
        while self.usage().resident_bytes > idle_bytes + MARGIN_BYTES {
            if began.elapsed() > MINUTE {
                return None;
            }
            sleep(Duration::from_millis(50)).await;
        }
        Some(began.elapsed())
    }

    /// Returns the size of the log.
    pub fn log_bytes(&self) -> u64 {
        self.log.lock().unwrap().bytes
    }

    /// Returns the log lines that contain this text.
    pub fn log_lines(&self, word: &str) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.lines.iter().filter(|line| line.contains(word)).cloned().collect()
    }

    /// Makes one ordinary call on a new connection, from this address or from any.
    pub async fn ordinary_call(&self, source: Option<SocketAddr>) -> Result<Connection, String> {
        let call = async {
            let connection = Connection::with(self.address, source, crate::connection::STANDARD);
            let mut connection = connection.await.map_err(|error| error.to_string())?;
            let reply = connection.call(messages::DISPLACEMENT, &messages::three_four()).await;
            if messages::is_five(&reply) { Ok(connection) } else { Err(describe(&reply)) }
        };
        let answered = tokio::time::timeout(HANG_TIMEOUT / 4, call).await;
        answered.unwrap_or_else(|_| Err("no answer".to_owned()))
    }
}

/// Describes a reply for a failure message.
pub fn describe(reply: &Reply) -> String {
    let Reply { http, code, message, reset, is_ended, .. } = reply;
    let (bytes, message) = (reply.data.len(), message.get(..100).unwrap_or(message));
    format!(
        "http {http:?}, code {code:?} {message:?}, {bytes} bytes, reset {reset:?}, ended {is_ended}"
    )
}
