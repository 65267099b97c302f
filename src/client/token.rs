//! The bearer token of calls: a value, a file that is read again when it changes, or a callback.
//!
//! A token never appears in an error or in Debug output.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use http::HeaderValue;

/// Maximum size of a token. A server accepts 16 KiB of headers.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The error of a caller's own source of tokens.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The source of the bearer token that every call sends.
///
/// ```
/// use waywiser::client::TokenSource;
///
/// let fixed = TokenSource::value("secret");
/// assert!(!format!("{fixed:?}").contains("secret"));
/// let rotated = TokenSource::file("/run/secrets/token");
/// ```
#[derive(Clone)]
pub struct TokenSource(Arc<Source>);

enum Source {
    Value(Result<HeaderValue, TokenError>),
    File { path: PathBuf, read: Mutex<Option<ReadFile>> },
    Callback(Box<dyn Fn() -> Result<String, BoxError> + Send + Sync>),
}

/// A token file that was read, and its state at that time.
struct ReadFile {
    state: FileState,
    header: HeaderValue,
}

/// Differs after a file was written or replaced. `None` for a pipe, which can be read only once.
type FileState = Option<(u64, Option<SystemTime>, u64)>;

/// The error of a source of tokens. It does not contain the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(String);

impl TokenError {
    /// Returns the error of a source that still has the token that the server refuses.
    pub(super) fn not_renewed() -> Self {
        Self("the server no longer accepts the token, and there is no other one yet".to_owned())
    }
}

impl TokenSource {
    /// Returns a source of one token, which never changes.
    pub fn value(token: impl Into<String>) -> Self {
        Self(Arc::new(Source::Value(header("the token", &token.into()))))
    }

    /// Returns a source that reads a file. Spaces and line ends around the token are removed. Each call checks whether
    /// the file has changed, and reads it again if it has. A pipe is read once.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Source::File { path: path.into(), read: Mutex::default() }))
    }

    /// Returns a source that calls a function at the start of each call. It must not block; a source that requests
    /// tokens from a server does so in the background and returns the latest one.
    pub fn callback(token: impl Fn() -> Result<String, BoxError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Source::Callback(Box::new(token))))
    }

    /// Returns whether the source may return another token later.
    pub(super) fn may_change(&self) -> bool {
        !matches!(*self.0, Source::Value(_))
    }

    /// Checks a token that never changes. Other sources are used at each call.
    ///
    /// # Errors
    /// The token is not valid.
    pub(super) fn check(&self) -> Result<(), TokenError> {
        match &*self.0 {
            Source::Value(value) => value.as_ref().map(drop).map_err(Clone::clone),
            Source::File { .. } | Source::Callback(_) => Ok(()),
        }
    }

    /// Returns the value of the `authorization` header with the current token.
    ///
    /// # Errors
    /// The source has no valid token.
    pub(super) fn header(&self) -> Result<HeaderValue, TokenError> {
        match &*self.0 {
            Source::Value(value) => value.clone(),
            Source::Callback(token) => {
                let token = token().map_err(|error| TokenError(format!("no token: {error}")))?;
                header("the token", &token)
            }
            Source::File { path, read } => {
                // The lock is held only while a small file is read. A poisoned one has a complete value.
                let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
                current(path, &mut read)
            }
        }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Source::Value(_) => f.write_str("TokenSource::value(..)"),
            Source::File { path, .. } => write!(f, "TokenSource::file({path:?})"),
            Source::Callback(_) => f.write_str("TokenSource::callback(..)"),
        }
    }
}

/// Returns the token of a file. Reads it only if it has changed.
fn current(path: &Path, read: &mut Option<ReadFile>) -> Result<HeaderValue, TokenError> {
    let failed = |reason: &dyn fmt::Display| {
        TokenError(format!("the token file {} cannot be read: {reason}", path.display()))
    };
    let now = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Err(failed(&"it is a folder")),
        Ok(metadata) => state(&metadata),
        Err(error) => return Err(failed(&error)),
    };
    if let Some(read) = read
        && read.state == now
    {
        return Ok(read.header.clone());
    }
    let file = File::open(path).map_err(|error| failed(&error))?;
    // The state is that of the open file, so that a file that is replaced now is read again at the next call.
    let state = file.metadata().map(|metadata| state(&metadata)).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    let limit = TOKEN_BYTES_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| failed(&"it is not text"))?;
    let header = header(&format!("the token file {}", path.display()), text.trim())?;
    *read = Some(ReadFile { state, header: header.clone() });
    Ok(header)
}

fn state(metadata: &Metadata) -> FileState {
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let number = 0;
    metadata.is_file().then(|| (metadata.len(), metadata.modified().ok(), number))
}

/// Returns the header of a token that came from `source`.
fn header(source: &str, token: &str) -> Result<HeaderValue, TokenError> {
    let error = |reason: &str| Err(TokenError(format!("{source} {reason}")));
    if token.is_empty() {
        return error("is empty");
    }
    if token.len() > TOKEN_BYTES_MAX {
        return error(&format!("has more than {TOKEN_BYTES_MAX} bytes"));
    }
    if token.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer ")) {
        return error("starts with Bearer; leave this word out");
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return error("has a space, a line end or another character that a token cannot have");
    }
    match HeaderValue::from_str(&format!("Bearer {token}")) {
        Ok(mut header) => {
            header.set_sensitive(true);
            Ok(header)
        }
        Err(_) => error("cannot be sent in a header"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &TokenSource) -> Result<String, String> {
        let header = source.header().map_err(|error| error.to_string())?;
        assert!(header.is_sensitive());
        Ok(header.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_token_file_is_read_again_when_it_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let source = TokenSource::file(&path);
        assert!(text(&source).unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "first\n").unwrap();
        assert_eq!(text(&source).unwrap(), "Bearer first");
        std::fs::write(&path, " second-1 \r\n").unwrap();
        assert_eq!(text(&source).unwrap(), "Bearer second-1");
        // A file of the same length replaces it.
        let other = directory.path().join("other");
        std::fs::write(&other, " second-2 \r\n").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(text(&source).unwrap(), "Bearer second-2");
        std::fs::remove_file(&path).unwrap();
        assert!(text(&source).is_err());
    }

    #[test]
    fn an_invalid_token_is_refused_and_not_shown() {
        for (token, reason) in [
            ("", "is empty"),
            ("Bearer secret", "starts with Bearer"),
            ("secret secret", "has a space"),
            ("secret\nsecret", "has a space"),
            ("secrét", "another character"),
            (&"secret".repeat(2000), "more than 8192 bytes"),
        ] {
            let source = TokenSource::value(token);
            let error = source.header().unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(!format!("{error:?} {source:?}").contains("secr"), "{error:?}");
        }
    }

    #[test]
    fn a_token_never_appears_in_debug_output() {
        let sources = [TokenSource::value("secret"), TokenSource::callback(|| Ok("secret".into()))];
        for source in sources {
            assert_eq!(text(&source).unwrap(), "Bearer secret");
            let header = source.header().unwrap();
            assert!(!format!("{source:?} {header:?}").contains("secret"));
        }
        let failing = TokenSource::callback(|| Err("the vault is sealed".into()));
        assert_eq!(text(&failing).unwrap_err(), "no token: the vault is sealed");
    }
}
