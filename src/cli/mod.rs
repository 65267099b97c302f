//! The command line: one module per command, and modules that several commands share.
//!
//! `run` is the program. It parses the arguments, runs the command, and returns the exit code: 0 for success, 1 for
//! a failure, 2 for a usage error. A new command is a new module and a variant of `Command`.
//!
//! Commands: `serve` (with `store` and `logged_store`), `measure`, `record`, `paths`, `watch` and `bench`. Shared:
//! `connect` has the options of connections, `reading` has the options of the readers, `input` finds and reads files,
//! `track_reader` reads them on a thread, `track_queue` orders their points by track, `policy` has the options of a
//! measurement, `units` parses times and sizes, `report` formats results, `recording_row` formats a recording, `notes`
//! formats notes, `outage` limits those about retries, `progress` draws the bar, `stall_detector` watches a call,
//! `terminal` says whether a line can be updated, and `stderr` prints messages.

mod bench;
mod connect;
mod flags;
mod input;
mod logged_store;
mod measure;
mod notes;
mod outage;
mod paths;
mod policy;
mod progress;
mod reading;
mod record;
mod recording_row;
mod report;
mod serve;
mod stall_detector;
mod stderr;
mod store;
mod terminal;
mod track_queue;
mod track_reader;
mod units;
mod watch;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measure the length of paths exactly
#[derive(Debug, Parser)]
#[command(name = "waywiser", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Measure(measure::MeasureArgs),
    Record(record::RecordArgs),
    Watch(watch::WatchArgs),
    Paths(paths::PathsArgs),
    Bench(bench::BenchArgs),
}

/// Runs the program with the arguments of the process.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Measure(args) => measure::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Paths(args) => paths::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        // clap returns the same code.
        Ok(Outcome::Misused) => ExitCode::from(2),
        Ok(Outcome::Failed) => ExitCode::FAILURE,
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
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
