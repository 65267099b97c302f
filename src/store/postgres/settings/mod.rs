//! The address of a database: its URL, and the source of its password.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::ChannelBinding;

use self::url::Url;

mod url;

/// The port of a host without one.
const PORT: u16 = 5432;
/// The time limit of one attempt to connect to one host, with the checks of the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time limit that can be set.
const CONNECT_TIMEOUT_MAX_S: u64 = 60;
/// Maximum number of hosts.
const HOSTS_MAX: usize = 16;

/// Returns the password for a new connection, or the reason why it cannot be read.
type PasswordSource = Arc<dyn Fn() -> Result<Option<String>, String> + Send + Sync>;

/// The settings of a [`PostgresStore`](super::PostgresStore): how to reach the database, and its maximum number of
/// recordings.
///
/// `Display` and `Debug` do not show the password.
///
/// ```
/// use waywiser::store::PostgresSettings;
///
/// let url = "postgres://waywiser:secret@db.example.com/paths?sslmode=verify-full";
/// let settings = PostgresSettings::parse(url)?;
/// assert_eq!((settings.user(), settings.database()), ("waywiser", "paths"));
/// assert_eq!(settings.hosts(), [("db.example.com".to_owned(), 5432)]);
/// assert_eq!(settings.to_string(), "postgres://waywiser@db.example.com/paths?sslmode=verify-full");
/// # Ok::<(), waywiser::store::PostgresSettingsError>(())
/// ```
#[derive(Clone)]
pub struct PostgresSettings {
    user: String,
    password: Option<String>,
    password_source: Option<PasswordSource>,
    hosts: Vec<(String, u16)>,
    database: String,
    pub(super) tls: TlsSettings,
    pub(super) application_name: String,
    pub(super) connect_timeout: Duration,
    pub(super) channel_binding: ChannelBinding,
    pub(super) max_recordings: u64,
    /// The URL without the password.
    text: String,
}

/// The use of TLS, as in libpq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS if the server supports it. The certificate is not verified.
    #[default]
    Prefer,
    /// Always TLS. The certificate is verified only if `sslrootcert` is set.
    Require,
    /// The certificate must be of a trusted CA.
    VerifyCa,
    /// The certificate must be of a trusted CA, and for the host.
    VerifyFull,
}

impl TlsMode {
    const ALL: [(&str, Self); 5] = [
        ("disable", Self::Disable),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// Returns the value of the option.
    pub(super) fn text(self) -> &'static str {
        Self::ALL.iter().find(|(_, mode)| *mode == self).map_or("", |(text, _)| text)
    }
}

/// The options of TLS. The files are read when a connection is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TlsSettings {
    pub(super) mode: TlsMode,
    /// The trusted CAs. Without it, those of the system.
    pub(super) ca_file: Option<PathBuf>,
    /// The files of the client certificate and of its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// The reason why a URL is not a valid address of a database. The message says what to write instead, and does not
/// contain the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PostgresSettingsError {
    message: String,
}

fn invalid(message: impl Into<String>) -> PostgresSettingsError {
    PostgresSettingsError { message: message.into() }
}

impl PostgresSettings {
    /// Maximum number of recordings by default.
    pub const RECORDINGS_MAX: u64 = 1_000_000;

    /// Parses `postgres://user[:password]@host[:port][,host2[:port2]]/database[?option=value&...]`. Reads neither files
    /// nor environment variables.
    ///
    /// Several hosts are the servers of one cluster: the store uses the first one that accepts writes. A host can be the
    /// directory of a Unix socket, with `%2F` for each slash. The default database has the name of the user. The
    /// options are those of libpq:
    ///
    /// | option | value |
    /// |---|---|
    /// | `sslmode` | `disable`, `prefer` (the default), `require`, `verify-ca` or `verify-full` |
    /// | `sslrootcert` | a PEM file with the trusted CAs, or `system` (the default) for those of the system |
    /// | `sslcert`, `sslkey` | PEM files with the certificate of the client and its key |
    /// | `application_name` | the name of the client in the views of the database, by default `waywiser` |
    /// | `connect_timeout` | the time limit of one attempt to connect to one host, from 1 to 60 s, by default 5 |
    /// | `channel_binding` | `disable`, `prefer` (the default) or `require`: binds the password to the TLS connection |
    /// | `target_session_attrs` | `read-write`, `primary` or `any`; the store always looks for a host that accepts writes |
    /// | `host`, `port`, `user`, `password`, `dbname` | the parts of the URL, if it does not have them |
    ///
    /// # Errors
    /// If the text is not such a URL, has an unknown option or has no user or host.
    pub fn parse(url: &str) -> Result<Self, PostgresSettingsError> {
        let mut url = Url::parse(url)?;
        let user = url.user.take().ok_or_else(|| {
            invalid("the URL has no user: write it as postgres://USER@HOST/DATABASE")
        })?;
        let hosts = hosts(&url)?;
        let database = url.database.take().unwrap_or_else(|| user.clone());
        let password = url.password.take();
        let mut settings = Self {
            text: url::display(&user, &hosts, &database, &url.options),
            user,
            password,
            password_source: None,
            hosts,
            database,
            tls: TlsSettings::default(),
            application_name: "waywiser".to_owned(),
            connect_timeout: CONNECT_TIMEOUT,
            channel_binding: ChannelBinding::Prefer,
            max_recordings: Self::RECORDINGS_MAX,
        };
        let is_shown = url.shows_options;
        let (mut certificate, mut key) = (None, None);
        let mut is_system = false;
        for (option, value) in url.options {
            match option.as_str() {
                "sslmode" => settings.tls.mode = tls_mode(&value)?,
                "sslrootcert" if value == "system" => is_system = true,
                "sslrootcert" => settings.tls.ca_file = Some(value.into()),
                "sslcert" => certificate = Some(PathBuf::from(value)),
                "sslkey" => key = Some(PathBuf::from(value)),
                "application_name" => settings.application_name = value,
                "connect_timeout" => settings.connect_timeout = timeout(&value)?,
                "channel_binding" => settings.channel_binding = channel_binding(&value)?,
                "target_session_attrs" => session_attributes(&value)?,
                option => return Err(unknown(option, is_shown)),
            }
        }
        if is_system && settings.tls.mode != TlsMode::VerifyFull {
            return Err(invalid(
                "sslrootcert=system needs sslmode=verify-full: the CAs of the system sign certificates of anyone's hosts",
            ));
        }
        settings.tls.identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(invalid("sslcert and sslkey belong together: set both or neither"));
            }
        };
        Ok(settings)
    }

    /// Sets a function that returns the password. It is called on a blocking thread for each new connection, so that a
    /// rotated password is used. `None` means no password. It replaces the password of the URL.
    #[must_use]
    pub fn with_password_source(
        mut self,
        source: Arc<dyn Fn() -> Result<Option<String>, String> + Send + Sync>,
    ) -> Self {
        self.password_source = Some(source);
        self
    }

    /// Sets the maximum number of recordings; one more is [`StoreError::Full`](crate::recording::StoreError::Full).
    /// All servers of a database should have the same maximum.
    #[must_use]
    pub fn with_max_recordings(mut self, max_recordings: u64) -> Self {
        self.max_recordings = max_recordings;
        self
    }

    /// Returns whether there is a password, or a source of one.
    pub fn has_password(&self) -> bool {
        self.password.is_some() || self.password_source.is_some()
    }

    /// Returns the user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Returns the hosts with their ports. A host that starts with a slash is the directory of a Unix socket.
    pub fn hosts(&self) -> &[(String, u16)] {
        &self.hosts
    }

    /// Returns the password of a new connection. May read files.
    ///
    /// # Errors
    /// The error of the source.
    pub(super) fn current_password(&self) -> Result<Option<String>, String> {
        match &self.password_source {
            Some(source) => source(),
            None => Ok(self.password.clone()),
        }
    }
}

impl fmt::Display for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSettings")
            .field("url", &self.text)
            .field("has_password", &self.has_password())
            .field("max_recordings", &self.max_recordings)
            .finish_non_exhaustive()
    }
}

/// Pairs the hosts with their ports. One port may be for all hosts.
fn hosts(url: &Url) -> Result<Vec<(String, u16)>, PostgresSettingsError> {
    if url.hosts.is_empty() {
        return Err(invalid("the URL has no host: write it as postgres://USER@HOST/DATABASE"));
    }
    if url.hosts.len() > HOSTS_MAX {
        return Err(invalid(format!("the URL has more than {HOSTS_MAX} hosts")));
    }
    let shared = match &url.ports[..] {
        [port] => Some(port),
        ports if ports.is_empty() || ports.len() == url.hosts.len() => None,
        ports => {
            return Err(invalid(format!(
                "the URL has {} hosts and {} ports: give one port, or one for each host",
                url.hosts.len(),
                ports.len()
            )));
        }
    };
    let mut hosts = Vec::new();
    for (index, host) in url.hosts.iter().enumerate() {
        let port = host.port.as_deref().or(shared.map(String::as_str));
        let port =
            port.or(url.ports.get(index).map(String::as_str)).filter(|port| !port.is_empty());
        let port = match port {
            None => PORT,
            Some(text) => {
                let port = text.parse().ok().filter(|&port| port > 0);
                // The text may be a part of a password that is not escaped.
                port.ok_or_else(|| invalid("a port of the URL is not a number from 1 to 65535"))?
            }
        };
        hosts.push((host.name.clone(), port));
    }
    Ok(hosts)
}

fn tls_mode(value: &str) -> Result<TlsMode, PostgresSettingsError> {
    let mode = TlsMode::ALL.iter().find(|(text, _)| *text == value).map(|&(_, mode)| mode);
    mode.ok_or_else(|| {
        invalid(format!(
            "sslmode is {value:?}: use disable, prefer, require, verify-ca or verify-full"
        ))
    })
}

fn timeout(value: &str) -> Result<Duration, PostgresSettingsError> {
    let seconds = value.parse().ok().filter(|s| (1..=CONNECT_TIMEOUT_MAX_S).contains(s));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        invalid(format!(
            "connect_timeout is {value:?}: use a number of seconds from 1 to {CONNECT_TIMEOUT_MAX_S}"
        ))
    })
}

fn channel_binding(value: &str) -> Result<ChannelBinding, PostgresSettingsError> {
    match value {
        "disable" => Ok(ChannelBinding::Disable),
        "prefer" => Ok(ChannelBinding::Prefer),
        "require" => Ok(ChannelBinding::Require),
        _ => Err(invalid(format!("channel_binding is {value:?}: use disable, prefer or require"))),
    }
}

fn session_attributes(value: &str) -> Result<(), PostgresSettingsError> {
    match value {
        "any" | "read-write" | "primary" => Ok(()),
        _ => Err(invalid(format!(
            "target_session_attrs is {value:?}, but the store writes: use read-write, primary or any"
        ))),
    }
}

/// Returns the error of an option that is not supported. `is_shown` is whether its name cannot be a part of a password.
fn unknown(option: &str, is_shown: bool) -> PostgresSettingsError {
    let advice = match option {
        "options" => "set parameters of the session with ALTER ROLE ... SET in the database",
        "passfile" | "service" => "put the values into the URL or into the settings of the program",
        _ => {
            "use sslmode, sslrootcert, sslcert, sslkey, channel_binding, application_name, connect_timeout, \
             target_session_attrs, host, port, user, password or dbname"
        }
    };
    // These are shown in any case: no password has a part like them.
    const KNOWN: [&str; 11] = [
        "client_encoding",
        "fallback_application_name",
        "gssencmode",
        "hostaddr",
        "krbsrvname",
        "load_balance_hosts",
        "options",
        "passfile",
        "require_auth",
        "service",
        "sslcrl",
    ];
    match KNOWN.contains(&option) {
        true => invalid(format!("the option {option:?} of the URL is not supported: {advice}")),
        false if is_shown => {
            invalid(format!("the URL has the unknown option {option:?}: {advice}"))
        }
        false => invalid(format!("the URL has an unknown option: {advice}")),
    }
}

#[cfg(test)]
mod tests;
