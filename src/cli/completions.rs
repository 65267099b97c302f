//! `waywiser completions`: prints the script that completes commands and flags in a shell.

use std::io::{self, Write as _};

use clap::{Args, Command};
use clap_complete::Shell;

use super::Outcome;

/// Print the script that completes commands and flags in a shell
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  waywiser completions bash > ~/.local/share/bash-completion/completions/waywiser
  waywiser completions fish > ~/.config/fish/completions/waywiser.fish
  waywiser completions zsh > \"${fpath[1]}/_waywiser\"";

/// Prints the script.
///
/// # Errors
/// If the output cannot be written.
pub(super) fn run(args: &CompletionsArgs, mut command: Command) -> io::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "waywiser", &mut script);
    let mut out = io::stdout();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Outcome::Done)
}
