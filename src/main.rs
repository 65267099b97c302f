//! The `waywiser` program: [`waywiser::cli`] parses, runs, prints what went wrong and tells the
//! exit code; nothing is left to do here.

use std::process::ExitCode;

fn main() -> ExitCode {
    waywiser::cli::run()
}
