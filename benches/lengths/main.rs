//! Compares methods that measure the length of a path, on simulated tracks and on files of devices.
//!
//! `cargo bench --bench lengths -- --help` explains the options. docs/lengths.md has the results.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod check;
mod cost;
mod device;
mod methods;
mod motion;
mod random;
mod recording;
mod report;
mod simulation;

use std::process::ExitCode;

use arguments::{Arguments, HELP};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let Some(arguments) = Arguments::parse(std::env::args().skip(1))? else {
        println!("{HELP}");
        return Ok(());
    };
    if !arguments.files.is_empty() {
        device::print_heading();
        return arguments.files.iter().try_for_each(|file| device::print(file));
    }
    if arguments.is_test {
        return check::run();
    }
    let cells = simulation::run(&arguments)?;
    if arguments.is_csv {
        report::print_csv(&cells);
        return Ok(());
    }
    report::print(&cells);
    cost::print();
    Ok(())
}
