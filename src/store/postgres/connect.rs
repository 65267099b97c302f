//! Opens a connection, and checks that the database can be used. It must accept writes, and have the right clock and
//! the schema of this program. Its synchronous standbys must answer.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::{Config, NoTls};

use super::error::PostgresOpenError;
use super::failure::{self, Failure};
use super::link::{BARRIER, Link, Statement};
use super::schema;
use super::settings::{PostgresSettings, TlsMode, TlsSettings};
use super::tls::Tls;

/// The server closes the connection if what it sends is not acknowledged for this long.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);
/// The time without data after which TCP checks the connection.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// A difference of the clocks from which the log has a warning.
const SKEW_WARNED_MS: i64 = 10_000;
/// A difference of the clocks from which the database is not used.
const SKEW_REFUSED_MS: i64 = 3_600_000;
/// The oldest version of PostgreSQL that can be used, as `server_version_num`.
const SERVER_VERSION_MIN: i32 = 140_000;

/// A connection that can be used.
pub(super) struct Opened {
    pub(super) link: Link,
    /// The index of the host.
    pub(super) host: usize,
    /// The time of the database minus that of this machine.
    pub(super) skew_ms: i64,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The schema must be that of this program.
    Store,
    /// The schema is not checked.
    Migration,
}

/// Tries the hosts in turn, starting with the index `first`, and returns a connection to the first one that can be used.
///
/// # Errors
/// If there is none. An error that does not end by itself is preferred to others.
pub(super) async fn open(
    settings: &PostgresSettings,
    first: usize,
    purpose: Purpose,
) -> Result<Opened, PostgresOpenError> {
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
    let mut error = None::<PostgresOpenError>;
    for index in (0..count).map(|offset| (first + offset) % count) {
        let deadline = Instant::now() + settings.connect_timeout;
        let opened =
            open_host(settings, index, password.as_deref(), tls.as_ref(), purpose, deadline);
        match opened.await {
            Ok(opened) => return Ok(opened),
            Err(next) => {
                let next = match count {
                    1 => next,
                    _ => with_host(next, &settings.hosts()[index].0),
                };
                if error.as_ref().is_none_or(PostgresOpenError::is_retriable) {
                    error = Some(next);
                }
            }
        }
    }
    Err(error.unwrap_or_else(|| PostgresOpenError::Unavailable("the URL has no host".to_owned())))
}

fn with_host(error: PostgresOpenError, host: &str) -> PostgresOpenError {
    match error {
        PostgresOpenError::Unavailable(text) => {
            PostgresOpenError::Unavailable(format!("{host}: {text}"))
        }
        PostgresOpenError::Refused(text) => PostgresOpenError::Refused(format!("{host}: {text}")),
        error => error,
    }
}

async fn open_host(
    settings: &PostgresSettings,
    index: usize,
    password: Option<&str>,
    tls: Option<&Tls>,
    purpose: Purpose,
    deadline: Instant,
) -> Result<Opened, PostgresOpenError> {
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
    let connecting = async {
        Ok::<_, tokio_postgres::Error>(match tls {
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
    let mut link = link.map_err(|error| of_connecting(&error, &settings.tls))?;
    let skew_ms = check_server(&mut link, deadline).await?;
    // An isolated old primary still accepts connections, but its standbys do not answer.
    let barrier = link.transaction(&[Statement::new(BARRIER, Vec::new())], deadline).await;
    match barrier {
        Ok(_) => {}
        Err(_) if Instant::now() >= deadline => {
            return Err(late(
                "the database accepts connections, but does not complete a transaction, for example because a \
                 synchronous standby does not answer,",
            ));
        }
        Err(failure) => return Err(schema::of_failure(&failure)),
    }
    if purpose == Purpose::Store {
        schema::check(&link, deadline).await?;
    }
    Ok(Opened { link, host: index, skew_ms })
}

/// Checks the version, the settings and the clock of the server. Returns the time of the server minus that of this
/// machine in milliseconds.
async fn check_server(link: &mut Link, deadline: Instant) -> Result<i64, PostgresOpenError> {
    let statement = Statement::new(
        "SELECT current_setting('server_version_num')::integer, pg_is_in_recovery(), \
         current_setting('synchronous_commit'), current_setting('fsync'), \
         (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
        Vec::new(),
    );
    let before = unix_ms();
    let rows = link.transaction(&[statement], deadline).await;
    let after = unix_ms();
    let rows = rows.map_err(|failure| match &failure {
        Failure::Refused(refusal) if refusal.code == "25006" => read_only(),
        failure => schema::of_failure(failure),
    })?;
    let columns = || {
        let row = rows.first()?.first()?;
        Some((
            row.try_get::<_, i32>(0).ok()?,
            row.try_get::<_, bool>(1).ok()?,
            row.try_get::<_, String>(2).ok()?,
            row.try_get::<_, String>(3).ok()?,
            row.try_get::<_, i64>(4).ok()?,
        ))
    };
    let (version, is_standby, synchronous_commit, fsync, now) = columns().ok_or_else(|| {
        PostgresOpenError::Refused("the server is not a PostgreSQL server".to_owned())
    })?;
    if version < SERVER_VERSION_MIN {
        return Err(PostgresOpenError::Refused(format!(
            "the server is PostgreSQL {}: use PostgreSQL 14 or newer",
            version / 10_000
        )));
    }
    if is_standby {
        return Err(read_only());
    }
    if synchronous_commit == "off" {
        tracing::warn!(
            "the database has synchronous_commit = off; the commits of waywiser wait for the disk anyway"
        );
        link.set_synchronous();
    }
    if fsync == "off" {
        tracing::warn!(
            "the database has fsync = off: a crash of its machine can lose or damage recordings"
        );
    }
    let skew_ms = skew(now, before, after);
    if skew_ms.saturating_abs() >= SKEW_REFUSED_MS {
        return Err(PostgresOpenError::ClockSkew { skew_ms });
    }
    if skew_ms.saturating_abs() >= SKEW_WARNED_MS {
        tracing::warn!(
            skew_ms,
            "the clock of the database differs from that of this machine: synchronise both with NTP"
        );
    }
    Ok(skew_ms)
}

/// Returns the smallest difference of the clocks that explains the time `now` of an answer between `before` and `after`.
fn skew(now: i64, before: i64, after: i64) -> i64 {
    if now < before {
        now.saturating_sub(before)
    } else if now > after {
        now.saturating_sub(after)
    } else {
        0
    }
}

fn read_only() -> PostgresOpenError {
    PostgresOpenError::Unavailable(
        "the database does not accept writes: it is a standby, or read-only by a setting"
            .to_owned(),
    )
}

/// Returns the time in milliseconds since 1970-01-01T00:00:00Z.
pub(super) fn unix_ms() -> i64 {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
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
            "the server does not support TLS, which sslmode={} requires: enable ssl on the server",
            tls.mode.text()
        ));
    }
    if text.contains("password missing") {
        return PostgresOpenError::Refused(
            "the server requires a password, and there is none".to_owned(),
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
    fn the_time_of_an_answer_is_not_a_difference_of_the_clocks() {
        assert_eq!(skew(150, 100, 200), 0);
        assert_eq!(skew(90, 100, 200), -10);
        assert_eq!(skew(250, 100, 200), 50);
        assert_eq!(skew(i64::MIN, i64::MAX, i64::MAX), i64::MIN);
    }
}
