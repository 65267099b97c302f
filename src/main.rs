//! The `waywiser` program. [`waywiser::cli`] does all the work and returns the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    waywiser::cli::run()
}
