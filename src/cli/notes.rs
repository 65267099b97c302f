//! The text of notes on files and tracks, and the notes about options that have no data to act on. All commands that
//! read files use it.

use super::flags::{flag, missing_data};
use super::policy::FilledOptions;
use super::report::{pluralize, unit_name};
use crate::formats::{Note, NoteKind, Position, TrackInfo};
use crate::measure::{
    ClimbOptions, Elevation, EstimateOptions, Options, PathSummary, STOPPED_SPEED_MPS,
    WindowOptions, WindowsSummary,
};

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
                (
                    options.stopped_speed().is_some_and(|s| s != STOPPED_SPEED_MPS),
                    "--stopped-speed",
                ),
                (options.estimate().is_some(), options.estimate().map_or("", estimate_flag)),
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
            options: set(&[
                (options.elevation() != Elevation::Ignored, "--elevation"),
                (options.climb().threshold != climb_defaults.threshold, "--min-climb"),
                (options.climb().smoothing_ns != climb_defaults.smoothing_ns, "--climb-smoothing"),
            ]),
        },
    ];
    let valid_count = info.point_count.saturating_sub(info.invalid_count);
    needs.into_iter().filter_map(|need| need.note(track, valid_count)).collect()
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
    unused.collect()
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
mod tests {
    use super::*;
    use crate::measure::{ExplicitOptions, Metric, MissingData, PathAccumulator, Preset, Reorder, UnusedOption};

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

    #[test]
    fn an_estimate_a_sorting_buffer_and_climbs_need_data() {
        let points = TrackInfo { point_count: 10, ..TrackInfo::default() };
        let estimate = |min_stop_s: u64, max_trips| EstimateOptions {
            min_stop_ns: min_stop_s * 1_000_000_000,
            max_trips,
        };
        for (estimate, flag) in [
            (estimate(60, 0), "--estimate"),
            (estimate(90, 0), "--min-stop-time"),
            (estimate(90, 5), "--trips"),
        ] {
            let options = Options::builder(Metric::Geodesic).estimate(estimate).build().unwrap();
            let expected = format!("f: track 2: {flag} had no effect: no point has a time");
            assert_eq!(messages(&points, &options), [expected]);
        }
        let sorted = Options::builder(Metric::Geodesic)
            .reorder(Reorder { count: 256, time_ns: Some(1) })
            .climb(ClimbOptions { threshold: 9.0, smoothing_ns: 0 })
            .build()
            .unwrap();
        let times = "f: track 2: --reorder-time had no effect: no point has a time";
        let elevations = "f: track 2: --min-climb and --climb-smoothing had no effect: no point has an elevation";
        assert_eq!(messages(&points, &sorted), [times, elevations]);
        let full = TrackInfo { time_count: 10, z_count: 10, ..points };
        assert_eq!(messages(&full, &sorted), [""; 0]);
    }

    #[test]
    fn a_preset_without_data_has_one_note_for_each_file() {
        let note = |given: &Options, preset: Preset, tracks: &[TrackInfo]| {
            let mut check = PresetCheck::default();
            tracks.iter().for_each(|track| check.add(track));
            let preset = (preset.name(), preset.fill(*given, ExplicitOptions::default()));
            let options = FilledOptions { given: *given, preset: Some(preset.0), all: preset.1 };
            check.note(&options).map(|note| note.message)
        };
        let given = Options::default();
        let bare = TrackInfo { point_count: 5, ..TrackInfo::default() };
        let timed = TrackInfo { time_count: 1, ..bare.clone() };
        let full = TrackInfo { accuracy_count: 1, ..timed.clone() };
        // The speed of a stop is that of paths without a preset.
        insta::assert_snapshot!(
            note(&given, Preset::Walk, &[bare.clone(), bare.clone()]).unwrap(),
            @"a part of --preset walk had no effect: no point has a time (for --estimate and --max-speed) or an accuracy (for --max-accuracy)"
        );
        insta::assert_snapshot!(
            note(&given, Preset::Phone, std::slice::from_ref(&bare)).unwrap(),
            @"a part of --preset phone had no effect: no point has a time (for --estimate, --max-speed, --reorder and --stopped-speed) or an accuracy (for --max-accuracy)"
        );
        insta::assert_snapshot!(
            note(&given, Preset::Car, &[bare.clone(), timed.clone()]).unwrap(),
            @"a part of --preset car had no effect: no point has an accuracy (for --max-accuracy)"
        );
        assert_eq!(note(&given, Preset::Car, &[full]), None);
        assert_eq!(note(&given, Preset::Car, &[TrackInfo::default()]), None);
        // An argument has its own note.
        let given = Options::builder(Metric::Geodesic).max_accuracy_m(9.0).build().unwrap();
        assert_eq!(note(&given, Preset::Car, &[timed]), None);
        let mut check = PresetCheck::default();
        check.add(&bare);
        assert_eq!(check.note(&FilledOptions { given, preset: None, all: given }), None);
    }

    #[test]
    fn a_recording_has_a_note_for_each_unused_option() {
        let mut summary = PathAccumulator::new(Options::default()).summary();
        assert_eq!(of_recording("paths/a", &summary), [""; 0]);
        for (option, missing) in [
            ("max_accuracy_m", MissingData::Accuracy),
            ("windows", MissingData::Time),
            ("elevation", MissingData::Z),
        ] {
            summary.unused_options.push(UnusedOption { option, missing });
        }
        insta::assert_snapshot!(of_recording("paths/a", &summary).join("\n"), @r"
        paths/a: --max-accuracy had no effect: no point has an accuracy
        paths/a: --by had no effect: no point has a time
        paths/a: --elevation had no effect: no point has an elevation
        ");
    }
}
