//! Turns the paths of the command line into inputs: lists the files of folders, and checks what a path is.
//!
//! A folder is read with all folders in it, sorted by name. Hidden files and folders in it are skipped, as by `ls`,
//! `fd` and `ripgrep`; a hidden path that is named on the command line is read. Links are followed last: each folder
//! is read only once, so a circle of links ends, and a file that was found without a link is not listed twice.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::{Content, Input};

/// Maximum number of files in the folders of one command.
const FILES_MAX: usize = 1 << 20;

/// Returns the inputs for the paths of the command line, in their order.
pub(in crate::cli) fn expand(paths: &[PathBuf]) -> Vec<Input> {
    let mut inputs = Vec::new();
    for path in paths {
        let is_folder = !super::is_stdin(path) && path.metadata().is_ok_and(|found| found.is_dir());
        match is_folder {
            true => inputs.extend(Walk::default().inputs(path)),
            false => inputs.push(Input::named(path)),
        }
    }
    inputs
}

/// The files of one folder.
#[derive(Default)]
struct Walk {
    inputs: Vec<Input>,
    /// The links that were found, to be followed last.
    links: Vec<PathBuf>,
    /// The real paths of the folders that were read, without links in them.
    folders: HashSet<PathBuf>,
    /// The real paths of the files that links lead to.
    linked: HashSet<PathBuf>,
}

impl Walk {
    fn inputs(mut self, root: &Path) -> Vec<Input> {
        self.folder(root);
        // Following a link can find more links.
        let mut at = 0;
        while let Some(link) = self.links.get(at).cloned() {
            self.follow(&link);
            at += 1;
        }
        let mut inputs = self.inputs;
        inputs.sort_by(|a, b| a.path.cmp(&b.path));
        if inputs.is_empty() {
            inputs.push(Input::problem(root, "the folder has no files"));
        }
        if inputs.len() > FILES_MAX {
            let message = format!(
                "the folder has more than {FILES_MAX} files; measure the folders in it one by one"
            );
            return vec![Input::problem(root, &message)];
        }
        inputs
    }

    /// Reads a folder and the folders in it.
    fn folder(&mut self, root: &Path) {
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let is_new = folder.canonicalize().map(|real| self.folders.insert(real));
            let entries = match is_new.and_then(|is_new| Ok((is_new, folder.read_dir()?))) {
                Ok((true, entries)) => entries,
                // A link leads to a folder that contains this one.
                Ok((false, _)) => continue,
                Err(error) => {
                    self.add(Input::problem(&folder, &unreadable(&error)));
                    continue;
                }
            };
            for entry in entries {
                match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?, entry))) {
                    Ok((path, _, _)) if is_hidden(&path) => {}
                    Ok((path, kind, _)) if kind.is_dir() => folders.push(path),
                    Ok((path, kind, _)) if kind.is_symlink() => self.links.push(path),
                    Ok((path, kind, entry)) => {
                        self.file(&path, kind, entry.metadata().ok().as_ref());
                    }
                    Err(error) => {
                        self.add(Input::problem(&folder, &unreadable(&error)));
                        break;
                    }
                }
            }
        }
    }

    fn file(&mut self, path: &Path, kind: FileType, metadata: Option<&Metadata>) {
        if kind.is_file() {
            let size = metadata.map(Metadata::len);
            return self.add(Input { size, ..Input::in_folder(path, Content::File) });
        }
        let message = format!("it is {}, not a regular file", name_of(kind));
        self.add(Input::in_folder(path, Content::Skipped(message)));
    }

    fn follow(&mut self, link: &Path) {
        let real = link.canonicalize().and_then(|real| Ok((real.metadata()?, real)));
        let (metadata, real) = match real {
            Ok(found) => found,
            Err(error) => {
                let message = format!("the link leads nowhere: {error}");
                return self.add(Input::in_folder(link, Content::Skipped(message)));
            }
        };
        let folder = if metadata.is_dir() { Some(real.as_path()) } else { real.parent() };
        let is_read = folder.is_some_and(|folder| self.folders.contains(folder));
        // A hidden file in a folder that was read is not an input.
        let is_listed = is_read && (metadata.is_dir() || !is_hidden(&real));
        if is_listed || (!metadata.is_dir() && !self.linked.insert(real.clone())) {
            let what = if metadata.is_dir() { "folder" } else { "file" };
            let message = format!("the link leads to a {what} that is read already");
            return self.add(Input::in_folder(link, Content::Skipped(message)));
        }
        match metadata.is_dir() {
            true => self.folder(link),
            false => self.file(link, metadata.file_type(), Some(&metadata)),
        }
    }

    fn add(&mut self, input: Input) {
        // One more than the limit, so that the excess is noticed.
        if self.inputs.len() <= FILES_MAX {
            self.inputs.push(input);
        }
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().map(OsStr::as_encoded_bytes).is_some_and(|name| name.starts_with(b"."))
}

/// Returns the message about a file or folder that cannot be opened.
pub(super) fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "cannot be read: there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "cannot be read: permission denied".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// Returns a name for a kind of file that is neither a regular file nor a folder.
pub(super) fn name_of(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    #[cfg(not(unix))]
    let _ = kind;
    "a device"
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
