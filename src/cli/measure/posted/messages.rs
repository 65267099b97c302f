//! The messages of a measurement, which are lines of text for the command: errors and notes, up to limits.

use std::io::{self, Write};

use crate::cli::measure::measure_run::{INCOMPLETE, SKIPPED};
use crate::cli::report::pluralize;

/// Maximum size of the errors in an answer.
const ERRORS_BYTES_MAX: usize = 64 << 10;
/// Maximum size of a message. The rest is cut.
const LINE_BYTES_MAX: usize = 4 << 10;
/// Maximum number of errors, and of notes on skipped parts, that say why nothing in a file can be measured.
const REASONS_MAX: usize = 5;

/// Collects the errors, and the notes on skipped parts.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The line that is not complete.
    line: Vec<u8>,
    /// The first errors of parts of the file.
    errors: Vec<String>,
    errors_bytes: usize,
    more_error_count: u64,
    /// The error that counts the parts with errors.
    count: Option<String>,
    /// The first notes on skipped parts.
    skipped: Vec<String>,
}

impl Messages {
    /// Returns the errors of an answer with tracks.
    pub(super) fn errors(&self) -> Vec<String> {
        let errors = self.errors.iter().cloned();
        errors.chain(more(self.more_error_count)).chain(self.count.clone()).collect()
    }

    /// Returns why nothing in a file can be measured: the first errors of its parts, and which parts were skipped.
    pub(super) fn failure(self) -> String {
        let left = self.errors.len().saturating_sub(REASONS_MAX) as u64 + self.more_error_count;
        let errors = self.errors.into_iter().take(REASONS_MAX);
        let reasons: Vec<String> = errors.chain(more(left)).chain(self.skipped).collect();
        match reasons.is_empty() {
            true => "the file has no track".to_owned(),
            false => reasons.join("; "),
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        if let Some(error) = line.strip_prefix("error: ") {
            if is_count(error) {
                self.count = Some(error.to_owned());
            } else if self.more_error_count == 0
                && self.errors_bytes + error.len() <= ERRORS_BYTES_MAX
            {
                self.errors_bytes += error.len();
                self.errors.push(error.to_owned());
            } else {
                self.more_error_count += 1;
            }
        } else if let Some(note) = line.strip_prefix("note: ")
            && note.contains(SKIPPED)
            && self.skipped.len() < REASONS_MAX
        {
            self.skipped.push(note.to_owned());
        }
    }
}

/// Returns the text for errors that are not shown.
fn more(count: u64) -> Option<String> {
    (count > 0).then(|| format!("and {}", pluralize(count, "more error")))
}

/// Returns whether an error is the one that counts the files with errors: "1 of 2 files" and [`INCOMPLETE`].
fn is_count(error: &str) -> bool {
    let Some((before, _)) = error.split_once(INCOMPLETE) else { return false };
    let mut words = before.split_whitespace();
    words.next().is_some_and(|word| word.parse::<u64>().is_ok()) && words.next() == Some("of")
}

/// A message is a line, which may be written in parts.
impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, is_end) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            let left = LINE_BYTES_MAX.saturating_sub(self.line.len());
            self.line.extend(text.iter().take(left));
            if is_end {
                self.end_line();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_limits_and_stay_whole() {
        let mut messages = Messages::default();
        for index in 0..2000 {
            let name = format!("{index}-{}", "x".repeat(100));
            writeln!(messages, "note: {name}: 3 points have no time").unwrap();
            writeln!(messages, "error: {name}.gpx: the file is empty").unwrap();
        }
        writeln!(messages, "error: 1 of 2 files {INCOMPLETE}: a, b").unwrap();
        let errors = messages.errors();
        let (count, more) = (errors.last().unwrap(), &errors[errors.len() - 2]);
        assert_eq!(count, "1 of 2 files could not be measured completely: a, b");
        let shown = errors.len() - 2;
        assert_eq!(*more, format!("and {}", pluralize(2000 - shown as u64, "more error")));
        assert!(errors.iter().map(String::len).sum::<usize>() < ERRORS_BYTES_MAX + 200);
        for (index, error) in errors.iter().take(shown).enumerate() {
            assert!(
                error.starts_with(&format!("{index}-")) && error.ends_with(": the file is empty")
            );
        }
        let left = format!("; and {}", pluralize(1995, "more error"));
        assert!(messages.failure().ends_with(&left));
    }

    #[test]
    fn a_long_message_is_cut_and_a_name_is_not_the_count() {
        let mut messages = Messages::default();
        writeln!(messages, "error: {}", "é".repeat(1 << 20)).unwrap();
        writeln!(messages, "error: a/{INCOMPLETE}.gpx: the file is empty").unwrap();
        let errors = messages.errors();
        assert!(errors[0].len() <= LINE_BYTES_MAX + 3);
        assert_eq!(errors[1], format!("a/{INCOMPLETE}.gpx: the file is empty"));
    }
}
