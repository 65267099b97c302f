//! The name of a recording.

use std::fmt;
use std::str::FromStr;

use super::Namespace;
use super::namespace::is_unreserved;

/// A valid name of a recording: `paths/{id}` in the default namespace, `namespaces/{namespace}/paths/{id}` in another
/// one. `{id}` has 1 to 128 characters of `A-Z a-z 0-9 - _ . ~`, which a URL can contain without escapes.
///
/// In a request, `paths/{id}` is a recording of the caller's own namespace. The full name `namespaces/-/paths/{id}` always
/// means the default namespace. It differs from `paths/{id}`, which is the name in a store.
///
/// Names are ordered by namespace, the default namespace first, and then by ID.
///
/// ```
/// use waywiser::recording::RecordingName;
///
/// let name: RecordingName = "paths/van-7_2026.11.24".parse()?;
/// assert_eq!((name.namespace(), name.id()), (None, "van-7_2026.11.24"));
/// let other: RecordingName = "namespaces/acme/paths/van-7".parse()?;
/// assert_eq!(other.namespace().map(|namespace| namespace.as_str()), Some("acme"));
/// assert!(name < other);
/// assert!("van-7".parse::<RecordingName>().is_err());
/// # Ok::<(), waywiser::recording::RecordingNameError>(())
/// ```
// The order of the fields defines the order of names: two names of one namespace in a store differ in their IDs only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingName {
    namespace: Option<Namespace>,
    text: Box<str>,
}

const PATHS: &str = "paths/";
const NAMESPACES: &str = "namespaces/";
/// Maximum length of an ID in bytes.
const ID_BYTES_MAX: usize = 128;

/// A text is not a valid name of a recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name is paths/ followed by 1 to 128 characters of A-Z a-z 0-9 - _ . ~, such as paths/morning-walk"
)]
pub struct RecordingNameError;

impl RecordingName {
    /// Returns the part after `paths/`.
    pub fn id(&self) -> &str {
        // An ID contains no slash.
        self.text.rsplit('/').next().unwrap_or_default()
    }

    /// Returns whether the text has the form `namespaces/{namespace}/paths/{id}`.
    pub fn is_full(&self) -> bool {
        self.text.starts_with(NAMESPACES)
    }

    /// Returns the full name of the same recording: `namespaces/{namespace}/paths/{id}`, with `-` for the default
    /// namespace.
    #[must_use]
    pub fn to_full(&self) -> Self {
        let namespace = self.namespace.as_ref().map_or(Namespace::DEFAULT, Namespace::as_str);
        let text = format!("{NAMESPACES}{namespace}/{PATHS}{}", self.id());
        Self { namespace: self.namespace.clone(), text: text.into() }
    }

    /// Returns the namespace, or `None` for the default namespace.
    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// Returns the name in the default namespace with this part after `paths/`.
    ///
    /// # Errors
    /// If the part is not valid.
    pub fn from_id(id: &str) -> Result<Self, RecordingNameError> {
        Self::in_namespace(None, id)
    }

    /// Returns the name with this namespace and this part after `paths/`.
    ///
    /// # Errors
    /// If the part is not valid.
    pub fn in_namespace(
        namespace: Option<&Namespace>,
        id: &str,
    ) -> Result<Self, RecordingNameError> {
        match is_valid_id(id) {
            true => Ok(Self::of_valid(namespace, id)),
            false => Err(RecordingNameError),
        }
    }

    fn of_valid(namespace: Option<&Namespace>, id: &str) -> Self {
        let text = match namespace {
            None => format!("{PATHS}{id}"),
            Some(namespace) => format!("{NAMESPACES}{namespace}/{PATHS}{id}"),
        };
        Self { namespace: namespace.cloned(), text: text.into() }
    }

    /// Returns the name with the same ID in this namespace.
    #[must_use]
    pub fn moved_to(&self, namespace: Option<&Namespace>) -> Self {
        Self::of_valid(namespace, self.id())
    }

    /// Returns the whole name, with its namespace.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Splits a name, or the beginning of one that contains at least `paths/`, into the namespace and the rest.
    /// Does not check the rest.
    pub(crate) fn split(text: &str) -> Option<(NamespacePart, &str)> {
        if let Some(id) = text.strip_prefix(PATHS) {
            return Some((NamespacePart::Absent, id));
        }
        let (namespace, rest) = text.strip_prefix(NAMESPACES)?.split_once('/')?;
        let namespace = match namespace {
            Namespace::DEFAULT => None,
            namespace => Some(namespace.parse().ok()?),
        };
        Some((NamespacePart::Full(namespace), rest.strip_prefix(PATHS)?))
    }
}

/// The part of a name before `paths/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NamespacePart {
    /// Nothing. In a request this is the caller's own namespace.
    Absent,
    /// This namespace. `None` is the default namespace.
    Full(Option<Namespace>),
}

/// Returns whether a text is the beginning of an ID. The empty text is one.
pub(super) fn is_id_prefix(text: &str) -> bool {
    text.is_empty() || is_valid_id(text)
}

fn is_valid_id(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_unreserved)
}

impl FromStr for RecordingName {
    type Err = RecordingNameError;

    fn from_str(text: &str) -> Result<Self, RecordingNameError> {
        let (part, id) = Self::split(text).ok_or(RecordingNameError)?;
        let namespace = match part {
            NamespacePart::Absent => None,
            NamespacePart::Full(namespace) => namespace,
        };
        match is_valid_id(id) {
            true => Ok(Self { namespace, text: text.into() }),
            false => Err(RecordingNameError),
        }
    }
}

impl fmt::Display for RecordingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_only_characters_that_a_url_does_not_escape() {
        for good in ["paths/a", "paths/A.b-c_d~9", &format!("paths/{}", "x".repeat(128))] {
            let name: RecordingName = good.parse().unwrap();
            assert_eq!((name.as_str(), name.namespace()), (good, None));
            assert_eq!(RecordingName::from_id(name.id()), Ok(name));
            let full = format!("namespaces/a.~/{good}");
            let name: RecordingName = full.parse().unwrap();
            assert_eq!(name.to_string(), full);
            assert_eq!(name.namespace().map(Namespace::as_str), Some("a.~"));
            assert_eq!(
                RecordingName::in_namespace(name.namespace(), name.id()).as_ref(),
                Ok(&name)
            );
            assert_eq!(name.moved_to(None).as_str(), good);
            assert_eq!(name.moved_to(None).moved_to(name.namespace()), name);
        }
        let long = format!("paths/{}", "x".repeat(129));
        for bad in ["", "paths/", "a", "paths/a/b", "paths/ü", "paths/a b", "/paths/a", &long] {
            assert!(bad.parse::<RecordingName>().is_err(), "{bad}");
            assert!(format!("namespaces/a/{bad}").parse::<RecordingName>().is_err(), "{bad}");
        }
        for bad in ["", "a/b", "ü", &"x".repeat(65), "/"] {
            let text = format!("namespaces/{bad}/paths/a");
            assert!(text.parse::<RecordingName>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_default_namespace_has_a_full_name() {
        let name: RecordingName = "namespaces/-/paths/a".parse().unwrap();
        assert_eq!((name.as_str(), name.namespace()), ("namespaces/-/paths/a", None));
        assert_eq!((name.id(), name.is_full()), ("a", true));
        let stored = name.moved_to(None);
        assert_eq!((stored.as_str(), stored.is_full()), ("paths/a", false));
        assert_eq!(stored.to_full(), name);
        assert_eq!(name.to_full(), name);
        let other: RecordingName = "namespaces/b/paths/a".parse().unwrap();
        assert_eq!((other.to_full(), other.is_full()), (other.clone(), true));
        assert!("namespaces/-/a".parse::<RecordingName>().is_err());
    }

    #[test]
    fn names_are_ordered_by_namespace_and_then_by_id() {
        let names = [
            "paths/-",
            "paths/zz",
            "paths/~",
            "namespaces/A/paths/~",
            "namespaces/a/paths/0",
            "namespaces/a/paths/00",
            "namespaces/a/paths/~",
            "namespaces/a-/paths/0",
            "namespaces/aa/paths/-",
            "namespaces/~/paths/0",
        ];
        let names = names.map(|name| name.parse::<RecordingName>().unwrap());
        assert!(names.is_sorted(), "{names:?}");
    }
}
