//! Adds an entry to a token file. A server that reads the file meanwhile finds the old or the new content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::auth::{TOKEN_FILE_BYTES_MAX, check_tokens};
use crate::cli::without_path;

/// Adds an entry to the file, and creates the file for its owner only if it does not exist. The result is checked
/// before it replaces the file. Rights and owner of the file stay as they are.
///
/// # Errors
/// The reason why the file was not changed.
pub(super) fn append(path: &Path, entry: &str) -> Result<(), String> {
    create_if_absent(path).map_err(|error| format!("cannot be created: {error}"))?;
    // The file itself is replaced, not a link to it.
    let path = fs::canonicalize(path).map_err(|error| format!("cannot be found: {error}"))?;
    let file = lock(&path).map_err(|error| format!("cannot be locked: {error}"))?;
    let mut text = String::new();
    let read = (&file).take(TOKEN_FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if !text.is_empty() {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push('\n');
    }
    text.push_str(entry);
    if text.len() as u64 > TOKEN_FILE_BYTES_MAX {
        return Err(format!("would be larger than the limit of {TOKEN_FILE_BYTES_MAX} bytes"));
    }
    check_tokens(&text).map_err(|error| format!("cannot have this entry: {error}"))?;
    replace(&path, &file, &text)
        .map_err(|error| format!("cannot be replaced: {}", without_path(&error)))
}

fn create_if_absent(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens the file and waits until no other process changes it.
fn lock(path: &Path) -> io::Result<File> {
    loop {
        let file = File::open(path)?;
        file.lock()?;
        // Another process may have replaced the file before it released the lock.
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (opened, current) = (file.metadata()?, fs::metadata(path)?);
    Ok((opened.dev(), opened.ino()) == (current.dev(), current.ino()))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

fn replace(path: &Path, old: &File, text: &str) -> io::Result<()> {
    let folder = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    // It is readable by its owner only until it has the rights of the old file.
    let mut new = NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    let metadata = old.metadata()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        let current = new.as_file().metadata()?;
        if (current.uid(), current.gid()) != (metadata.uid(), metadata.gid()) {
            fchown(new.as_file(), Some(metadata.uid()), Some(metadata.gid()))?;
        }
    }
    new.as_file().set_permissions(metadata.permissions())?;
    new.as_file().sync_all()?;
    new.persist(path).map(|_| ()).map_err(|error| error.error)
}
