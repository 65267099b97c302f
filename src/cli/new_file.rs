//! A file that appears when it is complete and on the disk, and otherwise not at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::without_path;

/// A file while it is written, with a temporary name. Only this user can read it. Dropping it removes it.
pub(super) struct NewFile {
    file: NamedTempFile,
    target: PathBuf,
}

impl NewFile {
    /// Creates a file that will replace `path`, or the file that the link `path` leads to.
    ///
    /// # Errors
    /// If `path` is neither a regular file nor a new one, or its folder cannot be written.
    pub(super) fn create(path: &Path) -> Result<Self, String> {
        let refused = |error: &io::Error| refused(path, error);
        let target = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(format!("{} is a directory: name a file", path.display()));
            }
            Ok(metadata) if !metadata.is_file() => {
                return Err(format!(
                    "{} is not a regular file: use - to write to standard output",
                    path.display()
                ));
            }
            Ok(_) => fs::canonicalize(path).map_err(|error| refused(&error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if fs::symlink_metadata(path).is_ok() {
                    return Err(format!(
                        "{} is a link to a file that does not exist: remove the link, or create the file",
                        path.display()
                    ));
                }
                path.to_owned()
            }
            Err(error) => return Err(refused(&error)),
        };
        let file = NamedTempFile::new_in(folder(&target)).map_err(|error| refused(&error))?;
        Ok(Self { file, target })
    }

    /// Creates a file like [`NewFile::create`] whose name must end with `.` and one of these extensions, so that a pattern
    /// such as `--plot *.gpx`, of which the shell makes several names, does not replace a track.
    ///
    /// # Errors
    /// If the name has another end, and those of [`NewFile::create`].
    pub(super) fn with_extension(path: &Path, extensions: &[&str]) -> Result<Self, String> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extensions.contains(&&*extension) {
            true => Self::create(path),
            false => Err(format!(
                "the name of the file must end with .{}, and {} does not",
                extensions.join(" or ."),
                path.display()
            )),
        }
    }

    /// Syncs the file and gives it its name. On success the file is on the disk.
    ///
    /// # Errors
    /// If that fails.
    pub(super) fn finish(self) -> Result<(), String> {
        let Self { file, target } = self;
        let refused = |error: &io::Error| refused(&target, error);
        file.as_file().sync_all().map_err(|error| refused(&error))?;
        file.persist(&target).map_err(|error| refused(&error.error))?;
        sync_folder(&target).map_err(|error| refused(&error))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Makes the name of a new or renamed file durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder(path))?.sync_all()?;
    }
    Ok(())
}

/// Returns the folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn refused(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be written: {}", path.display(), without_path(error))
}
