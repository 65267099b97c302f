//! The reader of TCX, versions 1 and 2.
//!
//! Each Activity, or Run of version 1, is a track, and each Course is a route. A device closes a Track when its
//! timer stops and opens another one when it starts again, so the second and later Track of a Lap start a
//! segment. A new Lap does not: the device records without a break, and the leg from the last point of a Lap
//! to the first one of the next is part of the path. GoldenCheetah joins Laps too; GPSBabel starts a segment at
//! each Lap, which loses these legs, and joins the Tracks of a Lap.

use super::super::error::{FormatError, Position};
use super::super::format::Format;
use super::super::note::NoteKind;
use super::super::sink::TrackKind;
use super::super::time::FileTimes;
use super::super::track_writer::{Attribute, RawFix, TrackWriter};
use super::super::value::{coordinate, number};
use super::reader::Element;
use super::{Document, append};

/// The bytes of a value that are kept. Names are longest.
const VALUE_BYTES_MAX: usize = 1 << 10;

/// The role of an open element.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tag {
    /// The root or a list of tracks.
    List,
    Activity,
    Course,
    Lap,
    Track,
    Point,
    PointPosition,
    Value(Value),
    /// An element whose content is ignored.
    Other,
}

/// An element with text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    /// The identifier of an Activity, which is its time of start.
    Id,
    Notes,
    Name,
    LapLength,
    Latitude,
    Longitude,
    Elevation,
    Time,
}

/// The sum of the lengths of the Laps.
#[derive(Default)]
struct DeviceLength {
    sum_m: f64,
    lap_count: u64,
    length_count: u64,
}

/// The open Trackpoint.
struct OpenPoint {
    position: Position,
    latitude: Option<Result<f64, String>>,
    longitude: Option<Result<f64, String>>,
    z: Option<f64>,
    unix_ns: Option<i64>,
}

/// The state of the reader.
pub(super) struct Tcx<'a, 'b> {
    out: &'a mut TrackWriter<'b>,
    times: &'a mut FileTimes,
    /// The open elements, outermost first.
    open: Vec<Tag>,
    /// The text of the open value, and its position.
    value: (String, Position),
    point: Option<OpenPoint>,
    length: DeviceLength,
    has_notes: bool,
    /// The number of Tracks in the current Lap, or in the current Course.
    part_count: u64,
    track_count: u64,
}

impl<'a, 'b> Tcx<'a, 'b> {
    pub(super) fn new(out: &'a mut TrackWriter<'b>, times: &'a mut FileTimes) -> Self {
        Self {
            out,
            times,
            open: vec![],
            value: (String::new(), Position::line(1)),
            point: None,
            length: DeviceLength::default(),
            has_notes: false,
            part_count: 0,
            track_count: 0,
        }
    }

    fn start_track(&mut self, kind: TrackKind, position: Position) -> Result<(), FormatError> {
        self.track_count += 1;
        self.length = DeviceLength::default();
        self.has_notes = false;
        self.part_count = 0;
        self.out.start_track(kind, position)
    }

    fn end_track(&mut self, position: Position) -> Result<(), FormatError> {
        let DeviceLength { sum_m, lap_count, length_count } = self.length;
        if length_count > 0 && length_count == lap_count {
            self.out.set_device_length_m(sum_m);
        } else if length_count > 0 {
            let message =
                "the length of the device is unknown, because a Lap has no valid DistanceMeters";
            self.out.track_note(NoteKind::IgnoredContent, position, message)?;
        }
        self.out.end_track(position)
    }

    fn start_part(&mut self) {
        if self.part_count > 0 {
            self.out.start_segment();
        }
        self.part_count += 1;
    }

    fn start_value(&mut self, value: Value, position: Position) -> Tag {
        self.value.0.clear();
        self.value.1 = position;
        Tag::Value(value)
    }

    fn end_value(&mut self, value: Value) -> Result<(), FormatError> {
        let (text, position) = (self.value.0.as_str(), self.value.1);
        let bytes = text.as_bytes();
        match (value, &mut self.point) {
            (Value::Name, _) => self.out.set_name(text),
            // A title is a better name than a time.
            (Value::Id, _) if !self.has_notes => self.out.set_name(text),
            (Value::Notes, _) => {
                if let Some(title) = text.lines().map(str::trim).find(|line| !line.is_empty()) {
                    self.has_notes = true;
                    self.out.set_name(title);
                }
            }
            (Value::LapLength, _) => match number("length of the Lap", bytes) {
                Ok(Some(length_m)) if length_m.is_finite() && length_m >= 0.0 => {
                    self.length.sum_m += length_m;
                    self.length.length_count += 1;
                }
                _ => {}
            },
            (Value::Latitude, Some(point)) => point.latitude = Some(coordinate("latitude", bytes)),
            (Value::Longitude, Some(point)) => {
                point.longitude = Some(coordinate("longitude", bytes));
            }
            (Value::Elevation, Some(point)) => match number("elevation", bytes) {
                Ok(z) => point.z = z,
                Err(message) => {
                    return self.out.invalid_value(Attribute::Elevation, position, message);
                }
            },
            (Value::Time, Some(point)) => match self.times.text(bytes, position) {
                Ok(unix_ns) => point.unix_ns = unix_ns,
                Err(message) => return self.out.invalid_value(Attribute::Time, position, message),
            },
            _ => {}
        }
        Ok(())
    }

    fn end_point(&mut self) -> Result<(), FormatError> {
        let Some(point) = self.point.take() else { return Ok(()) };
        let OpenPoint { position, z, unix_ns, .. } = point;
        let missing = |name| Err(format!("this Trackpoint has no {name}"));
        let (y, x) = match (point.latitude, point.longitude) {
            (None, None) => (missing("Position"), missing("Position")),
            (y, x) => (
                y.unwrap_or_else(|| missing("LatitudeDegrees")),
                x.unwrap_or_else(|| missing("LongitudeDegrees")),
            ),
        };
        match (x, y) {
            (Ok(x), Ok(y)) => self.out.point(&RawFix { z, unix_ns, ..RawFix::new(position, x, y) }),
            (_, Err(message)) | (Err(message), _) => self.out.invalid_point(position, message),
        }
    }
}

/// Returns the name of an element as it is in TCX, if only its case differs.
fn known_name(local: &str) -> &str {
    const NAMES: [&str; 15] = [
        "Trackpoint",
        "Position",
        "LatitudeDegrees",
        "LongitudeDegrees",
        "AltitudeMeters",
        "Time",
        "Track",
        "Lap",
        "DistanceMeters",
        "Activity",
        "Run",
        "Course",
        "Id",
        "Notes",
        "Name",
    ];
    match local {
        "Trackpoint" | "Position" | "LatitudeDegrees" | "LongitudeDegrees" | "AltitudeMeters"
        | "Time" | "DistanceMeters" | "HeartRateBpm" | "Value" | "Cadence" | "SensorState" => local,
        _ => NAMES.into_iter().find(|name| local.eq_ignore_ascii_case(name)).unwrap_or(local),
    }
}

impl Document for Tcx<'_, '_> {
    fn start(&mut self, element: &Element<'_>, position: Position) -> Result<(), FormatError> {
        let local = known_name(element.local_name());
        let parent = self.open.last().copied().unwrap_or(Tag::List);
        let tag = match (parent, local) {
            (Tag::List, "Activity" | "Run") => {
                self.start_track(TrackKind::Track, position)?;
                Tag::Activity
            }
            (Tag::List, "Course") => {
                self.start_track(TrackKind::Route, position)?;
                Tag::Course
            }
            (Tag::List, "Extensions") => Tag::Other,
            (Tag::List | Tag::Other, "Trackpoint") => {
                let message = "a Trackpoint outside an Activity or Course is ignored";
                self.out.file_note(NoteKind::IgnoredContent, Some(position), message)?;
                Tag::Other
            }
            // The root, Activities, MultiSportSession, Courses, CourseFolder and others.
            (Tag::List, _) => Tag::List,
            (Tag::Activity, "Id") => self.start_value(Value::Id, position),
            (Tag::Activity, "Notes") => self.start_value(Value::Notes, position),
            (Tag::Course, "Name") => self.start_value(Value::Name, position),
            (Tag::Activity | Tag::Course, "Lap") => {
                self.length.lap_count += 1;
                if parent == Tag::Activity {
                    self.part_count = 0;
                }
                Tag::Lap
            }
            (Tag::Lap, "DistanceMeters") => self.start_value(Value::LapLength, position),
            (Tag::Lap | Tag::Activity | Tag::Course, "Track") => {
                self.start_part();
                Tag::Track
            }
            (Tag::Track, "Track") => {
                let message = "a Track inside a Track is read as a segment";
                self.out.track_note(NoteKind::PointOutsideSegment, position, message)?;
                self.start_part();
                Tag::Track
            }
            (Tag::Lap | Tag::Activity | Tag::Course | Tag::Track | Tag::Point, "Trackpoint") => {
                if parent != Tag::Track {
                    let message = "points outside a Track are read as part of the path";
                    self.out.track_note(NoteKind::PointOutsideSegment, position, message)?;
                }
                // The point that contains this one.
                self.end_point()?;
                let (latitude, longitude, z, unix_ns) = (None, None, None, None);
                self.point = Some(OpenPoint { position, latitude, longitude, z, unix_ns });
                Tag::Point
            }
            (Tag::Point, "Position") => Tag::PointPosition,
            (Tag::Point | Tag::PointPosition, "LatitudeDegrees") => {
                self.start_value(Value::Latitude, position)
            }
            (Tag::Point | Tag::PointPosition, "LongitudeDegrees") => {
                self.start_value(Value::Longitude, position)
            }
            (Tag::Point, "AltitudeMeters") => self.start_value(Value::Elevation, position),
            (Tag::Point, "Time") => self.start_value(Value::Time, position),
            _ => Tag::Other,
        };
        self.open.push(tag);
        Ok(())
    }

    fn text(&mut self, text: &str, _: Position) -> Result<(), FormatError> {
        if let Some(Tag::Value(_)) = self.open.last() {
            append(&mut self.value.0, text, VALUE_BYTES_MAX);
        }
        Ok(())
    }

    fn end(&mut self, position: Position) -> Result<(), FormatError> {
        match self.open.pop() {
            Some(Tag::Activity | Tag::Course) => self.end_track(position),
            Some(Tag::Point) => self.end_point(),
            Some(Tag::Track) if self.open.last() == Some(&Tag::Track) => {
                self.start_part();
                Ok(())
            }
            Some(Tag::Value(value)) => self.end_value(value),
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<(), FormatError> {
        match self.track_count {
            0 => {
                let found = "it contains no Activity and no Course".to_owned();
                Err(FormatError::NoTracks { format: Format::Tcx, found })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
