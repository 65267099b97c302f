//! The namespace of a recording: recordings of different namespaces may have the same id.

use std::fmt;
use std::str::FromStr;

/// A valid namespace: 1 to 64 characters of `A-Z a-z 0-9 - _ . ~`. `-` alone is not one: full names use it for the default
/// namespace.
///
/// ```
/// use waywiser::recording::Namespace;
///
/// let namespace: Namespace = "acme-trucks".parse()?;
/// assert_eq!(namespace.as_str(), "acme-trucks");
/// assert!("acme/trucks".parse::<Namespace>().is_err());
/// assert!("-".parse::<Namespace>().is_err());
/// # Ok::<(), waywiser::recording::NamespaceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Box<str>);

/// A text is not a valid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a namespace has 1 to 64 characters of A-Z a-z 0-9 - _ . ~, and is not - alone")]
pub struct NamespaceError;

impl Namespace {
    /// Maximum length in bytes.
    pub const BYTES_MAX: usize = 64;

    /// The text for the default namespace in full names: `namespaces/-/paths/{id}`.
    pub const DEFAULT: &'static str = "-";

    /// Returns the namespace as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether a URL can contain this character without an escape.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

impl FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(text: &str) -> Result<Self, NamespaceError> {
        let fits = (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(is_unreserved);
        if fits && text != Self::DEFAULT { Ok(Self(text.into())) } else { Err(NamespaceError) }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_only_characters_that_a_url_does_not_escape() {
        for good in ["a", "A.b-c_d~9", &"x".repeat(64), "--", "-a", "."] {
            assert_eq!(good.parse::<Namespace>().unwrap().to_string(), good);
        }
        for bad in ["", "a/b", "ü", "a b", &"x".repeat(65), "-"] {
            assert_eq!(bad.parse::<Namespace>(), Err(NamespaceError), "{bad}");
        }
    }
}
