//! The database of `--store`: its password, its opening, and the advice if it cannot be opened.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;

use super::store_password::{Login, PasswordSources};
use crate::store::{Migration, PostgresOpenError, PostgresSettings, PostgresStore};

/// The time between two attempts to migrate a database that cannot be reached.
const MIGRATION_RETRY: Duration = Duration::from_secs(2);

/// The password of the database, for all commands that use one.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Recordings")]
pub(super) struct PasswordArgs {
    /// File with the password for the database of --store; it is read for each new connection
    ///
    /// A password in the URL has precedence. Without both, the password is that of PGPASSWORD, or of the file of
    /// PGPASSFILE or ~/.pgpass, by the rules of PostgreSQL.
    #[arg(long, value_name = "FILE", env = "WAYWISER_STORE_PASSWORD_FILE", hide_env_values = true)]
    store_password_file: Option<PathBuf>,
}

/// Reports a warning about a source of passwords.
pub(super) type Warn = fn(&str);

impl PasswordArgs {
    /// Returns whether there is a password file.
    pub(super) fn is_set(&self) -> bool {
        self.store_password_file.is_some()
    }

    /// Checks that the password for a database can be read. Returns the warning that a connection would cause.
    ///
    /// # Errors
    /// If it cannot. The message says what to do.
    pub(super) fn check(&self, settings: &PostgresSettings) -> Result<Option<String>, String> {
        if settings.has_password() {
            return Ok(None);
        }
        Ok(self.sources().find(&login(settings))?.warning)
    }

    /// Adds the password to settings whose URL has none.
    pub(super) fn apply(&self, settings: &PostgresSettings, warn: Warn) -> PostgresSettings {
        let settings = settings.clone();
        if settings.has_password() {
            return settings;
        }
        let (sources, login) = (self.sources(), login(&settings));
        let last = LastWarning::default();
        settings.with_password_source(Arc::new(move || {
            let found = sources.find(&login)?;
            last.replace(found.warning).iter().for_each(|warning| warn(warning));
            Ok(found.password)
        }))
    }

    fn sources(&self) -> PasswordSources {
        PasswordSources::new(self.store_password_file.clone())
    }
}

/// The last warning about a source of passwords. The source is read for each attempt to connect.
#[derive(Debug, Default)]
struct LastWarning(Mutex<Option<String>>);

impl LastWarning {
    /// Replaces the warning. Returns it if it differs from the last one.
    fn replace(&self, warning: Option<String>) -> Option<String> {
        // No code panics while it holds the lock.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == warning {
            return None;
        }
        last.clone_from(&warning);
        warning
    }
}

fn login(settings: &PostgresSettings) -> Login {
    Login {
        hosts: settings.hosts().to_vec(),
        database: settings.database().to_owned(),
        user: settings.user().to_owned(),
    }
}

/// How a server opens a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Creates or upgrades the schema first.
    pub(super) migrates: bool,
    /// Fails if the database cannot be reached, instead of connecting later.
    pub(super) fails_fast: bool,
}

/// Opens a database. If it cannot be reached, returns a store that connects later, and the reason.
///
/// # Errors
/// If the database refuses the settings, has no fitting schema, or [`Opening::fails_fast`] applies. The message says
/// what to do.
pub(super) async fn open(
    settings: PostgresSettings,
    opening: Opening,
) -> Result<(PostgresStore, Option<String>), String> {
    if opening.migrates {
        match PostgresStore::migrate(&settings).await {
            Ok(migration) => log_migration(&migration),
            Err(error) if error.is_retriable() && !opening.fails_fast => {
                let reason = error.to_string();
                tokio::spawn(migrate_later(settings.clone()));
                return Ok((PostgresStore::start(settings), Some(reason)));
            }
            Err(error) => return Err(refusal(&settings, &error)),
        }
    }
    match PostgresStore::connect(settings.clone()).await {
        Ok(store) => Ok((store, None)),
        Err(error) if error.is_retriable() && !opening.fails_fast => {
            Ok((PostgresStore::start(settings), Some(error.to_string())))
        }
        Err(error) => Err(refusal(&settings, &error)),
    }
}

/// Migrates a database as soon as it can be reached. The store tries to connect in the meantime.
async fn migrate_later(settings: PostgresSettings) {
    loop {
        tokio::time::sleep(MIGRATION_RETRY).await;
        match PostgresStore::migrate(&settings).await {
            Ok(migration) => return log_migration(&migration),
            Err(error) if error.is_retriable() => {}
            Err(error) => {
                let reason = refusal(&settings, &error);
                tracing::error!("{reason}");
                return;
            }
        }
    }
}

fn log_migration(migration: &Migration) {
    tracing::info!("{}", migration_text(migration));
}

/// Returns the result of a migration as text.
pub(super) fn migration_text(migration: &Migration) -> String {
    match migration.from {
        None => format!("created the schema, version {}", migration.to),
        Some(from) if from == migration.to => {
            format!("the schema has version {from} already: nothing was changed")
        }
        Some(from) => format!("upgraded the schema from version {from} to {}", migration.to),
    }
}

/// Returns the message about a database that cannot be used, with advice.
pub(super) fn refusal(settings: &PostgresSettings, error: &PostgresOpenError) -> String {
    let advice = match error {
        PostgresOpenError::NotMigrated { .. } => ", or start the server with --migrate",
        _ => "",
    };
    format!("{settings}: {error}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_reported_once_until_it_changes() {
        let last = LastWarning::default();
        let reported = [None, Some("a"), Some("a"), Some("b"), None, None, Some("b")]
            .map(|warning| last.replace(warning.map(str::to_owned)));
        let expected = [None, Some("a"), None, Some("b"), None, None, Some("b")];
        assert_eq!(reported.each_ref().map(Option::as_deref), expected);
    }
}
