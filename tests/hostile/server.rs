//! The server under attack: a process, its options, its log, and what the system says about its use of CPU and memory.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::time::sleep;

use crate::connection::{Connection, Reply};
use crate::messages;
use crate::report::{PATIENCE, skipped};
use crate::serve_process::Serve;

/// The program under test: the one that cargo built, or the one that WAYWISER_BIN names.
fn program() -> OsString {
    std::env::var_os("WAYWISER_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_waywiser").into())
}

/// Whether the program under test is optimised. One that WAYWISER_BIN names is, unless it comes from a debug directory.
pub fn is_optimised() -> bool {
    match std::env::var("WAYWISER_BIN") {
        Ok(path) => !path.contains("/debug/"),
        Err(_) => !cfg!(debug_assertions),
    }
}

static HELP: LazyLock<String> = LazyLock::new(|| {
    let help = Command::new(program()).args(["serve", "--help"]).output().unwrap();
    String::from_utf8_lossy(&help.stdout).into_owned()
});

/// The first of these names that the program has as an option; older versions have other names or none.
pub fn option(names: &[&'static str]) -> Option<&'static str> {
    let has = |name: &&&str| HELP.split([' ', '\n']).any(|word| word == **name);
    names.iter().find(has).copied()
}

pub const MAX_MEMORY: &[&str] = &["--max-memory", "--memory-max"];
pub const DRAIN: &[&str] = &["--drain-timeout", "--drain-timeout"];
pub const IDLE: &[&str] = &["--stream-idle-timeout", "--stream-idle-timeout"];
pub const KEEPALIVE_INTERVAL: &[&str] = &["--keepalive-interval"];
pub const KEEPALIVE_TIMEOUT: &[&str] = &["--keepalive-timeout"];
pub const DATA_DIR: &[&str] = &["--data-dir", "--data-dir"];

/// A memory limit for servers whose own limits must suffice: 1 GiB.
pub const PROCESS_MEMORY: u64 = 1 << 30;

/// What the server has written to standard error.
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
    /// Starts a server that keeps recordings in memory. Options that the program does not have are left out.
    pub fn start(options: &[(&[&'static str], &str)]) -> Self {
        Self::start_with(options, None)
    }

    /// Starts a server that keeps recordings in this directory.
    pub fn with_data(data: PathBuf) -> Self {
        Self::start_with(&[], Some(data))
    }

    fn start_with(options: &[(&[&'static str], &str)], data: Option<PathBuf>) -> Self {
        let mut command = Command::new(program());
        command.args(["serve", "--listen", "127.0.0.1:0"]).env_remove("RUST_LOG");
        for (names, value) in options {
            match option(names) {
                Some(name) => drop(command.args([name, value])),
                None => eprintln!("hostile: the program has no option {}", names[0]),
            }
        }
        match &data {
            Some(data) => drop(command.arg(option(DATA_DIR).unwrap()).arg(data)),
            None => drop(command.arg("--ephemeral")),
        }
        let mut serve = Serve::spawn(command.stdin(Stdio::null()).stderr(Stdio::piped())).unwrap();
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

    pub fn data(&self) -> Option<&PathBuf> {
        self.data.as_ref()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.serve.process)
    }

    /// Whether the process runs.
    pub fn is_alive(&mut self) -> bool {
        self.serve.process.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(self.pid(), signal);
    }

    /// Waits until the process has ended; the time since `since`. `None` if it does not end.
    pub async fn ended(&mut self, since: Instant) -> Option<(Duration, ExitStatus)> {
        while since.elapsed() < PATIENCE {
            if let Some(status) = self.serve.process.try_wait().unwrap() {
                return Some((since.elapsed(), status));
            }
            sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// Limits the private memory of the process. Allocations beyond it fail, and the process aborts.
    pub fn limit_memory(&self, bytes: u64) {
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        if let Err(error) = rustix::process::prlimit(Some(self.pid()), Resource::Data, limit) {
            skipped(format_args!("the memory limit of the process cannot be set ({error})"));
        }
    }

    /// Zero for a process that has ended.
    pub fn usage(&self) -> Usage {
        /// What Linux reports to user space on every architecture.
        const TICKS_PER_SECOND: u64 = 100;
        let pid = self.pid();
        let read = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let stat = read("stat");
        // The fields from the third on; the second may contain spaces.
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

    /// Waits until the server uses no CPU time, and returns how much it used until then. `None` if it does not stop.
    pub async fn cpu_until_quiet(&self, patience: Duration) -> Option<Duration> {
        const QUIET: Duration = Duration::from_millis(200);
        let (began, first) = (Instant::now(), self.usage().cpu);
        let mut last = first;
        while began.elapsed() < patience {
            sleep(QUIET).await;
            let now = self.usage().cpu;
            if now.saturating_sub(last) <= Duration::from_millis(10) {
                return Some(now.saturating_sub(first));
            }
            last = now;
        }
        None
    }

    /// Waits until the resident memory is within 100 MB of this value, for at most a minute.
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

    /// Bytes of log so far.
    pub fn log_bytes(&self) -> u64 {
        self.log.lock().unwrap().bytes
    }

    /// The log lines that contain a word.
    pub fn log_lines(&self, word: &str) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.lines.iter().filter(|line| line.contains(word)).cloned().collect()
    }

    /// One ordinary call on a new connection, from this address or from any.
    pub async fn ordinary_call(&self, source: Option<SocketAddr>) -> Result<Connection, String> {
        let call = async {
            let connection = Connection::with(self.address, source, crate::connection::POLITE);
            let mut connection = connection.await.map_err(|error| error.to_string())?;
            let reply = connection.call(messages::DISPLACEMENT, &messages::three_four()).await;
            if messages::is_five(&reply) { Ok(connection) } else { Err(describe(&reply)) }
        };
        let answered = tokio::time::timeout(PATIENCE / 4, call).await;
        answered.unwrap_or_else(|_| Err("no answer".to_owned()))
    }
}

/// A reply in a failure message.
pub fn describe(reply: &Reply) -> String {
    let Reply { http, code, message, reset, is_ended, .. } = reply;
    let (bytes, message) = (reply.data.len(), message.get(..100).unwrap_or(message));
    format!(
        "http {http:?}, code {code:?} {message:?}, {bytes} bytes, reset {reset:?}, ended {is_ended}"
    )
}
