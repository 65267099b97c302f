//! A recording on one line: a row of a table, or a JSON object.

use std::io::{self, Write};

use super::report::{self, Keep, Names, grouped};
use crate::client::StoredPath;
use crate::measure::Space;

/// The width of the names, so that a row has 80 columns.
const NAME_WIDTH: usize = 37;

/// Returns the state of a recording.
pub(super) fn state(path: &StoredPath) -> &'static str {
    match &path.summary {
        // The server cannot read it. It has to be deleted and recorded again.
        None => "damaged",
        Some(_) if path.is_complete => "finished",
        Some(_) => "growing",
    }
}

/// Writes the header of the table.
pub(super) fn write_header(out: &mut impl Write) -> io::Result<()> {
    let [name, points, length] = ["recording", "points", "length"];
    writeln!(out, "{name:NAME_WIDTH$}  {points:>11}  {length:>18}  state")
}

/// Returns a row of the table.
pub(super) fn text(path: &StoredPath, names: Names) -> String {
    let (points, length) = match &path.summary {
        None => Default::default(),
        Some(summary) => {
            let length = match summary.metric.space() {
                Space::Planar => grouped(&format!("{:.6}", summary.length)),
                Space::Geographic => grouped(&format!("{:.3}", summary.length)) + " m",
            };
            (grouped(&path.committed_points.to_string()), length)
        }
    };
    format!("{}  {points:>11}  {length:>18}  {}", name(&path.name, names), state(path))
}

/// Returns a name as the first column of the table.
pub(super) fn name(name: &str, names: Names) -> String {
    names.fit(name, NAME_WIDTH, Keep::End)
}

/// Writes a recording as a row of the table or as a JSON object.
pub(super) fn write(
    out: &mut impl Write,
    path: &StoredPath,
    json: bool,
    names: Names,
) -> io::Result<()> {
    match json {
        true => report::json_recording(out, path, state(path)),
        false => writeln!(out, "{}", text(path, names)),
    }
}
