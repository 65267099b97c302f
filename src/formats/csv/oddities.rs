//! What the splitter found besides rows.

/// Parts of the text that were not read as rows, with their first line.
#[derive(Default)]
pub(super) struct Oddities {
    /// Quotes that are not closed.
    pub open_quotes: Option<u64>,
    /// NUL bytes in front of a row, or at the end of the file.
    pub nul_bytes: Option<u64>,
    /// Rows that are too long, and the number of them.
    pub long_rows: Option<u64>,
    /// Blank lines between rows.
    pub blank_lines: Option<u64>,
    /// NUL bytes at the end of a row.
    pub padding: Option<u64>,
}

impl Oddities {
    pub(super) fn is_any(&self) -> bool {
        [self.open_quotes, self.nul_bytes, self.long_rows, self.blank_lines, self.padding]
            .iter()
            .any(Option::is_some)
    }
}
