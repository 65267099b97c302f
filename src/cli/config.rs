//! `waywiser config`: checks the settings of a server without running it.

use std::io::{self, Write as _};

use clap::{Args, Command, Subcommand};

use super::serve::{self, ServeArgs, Settings};
use super::{Outcome, stderr};

/// Check the settings of a server
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    Check(Box<ServeArgs>),
}

const CHECK_ABOUT: &str = "Check the settings of a server, and the files that they name";

const CHECK_LONG_ABOUT: &str = "\
Check the settings of a server, and the files that they name

The flags are those of `serve`, and the settings are read from the same sources: flags, the environment and the file of \
--config. The command does not listen, and neither opens nor creates the data directory.";

const CHECK_EXAMPLES: &str = "\
Examples:
  waywiser config check --config /etc/waywiser/waywiser.toml
  waywiser config check --config new.toml && systemctl reload waywiser

Exit status: 0 if the settings are valid, 1 if a file that they name cannot be used, 2 if a setting is invalid.";

/// Replaces the texts of `serve` in the help of `config check`.
pub(super) fn with_help(command: Command) -> Command {
    command.mut_subcommand("config", |config| {
        config.mut_subcommand("check", |check| {
            let check = check.about(CHECK_ABOUT).long_about(CHECK_LONG_ABOUT);
            // Only `serve` prints the settings.
            check.after_long_help(CHECK_EXAMPLES).mut_arg("print_config", |arg| arg.hide(true))
        })
    })
}

/// Checks the settings.
///
/// # Errors
/// If the output cannot be written.
pub(super) fn run(args: &ConfigArgs, settings: &Settings) -> io::Result<Outcome> {
    let ConfigCommand::Check(args) = &args.command;
    for warning in settings.warnings() {
        stderr::print(format_args!("warning: {warning}"));
    }
    let mut outcome = serve::check(args, settings)?;
    if outcome == Outcome::Done {
        outcome = serve::check_files(args)?;
    }
    if outcome != Outcome::Done {
        return Ok(outcome);
    }
    writeln!(io::stdout(), "the settings are valid")?;
    Ok(Outcome::Done)
}
