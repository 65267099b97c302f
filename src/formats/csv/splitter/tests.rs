//! Tests of the splitter against the csv crate, and of what that crate reads differently.

use ::csv::ReaderBuilder;
use proptest::prelude::*;

use super::*;

/// Reads one byte per call.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = out.len().min(1).min(self.0.len());
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

type Fields = Vec<String>;

fn rows(input: impl Read) -> (Vec<(u64, Fields)>, Oddities) {
    let mut rows = Rows::new(input, b',');
    let mut found = Vec::new();
    while let Some(row) = rows.next_row().unwrap() {
        let fields = row.iter().map(|field| String::from_utf8_lossy(field).into_owned());
        found.push((row.line, fields.collect()));
    }
    (found, rows.oddities)
}

fn text(input: &str) -> String {
    let (rows, oddities) = rows(input.as_bytes());
    let rows = rows.iter().map(|(line, fields)| format!("{line} {}", fields.join("|")));
    let mut text = rows.collect::<Vec<_>>().join("\n");
    if let Some(line) = oddities.open_quotes {
        text += &format!("\nopen quote on line {line}");
    }
    if let Some(line) = oddities.nul_bytes {
        text += &format!("\nNUL bytes on line {line}");
    }
    text
}

#[test]
fn rows_have_the_lines_on_which_they_start() {
    insta::assert_snapshot!(text("a,b\r\n\r\n\"c\r\nd\",e\r\r\rf\n \n,\n"), @r"
    1 a|b
    3 c
    d|e
    7 f
    9 |
    ");
}

#[test]
fn a_quote_that_is_not_closed_costs_no_row() {
    insta::assert_snapshot!(text("1,\"a\n2,b\n3,c\n"), @r#"
    1 1|"a
    2 2|b
    3 3|c
    open quote on line 1
    "#);
    // The quote of the third row would close that of the first one.
    insta::assert_snapshot!(text("1,\"x\",\"a\n2,b\n3,\"c\"\n"), @r#"
    1 1|x|"a
    2 2|b
    3 3|c
    open quote on line 1
    "#);
    let many = "\"a\n".repeat(18);
    let mut rows = Rows::new(many.as_bytes(), b',');
    let error = loop {
        match rows.next_row() {
            Ok(row) => assert!(row.is_some()),
            Err(error) => break error,
        }
    };
    insta::assert_snapshot!(error.in_file(""), @":17: the quote that opens here is not closed, as 16 before it; correct the quotes of the file");
}

#[test]
fn nul_bytes_around_rows_are_skipped_at_any_length() {
    let padding = "\0".repeat(3 << 20);
    insta::assert_snapshot!(text(&format!("1,2\n{padding}3,4\n{padding}")), @r"
    1 1|2
    2 3|4
    NUL bytes on line 2
    ");
}

#[test]
fn the_length_of_a_row_is_limited() {
    let long = format!("1,2\n{}\n3,4\n\"{}", "a".repeat(2 << 20), "a".repeat(2 << 20));
    let (found, oddities) = rows(long.as_bytes());
    let fields = |first: &str, second: &str| vec![first.to_owned(), second.to_owned()];
    assert_eq!(found, [(1, fields("1", "2")), (3, fields("3", "4"))]);
    assert_eq!(oddities.long_rows, Some(2));
    // The names have no row to skip to.
    let mut names = Rows::new(&long.as_bytes()[4..], b',');
    let error = names.next_raw_row(&ReadOptions::default()).err().unwrap();
    insta::assert_snapshot!(error.in_file(""), @":1: the row that starts here is longer than 1 MiB");
}

proptest! {
    /// Blank rows are left out: the csv crate returns those with white space.
    #[test]
    fn fields_are_those_of_the_csv_crate(text in "([a ,]|\"a\"|\"\"|\"a,\"|\"a\"\"\"|[\n]){0,24}") {
        let (found, oddities) = rows(text.as_bytes());
        prop_assume!(oddities.open_quotes.is_none());
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let expected: Vec<Fields> = reader
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .filter(|fields: &Fields| fields.len() > 1 || !fields[0].trim().is_empty())
            .collect();
        let found: Vec<Fields> = found.into_iter().map(|(_, fields)| fields).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn rows_do_not_depend_on_the_size_of_reads(text in "[a,\"\0\r\n]{0,40}") {
        let quick = rows(text.as_bytes());
        let slow = rows(Slow(text.as_bytes()));
        prop_assert_eq!(quick.0, slow.0);
        prop_assert_eq!(quick.1.open_quotes, slow.1.open_quotes);
    }

    /// A quoted field takes the slow path.
    #[test]
    fn quotes_change_no_row(fields in prop::collection::vec("[a-c ]{0,3}", 1..5), count in 1..4_usize) {
        let plain = (fields.join(",") + "\n").repeat(count);
        let quoted = (format!("\"{}\"\n", fields.join("\",\""))).repeat(count);
        prop_assert_eq!(rows(plain.as_bytes()).0, rows(quoted.as_bytes()).0);
    }
}
