//! The error messages of quick-xml, in the form of this crate.

use std::io;

use super::super::error::{FormatError, Limit, Position};

/// Returns the error of a reader for an error of quick-xml in the event at `position`.
pub(super) fn explain(error: quick_xml::Error, position: Position) -> FormatError {
    let message = match error {
        quick_xml::Error::Io(shared) => {
            return match shared.get_ref().and_then(|inner| inner.downcast_ref::<Limit>()) {
                Some(limit) => Limit::or_io(limit.into_io(), position),
                None => FormatError::Io(io::Error::new(shared.kind(), shared.to_string())),
            };
        }
        quick_xml::Error::Syntax(error) => {
            format!("not well-formed XML: {error}; is the file incomplete?")
        }
        // The messages contain names from the file, which may be long.
        quick_xml::Error::IllFormed(error) => {
            let message: String = error.to_string().escape_debug().take(200).collect();
            format!("not well-formed XML: {message}")
        }
        error => format!("not well-formed XML: {error}"),
    };
    FormatError::malformed(position, message)
}
