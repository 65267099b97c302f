//! Reads rows whose position is a geometry: well-known text, or an encoded polyline.
//!
//! A row with a line is a track of its own. A row with a point is a point of a track, as in other tables.

use super::super::super::error::{FormatError, Position};
use super::super::super::note::NoteKind;
use super::super::super::polyline::{self, Precision};
use super::super::super::sink::TrackKind;
use super::super::super::track_writer::{Attribute, RawFix, TrackWriter};
use super::super::super::wkt::{self, Event, IGNORED_MEASURES, Reference};
use super::super::angle::decode;
use super::super::columns::{Geometry, GeometryKind};
use super::super::splitter::Row;
use super::RowReader;
use crate::measure::Space;

/// The state within the geometry of a row.
struct State {
    position: Position,
    /// Whether a track of this row was started.
    has_line: bool,
    /// Whether the row is a point of a track.
    is_point: bool,
    /// Whether the error is not one of the geometry.
    has_failed: bool,
}

impl RowReader {
    /// Passes the points of a row on.
    pub(super) fn read_geometry(
        &mut self,
        row: Row<'_>,
        geometry: &Geometry,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let field = row.get(geometry.at).unwrap_or_default().trim_ascii();
        let position = Position::column(row.line, geometry.at as u64 + 1);
        if field.is_empty() {
            let message = "the row has no geometry";
            return out.file_note(NoteKind::SkippedLines, Some(position), message);
        }
        let mut state = State { position, has_line: false, is_point: false, has_failed: false };
        let outcome = match geometry.kind {
            GeometryKind::Wkt => wkt::parse(field, &mut |_, event| {
                let added = self.add(row, event, geometry, &mut state, out);
                state.has_failed |= added.is_err();
                added
            }),
            GeometryKind::Polyline => self.read_polyline(row, field, geometry, &mut state, out),
        };
        if let Err(error) = outcome {
            if state.has_failed {
                return Err(error);
            }
            let message = self.in_column(error.to_string(), geometry.at);
            if state.has_line || state.is_point {
                out.invalid_point(position, message)?;
            } else {
                out.file_note(NoteKind::SkippedLines, Some(position), message)?;
            }
        }
        match state.has_line {
            true => out.end_track(position),
            false => Ok(()),
        }
    }

    fn read_polyline(
        &mut self,
        row: Row<'_>,
        field: &[u8],
        geometry: &Geometry,
        state: &mut State,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let precision = match out.space() {
            Space::Geographic => self.precision,
            Space::Planar => Precision::Five,
        };
        let added =
            out.file_note(NoteKind::AssumedNotation, Some(state.position), precision.note());
        state.has_failed |= added.is_err();
        added?;
        polyline::parse(field, precision, &mut |x, y| {
            let added = match state.has_line {
                true => Ok(()),
                false => self.start_line(row, geometry, state, out),
            };
            let added = added.and_then(|()| out.point(&RawFix::new(state.position, x, y)));
            state.has_failed |= added.is_err();
            added
        })
    }

    fn add(
        &mut self,
        row: Row<'_>,
        event: Event,
        geometry: &Geometry,
        state: &mut State,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let position = state.position;
        match event {
            Event::StartLine if state.has_line => {
                out.start_segment();
                Ok(())
            }
            Event::StartLine => self.start_line(row, geometry, state, out),
            Event::StartPoint => {
                state.is_point = !state.has_line;
                Ok(())
            }
            Event::Point { x, y, z } => {
                let mut raw = RawFix { z, ..RawFix::new(position, x, y) };
                if state.is_point {
                    if !self.enter(row, out)? {
                        return Ok(());
                    }
                    self.read_attributes(row, false, &mut raw, out)?;
                }
                self.projection.check(&raw, out.space())?;
                out.point(&raw)
            }
            Event::InvalidPoint(message) => {
                if state.is_point && !self.enter(row, out)? {
                    return Ok(());
                }
                out.invalid_point(position, message)
            }
            Event::InvalidElevation(message) => {
                out.invalid_value(Attribute::Elevation, position, message)
            }
            Event::Srid(srid) => match wkt::reference(srid, out.space()) {
                Reference::Known => Ok(()),
                Reference::Assumed(message) => {
                    out.file_note(NoteKind::AssumedReferenceSystem, Some(position), message)
                }
                Reference::Other(message) => Err(FormatError::malformed(position, message)),
            },
            Event::IgnoredMeasures => {
                out.file_note(NoteKind::IgnoredContent, Some(position), IGNORED_MEASURES)
            }
            Event::IgnoredGeometry(name) => {
                let message = format!("a {name} is ignored, because it is not a path");
                out.file_note(NoteKind::IgnoredContent, Some(position), message)
            }
        }
    }

    /// Starts the track of a row.
    fn start_line(
        &mut self,
        row: Row<'_>,
        geometry: &Geometry,
        state: &mut State,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        out.start_track(TrackKind::Track, state.position)?;
        let name = self.columns.track.or(geometry.name).and_then(|at| row.get(at));
        out.set_name(&decode(name.unwrap_or_default()));
        state.has_line = true;
        state.is_point = false;
        self.line_count += 1;
        Ok(())
    }
}
