//! The command line: one module per command, and modules that several commands share.
//!
//! `run` is the program. It parses the arguments, runs the command, and returns the exit code: 0 for success, 1 for
//! a failure, 2 for a usage error, 128 and its number for a signal. A new command is a new module and a variant of
//! `Command`.
//!
//! Commands: `serve` (with `store`, `logged_store`, `store_metrics` and `database_metrics`), `config`, `measure`,
//! `record`, `paths`, `watch`, `store` (in `store_command`), `bench`, `token`, `completions` and `man`.
//!
//! Shared: `connect` has the options of connections, `reading` has the options of the readers, `input` finds and reads
//! files, `track_reader` reads them on a thread, `track_queue` orders their points by track, `policy` has the options of
//! a measurement, `units` parses times and sizes, `report` formats results, `recording_row` formats a recording, `notes`
//! formats notes, `outage` limits those about retries, `progress` draws the bar, `stall_detector` watches a call,
//! `terminal` says whether a line can be updated, `secret` hides values in errors, `store_url` parses the location of a
//! store, `store_database` opens a database, `store_password` finds its password,
//! `new_file` writes a file that is complete or absent, `interrupt` receives signals, and `stderr` prints messages.

mod bench;
mod completions;
mod config;
mod connect;
mod database_metrics;
mod flags;
mod input;
mod interrupt;
mod logged_store;
mod man;
mod measure;
mod new_file;
mod notes;
mod outage;
mod paths;
mod policy;
mod progress;
mod reading;
mod record;
mod recording_row;
mod report;
mod secret;
mod serve;
mod stall_detector;
mod stderr;
mod store;
mod store_command;
mod store_database;
mod store_metrics;
mod store_password;
mod store_probe;
mod store_url;
mod terminal;
mod token;
mod track_queue;
mod track_reader;
mod units;
mod watch;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::serve::{Parsed, Rejection};

/// Measure the length of paths exactly
#[derive(Debug, Parser)]
#[command(name = "waywiser", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::ServeArgs>),
    Config(config::ConfigArgs),
    Measure(measure::MeasureArgs),
    Record(record::RecordArgs),
    Watch(watch::WatchArgs),
    Paths(paths::PathsArgs),
    Store(store_command::StoreCommandArgs),
    Bench(bench::BenchArgs),
    Token(token::TokenArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Returns the command line of the program.
fn command() -> clap::Command {
    config::with_help(Cli::command())
}

/// Parses the arguments of the process. Returns the exit code if the program ends here.
fn parse() -> Result<(Command, Option<serve::Settings>), ExitCode> {
    let rejection = match serve::parse(command(), std::env::args_os().collect()) {
        Ok(Parsed { matches, settings }) => match Cli::from_arg_matches(&matches) {
            Ok(cli) => return Ok((cli.command, settings)),
            Err(error) => Rejection::Arguments(error.format(&mut command()), Vec::new()),
        },
        Err(rejection) => rejection,
    };
    match rejection {
        Rejection::Arguments(error, notes) => {
            let printed = error.print().and_then(|()| io::stdout().flush());
            for note in notes {
                stderr::print(format_args!("{}", report::escape_control(&note)));
            }
            Err(match error.use_stderr() {
                true => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
                // A help or the version.
                false => exit_code(printed.map(|()| Outcome::Done)),
            })
        }
        Rejection::Setting(message) => {
            let _ = usage_error(format_args!("{message}"));
            Err(ExitCode::from(2))
        }
    }
}

/// Runs the program with the arguments of the process.
pub fn run() -> ExitCode {
    let (command, settings) = match parse() {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let settings = settings.unwrap_or_default();
    let outcome = match command {
        Command::Serve(args) => serve::run(&args, settings),
        Command::Config(args) => config::run(&args, &settings),
        Command::Measure(args) => measure::run(args),
        Command::Record(args) => record::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Paths(args) => paths::run(&args),
        Command::Store(args) => store_command::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Completions(args) => {
            completions::run(&args, serve::with_variables(self::command()))
        }
        Command::Man(args) => man::run(&args, serve::with_variables(self::command())),
    };
    exit_code(outcome)
}

/// Returns the exit code of a command, after a message if its output could not be written.
fn exit_code(outcome: io::Result<Outcome>) -> ExitCode {
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        // clap returns the same code.
        Ok(Outcome::Misused) => ExitCode::from(2),
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Ok(Outcome::Interrupted(exit_status)) => ExitCode::from(exit_status),
        // The reader of standard output has closed it, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            stderr::print(format_args!("error: the output cannot be written: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints the error message of the command.
fn fail(message: std::fmt::Arguments<'_>) -> io::Result<Outcome> {
    // The message contains file names and texts from servers.
    stderr::print(format_args!("error: {}", report::escape_control(&message.to_string())));
    Ok(Outcome::Failed)
}

/// Returns the text of an error without the name of a temporary file, which the user has not chosen. tempfile adds the
/// name at the end, and gives no access to the error that it wraps.
fn without_path(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at path \"") {
        Some((reason, _)) if error.get_ref().is_some() => reason.to_owned(),
        _ => text,
    }
}

/// Prints the error message of arguments that violate a rule that clap does not check.
fn usage_error(message: std::fmt::Arguments<'_>) -> io::Result<Outcome> {
    fail(message)?;
    stderr::print(format_args!("\nFor more information, try '--help'."));
    Ok(Outcome::Misused)
}

/// The result of a command whose output could be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Something failed, and a message was printed.
    Failed,
    /// The arguments are invalid, and a message was printed.
    Misused,
    /// A signal has stopped the command, and a message was printed. Holds the exit status.
    Interrupted(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
        serve::with_variables(command()).debug_assert();
    }
}
