//! Finds the column names and the delimiter in the first rows of a table.
//!
//! Comment lines and titles before the names are skipped, with a note. A table without names is read if the
//! columns are chosen by number.

use std::io::Read;

use super::super::decimal::parse_f64;
use super::super::error::{FormatError, Position};
use super::super::options::ReadOptions;
use super::super::rows::{DELIMITERS, is_comment, separator_line};
use super::super::value::excerpt;
use super::angle::{decode, with_decimal_comma};
use super::columns::Columns;
use super::splitter::{Rows, StoredRow, split};

/// The number of rows in which the column names are searched.
pub(super) const ROWS_MAX: usize = 20;
/// The number of comment lines before the column names.
const COMMENTS_MAX: usize = 10_000;

/// The start of a table.
pub(super) struct Header {
    pub columns: Columns,
    pub delimiter: u8,
    /// The rows with data that were read.
    pub rows: Vec<StoredRow>,
    /// The lines that were skipped, and why.
    pub skipped: Vec<(Position, &'static str)>,
}

/// Reads the rows up to the column names.
pub(super) fn read<R: Read>(
    rows: &mut Rows<R>,
    options: &ReadOptions,
) -> Result<Header, FormatError> {
    let mut search = Search { options, separator: None, skipped: Vec::new() };
    let mut comment: Option<Vec<u8>> = None;
    let mut titles: Vec<(Vec<u8>, u64)> = Vec::new();
    let mut failure = None;
    while titles.len() < ROWS_MAX && search.skipped.len() < COMMENTS_MAX {
        let Some((row, line)) = rows.next_raw_row(options)? else { break };
        if let Some(delimiter) = separator_line(&row).filter(|_| titles.is_empty()) {
            search.separator = Some(delimiter);
            continue;
        }
        if is_comment(&row) {
            search.skipped.push((Position::line(line), "it is a comment"));
            comment = Some(row);
            continue;
        }
        match search.names(&row) {
            Ok((columns, delimiter)) => {
                let title = "it comes before the column names";
                search
                    .skipped
                    .extend(titles.iter().map(|(_, line)| (Position::line(*line), title)));
                return Ok(search.header(columns, delimiter, Vec::new()));
            }
            Err(error) => failure = failure.or(Some(error)),
        }
        if titles.is_empty() {
            if let Some(header) = search.without_names(&row, line, comment.as_deref())? {
                return Ok(header);
            }
            if search.looks_like_data(&row, line)? {
                let advice = search.advice(&row, line)?;
                return Err(FormatError::Column(advice));
            }
        }
        titles.push((row, line));
    }
    if let Some(header) = search.pairs(&titles)? {
        return Ok(header);
    }
    let none = "the table has no column names".to_owned();
    Err(failure.unwrap_or(FormatError::Column(none)))
}

/// Returns whether a row has the names of the columns of a table.
pub(super) fn has_names(row: &[u8], options: &ReadOptions) -> bool {
    Search { options, separator: None, skipped: Vec::new() }.names(row).is_ok()
}

struct Search<'a> {
    options: &'a ReadOptions,
    /// The delimiter of a line such as `sep=;`.
    separator: Option<u8>,
    skipped: Vec<(Position, &'static str)>,
}

impl Search<'_> {
    fn header(self, columns: Columns, delimiter: u8, rows: Vec<StoredRow>) -> Header {
        Header { columns, delimiter, rows, skipped: self.skipped }
    }

    /// Returns the delimiters to try.
    fn delimiters(&self) -> Vec<u8> {
        match self.options.delimiter.or(self.separator) {
            Some(delimiter) => vec![delimiter],
            None => DELIMITERS.to_vec(),
        }
    }

    /// Returns the delimiter that occurs most often in a row.
    fn most_frequent(&self, row: &[u8]) -> u8 {
        let count = |delimiter: u8| row.iter().filter(|byte| **byte == delimiter).count();
        self.delimiters()
            .into_iter()
            .rev()
            .max_by_key(|delimiter| count(*delimiter))
            .unwrap_or(b',')
    }

    /// Finds the columns in a row of names. Returns the error of the most frequent delimiter.
    fn names(&self, row: &[u8]) -> Result<(Columns, u8), FormatError> {
        for delimiter in self.delimiters() {
            if self.is_numbered_data(row, delimiter)? {
                return Err(FormatError::Column("the table has no column names".to_owned()));
            }
        }
        for delimiter in self.delimiters() {
            let found = Columns::find(names_of(row, delimiter)?, delimiter, self.options);
            if let Ok(columns) = found {
                return Ok((columns, delimiter));
            }
        }
        let delimiter = self.most_frequent(row);
        let columns = Columns::find(names_of(row, delimiter)?, delimiter, self.options)?;
        Ok((columns, delimiter))
    }

    /// Finds the first row of names with a column that has both coordinates in the row after it.
    fn pairs(&mut self, rows: &[(Vec<u8>, u64)]) -> Result<Option<Header>, FormatError> {
        for (index, pair) in rows.windows(2).enumerate() {
            let [(names, _), (first, line)] = pair else { continue };
            for delimiter in self.delimiters() {
                let names = names_of(names, delimiter)?;
                let Ok(columns) = Columns::find_with(names, delimiter, self.options, true) else {
                    continue;
                };
                let first = split(first, delimiter, *line)?;
                if !columns.has_pair(first.as_row()) {
                    continue;
                }
                let title = "it comes before the column names";
                let titles = rows[..index].iter();
                self.skipped.extend(titles.map(|(_, line)| (Position::line(*line), title)));
                let rows = &rows[index + 1..];
                let rows = rows.iter().map(|(row, line)| split(row, delimiter, *line));
                let rows = rows.collect::<Result<Vec<_>, _>>()?;
                let skipped = std::mem::take(&mut self.skipped);
                return Ok(Some(Header { columns, delimiter, rows, skipped }));
            }
        }
        Ok(None)
    }

    /// Returns whether the coordinates are chosen by number, and the row has numbers there.
    fn is_numbered_data(&self, row: &[u8], delimiter: u8) -> Result<bool, FormatError> {
        let row = split(row, delimiter, 1)?;
        let row = row.as_row();
        let is_data = |column: &Option<String>| {
            let Some(name) = column else { return None };
            let number = name.trim().parse::<usize>().ok()?;
            let field = row.get(number.checked_sub(1)?)?.trim_ascii();
            Some(field.is_empty() || is_number(field))
        };
        let (x, y) = (is_data(&self.options.x_column), is_data(&self.options.y_column));
        Ok(x == Some(true) && y == Some(true))
    }

    /// Returns the header of a table whose first row has data: the columns are chosen by number, or their names
    /// are in a comment.
    fn without_names(
        &mut self,
        row: &[u8],
        line: u64,
        comment: Option<&[u8]>,
    ) -> Result<Option<Header>, FormatError> {
        for delimiter in self.delimiters() {
            if !self.is_numbered_data(row, delimiter)? {
                continue;
            }
            let first = split(row, delimiter, line)?;
            let names = (1..=first.as_row().len()).map(|number| number.to_string()).collect();
            let columns = Columns::find(names, delimiter, self.options)?;
            let skipped = std::mem::take(&mut self.skipped);
            return Ok(Some(Header { columns, delimiter, rows: vec![first], skipped }));
        }
        if !self.looks_like_data(row, line)? {
            return Ok(None);
        }
        let Some(comment) = comment else { return Ok(None) };
        let names = comment.trim_ascii_start();
        let start = names.iter().position(|byte| !b"#/% \t".contains(byte)).unwrap_or(0);
        let Ok((columns, delimiter)) = self.names(&names[start..]) else { return Ok(None) };
        // The comment is used.
        self.skipped.pop();
        let skipped = std::mem::take(&mut self.skipped);
        let first = split(row, delimiter, line)?;
        Ok(Some(Header { columns, delimiter, rows: vec![first], skipped }))
    }

    /// Returns whether a row has at least two numbers.
    fn looks_like_data(&self, row: &[u8], line: u64) -> Result<bool, FormatError> {
        let row = split(row, self.most_frequent(row), line)?;
        Ok(row.as_row().iter().filter(|field| is_number(field.trim_ascii())).count() >= 2)
    }

    /// Returns the message for a table without column names.
    fn advice(&self, row: &[u8], line: u64) -> Result<String, FormatError> {
        let row = split(row, self.most_frequent(row), line)?;
        let fields: Vec<&[u8]> = row.as_row().iter().collect();
        let shown: Vec<String> = fields
            .iter()
            .take(8)
            .enumerate()
            .map(|(at, field)| format!("{} is {}", at + 1, excerpt(field.trim_ascii())))
            .collect();
        let more = if fields.len() > shown.len() { ", …" } else { "" };
        let is_decimal = |at: &usize| {
            let field = fields[*at].trim_ascii();
            is_number(field) && field.iter().any(|byte| matches!(byte, b'.' | b','))
        };
        let is_any = |at: &usize| is_number(fields[*at].trim_ascii());
        let mut best: Vec<usize> = (0..fields.len()).filter(is_decimal).collect();
        if best.len() < 2 {
            best = (0..fields.len()).filter(is_any).collect();
        }
        let (first, second) =
            (best.first().map_or(1, |at| at + 1), best.get(1).map_or(2, |at| at + 1));
        Ok(format!(
            "the first row looks like data, not like column names: column {}{more}; add a row of names, or \
             choose the columns by number, for example --x-column {first} --y-column {second} if column \
             {first} is x, the longitude",
            shown.join(", ")
        ))
    }
}

fn is_number(field: &[u8]) -> bool {
    parse_f64(field).is_some() || with_decimal_comma(field).is_some()
}

fn names_of(row: &[u8], delimiter: u8) -> Result<Vec<String>, FormatError> {
    let row = split(row, delimiter, 1)?;
    Ok(row.as_row().iter().map(|name| decode(name).into_owned()).collect())
}
