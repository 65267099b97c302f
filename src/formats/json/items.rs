//! The objects of a JSON file and the lists of them. Their members decide which format the file has.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess};

use super::super::error::FormatError;
use super::super::format::Format;
use super::super::value::excerpt;
use super::geojson;
use super::google::{phone, records, semantic};
use super::owntracks;
use super::visit::{Key, Read, Receive, Shape, read_into};
use super::{Role, Walk};

/// Reads an object.
pub(super) struct ItemSeed<'w, 'a, 'b> {
    pub walk: &'w mut Walk<'a, 'b>,
    pub role: Role,
}

impl<'de> DeserializeSeed<'de> for ItemSeed<'_, '_, '_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Shape, D::Error> {
        let ItemSeed { walk, role } = self;
        if role != Role::Geometry {
            let result = geojson::start(walk, role);
            walk.checked(result)?;
        }
        let mut item = Item::new(walk, role);
        let shape = Read(&mut item).deserialize(input)?;
        let Item { walk, geo, message, place, segment, .. } = item;
        let result = end(walk, role, &shape, geo, message, place, segment);
        walk.checked(result)?;
        Ok(shape)
    }
}

fn end(
    walk: &mut Walk<'_, '_>,
    role: Role,
    shape: &Shape,
    geo: geojson::Object,
    message: owntracks::Message,
    place: records::Place,
    segment: phone::Segment,
) -> Result<(), FormatError> {
    match (role, shape) {
        (_, Shape::Object) => {}
        (Role::Document, Shape::List) => return Ok(()),
        (Role::Geometry, Shape::Scalar(scalar)) if scalar.is_null() => return Ok(()),
        _ => return geojson::check_element(walk, shape),
    }
    if message.is_record() {
        return message.end(walk);
    }
    if segment.is_segment() {
        return segment.end(walk);
    }
    if place.is_place() || (role == Role::Location && !geo.is_object()) {
        walk.claim(Format::GoogleTimeline);
        let sample = place.sample(walk)?;
        return walk.add_sample(sample);
    }
    geo.end(walk, role)
}

/// An object while its members are read.
struct Item<'w, 'a, 'b> {
    walk: &'w mut Walk<'a, 'b>,
    role: Role,
    geo: geojson::Object,
    message: owntracks::Message,
    place: records::Place,
    segment: phone::Segment,
    /// The members with objects that occurred: a geometry, geometries and Features.
    contents: [bool; 3],
}

impl<'w, 'a, 'b> Item<'w, 'a, 'b> {
    fn new(walk: &'w mut Walk<'a, 'b>, role: Role) -> Self {
        Self {
            walk,
            role,
            geo: geojson::Object::default(),
            message: owntracks::Message::default(),
            place: records::Place::default(),
            segment: phone::Segment::default(),
            contents: [false; 3],
        }
    }

    /// Reads a list of objects.
    fn items<'de, A: MapAccess<'de>>(
        &mut self,
        role: Role,
        format: Format,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        self.walk.claim(format);
        read_into(&mut Items { walk: self.walk, role }, members)
    }

    /// Reads a member with objects of GeoJSON.
    fn objects<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        let walk = &mut *self.walk;
        let content = match key.as_str() {
            "geometry" => 0,
            "geometries" => 1,
            "features" => 2,
            _ => return Ok(false),
        };
        if std::mem::replace(&mut self.contents[content], true) {
            return geojson::note_repeated(walk, members).map(|()| true);
        }
        match key.as_str() {
            "geometry" if self.role != Role::Geometry => {
                members.next_value_seed(ItemSeed { walk, role: Role::Geometry })?;
                Ok(true)
            }
            "geometries" => read_into(&mut Items { walk, role: Role::Geometry }, members),
            "features" if self.role != Role::Geometry => {
                walk.claim(Format::GeoJson);
                read_into(&mut Items { walk, role: Role::Feature }, members)
            }
            _ => Ok(false),
        }
    }

    fn top_level<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        match key.as_str() {
            // Of Overland, if the elements are Features.
            "locations" => read_into(&mut Items { walk: self.walk, role: Role::Location }, members),
            "timelineObjects" | "semanticSegments" | "rawSignals" => {
                self.items(Role::Timeline, Format::GoogleTimeline, members)
            }
            // Of the recorder of OwnTracks.
            "data" => read_into(&mut Items { walk: self.walk, role: Role::Element }, members),
            _ => Ok(false),
        }
    }
}

impl Receive for Item<'_, '_, '_> {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        let role = self.role;
        let is_top = matches!(role, Role::Document | Role::Element);
        if role != Role::Timeline
            && (self.geo.member(self.walk, role, key, members)? || self.objects(key, members)?)
        {
            return Ok(true);
        }
        if is_top
            && (self.top_level(key, members)? || self.message.member(self.walk, key, members)?)
        {
            return Ok(true);
        }
        if matches!(role, Role::Element | Role::Timeline)
            && (semantic::member(self.walk, key, members)?
                || self.segment.member(self.walk, role, key, members)?)
        {
            return Ok(true);
        }
        if (is_top || role == Role::Location) && self.place.member(key, members)? {
            return Ok(true);
        }
        if is_top && self.walk.format.is_none() && self.walk.unknown.is_none() {
            let name = excerpt(key.as_str().as_bytes());
            self.walk.unknown = Some(format!("JSON with the member {name}"));
        }
        Ok(false)
    }

    fn element<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        match self.role {
            Role::Document => {
                let seed = ItemSeed { walk: self.walk, role: Role::Element };
                Ok(list.next_element_seed(seed)?.is_some())
            }
            _ => super::visit::Nothing.element(list),
        }
    }
}

/// A list of objects.
pub(super) struct Items<'w, 'a, 'b> {
    pub walk: &'w mut Walk<'a, 'b>,
    pub role: Role,
}

impl Receive for Items<'_, '_, '_> {
    fn element<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let seed = ItemSeed { walk: self.walk, role: self.role };
        Ok(list.next_element_seed(seed)?.is_some())
    }
}
