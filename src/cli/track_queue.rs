//! Orders the points of a file by track.
//!
//! A server receives one path after another, but the rows of a table may alternate between tracks. So the fixes of the
//! first open track are sent, and those of later tracks wait for its end, up to [`QUEUED_FIXES_MAX`].

use std::collections::VecDeque;

use crate::formats::{Note, TrackInfo};
use crate::measure::Fix;

/// Maximum number of fixes in a part.
pub(super) const PART_FIXES: usize = 1000;
/// Maximum number of fixes of mixed tracks that wait: about 80 MB.
pub(super) const QUEUED_FIXES_MAX: usize = 1 << 20;

/// The tracks of a file that are not sent completely.
#[derive(Default)]
pub(super) struct TrackQueue {
    tracks: VecDeque<QueuedTrack>,
    /// The tracks of the file that were taken completely. They come before the queue.
    taken_count: usize,
    /// The fixes in the queue.
    fix_count: usize,
}

/// A track, and its fixes that were not taken.
#[derive(Default)]
struct QueuedTrack {
    fixes: VecDeque<Fix>,
    end: Option<TrackEnd>,
}

/// The end of a track.
#[derive(Debug, PartialEq)]
pub(super) struct TrackEnd {
    pub info: Box<TrackInfo>,
    pub notes: Vec<Note>,
}

/// The next fixes of the first track, or its end.
pub(super) enum QueuedPart {
    Fixes(Vec<Fix>),
    /// The end of the track with this number, from 1.
    End(u64, TrackEnd),
}

impl TrackQueue {
    /// Adds a track.
    pub(super) fn start(&mut self) {
        self.tracks.push_back(QueuedTrack::default());
    }

    /// Adds fixes of the track with this index.
    pub(super) fn add(&mut self, track: usize, fixes: Vec<Fix>) {
        let fix_count = fixes.len();
        if let Some(track) = self.get(track) {
            track.fixes.extend(fixes);
            self.fix_count += fix_count;
        }
    }

    /// Ends the track with this index.
    pub(super) fn end(&mut self, track: usize, end: TrackEnd) {
        if let Some(track) = self.get(track) {
            track.end = Some(end);
        }
    }

    /// Removes the next fixes of the first track, at least `count_min` before its end, or its end.
    pub(super) fn take_part(&mut self, count_min: usize) -> Option<QueuedPart> {
        let track = self.tracks.front_mut()?;
        let count = track.fixes.len().min(PART_FIXES);
        if count > 0 && (count >= count_min || track.end.is_some()) {
            self.fix_count -= count;
            return Some(QueuedPart::Fixes(track.fixes.drain(..count).collect()));
        }
        let end = track.end.take().filter(|_| count == 0)?;
        self.tracks.pop_front();
        self.taken_count += 1;
        Some(QueuedPart::End(self.taken_count as u64, end))
    }

    /// Returns the error message if too many fixes wait for the end of another track.
    pub(super) fn overflow(&self, file: &str) -> Option<String> {
        (self.fix_count > QUEUED_FIXES_MAX).then(|| {
            format!(
                "{file}: rows of different tracks are mixed, and more than {QUEUED_FIXES_MAX} points must \
                 wait; sort the file by track, or measure it without a server"
            )
        })
    }

    fn get(&mut self, track: usize) -> Option<&mut QueuedTrack> {
        self.tracks.get_mut(track.checked_sub(self.taken_count)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Point;

    fn fixes(count: usize) -> Vec<Fix> {
        vec![Fix::new(Point::planar(1.0, 2.0).unwrap()); count]
    }

    fn end() -> TrackEnd {
        TrackEnd { info: Box::default(), notes: Vec::new() }
    }

    /// Takes all parts. A part of fixes is their number, and an end is the number of the track.
    fn taken(queue: &mut TrackQueue, count_min: usize) -> Vec<Result<usize, u64>> {
        let parts = std::iter::from_fn(|| queue.take_part(count_min));
        parts
            .map(|part| match part {
                QueuedPart::Fixes(fixes) => Ok(fixes.len()),
                QueuedPart::End(number, _) => Err(number),
            })
            .collect()
    }

    #[test]
    fn later_tracks_wait_for_the_end_of_the_first() {
        let mut queue = TrackQueue::default();
        queue.start();
        queue.start();
        queue.add(0, fixes(2 * PART_FIXES + 1));
        queue.add(1, fixes(3));
        queue.end(1, end());
        assert_eq!(taken(&mut queue, PART_FIXES), [Ok(PART_FIXES), Ok(PART_FIXES)]);
        assert_eq!(taken(&mut queue, 1), [Ok(1)]);
        queue.add(0, fixes(2));
        queue.end(0, end());
        assert_eq!(taken(&mut queue, PART_FIXES), [Ok(2), Err(1), Ok(3), Err(2)]);
        queue.start();
        queue.add(2, fixes(1));
        queue.end(2, end());
        assert_eq!(taken(&mut queue, PART_FIXES), [Ok(1), Err(3)]);
    }

    #[test]
    fn the_fixes_that_wait_have_a_limit() {
        let mut queue = TrackQueue::default();
        queue.start();
        queue.start();
        queue.add(1, fixes(QUEUED_FIXES_MAX));
        assert_eq!(queue.overflow("f"), None);
        queue.add(1, fixes(1));
        assert!(queue.overflow("f").is_some_and(|message| message.starts_with("f: rows of ")));
    }
}
