//! The command line: one module a command, and what they share.
//!
//! [`run`] is the program. It parses, calls the command, and turns its outcome into an exit code:
//! 0 when all went well, 1 when something failed, 2 when the arguments make no sense. A
//! new command is a new module and a line in `Command`.

pub(crate) mod bench;
pub(crate) mod input;
mod logged_store;
mod measure;
mod paths;
mod policy;
mod progress;
mod record;
pub(crate) mod report;
mod serve;
mod stderr;
mod store;
mod track_reader;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::client;

/// Measure the length of paths, exactly.
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
    Watch(paths::WatchArgs),
    Paths(paths::PathsArgs),
    Bench(bench::BenchArgs),
}

/// Runs the program with the arguments of the process.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Measure(args) => measure::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Watch(args) => paths::watch(&args),
        Command::Paths(args) => paths::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        // As clap has it.
        Ok(Outcome::Misused) => ExitCode::from(2),
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        // The reader of standard output has closed it, as `head` does when it has enough lines.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            stderr::print(format_args!("error: the output cannot be written: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints why the command failed.
fn fail(message: std::fmt::Arguments<'_>) -> io::Result<Outcome> {
    // The message contains file names and texts from servers.
    stderr::print(format_args!("error: {}", report::escape_control(&message.to_string())));
    Ok(Outcome::Failed)
}

/// Prints why the arguments are invalid, for the rules that clap does not check.
fn usage_error(message: std::fmt::Arguments<'_>) -> io::Result<Outcome> {
    fail(message)?;
    stderr::print(format_args!("\nFor more information, try '--help'."));
    Ok(Outcome::Misused)
}

/// Reads the address of a server.
fn server_url(text: &str) -> Result<String, String> {
    match client::endpoint(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("it should look like http://127.0.0.1:50051, without a path".to_owned()),
    }
}

/// What is told of a call that failed and will be made again.
fn retry_note(reason: &str, wait: Duration) -> String {
    format!("{}; trying again in {:.1} s", report::escape_control(reason), wait.as_secs_f64())
}

/// How a command that could do its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Something failed, and the user was told what.
    Failed,
    /// The arguments made no sense, and the user was told why.
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
