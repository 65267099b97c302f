//! `waywiser token`: makes tokens for the token file of a server.
//!
//! `entry` formats the entry of a principal, and `append` adds it to a file.

mod append;
mod entry;
mod output;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use self::append::Addition;
use self::entry::Entry;
use super::report::escape_control;
use super::{Outcome, fail, stderr, usage_error};
use crate::auth::{Role, Token, TokenHash, check_token_file, configured_namespace};
use crate::recording::Namespace;

/// Make tokens for the clients of a server
///
/// The server knows only the SHA-256 of a token. It reads the file of --tokens again when the file has changed, so a new
/// entry is valid and a removed entry is invalid within seconds.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    New(NewArgs),
    Hash(HashArgs),
}

/// Make a token with 256 random bits
///
/// The token is printed on standard output, once: it cannot be recovered. Its entry for the token file is printed on
/// standard error, or added to the file of --append.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
struct NewArgs {
    /// Name of the principal, for the log of the server
    #[arg(long, value_name = "NAME", value_parser = principal_name)]
    name: String,

    /// Namespace of its recordings [default: the namespace of a server without authentication]
    #[arg(long, value_name = "NAMESPACE", value_parser = configured_namespace)]
    namespace: Option<Namespace>,

    /// What the principal may do: reader, writer or admin
    #[arg(long, value_name = "ROLE", default_value_t = Role::Writer, value_parser = str::parse::<Role>)]
    role: Role,

    /// Write the token to a new file that only its owner can read, instead of printing it; - prints it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Add the entry to this token file; it is created if it does not exist
    #[arg(long, value_name = "TOKENS_FILE")]
    append: Option<PathBuf>,
}

/// Print the SHA-256 of a token
///
/// Reads the token from standard input, so that it is in no list of processes and no history.
#[derive(Debug, Args)]
struct HashArgs {}

const EXAMPLES: &str = "\
Examples:
  waywiser token new --name van-7 --namespace acme --append tokens.toml --output van-7.token
  waywiser serve --tokens tokens.toml
  waywiser paths list --token-file van-7.token
  waywiser token hash < van-7.token

Exit status: 0 for success, 1 for a failure, 2 for a usage error.";

fn principal_name(text: &str) -> Result<String, String> {
    match Entry::is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("must have 1 to 256 bytes and no control characters".to_owned()),
    }
}

/// Runs the command.
///
/// # Errors
/// If the output cannot be written.
pub(super) fn run(args: &TokenArgs) -> io::Result<Outcome> {
    match &args.command {
        TokenCommand::New(args) => new(args),
        TokenCommand::Hash(_) => hash(),
    }
}

fn new(args: &NewArgs) -> io::Result<Outcome> {
    let token = match Token::generate() {
        Ok(token) => token,
        Err(error) => return fail(format_args!("{error}")),
    };
    let entry = Entry {
        name: &args.name,
        namespace: args.namespace.as_ref(),
        role: args.role,
        token: token.hash(),
    };
    let output = args.output.as_deref().filter(|path| *path != Path::new("-"));
    if output.is_none() && is_discarded() {
        return fail(format_args!(
            "standard output discards the token: name a file with --output, or redirect standard output"
        ));
    }
    // What can fail comes first, then the token, and the entry last: an entry without a token would be useless.
    let addition = match &args.append {
        Some(path) => match Addition::prepare(path, &entry.to_string()) {
            Ok(addition) => Some((path, addition)),
            Err(error) => return fail(format_args!("{}: {error}", path.display())),
        },
        None => None,
    };
    let written = match output {
        Some(path) => output::write(path, &token)
            .map_err(|error| format!("cannot write the token to {}: {error}", path.display())),
        None => print(&token).map_err(|error| format!("cannot print the token: {error}")),
    };
    if let Err(message) = written {
        return fail(format_args!("{message}"));
    }
    let Some((path, addition)) = addition else {
        stderr::print(format_args!("Add this to the token file of the server:\n\n{entry}"));
        return Ok(Outcome::Done);
    };
    if let Err(error) = addition.commit() {
        if let Some(output) = output {
            // The token has no entry. The message about the entry is the one that matters.
            let _ = std::fs::remove_file(output);
        }
        return fail(format_args!("{}: {error}; the token is not valid", path.display()));
    }
    stderr::print(format_args!("added {} to {}", args.name, path.display()));
    // The file keeps its rights. Those of a file that another program has created can be too wide.
    if let Err(error) = check_token_file(path) {
        let error = escape_control(&error.to_string()).to_string();
        stderr::print(format_args!("warning: servers refuse the file: {error}"));
    }
    Ok(Outcome::Done)
}

fn print(token: &Token) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", token.as_str())?;
    stdout.flush()
}

/// Returns whether standard output is the null device. It is if the process was started with a closed one.
#[cfg(unix)]
fn is_discarded() -> bool {
    use std::fs::{File, metadata};
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let stdout = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    let (Ok(stdout), Ok(null)) = (stdout.and_then(|file| file.metadata()), metadata("/dev/null"))
    else {
        return false;
    };
    stdout.file_type().is_char_device() && stdout.rdev() == null.rdev()
}

#[cfg(not(unix))]
fn is_discarded() -> bool {
    false
}

fn hash() -> io::Result<Outcome> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        stderr::print(format_args!("Type the token and press Enter:"));
    }
    let hash = match read_token(stdin.lock(), stdin.is_terminal()) {
        Ok(hash) => hash,
        Err(error) => return usage_error(format_args!("standard input: {error}")),
    };
    let mut stdout = io::stdout();
    writeln!(stdout, "{hash}")?;
    stdout.flush()?;
    Ok(Outcome::Done)
}

/// Reads one line, which is a token. In a file or a pipe, nothing may follow it.
fn read_token(input: impl io::BufRead, is_terminal: bool) -> Result<TokenHash, String> {
    let mut text = String::new();
    let limit = Token::BYTES_MAX as u64 + 2;
    let mut input = input.take(limit + 1);
    let read = match is_terminal {
        true => io::BufRead::read_line(&mut input, &mut text),
        false => input.read_to_string(&mut text),
    };
    read.map_err(|error| error.to_string())?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    line.parse::<Token>().map(|token| token.hash()).map_err(|error| error.to_string())
}
