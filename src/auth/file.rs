//! Files of credentials: bounded reads, a check of the rights, and the detection of changes.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::token::TokenHash;

/// Credentials cannot be loaded: the place, the reason, and what to do. The message contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The file or URL.
    pub place: String,
    /// The line of the file, from 1.
    pub line: Option<usize>,
    /// The reason and the remedy.
    pub reason: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for LoadError {}

/// The permissions of other users that are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Other users may neither read nor write it, and its group may not write it.
    Secret,
    /// Neither its group nor other users may write it.
    Public,
}

/// A file that is read again when it changes.
#[derive(Debug)]
pub(super) struct WatchedFile {
    path: PathBuf,
    content: Content,
    bytes_max: u64,
    seen: Mutex<Seen>,
}

/// The results of the last reads.
#[derive(Debug, Default)]
struct Seen {
    /// The content that was returned last.
    returned: Option<TokenHash>,
    /// The content of the last read.
    last: Option<TokenHash>,
}

impl WatchedFile {
    pub(super) fn new(path: &Path, content: Content, bytes_max: u64) -> Self {
        Self { path: path.to_owned(), content, bytes_max, seen: Mutex::default() }
    }

    /// Returns an error about this file.
    pub(super) fn error(&self, line: Option<usize>, reason: String) -> LoadError {
        LoadError { place: self.path.display().to_string(), line, reason }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read, is too large, is not UTF-8, or has wrong rights.
    pub(super) fn read(&self) -> Result<String, LoadError> {
        let text = self.read_or_forget()?;
        let hash = TokenHash::of(&text);
        *self.seen() = Seen { returned: Some(hash), last: Some(hash) };
        Ok(text)
    }

    /// Reads the file, and returns its content if it has changed. A program that writes the file in place can be half
    /// done, so a change is returned when two reads in succession have found it.
    ///
    /// # Errors
    /// As for [`WatchedFile::read`].
    pub(super) fn read_change(&self) -> Result<Option<String>, LoadError> {
        let text = self.read_or_forget()?;
        let hash = TokenHash::of(&text);
        let mut seen = self.seen();
        let is_stable = seen.last.replace(hash) == Some(hash);
        let is_new = is_stable && seen.returned != Some(hash);
        if is_new {
            seen.returned = Some(hash);
        }
        Ok(is_new.then_some(text))
    }

    /// Makes the next call of [`WatchedFile::read_change`] return the content that was returned last, because it is
    /// not valid: the error is reported until the file changes.
    pub(super) fn forget(&self) {
        self.seen().returned = None;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file. After an error, the next stable content is a change even if it is the earlier one.
    fn read_or_forget(&self) -> Result<String, LoadError> {
        self.read_text().inspect_err(|_| *self.seen() = Seen::default())
    }

    fn read_text(&self) -> Result<String, LoadError> {
        let unreadable = |error| self.error(None, format!("cannot be read: {error}"));
        // Opening a pipe would wait for its writer.
        let metadata = fs::metadata(&self.path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(self.error(None, "is not a regular file".to_owned()));
        }
        let file = File::open(&self.path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        self.check_rights(&metadata)?;
        let mut bytes = Vec::new();
        file.take(self.bytes_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > self.bytes_max {
            let reason = format!("is larger than the limit of {} bytes", self.bytes_max);
            return Err(self.error(None, reason));
        }
        String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
            self.error(Some(line), "is not UTF-8".to_owned())
        })
    }

    #[cfg(unix)]
    fn check_rights(&self, metadata: &Metadata) -> Result<(), LoadError> {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode() & 0o777;
        let (others, verb, remedy) = match self.content {
            Content::Secret => (0o006, "read or write", "o-rw"),
            Content::Public => (0o002, "write", "o-w"),
        };
        // Who can write the file decides who may call.
        const GROUP_WRITE: u32 = 0o020;
        let (users, remedy) = match (mode & GROUP_WRITE != 0, mode & others != 0) {
            (false, false) => return Ok(()),
            (true, false) => ("its group may write it".to_owned(), "g-w".to_owned()),
            (false, true) => (format!("other users may {verb} it"), remedy.to_owned()),
            (true, true) => (
                format!("its group may write it and other users may {verb} it"),
                format!("g-w,{remedy}"),
            ),
        };
        let path = self.path.display();
        Err(self.error(None, format!("{users} (mode {mode:04o}); run: chmod {remedy} {path}")))
    }

    #[cfg(not(unix))]
    fn check_rights(&self, _: &Metadata) -> Result<(), LoadError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(content: Content) -> (tempfile::TempDir, PathBuf, WatchedFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = WatchedFile::new(&path, content, 8);
        (folder, path, file)
    }

    fn reason(result: Result<String, LoadError>) -> String {
        result.unwrap_err().to_string().replace(std::env::temp_dir().to_str().unwrap(), "")
    }

    #[test]
    fn a_change_is_returned_once_and_when_two_reads_agree() {
        let (_folder, path, file) = watched(Content::Public);
        fs::write(&path, "one").unwrap();
        assert_eq!(file.read().unwrap(), "one");
        assert_eq!(file.read_change(), Ok(None));
        fs::write(&path, "half").unwrap();
        assert_eq!(file.read_change(), Ok(None));
        fs::write(&path, "two").unwrap();
        assert_eq!(file.read_change(), Ok(None));
        assert_eq!(file.read_change(), Ok(Some("two".to_owned())));
        assert_eq!(file.read_change(), Ok(None));
        fs::remove_file(&path).unwrap();
        assert!(file.read_change().is_err());
        fs::write(&path, "two").unwrap();
        assert_eq!(file.read_change(), Ok(None));
        let change = file.read_change();
        assert_eq!(change, Ok(Some("two".to_owned())), "an error is followed by a success");
        file.forget();
        assert_eq!(file.read_change(), Ok(Some("two".to_owned())));
        fs::remove_file(&path).unwrap();
        assert!(file.read().is_err());
        fs::write(&path, "two").unwrap();
        assert_eq!(file.read_change(), Ok(None));
        assert_eq!(file.read_change(), Ok(Some("two".to_owned())), "a forced read failed");
    }

    #[test]
    fn a_file_that_is_large_binary_absent_or_no_file_is_an_error() {
        let (folder, path, file) = watched(Content::Public);
        assert!(reason(file.read()).contains("cannot be read: No such file"));
        fs::write(&path, "12345678").unwrap();
        assert!(file.read().is_ok());
        fs::write(&path, "123456789").unwrap();
        assert!(reason(file.read()).ends_with("is larger than the limit of 8 bytes"));
        fs::write(&path, b"a\nb\n\xff").unwrap();
        assert!(reason(file.read()).ends_with("/file, line 3: is not UTF-8"));
        let folder = WatchedFile::new(folder.path(), Content::Public, 8);
        assert!(reason(folder.read()).ends_with("is not a regular file"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_the_group_or_others_may_change_is_refused_and_a_secret_one_that_others_may_read()
    {
        use std::os::unix::fs::PermissionsExt as _;
        let secret = [
            (0o644, "other users may read or write it (mode 0644); run: chmod o-rw "),
            (0o602, "other users may read or write it (mode 0602); run: chmod o-rw "),
            (0o660, "its group may write it (mode 0660); run: chmod g-w "),
            (
                0o664,
                "its group may write it and other users may read or write it (mode 0664); run: chmod g-w,o-rw ",
            ),
        ];
        let public = [
            (0o646, "other users may write it (mode 0646); run: chmod o-w "),
            (0o602, "other users may write it (mode 0602); run: chmod o-w "),
            (0o664, "its group may write it (mode 0664); run: chmod g-w "),
            (
                0o666,
                "its group may write it and other users may write it (mode 0666); run: chmod g-w,o-w ",
            ),
        ];
        for (content, good, bad) in [
            (Content::Secret, [0o600, 0o640, 0o440], secret),
            (Content::Public, [0o644, 0o600, 0o444], public),
        ] {
            let (_folder, path, file) = watched(content);
            fs::write(&path, "text").unwrap();
            let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            for mode in good {
                set(mode);
                assert!(file.read().is_ok(), "{mode:o}");
            }
            for (mode, text) in bad {
                set(mode);
                let reason = reason(file.read());
                assert!(reason.contains(text), "{reason}");
            }
        }
    }
}
