//! The tracks and segments of the rows, from the columns that identify them.

use std::collections::HashMap;

use super::super::error::{FormatError, Position};
use super::super::format::Format;
use super::super::sink::TrackKind;
use super::super::track_writer::TrackWriter;
use super::angle::decode;

/// Maximum number of tracks in a file, which take about 100 MB of memory.
pub(super) const TRACKS_MAX: usize = 100_000;

/// The tracks of the rows so far, by their identifier.
#[derive(Default)]
pub(super) struct Tracks {
    by_name: HashMap<Box<[u8]>, usize>,
    /// The value of the segment column in the last row of each track.
    segments: Vec<Vec<u8>>,
    /// The number of header rows inside the file, and that before the last row of each track.
    block: u64,
    blocks: Vec<u64>,
    /// The number of each track for the writer.
    numbers: Vec<usize>,
    current: usize,
    current_name: Vec<u8>,
}

impl Tracks {
    pub(super) fn count(&self) -> usize {
        self.segments.len()
    }

    /// Starts a segment with the next row of each track.
    pub(super) fn start_block(&mut self) {
        self.block += 1;
    }

    /// Returns whether a block started after the last row of the current track.
    pub(super) fn is_new_block(&self) -> bool {
        self.blocks.get(self.current).is_none_or(|block| *block != self.block)
    }

    /// Returns whether there is a track with this identifier.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.by_name.contains_key(name)
    }

    /// Makes `name` the current track, and starts a segment if the value of the segment column changes. Returns
    /// whether the track is the same as before.
    pub(super) fn enter(
        &mut self,
        name: &[u8],
        segment: &[u8],
        position: Position,
        out: &mut TrackWriter<'_>,
    ) -> Result<bool, FormatError> {
        let is_same = !self.segments.is_empty() && same(&self.current_name, name);
        if !is_same && self.switch(name, position, out)? {
            out.start_segment();
            self.segments.push(segment.to_vec());
            self.blocks.push(self.block);
            return Ok(false);
        }
        if self.blocks[self.current] != self.block {
            self.blocks[self.current] = self.block;
            out.start_segment();
        }
        let last = &mut self.segments[self.current];
        if !same(last, segment) {
            out.start_segment();
            last.clear();
            last.extend_from_slice(segment);
        }
        Ok(is_same)
    }

    /// Switches to another track. Returns whether it is new.
    fn switch(
        &mut self,
        name: &[u8],
        position: Position,
        out: &mut TrackWriter<'_>,
    ) -> Result<bool, FormatError> {
        if let Some(&index) = self.by_name.get(name) {
            self.current_name.clear();
            self.current_name.extend_from_slice(name);
            self.current = index;
            out.switch_track(self.numbers[index]);
            return Ok(false);
        }
        if self.segments.len() == TRACKS_MAX {
            let message = format!(
                "more than {TRACKS_MAX} tracks in one file; split it, or check --track-column"
            );
            return Err(FormatError::TooLarge { position, message });
        }
        self.numbers.push(out.track_count());
        out.start_track(TrackKind::Track, position)?;
        self.current_name.clear();
        self.current_name.extend_from_slice(name);
        self.current = self.segments.len();
        self.by_name.insert(name.into(), self.current);
        out.set_name(&decode(name));
        Ok(true)
    }

    /// Ends all tracks, in the order of their first rows. Called after the last row.
    pub(super) fn end(
        self,
        out: &mut TrackWriter<'_>,
        position: Position,
        has_rows: bool,
    ) -> Result<(), FormatError> {
        if self.segments.is_empty() {
            let found = match has_rows {
                true => "none of its rows has a line or a point",
                false => "it has column names but no rows",
            };
            let found = found.to_owned();
            return Err(FormatError::NoTracks { format: Format::Csv, found });
        }
        for number in self.numbers {
            out.switch_track(number);
            out.end_track(position)?;
        }
        Ok(())
    }
}

/// Returns whether two identifiers are equal. Empty ones are not compared in memory: an empty `Vec` has an address that
/// cannot be read, and the comparison of glibc with AVX-512 is very slow there.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && (a.is_empty() || a == b)
}
