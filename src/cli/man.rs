//! `waywiser man`: writes the manual pages of all commands.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Args, Command};

use super::{Outcome, fail};

/// Write the manual pages of all commands
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ManArgs {
    /// Directory for the pages; it is created if it does not exist
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  waywiser man --output ~/.local/share/man/man1
  waywiser man --output pages && man -l pages/waywiser-serve.1";

/// Writes the pages.
///
/// # Errors
/// If an error message cannot be written.
pub(super) fn run(args: &ManArgs, command: Command) -> io::Result<Outcome> {
    let directory = &args.output;
    let written = fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command.disable_help_subcommand(true), directory));
    match written {
        Ok(()) => Ok(Outcome::Done),
        Err(error) => {
            let directory = directory.display();
            fail(format_args!("cannot write manual pages to {directory}: {error}"))
        }
    }
}
