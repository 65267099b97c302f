//! The text of notes on files and tracks, and the notes about options that have no data to act on. All commands that
//! read files use it.

use super::flags::{flag, missing_data};
use super::policy::FilledOptions;
use super::report::{grouped, pluralize, unit_name};
use crate::formats::{Note, NoteKind, Position, TrackInfo};
use crate::measure::{
    ClimbOptions, Elevation, EstimateOptions, Options, PathSummary, STOPPED_SPEED_MPS,
    WindowOptions, WindowsSummary,
};

/// Returns the text of a note on a file, or on the track with this name or number.
pub(super) fn text(file: &str, track: Option<&str>, note: &Note) -> String {
    let place = Position::in_file(note.position, file);
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

/// Returns the notes on a track about options that have no effect, because points have no time, accuracy or
/// elevation. `options` are those that arguments set.
pub(super) fn unused_options(
    track: Option<usize>,
    info: &TrackInfo,
    options: &Options,
) -> Vec<Note> {
    let climb_defaults = ClimbOptions::default();
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
                (
                    options.reorder().is_some(),
                    match options.reorder().is_some_and(|reorder| reorder.time_ns.is_some()) {
                        true => "--reorder-time",
                        false => "--reorder",
                    },
                ),
                (options.drop_duplicates(), "--drop-duplicates"),
                (
                    options.stopped_speed().is_some_and(|s| s != STOPPED_SPEED_MPS),
                    "--stopped-speed",
                ),
                (options.estimate().is_some(), options.estimate().map_or("", estimate_flag)),
                // Points without a time next to points with one have a note of their own.
                (options.windows().is_some() && info.time_count == 0, "--by"),
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
            options: set(&[
                (options.elevation() != Elevation::Ignored, "--elevation"),
                (options.climb().threshold != climb_defaults.threshold, "--min-climb"),
                (options.climb().smoothing_ns != climb_defaults.smoothing_ns, "--climb-smoothing"),
            ]),
        },
    ];
    let valid_count = info.point_count.saturating_sub(info.invalid_count);
    let mut notes: Vec<Note> =
        needs.into_iter().filter_map(|need| need.note(track, valid_count)).collect();
    let undated_count = valid_count.saturating_sub(info.time_count);
    if options.windows().is_some() && info.time_count > 0 && undated_count > 0 {
        let (have, such) = match undated_count {
            1 => ("has", "such a point belongs"),
            _ => ("have", "such points belong"),
        };
        let points = pluralize(undated_count, "point");
        notes.push(Note {
            kind: NoteKind::UnusedOption,
            message: format!(
                "{points} of {} {have} no time: {such} to no window of --by",
                grouped(&valid_count.to_string())
            ),
            position: None,
            count: undated_count,
            track,
        });
    }
    notes
}

/// Returns the note on a track most of whose points are rejected for their times. Then the length is far too short.
pub(super) fn rejected_points(track: Option<usize>, summary: &PathSummary) -> Option<Note> {
    let rejected = summary.time_rejections();
    if !rejected.are_most() {
        return None;
    }
    let order = "the points are not in order of time (see --sort-by-time)";
    let cause = match rejected.speed_count {
        0 => order.to_owned(),
        _ => format!("{order}, or --max-speed is too low"),
    };
    Some(Note {
        kind: NoteKind::RejectedPoints,
        message: format!(
            "{} of {} are rejected as {rejected}: the times of the points may be wrong, or {cause}",
            grouped(&rejected.count().to_string()),
            pluralize(rejected.valid_count, "point"),
        ),
        position: None,
        count: rejected.count(),
        track,
    })
}

/// Returns the flag that turns the estimate on.
fn estimate_flag(options: EstimateOptions) -> &'static str {
    match options {
        EstimateOptions { max_trips: 1.., .. } => "--trips",
        EstimateOptions { min_stop_ns, .. }
            if min_stop_ns != EstimateOptions::default().min_stop_ns =>
        {
            "--min-stop-time"
        }
        EstimateOptions { .. } => "--estimate",
    }
}

/// The points of a file, for the note on the options of a preset that have no effect.
#[derive(Debug, Default)]
pub(super) struct PresetCheck {
    valid_count: u64,
    time_count: u64,
    accuracy_count: u64,
}

impl PresetCheck {
    /// Adds a track.
    pub(super) fn add(&mut self, info: &TrackInfo) {
        self.valid_count += info.point_count.saturating_sub(info.invalid_count);
        self.time_count += info.time_count;
        self.accuracy_count += info.accuracy_count;
    }

    /// Returns the note on the options of the preset that no point of the file has the data for. Options that arguments
    /// set have notes for each track.
    pub(super) fn note(
        &self,
        FilledOptions { given, preset, all }: &FilledOptions,
    ) -> Option<Note> {
        let preset = (*preset)?;
        let is_added = |is_set: fn(&Options) -> bool| is_set(all) && !is_set(given);
        let set = |options: &[(bool, &'static str)]| -> Vec<&'static str> {
            options.iter().filter(|(is_set, _)| *is_set).map(|(_, option)| *option).collect()
        };
        let needs = [
            (
                "a time",
                self.time_count,
                set(&[
                    (is_added(|options| options.estimate().is_some()), "--estimate"),
                    (is_added(|options| options.max_speed().is_some()), "--max-speed"),
                    (is_added(|options| options.reorder().is_some()), "--reorder"),
                    (is_added(Options::drop_duplicates), "--drop-duplicates"),
                    (all.stopped_speed() != given.stopped_speed(), "--stopped-speed"),
                ]),
            ),
            (
                "an accuracy",
                self.accuracy_count,
                set(&[(is_added(|options| options.max_accuracy_m().is_some()), "--max-accuracy")]),
            ),
        ];
        let unused: Vec<String> = needs
            .into_iter()
            .filter(|(_, count, options)| {
                self.valid_count > 0 && *count == 0 && !options.is_empty()
            })
            .map(|(what, _, options)| format!("{what} (for {})", list(&options)))
            .collect();
        if unused.is_empty() {
            return None;
        }
        let missing = unused.join(" or ");
        Some(Note {
            kind: NoteKind::UnusedOption,
            message: format!("a part of --preset {preset} had no effect: no point has {missing}"),
            position: None,
            count: self.valid_count,
            track: None,
        })
    }
}

/// Returns the texts of the notes on a recording about options that had no effect.
pub(super) fn of_recording(name: &str, summary: &PathSummary) -> Vec<String> {
    let unused = summary.unused_options.iter().map(|unused| {
        let what = missing_data(unused.missing);
        let article = article(what);
        format!("{name}: {} had no effect: no point has {article} {what}", flag(unused.option))
    });
    let rejected = rejected_points(None, summary).map(|note| format!("{name}: {}", note.message));
    unused.chain(rejected).collect()
}

/// Joins flags: `--a, --b and --c`.
fn list(flags: &[&str]) -> String {
    match flags {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => flags.concat(),
    }
}

/// Returns the article of the name of a value.
fn article(what: &str) -> &'static str {
    if what == "time" { "a" } else { "an" }
}

/// Returns a note if the windows of a track were dropped.
pub(super) fn dropped_windows(track: Option<usize>, windows: &WindowsSummary) -> Option<Note> {
    let WindowOptions { unit, max_windows, .. } = windows.options;
    windows.is_dropped.then(|| Note {
        kind: NoteKind::UnusedOption,
        message: format!(
            "--by {} had no effect: the track has more than {} windows, or its times go back and forth over too many \
             windows; use --keep-latest-windows to keep the latest ones",
            unit_name(unit),
            grouped(&max_windows.to_string())
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
        if missing == 0 || options.is_empty() {
            return None;
        }
        let (options, article) = (list(&options), article(what));
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
mod tests;
