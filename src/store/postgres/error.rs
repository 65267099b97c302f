//! The reasons why a database cannot be used as a store. Every message says what to do.

/// The reason why a database cannot be used as a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresOpenError {
    /// The server refuses the user, the password, the database or the certificate, or a file of the settings cannot be
    /// used. The same settings do not succeed later.
    #[error("{0}")]
    Refused(String),
    /// The database has no tables of waywiser, or those of an older program.
    #[error(
        "the database has no tables of waywiser, or those of an older version: run `waywiser store migrate`"
    )]
    NotMigrated {
        /// The version of the schema, if there is one.
        found: Option<u32>,
    },
    /// A newer program has upgraded the schema.
    #[error(
        "the schema of the database has version {found}, and this program uses versions up to {known}: use the newer program"
    )]
    Newer {
        /// The version of the schema.
        found: u32,
        /// The latest version that this program uses.
        known: u32,
    },
    /// The user may not use or create the tables.
    #[error("the user of the database lacks privileges: {0}")]
    NoPrivilege(String),
    /// The clocks of this machine and of the server of the database differ too much.
    #[error(
        "the clock of the database differs from that of this machine by {} s: synchronise both with NTP", .skew_ms / 1000
    )]
    ClockSkew {
        /// The time of the database minus that of this machine, in milliseconds.
        skew_ms: i64,
    },
    /// The database cannot be reached, or does not accept writes now.
    #[error("{0}")]
    Unavailable(String),
}

impl PostgresOpenError {
    /// Returns whether the same settings can succeed later without a change by the operator.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
