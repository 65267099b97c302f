//! The Placemarks with a Point. If the file has no line, they are one path.

use super::super::super::error::{FormatError, Position};
use super::super::super::note::NoteKind;
use super::super::super::options::PointsMode;
use super::super::super::sink::TrackKind;
use super::super::super::track_writer::{RawFix, TrackWriter};

/// Maximum number of points that are stored: about 100 MB of memory.
const POINTS_MAX: usize = 1 << 20;

/// A note that is about values of points: its kind, message and first position.
pub(super) struct Remark {
    pub kind: NoteKind,
    pub position: Position,
    pub message: String,
}

/// The points of the file.
pub(super) struct Points {
    mode: PointsMode,
    /// The positions in the file, and the points that have valid numbers.
    stored: Vec<(Position, Option<RawFix>)>,
    /// The first reason why a point is missing.
    first_message: Option<String>,
    /// The first remark of each kind and the number of remarks.
    remarks: Vec<(Remark, u64)>,
    /// The index of the first point of the open Placemark.
    placemark_start: usize,
    count: u64,
    /// The position of the first point.
    first: Option<Position>,
    has_line: bool,
}

impl Points {
    pub(super) fn new(mode: PointsMode) -> Self {
        Self {
            mode,
            stored: Vec::new(),
            first_message: None,
            remarks: Vec::new(),
            placemark_start: 0,
            count: 0,
            first: None,
            has_line: false,
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Returns whether the points are a path, if the file ends here.
    pub(super) fn is_path(&self) -> bool {
        !self.stored.is_empty()
    }

    /// Adds a note that the points next to lines are ignored, if there are any.
    pub(super) fn note_ignored(&self, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        if self.count == 0 || self.mode == PointsMode::Ignore {
            return Ok(());
        }
        let message = format!("points next to lines are ignored ({})", self.count);
        out.file_note(NoteKind::IgnoredContent, self.first, message)
    }

    /// Removes all points, because the file has a line.
    pub(super) fn clear(&mut self) {
        self.has_line = true;
        self.stored = Vec::new();
        self.remarks = Vec::new();
    }

    /// Adds a point, or the reason why it is missing.
    pub(super) fn push(
        &mut self,
        position: Position,
        point: Result<RawFix, String>,
    ) -> Result<(), FormatError> {
        self.count += 1;
        self.first.get_or_insert(position);
        if self.is_ignored() {
            return Ok(());
        }
        if self.stored.len() == POINTS_MAX {
            let message = format!(
                "more than {POINTS_MAX} points must be stored to sort them by time; divide the file, or \
                 convert it to GPX"
            );
            return Err(FormatError::TooLarge { position, message });
        }
        let point = point.map_err(|message| self.first_message.get_or_insert(message)).ok();
        self.stored.push((position, point));
        Ok(())
    }

    /// Adds a remark on the last point.
    pub(super) fn remark(&mut self, remark: Remark) {
        if self.is_ignored() {
            return;
        }
        match self.remarks.iter_mut().find(|(first, _)| first.kind == remark.kind) {
            Some((_, count)) => *count += 1,
            None => self.remarks.push((remark, 1)),
        }
    }

    /// Returns whether the open Placemark has a point.
    pub(super) fn has_open_point(&self) -> bool {
        self.stored.len() > self.placemark_start
    }

    /// Ends a Placemark: its points have this time.
    pub(super) fn end_placemark(&mut self, unix_ns: Option<i64>) {
        let placemark = self.stored.iter_mut().skip(self.placemark_start);
        for raw in placemark.filter_map(|(_, point)| point.as_mut()) {
            raw.unix_ns = unix_ns;
        }
        self.placemark_start = self.stored.len();
    }

    /// Passes on the points as a track. It remains open if the file is incomplete.
    pub(super) fn write(
        &mut self,
        out: &mut TrackWriter<'_>,
        is_complete: bool,
    ) -> Result<(), FormatError> {
        let Some(&(start, _)) = self.stored.first() else { return Ok(()) };
        let time = |point: &Option<RawFix>| point.and_then(|raw| raw.unix_ns);
        let have_times =
            self.stored.iter().all(|(_, point)| point.is_none() || time(point).is_some());
        // A point without a valid position stays after the point that it follows.
        let mut last = None;
        let mut keyed: Vec<_> = self
            .stored
            .drain(..)
            .map(|(position, point)| {
                last = time(&point).or(last);
                (last, position, point)
            })
            .collect();
        let order = match have_times {
            true => ", in the order of their times",
            false => "",
        };
        if have_times {
            keyed.sort_by_key(|&(key, ..)| key);
        }
        out.start_track(TrackKind::Track, start)?;
        let message = format!(
            "the file has no lines, and its points are read as a path{order}; use --points ignore to ignore them"
        );
        out.track_note(NoteKind::JoinedPoints, start, message)?;
        for (remark, count) in self.remarks.drain(..) {
            for _ in 0..count {
                out.track_note(remark.kind, remark.position, remark.message.as_str())?;
            }
        }
        let message = self.first_message.as_deref().unwrap_or_default();
        let mut end = start;
        for (_, position, point) in keyed {
            end = position;
            match point {
                Some(raw) => out.point(&raw)?,
                None => out.invalid_point(position, message)?,
            }
        }
        if is_complete { out.end_track(end) } else { Ok(()) }
    }

    fn is_ignored(&self) -> bool {
        self.has_line || self.mode == PointsMode::Ignore
    }
}
