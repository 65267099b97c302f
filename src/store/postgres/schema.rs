//! The tables of the database, and their upgrade.
//!
//! | table | content |
//! |---|---|
//! | `waywiser_schema` | the version of the schema, one row |
//! | `waywiser_recording` | one row for each recording |
//! | `waywiser_epoch` | the sequence of the epochs |
//! | `waywiser_paths` | a view for people; its columns stay |
//!
//! A row with a state of up to 8 KB is stored without TOAST, and half of each page stays free. So most commits change
//! one page and no index. An index on a column that changes with each commit would prevent that. `expire_hour` changes
//! once an hour.

use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::error::PostgresOpenError;
use super::failure::Failure;
use super::link::{Link, Statement};

/// The version of the schema that this program creates and uses.
pub(super) const VERSION: u32 = 1;

/// The steps from each version to the next. A step is never changed after its release.
const STEPS: [&str; VERSION as usize] = [VERSION_1];

/// A cached block of the sequence would let epochs fall, so there is no cache. The random bits of an epoch distinguish it
/// from one with the same number that was assigned before a failover which lost the last transactions. Epochs stay below
/// 2^53 for 8 billion openings.
const VERSION_1: &str = r#"
CREATE SEQUENCE waywiser_epoch AS bigint CACHE 1;
CREATE FUNCTION waywiser_next_epoch() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT (nextval('waywiser_epoch') << 20) | floor(random() * 1048576)::bigint $$;
CREATE TABLE waywiser_recording (
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL,
  points bigint NOT NULL,
  complete boolean NOT NULL,
  create_ms bigint NOT NULL,
  update_ms bigint NOT NULL,
  expire_ms bigint NOT NULL,
  expire_hour bigint GENERATED ALWAYS AS (expire_ms / 3600000) STORED,
  model text NOT NULL,
  length_m double precision,
  estimated_length_m double precision,
  moving_s double precision,
  options bytea NOT NULL,
  state bytea NOT NULL,
  PRIMARY KEY (namespace, id)
) WITH (fillfactor = 50, toast_tuple_target = 8160);
ALTER TABLE waywiser_recording ALTER COLUMN state SET STORAGE EXTERNAL;
CREATE INDEX waywiser_recording_expire ON waywiser_recording (expire_hour);
CREATE VIEW waywiser_paths AS SELECT
  CASE namespace WHEN '' THEN 'paths/' || id ELSE 'namespaces/' || namespace || '/paths/' || id END AS name,
  namespace, complete, points, length_m, estimated_length_m, moving_s, model,
  to_timestamp(least(greatest(create_ms, -62135596800000), 253402300799000) / 1000.0) AS create_time,
  to_timestamp(least(greatest(update_ms, -62135596800000), 253402300799000) / 1000.0) AS update_time,
  to_timestamp(least(greatest(expire_ms, -62135596800000), 253402300799000) / 1000.0) AS expire_time
FROM waywiser_recording;
"#;

/// The key of the advisory lock of an upgrade.
const LOCK: i64 = 0x7761_7977_6973_6572;

/// What an upgrade of the schema has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migration {
    /// The version of the schema before, or `None` if there was none.
    pub from: Option<u32>,
    /// The version of the schema now.
    pub to: u32,
}

/// Creates or upgrades the tables, in one transaction and under a lock.
///
/// # Errors
/// If the schema is newer, or the server refuses.
pub(super) async fn migrate(link: &Link) -> Result<Migration, PostgresOpenError> {
    let client = link.client();
    let refused = |error: tokio_postgres::Error| match of_failure(&Failure::of(&error)) {
        PostgresOpenError::NoPrivilege(reason) => PostgresOpenError::NoPrivilege(format!(
            "{reason}; grant CREATE on the schema, or make the user the owner of the database"
        )),
        error => error,
    };
    // The limits of the other transactions are too short for the upgrade of a large table.
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(refused)?;
    client
        .query_typed("SELECT pg_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)])
        .await
        .map_err(refused)?;
    client
        .batch_execute("CREATE TABLE IF NOT EXISTS waywiser_schema (version integer NOT NULL)")
        .await
        .map_err(refused)?;
    let rows = client.query_typed("SELECT version FROM waywiser_schema", &[]).await;
    let from = version(&rows.map_err(refused)?)?;
    let at = from.unwrap_or(0);
    if at > VERSION {
        return Err(PostgresOpenError::Newer { found: at, known: VERSION });
    }
    for step in STEPS.iter().skip(at as usize) {
        client.batch_execute(step).await.map_err(refused)?;
    }
    let stored = i64::from(VERSION);
    let store = match from {
        None => "INSERT INTO waywiser_schema (version) SELECT $1::bigint",
        Some(_) => "UPDATE waywiser_schema SET version = $1::bigint",
    };
    client.query_typed(store, &[(&stored, Type::INT8)]).await.map_err(refused)?;
    client.batch_execute("COMMIT").await.map_err(refused)?;
    Ok(Migration { from, to: VERSION })
}

/// Checks that the schema has the version of this program, and that the user has all privileges.
///
/// # Errors
/// If it has another version or none, or privileges are missing.
pub(super) async fn check(link: &Link, deadline: Instant) -> Result<(), PostgresOpenError> {
    let version_of = Statement::new("SELECT version FROM waywiser_schema", Vec::new());
    let rows = link.transaction(&[version_of], deadline).await;
    let rows = rows.map_err(|failure| of_failure(&failure))?;
    let found = rows.first().map(|rows| version(rows)).transpose()?.flatten();
    match found {
        Some(VERSION) => {}
        Some(found) if found > VERSION => {
            return Err(PostgresOpenError::Newer { found, known: VERSION });
        }
        found => return Err(PostgresOpenError::NotMigrated { found }),
    }
    let privileges = Statement::new(
        "SELECT has_table_privilege('waywiser_recording', 'SELECT') \
         AND has_table_privilege('waywiser_recording', 'INSERT') \
         AND has_table_privilege('waywiser_recording', 'UPDATE') \
         AND has_table_privilege('waywiser_recording', 'DELETE') \
         AND has_sequence_privilege('waywiser_epoch', 'USAGE')",
        Vec::new(),
    );
    let rows = link.transaction(&[privileges], deadline).await;
    let rows = rows.map_err(|failure| of_failure(&failure))?;
    match rows.first().and_then(|rows| rows.first()).and_then(|row| row.try_get(0).ok()) {
        Some(true) => Ok(()),
        _ => Err(PostgresOpenError::NoPrivilege(
            "grant SELECT, INSERT, UPDATE and DELETE on waywiser_recording and USAGE on waywiser_epoch".into(),
        )),
    }
}

fn version(rows: &[tokio_postgres::Row]) -> Result<Option<u32>, PostgresOpenError> {
    let Some(row) = rows.first() else { return Ok(None) };
    let version: Option<i32> = row.try_get(0).ok();
    let version = version.and_then(|version| u32::try_from(version).ok());
    version.map(Some).ok_or_else(|| {
        PostgresOpenError::Refused("the table waywiser_schema is not one of waywiser".to_owned())
    })
}

/// Converts the failure of a statement about the schema.
pub(super) fn of_failure(failure: &Failure) -> PostgresOpenError {
    match failure {
        Failure::Refused(refusal) => match refusal.code.as_str() {
            "42P01" | "42703" | "42883" => PostgresOpenError::NotMigrated { found: None },
            "42501" => PostgresOpenError::NoPrivilege(refusal.message.clone()),
            "42P07" | "42723" | "42710" => PostgresOpenError::Refused(format!(
                "{refusal}: the database has other objects with the names of waywiser; use another database or schema"
            )),
            _ => PostgresOpenError::Unavailable(refusal.to_string()),
        },
        Failure::Unknown(text) | Failure::NotSent(text) => {
            PostgresOpenError::Unavailable(text.clone())
        }
    }
}
