//! The state of a track that has not ended: its properties, counts and notes.

use super::super::error::Position;
use super::super::note::{Note, NoteKind};
use super::super::options::OnInvalid;
use super::super::sink::{TrackInfo, TrackKind};
use super::super::value::truncate;
use super::sort::SortBuffer;
use crate::measure::Fix;

/// The bytes of a track name that are kept.
const NAME_BYTES_MAX: usize = 1 << 10;
/// Maximum number of different notes on a track or file.
const NOTES_MAX: usize = 64;

/// A track that has not ended.
pub(super) struct OpenTrack {
    pub info: TrackInfo,
    /// The number of the track for the sink; `None` if the options exclude the track.
    pub sink_index: Option<usize>,
    pub notes: PendingNotes,
    /// The fixes, if they are sorted by time.
    pub sort: Option<SortBuffer>,
    last_unix_ns: Option<i64>,
    starts_segment: bool,
    segment_point_count: u64,
    segment_count: u64,
    single_point_segment_count: u64,
}

impl OpenTrack {
    pub(super) fn new(
        kind: TrackKind,
        sink_index: Option<usize>,
        sort: Option<SortBuffer>,
    ) -> Self {
        Self {
            info: TrackInfo { kind, ..TrackInfo::default() },
            sink_index,
            notes: PendingNotes::default(),
            sort,
            last_unix_ns: None,
            starts_segment: true,
            segment_point_count: 0,
            segment_count: 0,
            single_point_segment_count: 0,
        }
    }

    pub(super) fn is_sent(&self) -> bool {
        self.sink_index.is_some()
    }

    pub(super) fn set_name(&mut self, name: &str) {
        let name = truncate(name.trim(), NAME_BYTES_MAX);
        self.info.name = (!name.is_empty()).then(|| name.to_owned());
    }

    pub(super) fn start_segment(&mut self) {
        self.starts_segment = true;
    }

    /// Counts a fix. Returns whether it is the first of a segment.
    pub(super) fn count(&mut self, fix: Fix) -> bool {
        let info = &mut self.info;
        info.point_count += 1;
        info.z_count += u64::from(fix.z().is_some());
        info.accuracy_count += u64::from(fix.accuracy_m().is_some());
        if let Some(unix_ns) = fix.unix_ns() {
            info.time_count += 1;
            info.start_unix_ns =
                Some(info.start_unix_ns.map_or(unix_ns, |start| start.min(unix_ns)));
            info.end_unix_ns = Some(info.end_unix_ns.map_or(unix_ns, |end| end.max(unix_ns)));
        }
        let starts_segment = std::mem::take(&mut self.starts_segment);
        if starts_segment {
            self.single_point_segment_count += u64::from(self.segment_point_count == 1);
            self.segment_count += 1;
            self.segment_point_count = 0;
        }
        self.segment_point_count += 1;
        starts_segment
    }

    /// Returns whether the fix is earlier than the last one with a time, in the order of the sink.
    pub(super) fn is_backward(&mut self, fix: Fix) -> bool {
        let Some(unix_ns) = fix.unix_ns() else { return false };
        self.last_unix_ns.replace(unix_ns).is_some_and(|last| unix_ns < last)
    }

    /// Returns whether there are several segments, and more than half of them have one point.
    pub(super) fn most_segments_have_one_point(&self) -> bool {
        let single = self.single_point_segment_count + u64::from(self.segment_point_count == 1);
        self.segment_count > 1 && 2 * single > self.segment_count
    }
}

/// Notes whose counts may still grow, one for each kind and, for notes on a file, each message.
#[derive(Default)]
pub(super) struct PendingNotes(Vec<Note>);

impl PendingNotes {
    /// Counts a note. The first message of a kind is kept.
    pub(super) fn add(
        &mut self,
        kind: NoteKind,
        position: Option<Position>,
        message: impl Into<String>,
    ) {
        let is_value = is_value(kind);
        if let Some(note) = self.0.iter_mut().find(|note| note.kind == kind && is_value) {
            note.count += 1;
            return;
        }
        let message = message.into();
        let same = |note: &&mut Note| note.kind == kind && note.message == message;
        if let Some(note) = self.0.iter_mut().find(same) {
            note.count += 1;
        } else if self.0.len() < NOTES_MAX {
            self.0.push(Note { kind, message, position, count: 1, track: None });
        }
    }

    /// Removes the notes and completes their messages with the counts. `on_invalid` is what was done with points without
    /// a valid position.
    pub(super) fn take(&mut self, track: Option<usize>, on_invalid: OnInvalid) -> Vec<Note> {
        let mut notes = std::mem::take(&mut self.0);
        for note in &mut notes {
            note.track = track;
            note.message = complete(note, on_invalid);
        }
        notes
    }
}

/// Returns whether the notes of a kind are about single values, so that their messages differ.
fn is_value(kind: NoteKind) -> bool {
    matches!(
        kind,
        NoteKind::InvalidPosition
            | NoteKind::InvalidTime
            | NoteKind::InvalidElevation
            | NoteKind::InvalidAccuracy
            | NoteKind::BackwardTime
            | NoteKind::SkippedLines
    )
}

/// Returns the message with the count.
fn complete(note: &Note, on_invalid: OnInvalid) -> String {
    let Note { kind, message, count, .. } = note;
    let (one, many) = match kind {
        NoteKind::InvalidPosition if on_invalid == OnInvalid::Split => (
            "1 point without a valid position is skipped, and a segment starts after it",
            "points without a valid position are skipped, and a segment starts after each of them",
        ),
        NoteKind::InvalidPosition => (
            "1 point without a valid position is skipped",
            "points without a valid position are skipped",
        ),
        NoteKind::InvalidTime => ("1 invalid time is ignored", "invalid times are ignored"),
        NoteKind::InvalidElevation => {
            ("1 invalid elevation is ignored", "invalid elevations are ignored")
        }
        NoteKind::InvalidAccuracy => {
            ("1 invalid accuracy is ignored", "invalid accuracies are ignored")
        }
        NoteKind::SkippedLines => ("1 line is skipped", "lines are skipped"),
        NoteKind::BackwardTime => {
            return match count {
                1 => message.clone(),
                _ => format!("at {count} points, {message}"),
            };
        }
        _ if *count > 1 => return format!("{message} ({count} times)"),
        _ => return message.clone(),
    };
    match count {
        1 => format!("{one}: {message}"),
        _ => format!("{count} {many}; the first one: {message}"),
    }
}
