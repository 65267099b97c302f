//! `waywiser store migrate`: creates or upgrades the schema of a database.

use clap::Args;

use super::{Failure, runtime, warn};
use crate::cli::stderr;
use crate::cli::store_database::{self, PasswordArgs};
use crate::cli::store_url::StoreUrl;
use crate::store::PostgresStore;

/// Create or upgrade the schema of a database
///
/// The command changes everything or nothing. Only one process migrates at a time; another one waits. A schema of this
/// version is left as it is, and a newer one is refused. The role needs the privilege to create tables.
#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    /// The database: postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "URL", env = "WAYWISER_STORE", hide_env_values = true)]
    store: StoreUrl,

    #[command(flatten)]
    password: PasswordArgs,
}

/// Migrates a database.
pub(super) fn run(args: &MigrateArgs) -> Result<(), Failure> {
    let StoreUrl::Database(settings) = &args.store else {
        return Err(Failure::Misused(format!(
            "{} needs no migration: use the URL of a database, postgres://USER@HOST/DATABASE",
            args.store
        )));
    };
    let settings = args.password.apply(settings, warn);
    let migrated = runtime()?.block_on(PostgresStore::migrate(&settings));
    let migration = migrated.map_err(|error| store_database::refusal(&settings, &error))?;
    stderr::print(format_args!("{settings}: {}", store_database::migration_text(&migration)));
    Ok(())
}
