//! Writes a token to a file that only its owner can read.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use crate::auth::Token;
use crate::cli::new_file::sync_folder;

/// Writes the token and a line break to a new file.
///
/// # Errors
/// If the file exists or cannot be written. A file that was begun is removed.
pub(super) fn write(path: &Path, token: &Token) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = writeln!(file, "{}", token.as_str())
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_folder(path));
    if written.is_err() {
        // The error of the write is the one that matters.
        let _ = std::fs::remove_file(path);
    }
    written
}
