//! The types of GeoJSON objects.

/// The type of a GeoJSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    FeatureCollection,
    Feature,
    Point,
    MultiPoint,
    LineString,
    MultiLineString,
    GeometryCollection,
    /// A polygon or several.
    Polygon,
}

impl Kind {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "FeatureCollection" => Kind::FeatureCollection,
            "Feature" => Kind::Feature,
            "Point" => Kind::Point,
            "MultiPoint" => Kind::MultiPoint,
            "LineString" => Kind::LineString,
            "MultiLineString" => Kind::MultiLineString,
            "GeometryCollection" => Kind::GeometryCollection,
            "Polygon" | "MultiPolygon" => Kind::Polygon,
            _ => return None,
        })
    }

    /// Returns the number of lists around a position, or `None` for a type without lines and points.
    pub(super) fn depth(self) -> Option<u8> {
        match self {
            Kind::Point => Some(0),
            Kind::LineString | Kind::MultiPoint => Some(1),
            Kind::MultiLineString => Some(2),
            _ => None,
        }
    }

    pub(super) fn is_line(self) -> bool {
        matches!(self, Kind::LineString | Kind::MultiLineString)
    }

    pub(super) fn is_geometry(self) -> bool {
        !matches!(self, Kind::Feature | Kind::FeatureCollection)
    }
}
