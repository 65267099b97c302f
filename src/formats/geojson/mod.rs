//! The reader of GeoJSON (RFC 7946), with serde_json as a streaming parser.
//!
//! Each position goes to the sink while it is parsed. An error that a visitor returns gets its line and
//! column from serde_json. Only coordinates in front of the `type` of their object are stored, up to a limit.
//! The geojson crate is not used, because it stores whole geometries and its errors have no positions.

use std::io::{BufRead, BufReader};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess};

use super::error::{FormatError, Limit, Position};
use super::format::Format;
use super::sink::TrackKind;
use super::track_writer::{RawFix, TrackWriter};
use super::value::excerpt;

mod bounded;
mod coordinates;
mod visit;

use bounded::{Bounded, InputPosition};
use coordinates::{Lines, Stored, Tokens};
use visit::{Map, Seq};

/// The bytes of a track name that are stored.
const NAME_BYTES_MAX: usize = 1 << 10;

/// Reads GeoJSON from UTF-8 text.
pub(super) fn read(text: impl BufRead, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
    let position = InputPosition::default();
    let mut walk = Walk {
        out,
        position: position.clone(),
        failure: None,
        open: false,
        track_count: 0,
        other_count: 0,
    };
    let input = Bounded::new(BufReader::new(text), position);
    let mut json = serde_json::Deserializer::from_reader(input);
    let end = Object { walk: &mut walk, role: Role::Document }
        .deserialize(&mut json)
        .and_then(|()| json.end());
    end.map_err(|error| explain(error, walk.failure.take()))?;
    if walk.track_count == 0 {
        let found = match walk.other_count {
            0 => "it holds no LineString and no MultiLineString".to_owned(),
            count => format!("it holds points or polygons ({count}) but no line"),
        };
        return Err(FormatError::NoTracks { format: Format::GeoJson, found });
    }
    Ok(())
}

/// The state of the reader.
struct Walk<'a, 'b> {
    out: &'a mut TrackWriter<'b>,
    position: InputPosition,
    /// An error of `out`. It stays here while serde_json returns.
    failure: Option<FormatError>,
    /// Whether the current Feature has started a track.
    open: bool,
    track_count: u64,
    other_count: u64,
}

impl Walk<'_, '_> {
    /// Keeps the error and returns a placeholder for serde_json.
    fn failed<E: serde::de::Error>(&mut self, error: FormatError) -> E {
        self.failure = Some(error);
        E::custom("failed")
    }

    /// Starts a line: a segment of the open track or of a new one.
    fn line<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if !self.open {
            self.open = true;
            self.track_count += 1;
            let position = self.position.get();
            let started = self.out.start_track(TrackKind::Track, position);
            started.map_err(|error| self.failed(error))?;
        }
        self.out.start_segment();
        Ok(())
    }

    fn fix<E: serde::de::Error>(&mut self, [x, y]: [f64; 2], z: Option<f64>) -> Result<(), E> {
        let raw = RawFix { z, ..RawFix::new(self.position.get(), x, y) };
        self.out.point(&raw).map_err(|error| self.failed(error))
    }

    /// Ends a Feature, or a geometry outside a Feature.
    fn end<E: serde::de::Error>(&mut self, name: Option<&str>) -> Result<(), E> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        self.out.set_name(name.unwrap_or_default());
        let position = self.position.get();
        self.out.end_track(position).map_err(|error| self.failed(error))
    }
}

/// The role of an object, which determines the types that it can have.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Document,
    Feature,
    Geometry,
}

/// The type of an object.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    FeatureCollection,
    Feature,
    LineString,
    MultiLineString,
    GeometryCollection,
    /// A geometry without length.
    Other,
}

impl Kind {
    fn named<E: serde::de::Error>(name: &str, role: Role) -> Result<Self, E> {
        let kind = match name {
            "FeatureCollection" if role == Role::Document => Kind::FeatureCollection,
            "Feature" if role != Role::Geometry => Kind::Feature,
            "LineString" => Kind::LineString,
            "MultiLineString" => Kind::MultiLineString,
            "GeometryCollection" => Kind::GeometryCollection,
            "Point" | "MultiPoint" | "Polygon" | "MultiPolygon" => Kind::Other,
            _ => {
                let found = excerpt(name.as_bytes());
                return Err(E::custom(format!(
                    "the type {found} is not a GeoJSON type, or not allowed here"
                )));
            }
        };
        if role == Role::Feature && kind != Kind::Feature {
            return Err(E::custom("a FeatureCollection contains an object that is not a Feature"));
        }
        Ok(kind)
    }

    /// Returns the number of lists around a position, or `None` for a type without lines.
    fn depth(self) -> Option<usize> {
        match self {
            Kind::LineString => Some(1),
            Kind::MultiLineString => Some(2),
            _ => None,
        }
    }
}

/// The names of members.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Type,
    Features,
    Geometry,
    Geometries,
    Coordinates,
    Properties,
    #[serde(other)]
    Other,
}

/// A GeoJSON object.
struct Object<'w, 'a, 'b> {
    walk: &'w mut Walk<'a, 'b>,
    role: Role,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        let or_null = self.role == Role::Geometry;
        input.deserialize_any(Map { or_null, what: "a GeoJSON object", then: self })
    }
}

impl<'de> visit::MapThen<'de> for Object<'_, '_, '_> {
    fn map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Object { walk, role } = self;
        let (mut kind, mut name, mut stored) = (None, None, None);
        let (mut has_coordinates, mut has_content) = (false, false);
        while let Some(member) = members.next_key()? {
            let is_content =
                matches!(member, Member::Features | Member::Geometry | Member::Geometries);
            if (has_coordinates && matches!(member, Member::Coordinates))
                || (has_content && is_content)
            {
                return Err(A::Error::custom("this object has the same content twice"));
            }
            has_content |= is_content;
            match member {
                Member::Type if kind.is_some() => {
                    return Err(A::Error::custom("this object has two types"));
                }
                Member::Type => {
                    let text: std::borrow::Cow<'_, str> = members.next_value()?;
                    kind = Some(Kind::named(&text, role)?);
                }
                Member::Features if role == Role::Document => {
                    members.next_value_seed(Objects { walk, role: Role::Feature })?;
                }
                Member::Geometry if role != Role::Geometry => {
                    members.next_value_seed(Object { walk, role: Role::Geometry })?;
                }
                Member::Geometries if role != Role::Feature => {
                    members.next_value_seed(Objects { walk, role: Role::Geometry })?;
                }
                Member::Coordinates if role != Role::Feature => {
                    has_coordinates = true;
                    match kind.map(Kind::depth) {
                        Some(Some(depth)) => {
                            members.next_value_seed(Tokens(&mut Lines::new(walk, depth)))?;
                        }
                        Some(None) => members.next_value_seed(Tokens(&mut coordinates::Skipped))?,
                        None => stored = Some(members.next_value::<Stored>()?),
                    }
                }
                Member::Properties => name = members.next_value_seed(Properties)?.or(name),
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        let Some(kind) = kind else {
            return Err(A::Error::custom("an object has no \"type\"; this is not GeoJSON"));
        };
        if let (Some(stored), Some(depth)) = (stored, kind.depth()) {
            stored.replay(&mut Lines::new(walk, depth))?;
        }
        walk.other_count += u64::from(kind == Kind::Other);
        if kind.depth().is_some() && !has_coordinates {
            return Err(A::Error::custom("a line has no \"coordinates\""));
        }
        if role == Role::Geometry { Ok(()) } else { walk.end(name.as_deref()) }
    }
}

/// A list of objects: Features or geometries.
struct Objects<'w, 'a, 'b> {
    walk: &'w mut Walk<'a, 'b>,
    role: Role,
}

impl<'de> DeserializeSeed<'de> for Objects<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_seq(Seq { what: "a list of GeoJSON objects", then: self })
    }
}

impl<'de> visit::SeqThen<'de> for Objects<'_, '_, '_> {
    fn seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Object { walk: self.walk, role: self.role })?.is_some() {}
        Ok(())
    }
}

/// The properties of a Feature, of which only the name is used.
struct Properties;

impl<'de> DeserializeSeed<'de> for Properties {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(visit::Name { bytes_max: NAME_BYTES_MAX })
    }
}

fn explain(error: serde_json::Error, failure: Option<FormatError>) -> FormatError {
    let position = Position::column(error.line() as u64, error.column().max(1) as u64);
    if let Some(failure) = failure {
        return failure;
    }
    if error.is_io() {
        return Limit::or_io(error.into(), position);
    }
    if error.is_eof() {
        return FormatError::malformed(position, "the file ends too early; it is incomplete");
    }
    let at = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&at).unwrap_or(&message);
    let message: String = message.chars().take(200).collect();
    if message == "trailing characters" {
        let advice = "more text follows the JSON value; newline-delimited GeoJSON is not supported: put \
                      its features into one FeatureCollection";
        return FormatError::malformed(position, advice);
    }
    let prefix = if error.is_syntax() { "not JSON: " } else { "" };
    FormatError::malformed(position, format!("{prefix}{message}"))
}

#[cfg(test)]
mod tests;
