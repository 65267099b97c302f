//! Finds the ends of the rows of a table: the line breaks outside quotes.
//!
//! Detection needs the first rows of a text before the reader of tables reads it. Column names from spreadsheets may
//! contain line breaks in quotes, so detection splits text only with this module.

use super::options::ReadOptions;

/// The delimiters that are tried by default.
pub(super) const DELIMITERS: [u8; 4] = *b",;\t|";

/// Returns whether a row is a comment.
pub(super) fn is_comment(row: &[u8]) -> bool {
    let row = row.trim_ascii_start();
    row.starts_with(b"#") || row.starts_with(b"//") || row.starts_with(b"%")
}

/// Returns the delimiter of a line such as `sep=;`, which spreadsheets write.
pub(super) fn separator_line(row: &[u8]) -> Option<u8> {
    let row = row.trim_ascii_end();
    let row = row.strip_prefix(b"\"").and_then(|row| row.strip_suffix(b"\"")).unwrap_or(row);
    match row {
        [s, e, p, b'=', delimiter] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => Some(*delimiter),
        // The end of the line was trimmed.
        [s, e, p, b'='] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => Some(b'\t'),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Field,
    Quoted,
    /// After a quote in a quoted field. It is the end of the field or the first half of an escaped quote.
    Quote,
}

/// Finds the ends of rows, byte by byte. As in the csv crate, a quote has a meaning only at the start of a field.
pub(super) struct RowEnds {
    state: State,
    delimiter: Option<u8>,
}

impl RowEnds {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self { state: State::FieldStart, delimiter: options.delimiter }
    }

    /// Returns whether a row ends with this byte, `\r` or `\n`. Both bytes of `\r\n` end a row.
    pub(super) fn ends_with(&mut self, byte: u8) -> bool {
        let is_delimiter = match self.delimiter {
            Some(delimiter) => byte == delimiter,
            None => DELIMITERS.contains(&byte),
        };
        let is_break = matches!(byte, b'\n' | b'\r');
        self.state = match (self.state, byte) {
            (State::FieldStart | State::Quote, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::Quote,
            (State::Quoted, _) => State::Quoted,
            _ if is_break || is_delimiter => State::FieldStart,
            _ => State::Field,
        };
        is_break && self.state == State::FieldStart
    }
}

/// Returns the rows of a text without their ends, also the blank ones.
pub(super) fn split<'a>(
    text: &'a [u8],
    options: &ReadOptions,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let mut ends = RowEnds::new(options);
    text.split(move |&byte| ends.ends_with(byte))
}

#[cfg(test)]
mod tests {
    use ::csv::ReaderBuilder;
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &str) -> Vec<&str> {
        let rows = split(text.as_bytes(), &ReadOptions::default());
        rows.map(|row| std::str::from_utf8(row).unwrap()).collect()
    }

    #[test]
    fn a_line_break_in_quotes_does_not_end_a_row() {
        assert_eq!(rows("a\nb\r\nc"), ["a", "b", "", "c"]);
        assert_eq!(rows("\"a\n\n\"\"\n\";\"\r\"\nb"), ["\"a\n\n\"\"\n\";\"\r\"", "b"]);
        // A quote inside a field is a part of it.
        assert_eq!(rows("5\" pipe,lat\n1,2\n"), ["5\" pipe,lat", "1,2", ""]);
        assert_eq!(rows("\"a\"b\"\nc"), ["\"a\"b\"", "c"]);
    }

    proptest! {
        /// The csv crate skips blank rows.
        #[test]
        fn rows_end_where_the_csv_crate_ends_them(text in "[a\"\n,]{0,24}") {
            let options = ReadOptions { delimiter: Some(b','), ..Default::default() };
            let mut reader = ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(text.as_bytes());
            let expected = reader.byte_records().count();
            let found = split(text.as_bytes(), &options).filter(|row| !row.is_empty()).count();
            prop_assert_eq!(found, expected);
        }
    }
}
