//! Reads rows whose position is a geometry: well-known text, or an encoded polyline.
//!
//! A row with a line is a track of its own. A row with a point is a point of a track, as in other tables.

use super::super::super::error::{FormatError, Position};
use super::super::super::note::NoteKind;
use super::super::super::polyline::{self, Precision};
use super::super::super::sink::TrackKind;
use super::super::super::track_writer::{Attribute, RawFix, TrackWriter};
use super::super::super::value::excerpt;
use super::super::super::wkt::{self, Event, IGNORED_MEASURES, Reference};
use super::super::angle::decode;
use super::super::geometry::{Geometry, GeometryKind, pair};
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
            GeometryKind::Pair | GeometryKind::SwappedPair => {
                let is_swapped = geometry.kind == GeometryKind::SwappedPair;
                return self.read_pair(row, geometry.at, is_swapped, out);
            }
            _ if field.starts_with(b"[") => self.read_list(row, field, geometry, &mut state, out),
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

    /// Reads a latitude and a longitude in one field.
    fn read_pair(
        &mut self,
        row: Row<'_>,
        at: usize,
        is_swapped: bool,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let position = Position::column(row.line, at as u64 + 1);
        if !self.enter(row, out)? {
            return Ok(());
        }
        let (x, y) = match pair(row.get(at).unwrap_or_default(), is_swapped) {
            Ok(pair) => pair,
            Err(message) => {
                let message = self.in_column(message, at);
                return out.invalid_point(position, message);
            }
        };
        if !std::mem::replace(&mut self.noted.pair, true) {
            let order = if is_swapped { "longitude, latitude" } else { "latitude, longitude" };
            let message = format!("the column {} is read as {order}", self.columns.name(at));
            out.file_note(NoteKind::AssumedNotation, Some(position), message)?;
        }
        let has_comma = x.has_comma || y.has_comma;
        if has_comma {
            self.note_comma(position, out)?;
        }
        let mut raw = RawFix::new(position, x.value, y.value);
        self.read_attributes(row, has_comma, &mut raw, out)?;
        self.projection.check(&raw, out.space())?;
        out.point(&raw)
    }

    /// Reads a list of positions in JSON, as in GeoJSON: `[[longitude, latitude], ...]`.
    fn read_list(
        &mut self,
        row: Row<'_>,
        field: &[u8],
        geometry: &Geometry,
        state: &mut State,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let position = state.position;
        let items: Vec<serde_json::Value> = serde_json::from_slice(field).map_err(|error| {
            FormatError::malformed(position, format!("the list of positions is damaged: {error}"))
        })?;
        if items.is_empty() {
            let message = "the row has no geometry";
            return out
                .file_note(NoteKind::SkippedLines, Some(position), message)
                .inspect_err(|_| state.has_failed = true);
        }
        if !items.iter().any(serde_json::Value::is_array) {
            let message = "the list has no positions such as [longitude, latitude]";
            return Err(FormatError::malformed(position, message));
        }
        let added = self.add_list(row, &items, geometry, state, out);
        state.has_failed |= added.is_err();
        added
    }

    fn add_list(
        &mut self,
        row: Row<'_>,
        items: &[serde_json::Value],
        geometry: &Geometry,
        state: &mut State,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let position = state.position;
        let message = "a list of positions is read with the longitude before the latitude";
        out.file_note(NoteKind::AssumedNotation, Some(position), message)?;
        self.start_line(row, geometry, state, out)?;
        for item in items {
            let number = |at: usize| item.get(at).and_then(serde_json::Value::as_f64);
            match (number(0), number(1)) {
                (Some(x), Some(y)) => {
                    let raw = RawFix { z: number(2), ..RawFix::new(position, x, y) };
                    self.projection.check(&raw, out.space())?;
                    out.point(&raw)?;
                }
                _ => {
                    let item = item.to_string();
                    let item = excerpt(item.as_bytes());
                    let message = format!("{item} in the list is not a position with two numbers");
                    out.invalid_point(position, self.in_column(message, geometry.at))?;
                }
            }
        }
        Ok(())
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
