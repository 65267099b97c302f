//! Reports what a test could not check on this machine.

use std::fmt::Display;
use std::io::Write as _;

/// Prints the reason to standard error directly, because libtest captures the output of the print macros.
pub fn skipped(reason: impl Display) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}
