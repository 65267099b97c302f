//! The start tag of an element.

use std::borrow::Cow;

use quick_xml::events::BytesStart;

/// The start tag of an element.
pub(super) struct Element<'a>(BytesStart<'a>);

impl<'a> Element<'a> {
    pub(super) fn new(start: BytesStart<'a>) -> Self {
        Self(start)
    }

    /// Creates an element from the text between `<` and `>`, or between `<` and `/>`.
    #[inline]
    pub(super) fn from_content(content: &'a str) -> Self {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\r' | b'\n' | b'\t');
        let name_bytes = content.as_bytes().iter().position(is_blank).unwrap_or(content.len());
        Self(BytesStart::from_content(content, name_bytes))
    }

    /// Returns the name with its namespace prefix.
    #[inline]
    pub(super) fn name(&self) -> &str {
        self.0.name().into_inner()
    }

    /// Returns the name without its namespace prefix.
    #[inline]
    pub(super) fn local_name(&self) -> &str {
        let name = self.name();
        match name.bytes().position(|byte| byte == b':') {
            Some(colon) => &name[colon + 1..],
            None => name,
        }
    }

    /// Returns the namespace prefix with its colon, or an empty text.
    #[inline]
    pub(super) fn prefix(&self) -> &str {
        let name = self.name();
        &name[..name.len() - self.local_name().len()]
    }

    /// Returns the text of the tag after the name.
    #[inline]
    pub(super) fn attributes_text(&self) -> &str {
        self.0.attributes_raw()
    }

    /// Returns the names and values of the attributes. Entities in the values are not resolved.
    pub(super) fn attributes(&self) -> impl Iterator<Item = Result<(&str, Cow<'_, str>), String>> {
        let mut attributes = self.0.attributes();
        attributes.with_checks(false);
        attributes.map(|attribute| match attribute {
            Ok(attribute) => Ok((attribute.key.into_inner(), attribute.value)),
            Err(error) => Err(format!("an attribute of <{}>: {error}", self.local_name())),
        })
    }
}
