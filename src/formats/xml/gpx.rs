//! The reader of GPX 1.0 and 1.1.
//!
//! Elements are identified by their local name and parent, and the namespace is ignored. So tracks of both
//! versions are found, and elements of the same name in extensions are not. A name, elevation or time must have
//! the namespace prefix of its track or point, because GPX 1.0 allows extensions there. The gpx crate is not
//! used, because it builds the whole file in memory and its errors have no positions.
//!
//! Names in other cases, and elements of a path inside each other, are read where their meaning is clear. No other
//! element with a position is ignored without a note, except waypoints.
//!
//! Three kinds of extensions are read: the accuracy of a point in metres, the length of a track that a Garmin
//! device has computed, and the shaping points of a Garmin route, which are a part of its path.

use super::super::error::{FormatError, Position};
use super::super::format::Format;
use super::super::note::NoteKind;
use super::super::sink::TrackKind;
use super::super::time::FileTimes;
use super::super::track_writer::{Attribute, RawFix, TrackWriter};
use super::super::value::excerpt;
use super::coordinates::{self, Coordinates, number_with_comma};
use super::reader::Element;
use super::{Document, append};
use names::{is_accuracy, is_point, path_name};

mod names;

#[cfg(test)]
mod tests;

/// The bytes of an elevation, time or other value that are kept. Valid ones are shorter.
const VALUE_BYTES_MAX: usize = 128;
/// The bytes of a track name that are kept.
const TRACK_NAME_BYTES_MAX: usize = 1 << 10;

/// The role of an open element.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tag {
    Gpx,
    Track,
    Route,
    /// A track or route inside another element of a path, which is a part of the outer track.
    InnerTrack,
    InnerRoute,
    Segment,
    Waypoint,
    Name,
    Point,
    Elevation,
    Time,
    Accuracy,
    /// The extensions of a point.
    PointExtensions,
    /// An element in the extensions of a point.
    PointExtension,
    /// A Garmin extension with the shaping points after a point of a route.
    ShapingPoints,
    TrackExtensions,
    TrackStats,
    DeviceLength,
    Other,
}

/// The state of the reader.
pub(super) struct Gpx<'a, 'b> {
    out: &'a mut TrackWriter<'b>,
    times: &'a mut FileTimes,
    /// The open elements, outermost first.
    open: Vec<Tag>,
    /// The namespace prefix of the current track or point, with the colon.
    prefix: String,
    /// The name of the current track.
    name: Option<String>,
    /// The open point and its position. Its shaping points come after it.
    point: Option<Result<RawFix, (Position, String)>>,
    /// The text of the open value, and its position.
    value: (String, Position),
    /// The kind of the current track if it has no element of its own.
    outside_track: Option<TrackKind>,
    /// Whether the last point was outside a segment.
    is_outside_segment: bool,
    track_count: u64,
    waypoint_count: u64,
}

impl<'a, 'b> Gpx<'a, 'b> {
    pub(super) fn new(out: &'a mut TrackWriter<'b>, times: &'a mut FileTimes) -> Self {
        Self {
            out,
            times,
            open: vec![],
            prefix: String::new(),
            name: None,
            point: None,
            value: (String::new(), Position::line(1)),
            outside_track: None,
            is_outside_segment: false,
            track_count: 0,
            waypoint_count: 0,
        }
    }

    /// Handles an element in `parent` that is a part of a path.
    fn start_path(
        &mut self,
        parent: Tag,
        element: &Element<'_>,
        position: Position,
    ) -> Result<Tag, FormatError> {
        let local = path_name(element.local_name());
        let parent = match parent {
            Tag::InnerTrack => Tag::Track,
            Tag::InnerRoute => Tag::Route,
            parent => parent,
        };
        Ok(match (parent, local) {
            (Tag::Gpx, "trk" | "rte") => {
                self.end_outside_track(position)?;
                let kind = if local == "rte" { TrackKind::Route } else { TrackKind::Track };
                self.start_track(kind, position)?;
                self.set_prefix(element);
                if local == "rte" { Tag::Route } else { Tag::Track }
            }
            (Tag::Gpx, "trkseg") => {
                self.start_outside_track("trkseg", position)?;
                self.start_segment();
                Tag::Segment
            }
            (Tag::Gpx, "trkpt" | "rtept") => {
                self.start_outside_track(local, position)?;
                self.start_point(element, position)?
            }
            (Tag::Gpx, "wpt") => {
                self.waypoint_count += 1;
                Tag::Waypoint
            }
            (Tag::Track, "trkseg") => {
                self.start_segment();
                Tag::Segment
            }
            (Tag::Track, "trkpt" | "rtept" | "pt") => {
                if !self.is_outside_segment {
                    self.out.start_segment();
                    self.is_outside_segment = true;
                }
                let message = "a point outside <trkseg> is read as a part of a segment";
                self.out.track_note(NoteKind::PointOutsideSegment, position, message)?;
                self.start_point(element, position)?
            }
            (Tag::Segment, "trkpt") | (Tag::Route, "rtept") => {
                self.start_point(element, position)?
            }
            (Tag::Segment, "rtept") | (Tag::Route, "trkpt") => {
                let message =
                    "a point of the other kind, <trkpt> in a route or <rtept> in a track, is read";
                self.out.track_note(NoteKind::PointOutsideSegment, position, message)?;
                self.start_point(element, position)?
            }
            (Tag::Segment | Tag::Route, "wpt" | "pt") => {
                self.note_inner(element, position)?;
                self.start_point(element, position)?
            }
            (Tag::Segment | Tag::Route, "trkseg") => {
                self.note_inner(element, position)?;
                self.start_segment();
                Tag::Segment
            }
            (Tag::Track | Tag::Route | Tag::Segment, "trk" | "rte") => {
                self.note_inner(element, position)?;
                self.start_segment();
                if local == "rte" { Tag::InnerRoute } else { Tag::InnerTrack }
            }
            (Tag::Track | Tag::Route, "name") if self.has_prefix(element) => {
                self.name = Some(String::new());
                Tag::Name
            }
            (Tag::Track, "extensions") => Tag::TrackExtensions,
            _ => self.ignore(element, position)?,
        })
    }

    /// Reports that an element is read in a place where GPX does not allow it.
    fn note_inner(&mut self, element: &Element<'_>, position: Position) -> Result<(), FormatError> {
        let local = excerpt(element.local_name().as_bytes());
        let message =
            format!("the element {local} inside another one is read as a part of the path");
        self.out.track_note(NoteKind::PointOutsideSegment, position, message)
    }

    /// Ignores an element. A point is not ignored without a note.
    fn ignore(&mut self, element: &Element<'_>, position: Position) -> Result<Tag, FormatError> {
        if is_point(element) {
            let local = excerpt(element.local_name().as_bytes());
            let message = format!(
                "the element {local} with a position is ignored, because it is not in a path"
            );
            self.out.file_note(NoteKind::IgnoredContent, Some(position), message)?;
        }
        Ok(Tag::Other)
    }

    fn start_track(&mut self, kind: TrackKind, position: Position) -> Result<(), FormatError> {
        self.track_count += 1;
        self.name = None;
        self.is_outside_segment = false;
        self.out.start_track(kind, position)
    }

    fn start_segment(&mut self) {
        self.is_outside_segment = false;
        self.out.start_segment();
    }

    /// Starts a track for points outside a track, or continues the last one.
    fn start_outside_track(&mut self, local: &str, position: Position) -> Result<(), FormatError> {
        let (kind, message) = match local {
            "rtept" => (TrackKind::Route, "a point outside <rte> is read as a part of a route"),
            _ => {
                (TrackKind::Track, "a point or segment outside <trk> is read as a part of a track")
            }
        };
        if self.outside_track != Some(kind) {
            self.end_outside_track(position)?;
            self.start_track(kind, position)?;
            self.outside_track = Some(kind);
        }
        self.out.track_note(NoteKind::PointOutsideSegment, position, message)
    }

    fn end_outside_track(&mut self, position: Position) -> Result<(), FormatError> {
        if self.outside_track.take().is_some() {
            self.out.end_track(position)?;
        }
        Ok(())
    }

    fn start_point(
        &mut self,
        element: &Element<'_>,
        position: Position,
    ) -> Result<Tag, FormatError> {
        self.set_prefix(element);
        let coordinates = coordinates::read(element);
        let has_comma = matches!(coordinates, Ok(Coordinates { has_decimal_comma: true, .. }));
        self.point = Some(match coordinates {
            Ok(Coordinates { x, y, .. }) => Ok(RawFix::new(position, x, y)),
            Err(message) => Err((position, message)),
        });
        if has_comma {
            self.note_comma(position)?;
        }
        Ok(Tag::Point)
    }

    fn end_point(&mut self) -> Result<(), FormatError> {
        match self.point.take() {
            Some(Ok(raw)) => self.out.point(&raw),
            Some(Err((position, message))) => self.out.invalid_point(position, message),
            None => Ok(()),
        }
    }

    /// Handles an element in a point, or in the extensions of a point or track.
    fn start_detail(
        &mut self,
        parent: Tag,
        element: &Element<'_>,
        position: Position,
    ) -> Result<Tag, FormatError> {
        let local = element.local_name();
        let tag = match (parent, local.as_bytes()) {
            (Tag::Point, b"ele") if self.has_prefix(element) => Tag::Elevation,
            (Tag::Point, b"time") if self.has_prefix(element) => Tag::Time,
            (Tag::Point, b"extensions") => return Ok(Tag::PointExtensions),
            (Tag::Point | Tag::PointExtensions, b"accuracy") => Tag::Accuracy,
            (Tag::Point | Tag::PointExtensions | Tag::PointExtension, _) if is_accuracy(local) => {
                Tag::Accuracy
            }
            (Tag::PointExtensions, b"RoutePointExtension")
                if self.open.iter().any(|tag| matches!(tag, Tag::Route | Tag::InnerRoute)) =>
            {
                return Ok(Tag::ShapingPoints);
            }
            (Tag::PointExtensions, _) => {
                self.ignore(element, position)?;
                return Ok(Tag::PointExtension);
            }
            (Tag::ShapingPoints, b"rpt") => {
                self.end_point()?;
                self.start_point(element, position)?;
                self.end_point()?;
                return Ok(Tag::Other);
            }
            (Tag::Point, _) if matches!(path_name(local), "trkpt" | "rtept" | "pt") => {
                self.note_inner(element, position)?;
                self.end_point()?;
                return self.start_point(element, position);
            }
            (Tag::TrackExtensions, b"TrackStatsExtension") => return Ok(Tag::TrackStats),
            (Tag::TrackStats, b"Distance") => Tag::DeviceLength,
            _ => return self.ignore(element, position),
        };
        self.value.0.clear();
        self.value.1 = position;
        Ok(tag)
    }

    /// Adds the elevation, time or other value to the open point or track.
    fn end_value(&mut self, tag: Tag) -> Result<(), FormatError> {
        let (text, position) = (self.value.0.as_str(), self.value.1);
        if tag == Tag::DeviceLength {
            if let Ok(length_m) = text.trim().parse() {
                self.out.set_device_length_m(length_m);
            }
            return Ok(());
        }
        let raw = match &mut self.point {
            Some(Ok(raw)) => raw,
            Some(Err(_)) => return Ok(()),
            None => {
                let message = "values of a point after the points inside it are ignored";
                return self.out.track_note(NoteKind::IgnoredContent, position, message);
            }
        };
        let mut has_comma = false;
        let (attribute, result) = match tag {
            Tag::Time => {
                let unix_ns = self.times.text(text.as_bytes(), position);
                (Attribute::Time, unix_ns.map(|unix_ns| raw.unix_ns = unix_ns))
            }
            Tag::Elevation => {
                let z = number_with_comma("elevation", text, &mut has_comma);
                (Attribute::Elevation, z.map(|z| raw.z = z))
            }
            _ => {
                let accuracy_m = number_with_comma("accuracy", text, &mut has_comma);
                (Attribute::Accuracy, accuracy_m.map(|accuracy_m| raw.accuracy_m = accuracy_m))
            }
        };
        if let Err(message) = result {
            return self.out.invalid_value(attribute, position, message);
        }
        if has_comma { self.note_comma(position) } else { Ok(()) }
    }

    fn note_comma(&mut self, position: Position) -> Result<(), FormatError> {
        let message = "a comma in a number is read as a decimal point";
        self.out.track_note(NoteKind::AssumedNotation, position, message)
    }

    fn set_prefix(&mut self, element: &Element<'_>) {
        if !element.has_prefix(&self.prefix) {
            self.prefix.clear();
            self.prefix.push_str(element.prefix());
        }
    }

    /// Returns whether an element has the namespace prefix of its track or point. If not, it is an extension.
    fn has_prefix(&self, element: &Element<'_>) -> bool {
        element.has_prefix(&self.prefix)
    }
}

impl Document for Gpx<'_, '_> {
    fn start(&mut self, element: &Element<'_>, position: Position) -> Result<(), FormatError> {
        let tag = match self.open.last() {
            None => Tag::Gpx,
            Some(Tag::Segment) if element.local_name().as_bytes() == b"trkpt" => {
                self.start_point(element, position)?
            }
            Some(
                &parent @ (Tag::Gpx
                | Tag::Track
                | Tag::Route
                | Tag::InnerTrack
                | Tag::InnerRoute
                | Tag::Segment),
            ) => self.start_path(parent, element, position)?,
            Some(Tag::Other) => self.ignore(element, position)?,
            Some(Tag::Waypoint) => Tag::Waypoint,
            Some(&parent) => self.start_detail(parent, element, position)?,
        };
        self.open.push(tag);
        Ok(())
    }

    fn text(&mut self, text: &str, _: Position) -> Result<(), FormatError> {
        let (kept, bytes_max) = match (self.open.last(), &mut self.name) {
            (Some(Tag::Name), Some(name)) => (name, TRACK_NAME_BYTES_MAX),
            (Some(Tag::Elevation | Tag::Time | Tag::Accuracy | Tag::DeviceLength), _) => {
                (&mut self.value.0, VALUE_BYTES_MAX)
            }
            _ => return Ok(()),
        };
        append(kept, text, bytes_max);
        Ok(())
    }

    #[inline]
    fn needs_end_position(&self) -> bool {
        matches!(self.open.last(), Some(Tag::Gpx | Tag::Track | Tag::Route))
    }

    fn end(&mut self, position: Position) -> Result<(), FormatError> {
        match self.open.pop() {
            Some(Tag::Gpx) => self.end_outside_track(position),
            Some(Tag::Track | Tag::Route) => self.out.end_track(position),
            Some(Tag::InnerTrack | Tag::InnerRoute) => {
                self.start_segment();
                Ok(())
            }
            // No leg joins the points before a segment inside another element to those after it.
            Some(Tag::Segment) if !matches!(self.open.last(), Some(Tag::Track | Tag::Gpx)) => {
                self.start_segment();
                Ok(())
            }
            Some(Tag::Name) => {
                self.out.set_name(self.name.as_deref().unwrap_or_default());
                Ok(())
            }
            Some(Tag::Point) => self.end_point(),
            Some(tag @ (Tag::Elevation | Tag::Time | Tag::Accuracy | Tag::DeviceLength)) => {
                self.end_value(tag)
            }
            _ => Ok(()),
        }
    }

    fn interrupt(&mut self) -> Result<(), FormatError> {
        // The position of the open point is complete. Its open value is not, and is not read.
        self.end_point()
    }

    fn finish(self) -> Result<(), FormatError> {
        if self.track_count > 0 {
            return Ok(());
        }
        let found = match self.waypoint_count {
            0 => "it holds no track and no route".to_owned(),
            count => format!("it holds waypoints ({count}) but no track and no route"),
        };
        Err(FormatError::NoTracks { format: Format::Gpx, found })
    }
}
