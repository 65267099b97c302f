//! The file of a report: the page of the server with the measured tracks in it. It is written at the end.

use std::collections::{HashMap, VecDeque};
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::plot::TRACKS_MAX;
use crate::auth::base64;
use crate::cli::input::Input;
use crate::cli::new_file::NewFile;
use crate::cli::report::{Report, ReportOptions, Style, Total, Track, pluralize};
use crate::http::report_page;

/// Maximum size of the rows of a report. A browser holds all of them.
const ROWS_BYTES_MAX: usize = 32 << 20;
/// Maximum number of errors in a report.
const ERRORS_MAX: usize = 100;

/// A report that is not written yet.
pub(super) struct ReportFile {
    file: NewFile,
    /// The title: the name of the only file, or the number of files.
    title: String,
    rows: Report<Vec<u8>>,
    /// The lines of tracks, with the file and the index of each.
    lines: Vec<(String, u64, String)>,
    errors: Vec<String>,
    track_count: u64,
}

impl ReportFile {
    /// Creates the file under a temporary name.
    ///
    /// # Errors
    /// If the folder cannot be written, or the path is not that of a file.
    pub(super) fn create(
        path: &Path,
        options: ReportOptions,
        inputs: &[Input],
    ) -> Result<Self, String> {
        if path.as_os_str() == "-" {
            return Err("name a file: the report cannot go to standard output".to_owned());
        }
        let options = ReportOptions { style: Style::Json, ..options };
        let rows = Report::new(Vec::new(), options, inputs.iter().map(Input::name));
        let (lines, errors) = Default::default();
        let title = match inputs {
            // Without the folders, which the reader of a page need not know.
            [only] => Path::new(only.name())
                .file_name()
                .map_or_else(|| only.name().to_owned(), |name| name.to_string_lossy().into_owned()),
            _ => pluralize(inputs.len() as u64, "file"),
        };
        Ok(Self {
            file: NewFile::with_extension(path, &["html", "htm"])?,
            title,
            rows,
            lines,
            errors,
            track_count: 0,
        })
    }

    /// Adds a track.
    ///
    /// # Errors
    /// If the rows are too large.
    pub(super) fn track(&mut self, track: &Track<'_>) -> io::Result<()> {
        self.track_count += 1;
        if self.rows.out().len() > ROWS_BYTES_MAX {
            return Ok(());
        }
        self.rows.track(track)
    }

    /// Adds the line of a track. `index` counts the tracks of the file from 0.
    pub(super) fn add(&mut self, file: &str, index: u64, line: String) {
        if self.lines.len() < TRACKS_MAX {
            self.lines.push((file.to_owned(), index, line));
        }
    }

    /// Adds an error that is printed.
    pub(super) fn error(&mut self, text: &str) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(text.to_owned());
        }
    }

    /// Adds the total and writes the file.
    ///
    /// # Errors
    /// If the rows are too large, or the file cannot be written.
    pub(super) fn finish(self, total: &Total<'_>) -> Result<(), String> {
        let Self { mut file, title, mut rows, lines, errors, track_count } = self;
        let text = |error: &dyn Display| error.to_string();
        if rows.out().len() > ROWS_BYTES_MAX {
            return Err(format!(
                "the rows of the tracks have more than {} MiB; measure fewer files",
                ROWS_BYTES_MAX >> 20
            ));
        }
        rows.total(total).map_err(|error| text(&error))?;
        let rows = std::mem::take(rows.out());
        let rows = serde_json::Deserializer::from_slice(&rows).into_iter::<Value>();
        let mut rows: Vec<Value> = rows.collect::<Result<_, _>>().map_err(|error| text(&error))?;
        let mut total = rows.pop().unwrap_or_default();
        // The page names a track by its place, because several files have a first track. A file can be measured twice.
        let mut places = HashMap::new();
        for (place, row) in rows.iter_mut().enumerate() {
            let file = row["file"].as_str().unwrap_or_default().to_owned();
            let index = row["track_index"].as_u64().unwrap_or_default();
            places.entry((file, index)).or_insert_with(VecDeque::new).push_back(place);
            row["track_index"] = place.into();
        }
        let mut drawn = Vec::new();
        for (file, index, line) in lines {
            let mut line: Value = serde_json::from_str(&line).map_err(|error| text(&error))?;
            line["file"] = file.as_str().into();
            if let Some(place) = places.get_mut(&(file, index)).and_then(VecDeque::pop_front) {
                line["track_index"] = place.into();
                drawn.push(line);
            }
        }
        let more_lines = track_count.saturating_sub(drawn.len() as u64);
        let answer = json!({
            "title": title,
            "tracks": rows,
            "total": total["total"].take(),
            "errors": errors,
            "lines": drawn,
            "more_lines": more_lines,
        });
        let hash = |code: &str| base64(digest(&SHA256, code.as_bytes()).as_ref());
        let written = file.write_all(report_page(&answer, hash).as_bytes());
        written.map_err(|error| text(&error))?;
        file.finish()
    }
}
