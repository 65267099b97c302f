//! Finds the programs of PostgreSQL, and runs them as a user that they accept.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::skip::skipped;

/// Names the folder with the programs of PostgreSQL.
const VARIABLE: &str = "WAYWISER_POSTGRES_BIN";

/// The programs of one version of PostgreSQL.
#[derive(Clone)]
pub struct Binaries {
    folder: PathBuf,
    pub version: u32,
    /// User and group to run as, because the server refuses to run as root.
    user: Option<(u32, u32)>,
}

impl Binaries {
    /// Returns the programs that the environment names, or else the newest ones that Debian has installed. Prints why
    /// the test is skipped if there are none.
    ///
    /// # Panics
    /// If the environment names a folder without them.
    pub fn find() -> Option<Self> {
        let named = std::env::var_os(VARIABLE).map(PathBuf::from);
        let Some(folder) = named.clone().or_else(newest) else {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("test").to_owned();
            skipped(format_args!(
                "{test}: PostgreSQL is not installed. Run tests/postgres/run, or set {VARIABLE} to \
                 the folder of initdb and postgres"
            ));
            return None;
        };
        let version = Command::new(folder.join("postgres")).arg("--version").output();
        let version = version.unwrap_or_else(|error| {
            panic!("{VARIABLE} is {}, which does not have PostgreSQL: {error}", folder.display())
        });
        let text = String::from_utf8_lossy(&version.stdout).into_owned();
        let number = text.split_whitespace().nth(2).unwrap_or_default();
        let major = number.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let version = major.parse().unwrap_or_else(|_| panic!("unknown version: {text:?}"));
        let user = rustix::process::geteuid().is_root().then(unprivileged);
        Some(Self { folder, version, user })
    }

    /// Returns a command of PostgreSQL that reads no input.
    pub fn command(&self, program: &str) -> Command {
        self.as_user(self.folder.join(program))
    }

    /// Returns another command that runs as the user of the server.
    pub fn as_user(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).current_dir("/").env("LC_ALL", "C").env("PGTZ", "UTC");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes the user of the server the owner of a file.
    pub fn own(&self, path: &Path) {
        if let Some((user, group)) = self.user {
            std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
        }
    }

    /// Returns whether the server supports TLS, which is optional when PostgreSQL is compiled.
    pub fn have_tls(&self) -> bool {
        let config = self.command("pg_config").arg("--configure").output();
        let text = config.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.contains("--with-openssl") || text.contains("--with-ssl")
    }
}

/// Returns the folder of the newest version that Debian's packages have installed.
fn newest() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = |path: &PathBuf| path.join("bin/postgres").is_file();
    let folders = versions.filter_map(|entry| Some(entry.ok()?.path())).filter(installed);
    Some(folders.max_by_key(version)?.join("bin"))
}

/// Returns the IDs of the user `postgres`, or else of `nobody`.
fn unprivileged() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |wanted: &str| {
        let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let line = lines.find(|fields| fields.first() == Some(&wanted) && fields.len() > 3)?;
        Some((line[2].parse().ok()?, line[3].parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody")).unwrap_or((65_534, 65_534))
}
