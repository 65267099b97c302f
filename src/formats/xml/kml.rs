//! The reader of KML, also with the extensions of Google.
//!
//! Each Placemark with a LineString, LinearRing, gx:Track or gx:MultiTrack is a track, and each of these
//! geometries is a segment. The tracks of a gx:MultiTrack with gx:interpolate are joined. A file that has
//! only Placemarks with a Point is one path. Points next to lines are ignored with a note, and polygons and
//! other geometries without one, because they are not paths. Altitudes above the
//! ground or sea floor are not elevations, and are ignored with a note.
//!
//! `tuples` reads the text of coordinates part by part, `gx_track` joins positions and times, and `points`
//! stores points.

mod gx_track;
mod points;
mod tag;
mod tuples;

#[cfg(test)]
mod tests;

use super::super::error::{FormatError, Position};
use super::super::format::Format;
use super::super::note::NoteKind;
use super::super::options::PointsMode;
use super::super::sink::TrackKind;
use super::super::time::FileTimes;
use super::super::track_writer::{Attribute, RawFix, TrackWriter};
use super::super::value::excerpt;
use super::reader::Element;
use super::{Document, append};
use gx_track::GxTrack;
use points::{Points, Remark};
use tag::{Tag, Value};
use tuples::{Tuple, Tuples};

/// The bytes of a value that are kept. Names are longest.
const VALUE_BYTES_MAX: usize = 1 << 10;

/// The state of the reader.
pub(super) struct Kml<'a, 'b> {
    out: &'a mut TrackWriter<'b>,
    times: &'a mut FileTimes,
    /// The open elements, outermost first.
    open: Vec<Tag>,
    /// The text of the open value, and its position.
    value: (String, Position),
    /// The open coordinates of a line or point.
    tuples: Tuples,
    placemark: Placemark,
    gx_track: GxTrack,
    points: Points,
    track_count: u64,
    polygon_count: u64,
}

/// The properties of the open Placemark.
#[derive(Default)]
struct Placemark {
    name: String,
    /// The text of its time, and the position.
    time: Option<(String, Position)>,
    /// Whether it has started a track.
    has_track: bool,
    /// Whether the next gx:Track continues the segment of the one before.
    interpolates: bool,
    multi_track_count: u64,
    /// Whether the open line has an element with coordinates.
    has_coordinates: bool,
    /// Whether the altitudes of the open geometry are above the ground or sea floor.
    is_relative: bool,
}

impl<'a, 'b> Kml<'a, 'b> {
    pub(super) fn new(
        out: &'a mut TrackWriter<'b>,
        times: &'a mut FileTimes,
        mode: PointsMode,
    ) -> Self {
        Self {
            out,
            times,
            open: vec![],
            value: (String::new(), Position::line(1)),
            tuples: Tuples::default(),
            placemark: Placemark::default(),
            gx_track: GxTrack::default(),
            points: Points::new(mode),
            track_count: 0,
            polygon_count: 0,
        }
    }

    /// Starts the track of the Placemark if needed.
    fn start_line(&mut self, position: Position) -> Result<(), FormatError> {
        self.placemark.is_relative = false;
        if self.placemark.has_track {
            return Ok(());
        }
        self.placemark.has_track = true;
        self.track_count += 1;
        if self.track_count == 1 {
            // The times until now are those of points, which are ignored.
            self.times.forget();
        }
        self.points.clear();
        self.out.start_track(TrackKind::Track, position)?;
        self.out.set_name(&self.placemark.name);
        Ok(())
    }

    fn end_placemark(&mut self, position: Position) -> Result<(), FormatError> {
        let placemark = std::mem::take(&mut self.placemark);
        if placemark.has_track {
            // The name may follow the line.
            self.out.set_name(&placemark.name);
            return self.out.end_track(position);
        }
        let unix_ns = match placemark.time.filter(|_| self.points.has_open_point()) {
            Some((text, position)) => time(self.times, &text, position).unwrap_or_else(|message| {
                self.points.remark(Remark { kind: NoteKind::InvalidTime, position, message });
                None
            }),
            None => None,
        };
        self.points.end_placemark(unix_ns);
        Ok(())
    }

    fn end_value(&mut self, value: Value) -> Result<(), FormatError> {
        let (text, position) = (self.value.0.trim(), self.value.1);
        match value {
            Value::Name => self.placemark.name = text.to_owned(),
            Value::AltitudeMode => {
                self.placemark.is_relative =
                    matches!(text, "relativeToGround" | "relativeToSeaFloor");
            }
            Value::Interpolate => {
                self.placemark.interpolates = matches!(text, "1" | "true");
            }
            Value::PlacemarkTime => {
                if !text.is_empty() {
                    self.placemark.time = Some((text.to_owned(), position));
                }
            }
            Value::When => {
                let unix_ns = time(self.times, text, position).or_else(|message| {
                    self.out.invalid_value(Attribute::Time, position, message).map(|()| None)
                })?;
                self.gx_track.push_time(unix_ns, position, self.out)?;
            }
            Value::Coord => {
                let point = self.raw_fix(Tuple::from_coord(text, position))?;
                self.gx_track.push_point(position, point, self.out)?;
            }
            Value::Coordinates => {
                if let Some(tuple) = self.tuples.finish() {
                    self.add(tuple)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the point of a tuple, or the reason why it is missing.
    fn raw_fix(&mut self, tuple: Tuple) -> Result<Result<RawFix, String>, FormatError> {
        let position = tuple.position;
        let (x, y) = match tuple.coordinates {
            Ok(coordinates) => coordinates,
            Err(message) => return Ok(Err(message)),
        };
        let mut raw = RawFix::new(position, x, y);
        match tuple.altitude {
            Ok(z) if !self.placemark.is_relative => raw.z = z,
            Ok(None) => {}
            Ok(Some(_)) => {
                let message = "altitudes above the ground or sea floor are ignored, because they are not \
                               elevations";
                self.note(NoteKind::IgnoredContent, position, message.to_owned())?;
            }
            Err(message) => self.note(NoteKind::InvalidElevation, position, message)?,
        }
        Ok(Ok(raw))
    }

    fn note(
        &mut self,
        kind: NoteKind,
        position: Position,
        message: String,
    ) -> Result<(), FormatError> {
        if self.placemark.has_track {
            return self.out.track_note(kind, position, message);
        }
        self.points.remark(Remark { kind, position, message });
        Ok(())
    }

    fn add(&mut self, tuple: Tuple) -> Result<(), FormatError> {
        let position = tuple.position;
        if tuple.ends_at_comma {
            let message = "a comma and white space are read as the end of a position";
            self.note(NoteKind::AssumedNotation, position, message.to_owned())?;
        }
        let point = self.raw_fix(tuple)?;
        // The coordinates of a line, and not those of a Point next to it.
        let is_line = self.open.iter().rev().any(|&tag| tag == Tag::Line);
        match point {
            _ if !is_line => self.points.push(position, point),
            Ok(raw) => self.out.point(&raw),
            Err(message) => self.out.invalid_point(position, message),
        }
    }
}

impl Document for Kml<'_, '_> {
    fn start(&mut self, element: &Element<'_>, position: Position) -> Result<(), FormatError> {
        let parent = self.open.last().copied().unwrap_or(Tag::Container);
        let tag = parent.child(element.local_name());
        match tag {
            Tag::Placemark => self.placemark = Placemark::default(),
            Tag::Line => {
                self.start_line(position)?;
                self.out.start_segment();
                self.placemark.has_coordinates = false;
            }
            Tag::MultiTrack => {
                self.placemark.multi_track_count = 0;
                self.placemark.interpolates = false;
            }
            Tag::Track => {
                self.start_line(position)?;
                let is_next = parent == Tag::MultiTrack && self.placemark.multi_track_count > 0;
                if !(is_next && self.placemark.interpolates) {
                    self.out.start_segment();
                }
                self.placemark.multi_track_count += 1;
            }
            Tag::Point => self.placemark.is_relative = false,
            Tag::Polygon => self.polygon_count += 1,
            Tag::NetworkLink => {
                let message = "a NetworkLink names another file, which is not read";
                self.out.file_note(NoteKind::IgnoredContent, Some(position), message)?;
            }
            Tag::Value(Value::Coordinates) => {
                self.tuples = Tuples::default();
                self.placemark.has_coordinates = true;
            }
            Tag::Value(_) => {
                self.value.0.clear();
                self.value.1 = position;
            }
            Tag::Other if element.local_name().eq_ignore_ascii_case("LineString") => {
                let message = "a LineString outside a Placemark is ignored";
                self.out.file_note(NoteKind::IgnoredContent, Some(position), message)?;
            }
            Tag::Container | Tag::MultiGeometry | Tag::PlacemarkTime | Tag::Other => {}
        }
        self.open.push(tag);
        Ok(())
    }

    fn needs_text_position(&self) -> bool {
        self.open.last() == Some(&Tag::Value(Value::Coordinates))
    }

    fn text(&mut self, text: &str, position: Position) -> Result<(), FormatError> {
        match self.open.last() {
            Some(Tag::Value(Value::Coordinates)) => {
                self.tuples.start_part(position);
                for char in text.chars() {
                    if let Some(tuple) = self.tuples.push(char) {
                        self.add(tuple)?;
                    }
                }
            }
            Some(Tag::Value(_)) => {
                append(&mut self.value.0, text, VALUE_BYTES_MAX);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, position: Position) -> Result<(), FormatError> {
        match self.open.pop() {
            Some(Tag::Placemark) => self.end_placemark(position),
            Some(Tag::Line) if !self.placemark.has_coordinates => {
                let message = "a line without <coordinates> has no points";
                self.out.track_note(NoteKind::IgnoredContent, position, message)
            }
            Some(Tag::Track) => self.gx_track.end(position, &mut *self.out),
            Some(Tag::Value(value)) => self.end_value(value),
            _ => Ok(()),
        }
    }

    fn interrupt(&mut self) -> Result<(), FormatError> {
        if self.placemark.has_track {
            self.gx_track.write_points(&mut *self.out)?;
        }
        if self.track_count > 0 {
            return self.points.note_ignored(self.out);
        }
        self.points.write(&mut *self.out, false)
    }

    fn finish(mut self) -> Result<(), FormatError> {
        if self.track_count > 0 {
            return self.points.note_ignored(self.out);
        }
        if self.points.is_path() {
            return self.points.write(&mut *self.out, true);
        }
        let found = match (self.points.count(), self.polygon_count) {
            (0, 0) => "it contains no line and no track".to_owned(),
            (points, 0) => format!("it contains points ({points}) but no line and no track"),
            (0, polygons) => format!("it contains polygons ({polygons}) but no line and no track"),
            (points, polygons) => format!(
                "it contains points ({points}) and polygons ({polygons}) but no line and no track"
            ),
        };
        Err(FormatError::NoTracks { format: Format::Kml, found })
    }
}

/// Parses a date and time. A date alone is not a time.
fn time(times: &mut FileTimes, text: &str, position: Position) -> Result<Option<i64>, String> {
    if !times.has_format() && !text.is_empty() && !text.contains(['T', 't', ' ']) {
        return Err(format!("the time {} has no time of day", excerpt(text.as_bytes())));
    }
    times.text(text.as_bytes(), position)
}
