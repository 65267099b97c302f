//! The text of notes on files and tracks, and the notes about options that have no data to act on. All commands that
//! read files use it.

use super::report::{pluralize, unit_name};
use crate::formats::{Note, NoteKind, Position, TrackInfo};
use crate::measure::{Elevation, Options, STOPPED_SPEED_MPS, WindowOptions, WindowsSummary};

/// Returns the text of a note on a file, or on the track with this name or number.
pub(super) fn text(file: &str, track: Option<&str>, note: &Note) -> String {
    let place = match note.position {
        None => file.to_owned(),
        // Editors and terminals recognise this form as a link.
        Some(Position::Text { line, column: None }) => format!("{file}:{line}"),
        Some(Position::Text { line, column: Some(column) }) => format!("{file}:{line}:{column}"),
        Some(position) => format!("{file}: {position}"),
    };
    match track {
        Some(track) => format!("{place}: track {track}: {}", note.message),
        None => format!("{place}: {}", note.message),
    }
}

/// Returns the name of a track in quotes, or its number if it has no name.
pub(super) fn track_label(number: u64, info: &TrackInfo) -> String {
    match &info.name {
        Some(name) => format!("\"{name}\""),
        None => number.to_string(),
    }
}

/// Maximum number of notes that are printed about one file.
const PRINTED_MAX: usize = 20;

/// The notes on a file, to be printed after its tracks.
#[derive(Default)]
pub(super) struct NoteList {
    texts: Vec<String>,
    more_count: u64,
}

impl NoteList {
    pub(super) fn add(&mut self, text: String) {
        if self.texts.len() < PRINTED_MAX {
            self.texts.push(text);
        } else {
            self.more_count += 1;
        }
    }

    /// Adds the notes on the file or on the track with this label.
    pub(super) fn add_all(&mut self, file: &str, track: Option<&str>, notes: &[Note]) {
        for note in notes {
            self.add(text(file, track, note));
        }
    }

    /// Removes the lines to print about a file.
    pub(super) fn take(&mut self, file: &str) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.texts);
        let more = std::mem::take(&mut self.more_count);
        if more > 0 {
            let more = pluralize(more, "more note");
            lines.push(format!("{file}: {more}; --json has the notes of each track"));
        }
        lines
    }
}

/// A value that some filters need.
struct Need {
    what: &'static str,
    /// The number of points with the value.
    count: u64,
    /// The options that are set.
    options: Vec<&'static str>,
}

/// Returns the notes on a track about filters that have no effect, because points have no time, accuracy or
/// elevation.
pub(super) fn unused_options(
    track: Option<usize>,
    info: &TrackInfo,
    options: &Options,
) -> Vec<Note> {
    let set = |options: &[(bool, &'static str)]| {
        options.iter().filter(|(is_set, _)| *is_set).map(|(_, option)| *option).collect()
    };
    let needs = [
        Need {
            what: "time",
            count: info.time_count,
            options: set(&[
                (options.max_gap_time_ns().is_some(), "--max-gap-time"),
                (options.max_speed().is_some(), "--max-speed"),
                (options.reject_backward_time(), "--reject-backward-time"),
                (options.reorder().is_some(), "--reorder"),
                (
                    options.stopped_speed().is_some_and(|s| s != STOPPED_SPEED_MPS),
                    "--stopped-speed",
                ),
                (options.estimate().is_some(), "--estimate"),
                (options.windows().is_some(), "--by"),
            ]),
        },
        Need {
            what: "accuracy",
            count: info.accuracy_count,
            options: set(&[(options.max_accuracy_m().is_some(), "--max-accuracy")]),
        },
        Need {
            what: "elevation",
            count: info.z_count,
            options: set(&[(options.elevation() != Elevation::Ignored, "--elevation")]),
        },
    ];
    let valid_count = info.point_count.saturating_sub(info.invalid_count);
    needs.into_iter().filter_map(|need| need.note(track, valid_count)).collect()
}

/// Returns a note if the windows of a track were dropped.
pub(super) fn dropped_windows(track: Option<usize>, windows: &WindowsSummary) -> Option<Note> {
    let WindowOptions { unit, max_windows, .. } = windows.options;
    windows.is_dropped.then(|| Note {
        kind: NoteKind::UnusedOption,
        message: format!(
            "--by {} had no effect: the track has more than {max_windows} of them, or its times jump back and forth \
             over too many",
            unit_name(unit)
        ),
        position: None,
        count: 1,
        track,
    })
}

impl Need {
    fn note(self, track: Option<usize>, valid_count: u64) -> Option<Note> {
        let Need { what, count, options } = self;
        let missing = valid_count.saturating_sub(count);
        let (last, others) = options.split_last()?;
        if missing == 0 {
            return None;
        }
        let options = match others {
            [] => (*last).to_owned(),
            _ => format!("{} and {last}", others.join(", ")),
        };
        let article = if what == "time" { "a" } else { "an" };
        let message = match count {
            0 => format!("{options} had no effect: no point has {article} {what}"),
            _ => {
                let points = if valid_count == 1 { "point has" } else { "points have" };
                let had = "had no effect on them";
                format!("{missing} of {valid_count} {points} no {what}: {options} {had}")
            }
        };
        Some(Note { kind: NoteKind::UnusedOption, message, position: None, count: missing, track })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Metric;

    fn messages(info: &TrackInfo, options: &Options) -> Vec<String> {
        let notes = unused_options(Some(0), info, options);
        assert!(notes.iter().all(|note| note.kind == NoteKind::UnusedOption));
        notes.iter().map(|note| text("f", Some("2"), note)).collect()
    }

    #[test]
    fn a_file_with_many_notes_has_a_limit() {
        let note = Note {
            kind: NoteKind::Checksum,
            message: "the checksum is wrong".to_owned(),
            position: Some(Position::Record(3)),
            count: 1,
            track: None,
        };
        let mut list = NoteList::default();
        list.add_all("f", None, &vec![note; 1022]);
        let lines = list.take("f");
        assert_eq!((lines.len(), &*lines[19]), (21, "f: record 3: the checksum is wrong"));
        assert_eq!(lines[20], "f: 1 002 more notes; --json has the notes of each track");
        assert_eq!(list.take("f"), [""; 0]);
    }

    #[test]
    fn a_filter_without_data_is_reported() {
        let points = TrackInfo { point_count: 12, invalid_count: 2, ..TrackInfo::default() };
        let geodesic = || Options::builder(Metric::Geodesic);
        let speed = geodesic().max_speed(10.0).build().unwrap();
        assert_eq!(
            messages(&points, &speed),
            ["f: track 2: --max-speed had no effect: no point has a time"]
        );
        let all = geodesic()
            .max_speed(10.0)
            .max_gap_time_ns(1)
            .stopped_speed(1.0)
            .max_accuracy_m(5.0)
            .elevation(Elevation::ThreeDimensional)
            .build()
            .unwrap();
        let some = TrackInfo { time_count: 7, accuracy_count: 10, ..points.clone() };
        let times = "f: track 2: 3 of 10 points have no time: --max-gap-time, --max-speed and --stopped-speed \
                     had no effect on them";
        let elevations = "f: track 2: --elevation had no effect: no point has an elevation";
        assert_eq!(messages(&some, &all), [times, elevations]);
        assert_eq!(messages(&points, &geodesic().min_step(2.0).build().unwrap()), [""; 0]);
        // A track without points has nothing to filter.
        assert_eq!(messages(&TrackInfo::default(), &all), [""; 0]);
    }
}
