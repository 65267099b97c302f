//! Adds an entry to a token file, in two steps: everything that can fail, and the replacement. A server that reads the
//! file meanwhile finds the old or the new content.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::auth::{TOKEN_FILE_BYTES_MAX, check_tokens};
use crate::cli::new_file::{folder, sync_folder};
use crate::cli::without_path;

/// A token file with a new entry, which has not replaced the old file yet. Dropping it changes nothing.
#[derive(Debug)]
pub(super) struct Addition {
    /// The new content, on the disk with a temporary name.
    new: NamedTempFile,
    path: PathBuf,
    old: Old,
}

/// What a new token file replaces. The lock keeps other processes that add an entry waiting.
#[derive(Debug)]
enum Old {
    File(File),
    /// There is no file. Holds its folder where the system can lock folders.
    Absent {
        _folder: Option<File>,
    },
}

impl Old {
    /// Finds the file of `path`, follows links, and locks it. Returns its path, too.
    fn lock(path: &Path) -> Result<(PathBuf, Self), String> {
        let mut locked_folder = None;
        loop {
            match fs::symlink_metadata(path) {
                Ok(_) => {
                    let path = fs::canonicalize(path)
                        .map_err(|error| format!("cannot be found: {error}"))?;
                    // Opening a pipe would wait for its other end.
                    if !path.is_file() {
                        return Err("is not a regular file".to_owned());
                    }
                    let file = lock(&path).map_err(|error| format!("cannot be locked: {error}"))?;
                    return Ok((path, Self::File(file)));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(format!("cannot be read: {error}"));
                }
                Err(_) if cfg!(unix) && locked_folder.is_none() => {
                    let locked = File::open(folder(path)).and_then(|folder| {
                        folder.lock()?;
                        Ok(folder)
                    });
                    locked_folder =
                        Some(locked.map_err(|error| format!("cannot be created: {error}"))?);
                    // Another process may have created the file before it released the lock.
                }
                Err(_) => {
                    return Ok((path.to_owned(), Self::Absent { _folder: locked_folder }));
                }
            }
        }
    }
}

impl Addition {
    /// Writes the content of the file and the entry to a new file, and checks it. A file that does not exist counts as
    /// empty. The new file has the rights and the owner of the old one, or is for its owner only.
    ///
    /// # Errors
    /// The reason why the file cannot have this entry.
    pub(super) fn prepare(path: &Path, entry: &str) -> Result<Self, String> {
        let (path, old) = Old::lock(path)?;
        let mut text = String::new();
        if let Old::File(file) = &old {
            let read = file.take(TOKEN_FILE_BYTES_MAX + 1).read_to_string(&mut text);
            read.map_err(|error| format!("cannot be read: {error}"))?;
        }
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
        let (replaced, what) = match &old {
            Old::File(file) => (Some(file), "replaced"),
            Old::Absent { .. } => (None, "created"),
        };
        let new = write(&path, replaced, &text)
            .map_err(|error| format!("cannot be {what}: {}", without_path(&error)))?;
        Ok(Self { new, path, old })
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// The reason why the file was not changed.
    pub(super) fn commit(self) -> Result<(), String> {
        let Self { new, path, old } = self;
        let moved = match &old {
            Old::File(_) => new.persist(&path),
            // A program that takes no lock may have created it.
            Old::Absent { .. } => new.persist_noclobber(&path),
        };
        moved.map_err(|error| format!("cannot be replaced: {}", without_path(&error.error)))?;
        // The entry is in the file, so the result is a success. An error would concern a crash only.
        let _ = sync_folder(&path);
        Ok(())
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

/// Writes a file next to `path`, with the rights and the owner of `old`.
fn write(path: &Path, old: Option<&File>, text: &str) -> io::Result<NamedTempFile> {
    // It is readable by its owner only until it has the rights of the old file.
    let mut new = NamedTempFile::new_in(folder(path))?;
    new.write_all(text.as_bytes())?;
    if let Some(old) = old {
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
    }
    new.as_file().sync_all()?;
    Ok(new)
}
