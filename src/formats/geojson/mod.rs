//! GeoJSON (RFC 7946), streamed with serde_json's visitors.
//!
//! The geojson crate holds a whole geometry, one allocation a position, and has lost the place of a
//! position by the time it is checked; here every position goes to the sink as it is parsed, and an
//! error raised in a visitor gets its line and column from serde_json. Only coordinates that stand
//! before the `type` which says what they are must be kept, up to a limit.

use std::io::{BufRead, BufReader};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess};

use super::error::{FormatError, Limit, Place, excerpt};
use super::{Fix, Format, SinkError, TrackSink};

mod bounded;
mod coordinates;
mod visit;

use bounded::Bounded;
use coordinates::{Kept, Lines, Pieces, Skipped};
use visit::{Map, Seq};

/// A track name is cut here.
const NAME_BYTES_MAX: usize = 1 << 10;

/// Reads GeoJSON from UTF-8 text.
pub(super) fn read(text: impl BufRead, sink: &mut dyn TrackSink) -> Result<(), FormatError> {
    let mut walk = Walk { sink, refusal: None, open: false, track_count: 0, other_count: 0 };
    let input = Bounded::new(BufReader::new(text));
    let mut json = serde_json::Deserializer::from_reader(input);
    let end = Object { walk: &mut walk, role: Role::Document }
        .deserialize(&mut json)
        .and_then(|()| json.end());
    end.map_err(|error| explain(error, walk.refusal.take()))?;
    if walk.track_count == 0 {
        let found = match walk.other_count {
            0 => "it holds no LineString and no MultiLineString".to_owned(),
            count => format!("it holds points or polygons ({count}) but no line"),
        };
        return Err(FormatError::NoTracks { format: Format::GeoJson, found });
    }
    Ok(())
}

/// What is known while walking through the document.
struct Walk<'a> {
    sink: &'a mut dyn TrackSink,
    /// What the sink refused, kept aside while serde_json gives the error its place.
    refusal: Option<SinkError>,
    /// A track is open: a Feature has shown a line.
    open: bool,
    track_count: u64,
    other_count: u64,
}

impl Walk<'_> {
    fn told<E: serde::de::Error>(&mut self, outcome: Result<(), SinkError>) -> Result<(), E> {
        outcome.map_err(|refusal| {
            self.refusal = Some(refusal);
            E::custom("refused")
        })
    }

    /// A line begins: a segment of the open track, or the first of a new one.
    fn line<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if !self.open {
            self.open = true;
            self.track_count += 1;
            let outcome = self.sink.start_track();
            self.told(outcome)?;
        }
        let outcome = self.sink.start_segment();
        self.told(outcome)
    }

    fn fix<E: serde::de::Error>(&mut self, fix: Fix) -> Result<(), E> {
        let outcome = self.sink.fix(fix);
        self.told(outcome)
    }

    /// A Feature, or a geometry without one, is whole.
    fn end<E: serde::de::Error>(&mut self, name: Option<&str>) -> Result<(), E> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        let outcome = self.sink.end_track(name);
        self.told(outcome)
    }
}

/// Where an object stands, which says what it may be.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Document,
    Feature,
    Geometry,
}

/// What `type` says.
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
                return Err(E::custom(format!("the type {found} is not GeoJSON, or not here")));
            }
        };
        if role == Role::Feature && kind != Kind::Feature {
            return Err(E::custom("a FeatureCollection holds something that is no Feature"));
        }
        Ok(kind)
    }

    /// How many lists lie around a position; `None` where there is no line to measure.
    fn depth(self) -> Option<usize> {
        match self {
            Kind::LineString => Some(1),
            Kind::MultiLineString => Some(2),
            _ => None,
        }
    }
}

/// The members that matter.
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
struct Object<'w, 'a> {
    walk: &'w mut Walk<'a>,
    role: Role,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        let or_null = self.role == Role::Geometry;
        input.deserialize_any(Map { or_null, what: "a GeoJSON object", then: self })
    }
}

impl<'de> visit::MapThen<'de> for Object<'_, '_> {
    fn map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Object { walk, role } = self;
        let (mut kind, mut name, mut kept) = (None, None, None);
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
                            members.next_value_seed(Pieces(&mut Lines::new(walk, depth)))?;
                        }
                        Some(None) => members.next_value_seed(Pieces(&mut Skipped))?,
                        None => kept = Some(members.next_value::<Kept>()?),
                    }
                }
                Member::Properties => name = members.next_value_seed(Properties)?.or(name),
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        let Some(kind) = kind else {
            return Err(A::Error::custom("an object without a \"type\"; this is not GeoJSON"));
        };
        if let (Some(kept), Some(depth)) = (kept, kind.depth()) {
            kept.replay(&mut Lines::new(walk, depth))?;
        }
        walk.other_count += u64::from(kind == Kind::Other);
        if kind.depth().is_some() && !has_coordinates {
            return Err(A::Error::custom("a line without \"coordinates\""));
        }
        if role == Role::Geometry { Ok(()) } else { walk.end(name.as_deref()) }
    }
}

/// A list of objects: Features or geometries.
struct Objects<'w, 'a> {
    walk: &'w mut Walk<'a>,
    role: Role,
}

impl<'de> DeserializeSeed<'de> for Objects<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_seq(Seq { what: "a list of GeoJSON objects", then: self })
    }
}

impl<'de> visit::SeqThen<'de> for Objects<'_, '_> {
    fn seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Object { walk: self.walk, role: self.role })?.is_some() {}
        Ok(())
    }
}

/// The properties of a Feature: of these, its name.
struct Properties;

impl<'de> DeserializeSeed<'de> for Properties {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(visit::Name { bytes_max: NAME_BYTES_MAX })
    }
}

fn explain(error: serde_json::Error, refusal: Option<SinkError>) -> FormatError {
    let place = Place { line: error.line() as u64, column: Some(error.column() as u64) };
    if let Some(refusal) = refusal {
        return FormatError::refused(refusal, place);
    }
    if error.is_io() {
        return Limit::or_io(error.into(), place);
    }
    if error.is_eof() {
        return FormatError::malformed(place, "the file ends in the middle: it was cut short");
    }
    let at = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&at).unwrap_or(&message);
    let message: String = message.chars().take(200).collect();
    if message == "trailing characters" {
        let advice = "more follows the end of the JSON text; newline-delimited GeoJSON is not read: \
                      put its features into one FeatureCollection";
        return FormatError::malformed(place, advice);
    }
    let prefix = if error.is_syntax() { "not JSON: " } else { "" };
    FormatError::malformed(place, format!("{prefix}{message}"))
}

#[cfg(test)]
mod tests;
