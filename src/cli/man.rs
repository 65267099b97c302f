//! `waywiser man`: writes the manual pages of all commands.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::builder::Resettable;
use clap::{Args, Command};
use clap_mangen::Man;

use super::{Outcome, fail, usage_error};

/// The variable that sets the date of the pages, in seconds since 1970; see <https://reproducible-builds.org>.
const DATE_VARIABLE: &str = "SOURCE_DATE_EPOCH";
/// The date of this version. The same version makes the same pages.
const VERSION_DATE: &str = "2026-11-27";
/// 10000-01-01T00:00:00Z.
const END_OF_9999: u64 = 253_402_300_800;

/// Write the manual pages of all commands
///
/// Their date is that of the version, or that of the variable SOURCE_DATE_EPOCH.
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
    if directory == Path::new("-") {
        return usage_error(format_args!(
            "--output names a directory, because the pages are several files; for a directory with the name -, write ./-"
        ));
    }
    let date = match std::env::var_os(DATE_VARIABLE).map(|seconds| date(&seconds)) {
        None => VERSION_DATE.to_owned(),
        Some(Some(date)) => date,
        Some(None) => {
            return usage_error(format_args!(
                "{DATE_VARIABLE} must be a number of seconds since 1970, before the year 10000"
            ));
        }
    };
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let written = fs::create_dir_all(directory).and_then(|()| write(&command, &date, directory));
    match written {
        Ok(()) => Ok(Outcome::Done),
        Err(error) => {
            let directory = directory.display();
            fail(format_args!("cannot write manual pages to {directory}: {error}"))
        }
    }
}

/// Returns a date such as 2026-11-27.
fn date(seconds: &OsStr) -> Option<String> {
    let seconds: u64 = seconds.to_str()?.parse().ok()?;
    if seconds >= END_OF_9999 {
        return None;
    }
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.split_once('T').map(|(date, _)| date.to_owned())
}

/// Writes the page of a command and those of its subcommands.
fn write(command: &Command, date: &str, directory: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        write(subcommand, date, directory)?;
    }
    // The generator would put the examples into a section EXTRA, and join their lines.
    let text = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let man = Man::new(command.clone().after_long_help(Resettable::Reset))
        .date(date)
        .source(concat!("waywiser ", env!("CARGO_PKG_VERSION")))
        .manual("Waywiser Manual");
    let mut page = Vec::new();
    man.render(&mut page)?;
    page.extend(sections(&text).bytes());
    fs::write(directory.join(man.get_filename()), page)
}

/// Returns the sections of the text after the options: "Examples:" and "Exit status:".
fn sections(text: &str) -> String {
    let mut out = String::new();
    for part in text.split("\n\n") {
        if let Some(examples) = part.strip_prefix("Examples:\n") {
            out.push_str(".SH EXAMPLES\n.nf\n");
            examples.lines().for_each(|line| push_line(&mut out, line.trim_end()));
            out.push_str(".fi\n");
        } else {
            let (heading, part) = match part.strip_prefix("Exit status: ") {
                Some(part) => ("EXIT STATUS", part),
                None => ("NOTES", part),
            };
            if !part.is_empty() {
                out.push_str(&format!(".SH \"{heading}\"\n"));
                part.lines().for_each(|line| push_line(&mut out, line));
            }
        }
    }
    out
}

/// Appends a line of text in the syntax of roff.
fn push_line(out: &mut String, line: &str) {
    // A request begins with one of these characters.
    if line.starts_with(['.', '\'']) {
        out.push_str("\\&");
    }
    for char in line.chars() {
        match char {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            char => out.push(char),
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests;
