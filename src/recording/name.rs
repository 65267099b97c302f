//! The name of a recording.

use std::fmt;
use std::str::FromStr;

use super::namespace::is_unreserved;

/// A valid name of a recording: `paths/{id}`, where `{id}` has 1 to 128 characters of `A-Z a-z 0-9 - _ . ~`. A URL
/// can contain these characters without escapes.
///
/// ```
/// use waywiser::recording::RecordingName;
///
/// let name: RecordingName = "paths/van-7_2026.11.24".parse()?;
/// assert_eq!(name.id(), "van-7_2026.11.24");
/// assert!("van-7".parse::<RecordingName>().is_err());
/// # Ok::<(), waywiser::recording::RecordingNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingName(Box<str>);

/// The prefix of all names.
const PREFIX: &str = "paths/";
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
        &self.0[PREFIX.len()..]
    }

    /// Returns the name with this part after `paths/`.
    ///
    /// # Errors
    /// If the part is not valid.
    pub fn from_id(id: &str) -> Result<Self, RecordingNameError> {
        format!("{PREFIX}{id}").parse()
    }

    /// Returns the whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RecordingName {
    type Err = RecordingNameError;

    fn from_str(text: &str) -> Result<Self, RecordingNameError> {
        let id = text.strip_prefix(PREFIX).ok_or(RecordingNameError)?;
        let fits = (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_unreserved);
        if fits { Ok(Self(text.into())) } else { Err(RecordingNameError) }
    }
}

impl fmt::Display for RecordingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_only_characters_that_a_url_does_not_escape() {
        for good in ["paths/a", "paths/A.b-c_d~9", &format!("paths/{}", "x".repeat(128))] {
            let name: RecordingName = good.parse().unwrap();
            assert_eq!(name.as_str(), good);
            assert_eq!(RecordingName::from_id(name.id()), Ok(name));
        }
        let long = format!("paths/{}", "x".repeat(129));
        for bad in ["", "paths/", "a", "paths/a/b", "paths/ü", "paths/a b", "/paths/a", &long] {
            assert!(bad.parse::<RecordingName>().is_err(), "{bad}");
        }
    }
}
