//! The roles of the elements of KML, by the role of the parent.

/// The role of an open element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tag {
    /// The root, a Document, a Folder, or another element that may contain Placemarks.
    Container,
    Placemark,
    MultiGeometry,
    /// A TimeStamp or TimeSpan of a Placemark.
    PlacemarkTime,
    /// A LineString or LinearRing.
    Line,
    MultiTrack,
    /// A gx:Track.
    Track,
    Point,
    Polygon,
    NetworkLink,
    Value(Value),
    /// An element whose content is ignored.
    Other,
}

/// An element with text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Name,
    AltitudeMode,
    Interpolate,
    PlacemarkTime,
    When,
    Coord,
    /// The coordinates of a line or point. This text is not stored.
    Coordinates,
}

/// The names of the elements of paths, which some programs write in other cases.
const NAMES: [&str; 14] = [
    "Document",
    "Folder",
    "Placemark",
    "name",
    "MultiGeometry",
    "LineString",
    "LinearRing",
    "MultiTrack",
    "Track",
    "Point",
    "coordinates",
    "altitudeMode",
    "when",
    "coord",
];

impl Tag {
    /// Returns the role of a child with this local name, in any case.
    pub(super) fn child(self, local: &str) -> Tag {
        match self.exact_child(local) {
            Tag::Other => {
                let known = NAMES.iter().find(|name| local.eq_ignore_ascii_case(name));
                known.map_or(Tag::Other, |name| self.exact_child(name))
            }
            tag => tag,
        }
    }

    fn exact_child(self, local: &str) -> Tag {
        match (self, local) {
            (Tag::Container, "Placemark") => Tag::Placemark,
            (Tag::Container, "NetworkLink") => Tag::NetworkLink,
            (Tag::Container, "kml" | "Document" | "Folder") => Tag::Container,
            (Tag::Placemark, "name") => Tag::Value(Value::Name),
            (Tag::Placemark, "TimeStamp" | "TimeSpan") => Tag::PlacemarkTime,
            (Tag::Placemark | Tag::MultiGeometry, geometry) => match geometry {
                "MultiGeometry" => Tag::MultiGeometry,
                "LineString" | "LinearRing" => Tag::Line,
                "MultiTrack" => Tag::MultiTrack,
                "Track" => Tag::Track,
                "Point" => Tag::Point,
                "Polygon" => Tag::Polygon,
                _ => Tag::Other,
            },
            (Tag::PlacemarkTime, "when" | "begin") => Tag::Value(Value::PlacemarkTime),
            (Tag::MultiTrack, "Track") => Tag::Track,
            (Tag::Line | Tag::Point, "coordinates") => Tag::Value(Value::Coordinates),
            (Tag::Line | Tag::Point | Tag::Track | Tag::MultiTrack, "altitudeMode") => {
                Tag::Value(Value::AltitudeMode)
            }
            (Tag::MultiTrack, "interpolate") => Tag::Value(Value::Interpolate),
            (Tag::Track, "when") => Tag::Value(Value::When),
            (Tag::Track, "coord") => Tag::Value(Value::Coord),
            _ => Tag::Other,
        }
    }
}
