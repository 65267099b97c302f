//! Reads the password for the database of a store, if the URL has none. The sources are a file, the environment, and
//! the password file of PostgreSQL.
//!
//! The sources are read for each new connection, so that a password is replaced without a restart.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Maximum size of a file with one password.
const PASSWORD_BYTES_MAX: u64 = 4 << 10;
/// Maximum size of a password file of PostgreSQL.
const PGPASS_BYTES_MAX: u64 = 1 << 20;

/// The default directories of the sockets of PostgreSQL. In its password file, `localhost` stands for them. Another
/// directory stands for itself.
const SOCKET_DIRECTORIES: [&str; 3] = ["/run/postgresql", "/tmp", "/var/run/postgresql"];

/// The database that the password is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    /// The hosts and their ports, in the order in which they are tried.
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) database: String,
    pub(super) user: String,
}

/// The sources of a password, in their precedence.
#[derive(Clone, Debug, Default)]
pub(super) struct PasswordSources {
    /// A file that has only the password.
    pub(super) file: Option<PathBuf>,
    /// The value of `PGPASSWORD`.
    pub(super) variable: Option<String>,
    /// The password file of PostgreSQL.
    pub(super) pgpass: Option<PathBuf>,
}

/// A password, and a warning about its source. Debug output does not show the password.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) password: Option<String>,
    pub(super) warning: Option<String>,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found")
            .field("has_password", &self.password.is_some())
            .field("warning", &self.warning)
            .finish()
    }
}

impl PasswordSources {
    /// Returns the sources of this process. An empty variable is not set.
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = || Some(PathBuf::from(variable("HOME")?).join(".pgpass"));
        Self {
            file,
            variable: variable("PGPASSWORD").and_then(|value| value.into_string().ok()),
            pgpass: variable("PGPASSFILE").map(PathBuf::from).or_else(home),
        }
    }

    /// Returns the password of the first source that has one.
    ///
    /// # Errors
    /// If a source cannot be used. The message says what to do, and has no password.
    pub(super) fn find(&self, login: &Login) -> Result<Found, String> {
        if let Some(file) = &self.file {
            let found = |text| Found { password: Some(text), warning: open_to_all(file) };
            return of_file(file).map(found);
        }
        if let Some(password) = &self.variable {
            return Ok(Found { password: Some(password.clone()), warning: None });
        }
        match &self.pgpass {
            Some(file) => of_pgpass(file, login),
            None => Ok(Found::default()),
        }
    }
}

/// Reads a file that has only the password, and possibly a newline at its end.
fn of_file(path: &Path) -> Result<String, String> {
    let refused = |reason: &dyn std::fmt::Display| {
        format!("the password file {} (--store-password-file): {reason}", path.display())
    };
    let text = read(path, PASSWORD_BYTES_MAX).map_err(|error| refused(&error))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(refused(&"it is empty: write the password into it"));
    }
    if text.contains(char::is_control) {
        return Err(refused(&"it must have one line, which is the password"));
    }
    Ok(text.to_owned())
}

/// Returns the password of the first line of a password file of PostgreSQL that matches. Ignores a file that does not
/// exist or that others can read, as the programs of PostgreSQL do.
fn of_pgpass(path: &Path, login: &Login) -> Result<Found, String> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::default()),
        Err(error) => {
            let warning = Some(format!("{} is ignored: {error}", path.display()));
            return Ok(Found { password: None, warning });
        }
        Ok(metadata) if !metadata.is_file() => {
            let warning = Some(format!("{} is ignored: it is not a file", path.display()));
            return Ok(Found { password: None, warning });
        }
        Ok(metadata) if !is_private(&metadata) => {
            let warning = format!(
                "{} is ignored: its group or others have rights to it; chmod 600 {0}",
                path.display()
            );
            return Ok(Found { password: None, warning: Some(warning) });
        }
        Ok(_) => {}
    }
    let text = read(path, PGPASS_BYTES_MAX)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let mut found = login.hosts.iter().map(|(host, port)| entry(&text, host, *port, login));
    let first = found.next().flatten();
    // One connection may use any of the hosts.
    if found.any(|other| other != first) {
        return Err(format!(
            "{} has different passwords for the hosts of the URL: give them the same password",
            path.display()
        ));
    }
    Ok(Found { password: first, warning: None })
}

/// Returns the password of the first line that matches.
fn entry(text: &str, host: &str, port: u16, login: &Login) -> Option<String> {
    let host = if SOCKET_DIRECTORIES.contains(&host) { "localhost" } else { host };
    let port = port.to_string();
    let expected = [host, &port, &login.database, &login.user];
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut rests = lines.filter_map(|line| {
        expected.into_iter().try_fold(line, |rest, value| after_field(rest, value))
    });
    rests.next().map(unescaped)
}

/// Returns the line after its first field, if the field is `*` or `expected`. A backslash escapes a character.
fn after_field<'a>(line: &'a str, expected: &str) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let (mut expected, mut line) = (expected.chars(), line.chars());
    loop {
        let character = match line.next()? {
            ':' => return expected.next().is_none().then_some(line.as_str()),
            '\\' => line.next()?,
            character => character,
        };
        if expected.next() != Some(character) {
            return None;
        }
    }
}

/// Returns the last field of a line without its escapes.
fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut password = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        match character {
            // A backslash at the end stands for itself.
            '\\' => password.push(characters.next().unwrap_or('\\')),
            ':' => break,
            character => password.push(character),
        }
    }
    password
}

fn read(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    match read as u64 > bytes_max {
        true => Err(io::Error::other(format!("it has more than {bytes_max} bytes"))),
        false => Ok(text),
    }
}

#[cfg(unix)]
fn is_private(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 == 0
}

#[cfg(not(unix))]
fn is_private(_: &fs::Metadata) -> bool {
    true
}

/// Returns a warning if all users of the system can read a file.
#[cfg(unix)]
fn open_to_all(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).ok()?.permissions().mode();
    let warning = || format!("all users can read the password file {}", path.display());
    (mode & 0o004 != 0).then(warning)
}

#[cfg(not(unix))]
fn open_to_all(_: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(hosts: &[&str]) -> Login {
        Login {
            hosts: hosts.iter().map(|host| ((*host).to_owned(), 5432)).collect(),
            database: "paths".to_owned(),
            user: "way".to_owned(),
        }
    }

    fn in_pgpass(text: &str, host: &str) -> Option<String> {
        entry(text, host, 5432, &login(&[host]))
    }

    #[test]
    fn a_line_of_pgpass_matches_by_its_four_fields() {
        let found = |line| in_pgpass(line, "db");
        assert_eq!(found("db:5432:paths:way:secret"), Some("secret".to_owned()));
        assert_eq!(found("*:*:*:*:any"), Some("any".to_owned()));
        assert_eq!(
            found("#db:5432:paths:way:comment\ndb:*:*:way:second\n*:*:*:*:third"),
            Some("second".to_owned())
        );
        assert_eq!(found("db:5432:paths:way:a\\:b\\\\c"), Some("a:b\\c".to_owned()));
        for line in [
            "",
            "db",
            "dbx:5432:paths:way:a",
            "d:5432:paths:way:a",
            "db:5433:paths:way:a",
            "db:5432:paths:way",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
        for directory in ["/run/postgresql", "/var/run/postgresql", "/tmp"] {
            assert_eq!(in_pgpass("localhost:*:*:*:a", directory), Some("a".to_owned()));
        }
        assert_eq!(
            in_pgpass("localhost:*:*:*:a\n/srv/pg:*:*:*:b", "/srv/pg"),
            Some("b".to_owned())
        );
        assert_eq!(found("db:*:*:*:a\\"), Some("a\\".to_owned()));
        assert_eq!(found("db:*:*:*:a:b"), Some("a".to_owned()));
        assert_eq!(found("d\\b:*:*:*:a"), Some("a".to_owned()));
        assert_eq!(found("*x:*:*:*:a\n**:*:*:*:b"), None);
        assert_eq!(in_pgpass("a\\:\\:1:5432:paths:way:v6", "a::1"), Some("v6".to_owned()));
    }

    #[cfg(unix)]
    mod files {
        use std::os::unix::fs::PermissionsExt as _;

        use super::super::*;
        use super::login;

        fn write(path: &Path, text: &str, mode: u32) {
            fs::write(path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }

        #[test]
        fn the_file_has_precedence_over_the_variable_and_the_variable_over_pgpass() {
            let folder = tempfile::tempdir().unwrap();
            let [file, pgpass] = ["password", "pgpass"].map(|name| folder.path().join(name));
            write(&file, "of the file\r\n", 0o600);
            write(&pgpass, "*:*:*:*:of pgpass\n", 0o600);
            let mut sources = PasswordSources {
                file: Some(file.clone()),
                variable: Some("of the variable".to_owned()),
                pgpass: Some(pgpass.clone()),
            };
            let password =
                |sources: &PasswordSources| sources.find(&login(&["db"])).unwrap().password;
            assert_eq!(password(&sources).as_deref(), Some("of the file"));
            write(&file, "rotated", 0o600);
            assert_eq!(password(&sources).as_deref(), Some("rotated"));
            sources.file = None;
            assert_eq!(password(&sources).as_deref(), Some("of the variable"));
            sources.variable = None;
            assert_eq!(password(&sources).as_deref(), Some("of pgpass"));
            fs::remove_file(&pgpass).unwrap();
            assert_eq!(sources.find(&login(&["db"])), Ok(Found::default()));
        }

        #[test]
        fn a_pgpass_that_others_can_read_is_ignored_with_a_warning() {
            let folder = tempfile::tempdir().unwrap();
            let pgpass = folder.path().join("pgpass");
            let sources = PasswordSources { pgpass: Some(pgpass.clone()), ..Default::default() };
            for mode in [0o640, 0o604, 0o660] {
                write(&pgpass, "*:*:*:*:hunter2", mode);
                let found = sources.find(&login(&["db"])).unwrap();
                assert_eq!(found.password, None);
                assert!(found.warning.unwrap().contains("chmod 600"), "{mode:o}");
            }
            write(&pgpass, "one:*:*:*:hunter2\ntwo:*:*:*:hunter3", 0o600);
            let error = sources.find(&login(&["one", "two"])).unwrap_err();
            assert!(error.contains("different passwords") && !error.contains("hunter"), "{error}");
        }

        #[test]
        fn a_password_file_has_one_line() {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("password");
            let sources = PasswordSources { file: Some(file.clone()), ..Default::default() };
            let find = || sources.find(&login(&["db"]));
            assert!(find().unwrap_err().contains("--store-password-file"));
            for text in ["", "\n", "hunter2\nhunter3\n", "hunter2\0", &"hunter2".repeat(1000)] {
                write(&file, text, 0o600);
                let error = find().unwrap_err();
                assert!(!error.contains("hunter"), "{error}");
            }
            write(&file, "hunter2", 0o644);
            let found = find().unwrap();
            assert!(found.warning.as_ref().unwrap().starts_with("all users can read"));
            assert!(!format!("{found:?}").contains("hunter2"));
        }
    }
}
