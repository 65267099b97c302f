//! Opens a connection, and checks that the database can be used. It must accept writes, and have the right clock and
//! the schema of this program. Its synchronous standbys must answer.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::{Config, NoTls};

use super::conditions::{self, Conditions, unix_ms};
use super::error::PostgresOpenError;
use super::failure::{self, Failure};
use super::hosts;
use super::link::{BARRIER, Link, Statement};
use super::schema;
use super::settings::{PostgresSettings, TlsMode, TlsSettings};
use super::tls::Tls;

/// The server closes the connection if what it sends is not acknowledged for this long.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);
/// The time without data after which TCP checks the connection.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The oldest version of PostgreSQL that can be used, as `server_version_num`.
const SERVER_VERSION_MIN: i32 = 140_000;

/// The reason for clients if the database server does not accept the connection.
const REFUSED: &str = "the database refuses the connection; the log of this server has the reason";

/// A connection that can be used.
pub(super) struct Opened {
    pub(super) link: Link,
    /// The index of the host.
    pub(super) host: usize,
    /// The settings and the clock of the database.
    pub(super) conditions: Conditions,
}

/// The reason why no host can be used.
#[derive(Debug)]
pub(super) struct OpenFailure {
    error: PostgresOpenError,
    /// The host, if there are several.
    host: Option<String>,
    /// The reason for clients, if `error` has texts of the server or of the system.
    public: Option<String>,
}

impl OpenFailure {
    /// Returns the reason for clients, without names of hosts and users, and without paths.
    pub(super) fn for_clients(&self) -> String {
        match &self.error {
            PostgresOpenError::Refused(_) => REFUSED.to_owned(),
            PostgresOpenError::NoPrivilege(_) => {
                "the user of the database lacks privileges; the log of this server has the reason"
                    .to_owned()
            }
            error => self.public.clone().unwrap_or_else(|| error.to_string()),
        }
    }

    /// Returns the failure of a statement on a new connection, whose reason can be a text of the server.
    fn of_statement(error: PostgresOpenError) -> Self {
        let has_text = matches!(error, PostgresOpenError::Unavailable(_)) && error != read_only();
        let public = "the database cannot be used; the log of this server has the reason";
        Self { error, host: None, public: has_text.then(|| public.to_owned()) }
    }
}

impl From<PostgresOpenError> for OpenFailure {
    fn from(error: PostgresOpenError) -> Self {
        Self { error, host: None, public: None }
    }
}

impl From<OpenFailure> for PostgresOpenError {
    /// Returns the reason for the operator, with the name of the host.
    fn from(OpenFailure { error, host, .. }: OpenFailure) -> Self {
        match (error, host) {
            (Self::Unavailable(text), Some(host)) => Self::Unavailable(format!("{host}: {text}")),
            (Self::Refused(text), Some(host)) => Self::Refused(format!("{host}: {text}")),
            (error, _) => error,
        }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The schema must be that of this program.
    Store,
    /// The schema is not checked.
    Migration,
}

/// Tries the hosts, starting with the index `first`, and returns a connection to the first one that can be used.
///
/// # Errors
/// If no host can be used. An error that does not end by itself is preferred to others.
pub(super) async fn open(
    settings: &PostgresSettings,
    first: usize,
    purpose: Purpose,
) -> Result<Opened, OpenFailure> {
    let reader = settings.clone();
    let read = tokio::task::spawn_blocking(move || {
        let password = reader.current_password()?;
        let tls = match reader.tls.mode {
            TlsMode::Disable => None,
            _ => Some(Tls::read(&reader.tls)?),
        };
        Ok((password, tls))
    });
    let read = read.await.unwrap_or_else(|error| Err(error.to_string()));
    let (password, tls) = read.map_err(PostgresOpenError::Refused)?;
    let count = settings.hosts().len();
    let attempt = |index: usize| {
        let (password, tls) = (password.as_deref(), tls.as_ref());
        async move {
            // The time starts when the attempt does.
            let deadline = Instant::now() + settings.connect_timeout;
            let opened = open_host(settings, index, password, tls, purpose, deadline).await;
            let host = || (count > 1).then(|| settings.hosts()[index].0.clone());
            opened.map_err(|failure| OpenFailure { host: host(), ..failure })
        }
    };
    let attempts = (0..count).map(|offset| attempt((first + offset) % count));
    hosts::first_success(attempts).await.map_err(|failures| {
        let failure = failures.into_iter().reduce(|kept, next| match kept.error.is_retriable() {
            true if !next.error.is_retriable() => next,
            _ => kept,
        });
        failure.unwrap_or_else(|| {
            PostgresOpenError::Unavailable("the URL has no host".to_owned()).into()
        })
    })
}

async fn open_host(
    settings: &PostgresSettings,
    index: usize,
    password: Option<&str>,
    tls: Option<&Tls>,
    purpose: Purpose,
    deadline: Instant,
) -> Result<Opened, OpenFailure> {
    let (host, port) = &settings.hosts()[index];
    let mut config = Config::new();
    // A host that starts with a slash is a Unix socket.
    config.host(host).port(*port).user(settings.user()).dbname(settings.database());
    config.application_name(&settings.application_name);
    config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(3);
    config.tcp_user_timeout(UNACKNOWLEDGED_MAX);
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    // A name can have several addresses, and this limit is that of each of them.
    config.connect_timeout(settings.connect_timeout / 3);
    config.channel_binding(settings.channel_binding);
    if let Some(password) = password {
        config.password(password);
    }
    let is_socket = host.starts_with('/');
    config.ssl_mode(match settings.tls.mode {
        _ if is_socket => SslMode::Disable,
        TlsMode::Disable => SslMode::Disable,
        TlsMode::Prefer => SslMode::Prefer,
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
    });
    let late = |what: &str| {
        let s = settings.connect_timeout.as_secs();
        PostgresOpenError::Unavailable(format!("{what} within {s} s"))
    };
    let tls = tls.map(Tls::for_attempt);
    let connecting = async {
        Ok::<_, tokio_postgres::Error>(match &tls {
            Some(tls) if !is_socket => {
                let (client, connection) = config.connect(tls.clone()).await?;
                Link::new(client, connection)
            }
            _ => {
                let (client, connection) = config.connect(NoTls).await?;
                Link::new(client, connection)
            }
        })
    };
    let link = timeout_at(deadline, connecting).await;
    let link = link.map_err(|_| late("the database does not accept the connection"))?;
    let link = link.map_err(|error| OpenFailure {
        error: of_connecting(&error, &settings.tls),
        host: None,
        public: Some(public_reason(&error)),
    })?;
    let conditions = check_server(&link, deadline).await;
    let mut conditions = conditions.map_err(OpenFailure::of_statement)?;
    conditions.is_exposed = !is_local(host) && !tls.is_some_and(|tls| tls.is_used());
    // An isolated old primary still accepts connections, but its standbys do not answer.
    let barrier = link.transaction(&[Statement::new(BARRIER, Vec::new())], deadline).await;
    match barrier {
        Ok(_) => {}
        Err(_) if Instant::now() >= deadline => {
            return Err(late(
                "the database accepts connections, but does not complete a transaction, for example because a \
                 synchronous standby does not answer,",
            )
            .into());
        }
        Err(failure) => return Err(OpenFailure::of_statement(schema::of_failure(&failure))),
    }
    if purpose == Purpose::Store {
        schema::check(&link, deadline).await.map_err(OpenFailure::of_statement)?;
    }
    Ok(Opened { link, host: index, conditions })
}

/// Returns whether connections to a host stay on this machine.
fn is_local(host: &str) -> bool {
    host.starts_with('/')
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Checks the version and the clock of the server. Returns its settings and its clock.
async fn check_server(link: &Link, deadline: Instant) -> Result<Conditions, PostgresOpenError> {
    let statements = [
        Statement::new(
            "SELECT current_setting('server_version_num')::integer, pg_is_in_recovery()",
            Vec::new(),
        ),
        Statement::new(conditions::READ, Vec::new()),
    ];
    let before = unix_ms();
    let rows = link.transaction(&statements, deadline).await;
    let after = unix_ms();
    let rows = rows.map_err(|failure| match &failure {
        Failure::Refused(refusal) if refusal.code == "25006" => read_only(),
        failure => schema::of_failure(failure),
    })?;
    let columns = || {
        let row = rows.first()?.first()?;
        let conditions = Conditions::of(rows.get(1)?.first()?, before, after)?;
        Some((row.try_get::<_, i32>(0).ok()?, row.try_get::<_, bool>(1).ok()?, conditions))
    };
    let (version, is_standby, conditions) = columns().ok_or_else(|| {
        PostgresOpenError::Refused("the database server is not PostgreSQL".to_owned())
    })?;
    if version < SERVER_VERSION_MIN {
        return Err(PostgresOpenError::Refused(format!(
            "the database server is PostgreSQL {}: use PostgreSQL 14 or newer",
            version / 10_000
        )));
    }
    if is_standby {
        return Err(read_only());
    }
    match conditions.is_refused() {
        true => Err(PostgresOpenError::ClockSkew { skew_ms: conditions.skew_ms }),
        false => Ok(conditions),
    }
}

fn read_only() -> PostgresOpenError {
    PostgresOpenError::Unavailable(
        "the database does not accept writes: it is a standby, or read-only by a setting"
            .to_owned(),
    )
}

/// Returns the reason of a failed attempt to connect for clients: a fixed text. The texts of the server and of the system
/// can have the names of hosts, users and databases.
fn public_reason(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return match db.code().code() {
            "53300" => "the database has too many connections",
            "57P03" => "the database is starting, stopping or recovering",
            _ => REFUSED,
        }
        .to_owned();
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.to_string() == "database does not allow writes" {
            return read_only().to_string();
        }
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            return format!("the database cannot be reached: {}", error.kind());
        }
        source = cause.source();
    }
    "the database cannot be reached".to_owned()
}

/// Converts the error of an attempt to connect.
fn of_connecting(error: &tokio_postgres::Error, tls: &TlsSettings) -> PostgresOpenError {
    let text = failure::text(error);
    if let Some(db) = error.as_db_error() {
        return match db.code().code() {
            // The password, the user, the rules of pg_hba.conf, the database.
            "28P01" | "28000" | "3D000" => PostgresOpenError::Refused(format!(
                "{text}: check the user, the password and the name of the database"
            )),
            "42501" => PostgresOpenError::NoPrivilege(db.message().to_owned()),
            _ => PostgresOpenError::Unavailable(text),
        };
    }
    let mut source = error.source();
    while let Some(cause) = source {
        let inner = cause.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        let found = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_)) = found
        {
            return PostgresOpenError::Refused(format!(
                "{text}: check sslmode, sslrootcert, sslcert and sslkey"
            ));
        }
        if cause.to_string() == "database does not allow writes" {
            return read_only();
        }
        source = cause.source();
    }
    if text.contains("server does not support TLS") {
        return PostgresOpenError::Refused(format!(
            "the database server does not support TLS, which sslmode={} requires: set ssl = on in its configuration",
            tls.mode.text()
        ));
    }
    if text.contains("password missing") {
        return PostgresOpenError::Refused(
            "the database server requires a password, and no source has one: write it into the file of \
             --store-password-file or into ~/.pgpass, or set PGPASSWORD"
                .to_owned(),
        );
    }
    if text.starts_with("authentication error") || text.starts_with("invalid configuration") {
        return PostgresOpenError::Refused(text);
    }
    PostgresOpenError::Unavailable(format!("the database cannot be reached: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_and_loopback_addresses_are_local() {
        for host in ["/run/postgresql", "localhost", "127.0.0.1", "127.9.0.1", "::1"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["db", "localhost.example.org", "10.0.0.1", "0.0.0.0", "::2", "run/x"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
