//! Sorts the fixes of a track by time, in memory.
//!
//! The fixes of each segment are sorted, and then the segments by their first time. A fix without a time stays
//! after the fix that it follows in the file.

use super::super::error::{FormatError, Position};
use crate::measure::Fix;

/// Maximum number of points that are stored: about 400 MB of memory.
const POINTS_MAX: usize = 1 << 21;

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
        let mut entries = std::mem::take(&mut self.0);
        let keys = keys(&entries);
        let mut order: Vec<u32> = (0..entries.len() as u32).collect();
        // The sort is stable, and segments without a time stay in front.
        order.sort_by_key(|&at| keys[at as usize]);
        let mut segment = None;
        for &at in &order {
            let entry = &mut entries[at as usize];
            // An invalid point does not start a segment.
            let starts_segment = entry.fix.is_some() && segment != Some(keys[at as usize].segment);
            entry.starts_segment = starts_segment;
            if starts_segment {
                segment = Some(keys[at as usize].segment);
            }
        }
        order.into_iter().map(move |at| entries[at as usize])
    }
}

/// What the points are sorted by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// The first time of the segment.
    segment_unix_ns: Option<i64>,
    /// The number of the segment, in the order of the file.
    segment: u32,
    /// The time of the fix or of the last one before it; the largest time for invalid points after the last fix of
    /// their segment.
    unix_ns: Option<i64>,
}

fn keys(entries: &[Entry]) -> Vec<Key> {
    let time = |entry: &Entry| entry.fix.and_then(Fix::unix_ns);
    let mut keys = Vec::with_capacity(entries.len());
    let mut rest = entries;
    let mut segment = 0;
    while !rest.is_empty() {
        let next = rest[1..].iter().position(|entry| entry.starts_segment);
        let (points, after) = rest.split_at(next.map_or(rest.len(), |at| at + 1));
        let segment_unix_ns = points.iter().filter_map(time).min();
        let mut unix_ns = points.iter().find_map(time);
        // With `OnInvalid::Split`, an invalid point ends its segment, and has to stay at the end of it.
        let last_fix = points.iter().rposition(|entry| entry.fix.is_some());
        for (at, entry) in points.iter().enumerate() {
            unix_ns = time(entry).or(unix_ns);
            let is_after_all = last_fix.is_some_and(|last| at > last);
            let unix_ns = if is_after_all { Some(i64::MAX) } else { unix_ns };
            keys.push(Key { segment_unix_ns, segment, unix_ns });
        }
        segment += 1;
        rest = after;
    }
    keys
}
