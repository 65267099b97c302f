//! The objects of GeoJSON (RFC 7946).
//!
//! A Feature, or a geometry outside a Feature, is a track, and each line in it is a segment. Points next to lines
//! are ignored with a note, and polygons without one, because they are not paths. The geojson crate
//! is not used, because it stores whole geometries and its errors have no positions.

mod coordinates;
mod emit;
mod event;
mod kind;
mod pending;
mod properties;
mod times;

#[cfg(test)]
mod tests;

use serde::de::MapAccess;

use super::super::error::FormatError;
use super::super::format::Format;
use super::super::note::NoteKind;
use super::super::value::excerpt;
use super::visit::{Key, Read, Scalar, Shape};
use super::{Role, Walk};
use crate::measure::Space;
use coordinates::Coordinates;
use kind::Kind;
use properties::{Crs, Properties, System};

/// The state of the current Feature, or of a geometry outside a Feature.
#[derive(Default)]
pub(super) struct Feature {
    pending: pending::Pending,
    progress: emit::Progress,
    properties: Properties,
    are_properties_known: bool,
    are_times_late: bool,
    /// Whether the Feature is a location of the Overland app.
    is_overland: bool,
}

/// A GeoJSON object while its members are read.
#[derive(Default)]
pub(super) struct Object {
    kind: Option<Kind>,
    /// The name of a type that is not one of GeoJSON.
    other_type: Option<String>,
    /// The entry of the coordinates before their type.
    untyped: Option<usize>,
    has_coordinates: bool,
}

impl Object {
    /// Returns whether the object has a type.
    pub(super) fn is_object(&self) -> bool {
        self.kind.is_some() || self.other_type.is_some()
    }

    /// Reads a member. Returns `false` if it is not one of GeoJSON.
    pub(super) fn member<'de, A: MapAccess<'de>>(
        &mut self,
        walk: &mut Walk<'_, '_>,
        role: Role,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        match key.as_str() {
            "type" => {
                let name = Scalar::read(members)?;
                self.set_type(walk, name.text());
                Ok(true)
            }
            "coordinates" => self.coordinates(walk, role, members).map(|()| true),
            "properties" if role != Role::Geometry => {
                Self::properties(walk, members).map(|()| true)
            }
            "crs" => {
                let name = Crs::read(members)?;
                let result = check_crs(walk, name);
                walk.checked(result).map(|()| true)
            }
            _ => Ok(false),
        }
    }

    fn set_type(&mut self, walk: &mut Walk<'_, '_>, name: Option<String>) {
        let name = name.unwrap_or_default();
        self.kind = Kind::named(&name);
        match self.kind {
            Some(_) if walk.feature.is_overland => walk.claim(Format::Overland),
            Some(_) => walk.claim(Format::GeoJson),
            None => {
                let found = format!("JSON of the type {}", excerpt(name.as_bytes()));
                walk.unknown.get_or_insert(found);
                self.other_type = Some(name);
            }
        }
        if let (Some(index), Some(kind)) = (self.untyped.take(), self.kind) {
            pending::set_kind(walk, index, Some(kind));
        }
    }

    fn coordinates<'de, A: MapAccess<'de>>(
        &mut self,
        walk: &mut Walk<'_, '_>,
        role: Role,
        members: &mut A,
    ) -> Result<(), A::Error> {
        if std::mem::replace(&mut self.has_coordinates, true) {
            return note_repeated(walk, members);
        }
        let kind = self.kind.filter(|kind| kind.is_geometry());
        if self.other_type.is_some() || (self.kind.is_some() && kind.is_none()) {
            let message = "coordinates of an object that is not a geometry are ignored";
            let result = walk.file_note(NoteKind::IgnoredContent, message);
            walk.checked(result)?;
            return Scalar::read(members).map(drop);
        }
        // A geometry outside a Feature has no properties.
        if walk.feature.are_properties_known || (role != Role::Geometry && kind.is_some()) {
            let result = pending::flush(walk);
            walk.checked(result)?;
            walk.feature.pending.is_direct = true;
        }
        let index = pending::start(walk, kind);
        let index = walk.checked(index)?;
        self.untyped = kind.is_none().then_some(index);
        members.next_value_seed(Coordinates { walk, depth: 0, parent: None })
    }

    fn properties<'de, A: MapAccess<'de>>(
        walk: &mut Walk<'_, '_>,
        members: &mut A,
    ) -> Result<(), A::Error> {
        let mut properties = Properties::default();
        let track_property = walk.track_property();
        members.next_value_seed(Read(&mut properties::Reader {
            properties: &mut properties,
            track_property,
            times: &mut walk.times,
        }))?;
        if walk.feature.pending.is_early && !properties.times.is_empty() {
            walk.feature.are_times_late = true;
            properties.times = times::Times::default();
        }
        walk.feature.properties = properties;
        walk.feature.are_properties_known = true;
        Ok(())
    }

    /// Ends an object.
    pub(super) fn end(self, walk: &mut Walk<'_, '_>, role: Role) -> Result<(), FormatError> {
        if let Some(kind) = self.kind {
            if kind == Kind::Polygon {
                walk.polygon_count += 1;
            }
            if kind.depth().is_some() && !self.has_coordinates {
                let message = "a geometry without \"coordinates\" is ignored";
                walk.file_note(NoteKind::IgnoredContent, message)?;
            }
            let is_misplaced = match role {
                Role::Feature => kind != Kind::Feature,
                Role::Geometry => !kind.is_geometry(),
                _ => false,
            };
            if is_misplaced {
                let message = "an object has a type that is not allowed at its place";
                walk.file_note(NoteKind::IgnoredContent, message)?;
            }
        } else if matches!(role, Role::Feature | Role::Geometry) {
            let message = match self.other_type {
                Some(name) => format!(
                    "an object of the type {} is ignored, which is not a GeoJSON type",
                    excerpt(name.as_bytes())
                ),
                None => "an object without a \"type\" is ignored".to_owned(),
            };
            walk.file_note(NoteKind::IgnoredContent, message)?;
        } else if self.has_coordinates && self.other_type.is_none() {
            walk.unknown.get_or_insert("JSON with coordinates and without a \"type\"".to_owned());
        }
        if role == Role::Geometry {
            return Ok(());
        }
        pending::flush(walk)?;
        emit::end(walk)
    }
}

/// Ignores the value of a member that occurs for the second time in its object.
pub(super) fn note_repeated<'de, A: MapAccess<'de>>(
    walk: &mut Walk<'_, '_>,
    members: &mut A,
) -> Result<(), A::Error> {
    let message = "a member that occurs for the second time in its object is ignored";
    let result = walk.file_note(NoteKind::IgnoredContent, message);
    walk.checked(result)?;
    Scalar::read(members).map(drop)
}

/// Starts a Feature, or a geometry outside a Feature.
pub(super) fn start(walk: &mut Walk<'_, '_>, role: Role) -> Result<(), FormatError> {
    // An object that contains other Features may have a geometry too.
    pending::flush(walk)?;
    emit::end(walk)?;
    walk.feature = Feature { is_overland: role == Role::Location, ..Feature::default() };
    Ok(())
}

/// Ends the Feature that could not be read to its end.
pub(super) fn abort(walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
    pending::flush(walk)?;
    emit::abort(walk)
}

/// Passes on what was read of a Feature at which the file ends. Its track stays open.
pub(super) fn cut(walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
    pending::flush(walk)
}

/// Checks the reference system that the file names.
fn check_crs(walk: &mut Walk<'_, '_>, name: Option<String>) -> Result<(), FormatError> {
    if walk.out.space() != Space::Geographic {
        return Ok(());
    }
    let Some(name) = name else {
        let message = "the file does not say which reference system its coordinates have; they are read \
                       as WGS 84";
        return walk.file_note(NoteKind::AssumedReferenceSystem, message);
    };
    let shown = excerpt(name.as_bytes());
    match properties::system(&name) {
        System::Wgs84 => Ok(()),
        System::NearWgs84 => {
            let message = format!("the reference system {shown} is read as WGS 84");
            walk.file_note(NoteKind::AssumedReferenceSystem, message)
        }
        System::Other => {
            let results = match walk.path_count {
                0 => "",
                _ => "; the lengths of the tracks before this position are wrong",
            };
            let message = format!(
                "the coordinates have the reference system {shown}, not WGS 84, and may be projected \
                 coordinates; use --model planar to measure in their plane, or convert the file to WGS \
                 84{results}"
            );
            walk.is_rejected = true;
            Err(FormatError::malformed(walk.position.get(), message))
        }
    }
}

/// Whether an element of a list is an object, or a value that is noted.
pub(super) fn check_element(walk: &mut Walk<'_, '_>, shape: &Shape) -> Result<(), FormatError> {
    if *shape == Shape::Object {
        return Ok(());
    }
    let message = "an element of a list is not an object and is ignored";
    walk.file_note(NoteKind::IgnoredContent, message)
}
