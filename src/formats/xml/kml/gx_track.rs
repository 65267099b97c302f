//! Joins the positions and the times of a gx:Track, which are separate lists of elements.
//!
//! They may alternate, or all elements of one list come first. Elements are stored until their partner comes,
//! up to a limit.

use std::collections::VecDeque;

use super::super::super::error::{FormatError, Position};
use super::super::super::note::NoteKind;
use super::super::super::track_writer::{RawFix, TrackWriter};

/// Maximum number of times that are stored: 32 MB of memory.
const TIMES_MAX: usize = 1 << 22;
/// Maximum number of positions that are stored: about 8 MB of memory.
const POINTS_MAX: usize = 1 << 16;
/// A missing time. It is outside the range of times.
const MISSING: i64 = i64::MIN;

/// The elements of the open gx:Track.
#[derive(Default)]
pub(super) struct GxTrack {
    /// Times without a position.
    times: VecDeque<i64>,
    /// Positions without a time. Either this list or the other one is empty.
    points: VecDeque<(Position, Result<RawFix, String>)>,
    time_count: u64,
    point_count: u64,
    /// Whether elements were dropped, so that later times have no position.
    is_cut: bool,
}

impl GxTrack {
    /// Adds the next time.
    pub(super) fn push_time(
        &mut self,
        unix_ns: Option<i64>,
        position: Position,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        self.time_count += 1;
        if let Some((position, point)) = self.points.pop_front() {
            return write(position, point, unix_ns, out);
        }
        if self.is_cut || self.times.len() == TIMES_MAX {
            self.is_cut = true;
            let message = "times of a gx:Track that are too far from their positions are ignored";
            return out.track_note(NoteKind::IgnoredContent, position, message);
        }
        self.times.push_back(unix_ns.unwrap_or(MISSING));
        Ok(())
    }

    /// Adds the next position, or the reason why it is missing.
    pub(super) fn push_point(
        &mut self,
        position: Position,
        point: Result<RawFix, String>,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        self.point_count += 1;
        if let Some(unix_ns) = self.times.pop_front() {
            return write(position, point, Some(unix_ns).filter(|&time| time != MISSING), out);
        }
        if self.is_cut {
            return write(position, point, None, out);
        }
        self.points.push_back((position, point));
        if self.points.len() < POINTS_MAX {
            return Ok(());
        }
        // There may be no times at all.
        self.is_cut = true;
        self.write_points(out)
    }

    /// Ends the track.
    pub(super) fn end(
        &mut self,
        position: Position,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        self.write_points(out)?;
        let Self { time_count, point_count, .. } = std::mem::take(self);
        if time_count == 0 || time_count == point_count {
            return Ok(());
        }
        let message = format!(
            "the numbers of times ({time_count}) and positions ({point_count}) of a gx:Track differ; they are \
             joined in their order"
        );
        out.track_note(NoteKind::IgnoredContent, position, message)
    }

    /// Passes on the positions that have no time yet.
    pub(super) fn write_points(&mut self, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        self.points.drain(..).try_for_each(|(position, point)| write(position, point, None, out))
    }
}

fn write(
    position: Position,
    point: Result<RawFix, String>,
    unix_ns: Option<i64>,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    match point {
        Ok(raw) => out.point(&RawFix { unix_ns, ..raw }),
        Err(message) => out.invalid_point(position, message),
    }
}
