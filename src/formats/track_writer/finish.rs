//! Ends tracks and the file: passes stored fixes and notes to the sink.

use super::super::error::{FormatError, Position};
use super::super::note::NoteKind;
use super::TrackWriter;
use super::sort;

impl TrackWriter<'_> {
    /// Ends the current track.
    pub(in crate::formats) fn end_track(&mut self, position: Position) -> Result<(), FormatError> {
        self.end(Some(position), false)
    }

    /// Ends the current track, which is damaged before its end.
    pub(in crate::formats) fn end_incomplete_track(
        &mut self,
        position: Position,
    ) -> Result<(), FormatError> {
        self.end(Some(position), true)
    }

    fn end(&mut self, position: Option<Position>, is_incomplete: bool) -> Result<(), FormatError> {
        let at = position.unwrap_or(Position::line(1));
        let is_unsortable = self.track().is_some_and(|track| {
            track.sort.is_some() && track.info.time_count == 0 && track.info.point_count > 1
        });
        if is_unsortable {
            let message = "--sort-by-time had no effect: no point has a time";
            self.track_note(NoteKind::UnusedOption, at, message)?;
        }
        self.write_sorted(at)?;
        let most_have_one = self.track().is_some_and(|track| track.most_segments_have_one_point());
        if most_have_one {
            let message = "most segments have one point, and no leg joins two segments; use \
                           --join-segments if the points are one path";
            self.track_note(NoteKind::SinglePointSegments, at, message)?;
        }
        let Some(mut track) = self.tracks.get_mut(self.current).and_then(Option::take) else {
            return Ok(());
        };
        track.info.is_incomplete = is_incomplete;
        if let Some(index) = track.sink_index {
            self.select_index(index, at)?;
            for note in track.notes.take(Some(index), self.options.on_invalid) {
                let result = self.sink.note(&note);
                self.check(result, at)?;
            }
            let result = self.sink.end_track(&track.info);
            self.check(result, at)?;
        }
        self.open_count -= 1;
        if self.open_count == 0 {
            self.before += self.tracks.len();
            self.tracks.clear();
        }
        Ok(())
    }

    /// Passes the stored fixes of the current track to the sink in the order of their times. An error of the strict
    /// mode does not cost the fixes after it, because they are not stored any more.
    fn write_sorted(&mut self, position: Position) -> Result<(), FormatError> {
        let Some(mut sort) = self.track().and_then(|track| track.sort.take()) else {
            return Ok(());
        };
        self.stored_count -= sort.len();
        let mut noted = Ok(());
        for entry in sort.sorted() {
            let Some(fix) = entry.fix else {
                self.select(position)?;
                let result = self.sink.invalid_point();
                self.check(result, position)?;
                continue;
            };
            if self.track().is_some_and(|track| track.is_backward(fix)) {
                let message = "the time is earlier than that of the point before, because the times of segments \
                               overlap; use --join-segments to sort all points of the track together";
                noted = noted.and(self.track_note(NoteKind::BackwardTime, entry.position, message));
            }
            self.select(position)?;
            if entry.starts_segment {
                let result = self.sink.start_segment();
                self.check(result, entry.position)?;
            }
            let result = self.sink.fix(fix);
            self.check(result, entry.position)?;
        }
        noted
    }

    pub(super) fn count_stored(&mut self, position: Position) -> Result<(), FormatError> {
        self.stored_count += 1;
        sort::check_count(self.stored_count, position)
    }

    /// Ends the file: the open tracks are incomplete if it could not be read to its end.
    ///
    /// # Errors
    /// Returns the error of the reader, and else the first error of the sink.
    pub(in crate::formats) fn finish(
        mut self,
        outcome: Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        self.is_strict &= outcome.is_ok();
        let ended = self.end_all(outcome.is_err());
        let noted = match self.sink_failed {
            true => Ok(()),
            false => self.write_file_notes(),
        };
        outcome.and(ended).and(noted).and_then(|()| self.check_positions())
    }

    /// Returns an error if the file has points, but none with a valid position.
    fn check_positions(&mut self) -> Result<(), FormatError> {
        match self.invalid.take() {
            Some((count, reason)) if self.valid_count == 0 => {
                Err(FormatError::NoPositions { count, reason })
            }
            _ => Ok(()),
        }
    }

    /// Ends the open tracks. If the end of a track is an error in strict mode, that track and those after it are
    /// incomplete.
    fn end_all(&mut self, is_incomplete: bool) -> Result<(), FormatError> {
        let mut outcome = Ok(());
        for index in 0..self.tracks.len() {
            self.current = index;
            while !self.sink_failed && self.track().is_some() {
                let ended = self.end(None, is_incomplete || outcome.is_err());
                // After an error, notes are only passed on. So the second attempt ends the track.
                self.is_strict &= ended.is_ok();
                outcome = outcome.and(ended);
            }
        }
        outcome
    }

    fn write_file_notes(&mut self) -> Result<(), FormatError> {
        for note in self.file_notes.take(None, self.options.on_invalid) {
            let result = self.sink.note(&note);
            self.check(result, note.position.unwrap_or(Position::line(1)))?;
        }
        Ok(())
    }
}
