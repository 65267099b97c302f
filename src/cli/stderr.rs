//! Messages of the program on standard error.
//!
//! Every message is written here. `eprintln!` panics when standard error is closed or its reader has
//! exited (`waywiser watch ... 2>&1 | head -1`), so clippy's `print_stderr` forbids it. A message that
//! cannot be written is lost; the exit status still reports the result.

use std::fmt;
use std::io::{self, Write as _};

/// Writes a line to standard error and ignores write errors.
pub(super) fn print(line: fmt::Arguments<'_>) {
    // One write per line, so that lines of several processes do not mix.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
