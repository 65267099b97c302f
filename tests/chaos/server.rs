//! The server as a process: started, stopped, continued, told to drain, killed, started again on the
//! same port and the same data.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::ledger::Journal;

/// The program under test: the one that was built along, unless CHAOS_PROGRAM names another.
fn program() -> OsString {
    std::env::var_os("CHAOS_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_waywiser").into())
}

/// A machine that is busy takes its time; only a server that hangs takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether the program keeps recordings in a folder.
pub fn keeps_data() -> bool {
    let help = std::process::Command::new(program()).args(["serve", "--help"]).output().unwrap();
    String::from_utf8_lossy(&help.stdout).contains("--data-dir ")
}

pub struct Server {
    data: PathBuf,
    log: PathBuf,
    options: Vec<String>,
    journal: Arc<Journal>,
    process: Option<Child>,
    /// Keeps the port from being given to anybody else while no server listens there.
    _reserved: TcpSocket,
    pub address: SocketAddr,
}

impl Server {
    pub async fn start(
        folder: &Path,
        data: &Path,
        options: Vec<String>,
        journal: Arc<Journal>,
    ) -> Result<Self, String> {
        let reserved = TcpSocket::new_v4().unwrap();
        reserved.set_reuseaddr(true).unwrap();
        reserved.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = reserved.local_addr().unwrap();
        let (data, log, process) = (data.to_owned(), folder.join("server.log"), None);
        let mut server =
            Self { data, log, options, journal, process, _reserved: reserved, address };
        server.begin().await?;
        Ok(server)
    }

    pub async fn begin(&mut self) -> Result<(), String> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let mut process = Command::new(program())
            .args([
                "serve",
                "--log-filter",
                "info",
                "--listen",
                &self.address.to_string(),
                "--data-dir",
            ])
            .arg(&self.data)
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await;
        let line = line.map_err(|_| "the server did not start in time".to_owned())?;
        let line = line.ok().flatten().unwrap_or_default();
        if line != format!("listening on {}", self.address) {
            return Err(format!("the server did not start: {line:?}"));
        }
        self.process = Some(process);
        self.journal.note("server: started");
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        let pid = self.process.as_ref().and_then(Child::id);
        let pid = pid.and_then(|pid| Pid::from_raw(pid as i32));
        let _ = pid.map(|pid| kill_process(pid, signal));
    }

    pub fn pause(&self) {
        self.journal.note("server: SIGSTOP");
        self.signal(Signal::STOP);
    }

    pub fn go_on(&self) {
        self.journal.note("server: SIGCONT");
        self.signal(Signal::CONT);
    }

    /// SIGKILL, also of one that is stopped.
    pub async fn kill(&mut self) -> Result<(), String> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        if let Ok(Some(status)) = process.try_wait() {
            return Err(format!("the server had ended by itself, {status}"));
        }
        self.journal.note("server: SIGKILL");
        process.kill().await.map_err(|error| error.to_string())
    }

    /// SIGTERM, and the way to the exit.
    pub async fn drain(&mut self) -> Result<(), String> {
        self.journal.note("server: SIGTERM");
        self.signal(Signal::TERM);
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let status = timeout(PATIENCE, process.wait()).await;
        let status = status.map_err(|_| "the server did not drain in time".to_owned())?;
        let status = status.map_err(|error| error.to_string())?;
        self.journal.note(format_args!("server: drained, {status}"));
        if status.success() { Ok(()) } else { Err(format!("the server drained with {status}")) }
    }

    /// A panic of the server, if its log has one. Those of redb are caught, and tell of the disk.
    pub fn panic(&self) -> Option<String> {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines();
        let panic = lines.find(|line| line.contains("panicked at") && !line.contains("/redb-"));
        panic.map(|line| format!("the server panicked: {line}"))
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

/// A small disk of its own, if this process may mount one.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    pub fn mount(folder: &Path) -> Result<Self, String> {
        use rustix::mount::{MountFlags, mount};
        fs::create_dir_all(folder).unwrap();
        let size = c"size=12m";
        mount("tmpfs", folder, "tmpfs", MountFlags::empty(), size)
            .map_err(|error| error.to_string())?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    /// Writes until there is no room.
    pub fn fill(&self) {
        use std::io::Write as _;
        let mut file = File::create(self.filler()).unwrap();
        for size in [64 << 10, 4 << 10, 1] {
            let zeros = vec![0; size];
            while file.write_all(&zeros).is_ok() {}
        }
    }

    pub fn free(&self) {
        let _ = fs::remove_file(self.filler());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.folder, rustix::mount::UnmountFlags::DETACH);
    }
}
