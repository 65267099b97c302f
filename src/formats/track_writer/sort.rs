//! Sorts the fixes of a track by time, in memory.
//!
//! The fixes of each segment are sorted, and then the segments by their first time. A fix without a time stays
//! after the fix that it follows in the file.

use super::super::error::{FormatError, Position};
use crate::measure::Fix;

/// Maximum number of points that are stored: about 400 MB of memory.
const POINTS_MAX: usize = 1 << 22;

/// Checks the number of points of a file that are stored.
pub(super) fn check_count(count: usize, position: Position) -> Result<(), FormatError> {
    if count <= POINTS_MAX {
        return Ok(());
    }
    let message = format!(
        "more than {POINTS_MAX} points must be stored to sort them by time; sort the file, or read it \
         without --sort-by-time"
    );
    Err(FormatError::TooLarge { position, message })
}

/// A stored point.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The fix; `None` for a point without a valid position.
    pub fix: Option<Fix>,
    pub starts_segment: bool,
    pub position: Position,
}

/// The stored points of a track.
#[derive(Default)]
pub(super) struct SortBuffer(Vec<Entry>);

impl SortBuffer {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, fix: Fix, starts_segment: bool, position: Position) {
        self.0.push(Entry { fix: Some(fix), starts_segment, position });
    }

    pub(super) fn push_invalid(&mut self) {
        let position = Position::line(1);
        self.0.push(Entry { fix: None, starts_segment: false, position });
    }

    /// Returns the points in the order of their times.
    pub(super) fn sorted(&mut self) -> impl Iterator<Item = Entry> + use<> {
        let entries = std::mem::take(&mut self.0);
        let mut segments: Vec<(Option<i64>, Vec<Entry>)> = Vec::new();
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            let next = rest[1..].iter().position(|entry| entry.starts_segment);
            let (segment, after) = rest.split_at(next.map_or(rest.len(), |at| at + 1));
            segments.push(sort_segment(segment));
            rest = after;
        }
        // The sort is stable, and segments without a time stay in front.
        segments.sort_by_key(|(first, _)| *first);
        segments.into_iter().flat_map(|(_, segment)| segment)
    }
}

/// Sorts the points of a segment. Returns its first time.
fn sort_segment(segment: &[Entry]) -> (Option<i64>, Vec<Entry>) {
    let time = |entry: &Entry| entry.fix.and_then(Fix::unix_ns);
    let first_known = segment.iter().find_map(time);
    let mut last = first_known;
    let mut keyed: Vec<(Option<i64>, Entry)> = Vec::with_capacity(segment.len());
    for entry in segment {
        last = time(entry).or(last);
        keyed.push((last, Entry { starts_segment: false, ..*entry }));
    }
    keyed.sort_by_key(|(key, _)| *key);
    let first = keyed.first().and_then(|(key, _)| *key);
    let mut sorted: Vec<Entry> = keyed.into_iter().map(|(_, entry)| entry).collect();
    if let Some(entry) = sorted.iter_mut().find(|entry| entry.fix.is_some()) {
        entry.starts_segment = true;
    }
    (first, sorted)
}
