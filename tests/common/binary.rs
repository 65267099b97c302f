//! Finds the `waywiser` binary. Every test that runs the binary gets its command here.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The environment variable that names another binary to test.
pub const BINARY: &str = "WAYWISER_BIN";

/// Returns the path of the binary: the one that cargo built, or the one that `WAYWISER_BIN` names.
pub fn path() -> PathBuf {
    std::env::var_os(BINARY).unwrap_or_else(|| env!("CARGO_BIN_EXE_waywiser").into()).into()
}

/// Returns a command that runs the binary with these arguments. It reads no input, and ignores `RUST_LOG` and the
/// settings of the environment.
pub fn waywiser(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(path());
    command.args(arguments).stdin(Stdio::null());
    remove_settings(&mut command);
    command
}

/// Makes a command ignore `RUST_LOG` and the settings of the environment.
pub fn remove_settings(command: &mut Command) {
    command.env_remove("RUST_LOG");
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| name.starts_with("WAYWISER_") && name != BINARY) {
        command.env_remove(name);
    }
}
