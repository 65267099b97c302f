//! The formats of track files, and their names.

use std::fmt;

/// A format of track files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// GPX 1.0 or 1.1. Each track and each route is a track, and waypoints are ignored.
    Gpx,
    /// Garmin Training Center Database. Each activity is a track, and each course is a route.
    Tcx,
    /// Keyhole Markup Language. Each Placemark with a line or track is a track. Without such a Placemark, the points are one
    /// path.
    Kml,
    /// Garmin Flexible and Interoperable Data Transfer, a binary format. Each session is a track. A course is a
    /// route.
    Fit,
    /// GeoJSON (RFC 7946), also newline-delimited or as a text sequence (RFC 8142). A Feature, or a geometry
    /// outside a Feature, is a track, and each line in it is a segment. If there are no lines, the points are one
    /// path for each device.
    GeoJson,
    /// Google location history: `Records.json`, semantic location history, or the timeline of a phone.
    GoogleTimeline,
    /// Records of OwnTracks: the `.rec` files of its recorder, or JSON. Each device is a track.
    OwnTracks,
    /// The JSON of the Overland app. Each device is a track.
    Overland,
    /// A log of NMEA 0183 sentences, which is one track.
    Nmea,
    /// A flight recorder file of the International Gliding Commission, which is one track.
    Igc,
    /// A track file of OziExplorer, which is one track. GeoLife uses the format too.
    Plt,
    /// Polylines in the encoding of Google Maps, one on each line. Each is a track.
    Polyline,
    /// Well-known text, with or without an SRID. Each geometry with lines is a track, and each line in it is a
    /// segment.
    Wkt,
    /// Comma-separated values, or values with another delimiter. A row is a point, or a geometry with its path.
    Csv,
    /// Apache Parquet, also with GeoParquet geometries. It needs the feature `parquet`.
    Parquet,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 15] = [
        Format::Gpx,
        Format::Tcx,
        Format::Kml,
        Format::Fit,
        Format::GeoJson,
        Format::GoogleTimeline,
        Format::OwnTracks,
        Format::Overland,
        Format::Nmea,
        Format::Igc,
        Format::Plt,
        Format::Polyline,
        Format::Wkt,
        Format::Csv,
        Format::Parquet,
    ];

    /// Returns the identifier of the format: lower-case letters and hyphens.
    pub fn id(self) -> &'static str {
        match self {
            Format::Gpx => "gpx",
            Format::Tcx => "tcx",
            Format::Kml => "kml",
            Format::Fit => "fit",
            Format::GeoJson => "geojson",
            Format::GoogleTimeline => "google-timeline",
            Format::OwnTracks => "owntracks",
            Format::Overland => "overland",
            Format::Nmea => "nmea",
            Format::Igc => "igc",
            Format::Plt => "plt",
            Format::Polyline => "polyline",
            Format::Wkt => "wkt",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }
}

impl Format {
    /// Returns whether one reader reads both formats: it detects the one from the content.
    pub(super) fn is_like(self, other: Self) -> bool {
        let family = |format| match format {
            Format::Tcx | Format::Kml => Format::Gpx,
            Format::GoogleTimeline | Format::OwnTracks | Format::Overland => Format::GeoJson,
            format => format,
        };
        family(self) == family(other)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Gpx => "GPX",
            Format::Tcx => "TCX",
            Format::Kml => "KML",
            Format::Fit => "FIT",
            Format::GeoJson => "GeoJSON",
            Format::GoogleTimeline => "Google location history",
            Format::OwnTracks => "OwnTracks",
            Format::Overland => "Overland",
            Format::Nmea => "NMEA",
            Format::Igc => "IGC",
            Format::Plt => "OziExplorer PLT",
            Format::Polyline => "encoded polyline",
            Format::Wkt => "WKT",
            Format::Csv => "CSV",
            Format::Parquet => "Parquet",
        })
    }
}
