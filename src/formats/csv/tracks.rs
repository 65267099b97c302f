//! The tracks and segments of the rows, from the track column and the segment column.

use std::collections::HashMap;

use super::super::error::{FormatError, Position};
use super::super::format::Format;
use super::super::sink::TrackKind;
use super::super::track_writer::TrackWriter;
use super::problem::{Problem, TRACKS_MAX};

/// The tracks of the rows so far, by their identifier.
#[derive(Default)]
pub(super) struct Tracks {
    by_name: HashMap<Box<[u8]>, usize>,
    /// The value of the segment column in the last row of each track.
    segments: Vec<Vec<u8>>,
    current: usize,
    current_name: Vec<u8>,
}

impl Tracks {
    /// Makes `name` the current track, and starts a segment if the value of the segment column changes.
    pub(super) fn enter(
        &mut self,
        name: &[u8],
        segment: &[u8],
        position: Position,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), Problem> {
        let known = !self.segments.is_empty() && self.current_name == name;
        if !known && self.switch(name, position, out)? {
            out.start_segment();
            self.segments.push(segment.to_vec());
            return Ok(());
        }
        let last = &mut self.segments[self.current];
        if *last != segment {
            out.start_segment();
            last.clear();
            last.extend_from_slice(segment);
        }
        Ok(())
    }

    /// Switches to another track. Returns whether it is new.
    fn switch(
        &mut self,
        name: &[u8],
        position: Position,
        out: &mut TrackWriter<'_>,
    ) -> Result<bool, Problem> {
        self.current_name.clear();
        self.current_name.extend_from_slice(name);
        if let Some(&index) = self.by_name.get(name) {
            self.current = index;
            out.switch_track(index);
            return Ok(false);
        }
        self.current = self.segments.len();
        if self.current == TRACKS_MAX {
            return Err(Problem::Tracks);
        }
        self.by_name.insert(name.into(), self.current);
        out.start_track(TrackKind::Track, position)?;
        Ok(true)
    }

    /// Ends all tracks, in the order of their first rows. Called after the last row.
    pub(super) fn end(
        self,
        out: &mut TrackWriter<'_>,
        position: Position,
    ) -> Result<(), FormatError> {
        if self.segments.is_empty() {
            let found = "it has column names but no rows".to_owned();
            return Err(FormatError::NoTracks { format: Format::Csv, found });
        }
        let mut tracks: Vec<_> = self.by_name.into_iter().collect();
        tracks.sort_unstable_by_key(|&(_, index)| index);
        for (name, index) in tracks {
            let name = String::from_utf8_lossy(&name);
            out.switch_track(index);
            out.set_name(&name);
            out.end_track(position)?;
        }
        Ok(())
    }
}
