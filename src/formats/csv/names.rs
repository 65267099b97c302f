//! The names of columns: the synonyms of each meaning, and the units and scales in names.
//!
//! Names are compared by their letters and digits, in lower case: blanks, underscores, hyphens, dots and a unit
//! in brackets are ignored.

use super::super::value::TimeUnit;

/// The names of a column with the latitude, or planar y, in order of preference. Case, blanks, underscores,
/// hyphens, dots and a unit in brackets are ignored. After a name, `E5`, `E6` or `E7` is a scale of integers.
pub const LATITUDE_COLUMNS: &[&str] = &[
    "latitude",
    "lat",
    "latitude_deg",
    "latitude_degrees",
    "lat_deg",
    "latitude_dd",
    "lat_dd",
    "latitude_decimal",
    "decimal_latitude",
    "lat_decimal",
    "latitude_wgs84",
    "lat_wgs84",
    "wgs84_lat",
    "gps_latitude",
    "gps_lat",
    "location_latitude",
    "location_lat",
    "position_latitude",
    "position_lat",
    "point_latitude",
    "point_lat",
    "geo_lat",
    "breitengrad",
    "breite",
    "latitud",
    "latitudine",
    "y",
];

/// The names of a column with the longitude, or planar x, as [`LATITUDE_COLUMNS`].
pub const LONGITUDE_COLUMNS: &[&str] = &[
    "longitude",
    "lon",
    "lng",
    "long",
    "longitude_deg",
    "longitude_degrees",
    "lon_deg",
    "lng_deg",
    "long_deg",
    "longitude_dd",
    "lon_dd",
    "long_dd",
    "longitude_decimal",
    "decimal_longitude",
    "lon_decimal",
    "longitude_wgs84",
    "lon_wgs84",
    "wgs84_lon",
    "gps_longitude",
    "gps_lon",
    "gps_lng",
    "gps_long",
    "location_longitude",
    "location_lon",
    "location_lng",
    "location_long",
    "position_longitude",
    "position_lon",
    "position_lng",
    "position_long",
    "point_longitude",
    "point_lon",
    "geo_lon",
    "geo_lng",
    "längengrad",
    "laengengrad",
    "länge",
    "laenge",
    "longitud",
    "longitudine",
    "x",
];

/// The names of a column with the elevation, or planar z, as [`LATITUDE_COLUMNS`]. Elevations are metres, or in
/// the unit that follows the name (`altitude_ft`) or is in brackets.
pub const ELEVATION_COLUMNS: &[&str] = &[
    "elevation",
    "ele",
    "elev",
    "altitude",
    "alt",
    "gps_elevation",
    "gps_altitude",
    "gps_alt",
    "altitude_msl",
    "alt_msl",
    "geo_altitude",
    "location_altitude",
    "position_altitude",
    "baro_altitude",
    "height_above_msl",
    "height_msl",
    "height_above_ellipsoid",
    "height",
    "höhe",
    "hoehe",
    "z",
];

/// The names of a column with the time, as [`LATITUDE_COLUMNS`]. A name may end with the unit of its numbers
/// (`time_ms`), or contain it in brackets. Other numbers are seconds since 1970 or, if they are too large,
/// milliseconds, microseconds or nanoseconds.
pub const TIME_COLUMNS: &[&str] = &[
    "time",
    "timestamp",
    "datetime",
    "date_time",
    "date_and_time",
    "time_utc",
    "timestamp_utc",
    "datetime_utc",
    "utc_time",
    "utc_timestamp",
    "utc_datetime",
    "utc",
    "gps_time",
    "gps_timestamp",
    "gps_datetime",
    "gps_date_time",
    "fix_time",
    "base_date_time",
    "date_time_utc",
    "tst",
    "ts",
    "time_stamp",
    "time_position",
    "position_time",
    "position_timestamp",
    "location_time",
    "location_timestamp",
    "coord_times",
    "event_time",
    "recorded_at",
    "created_at",
    "local_time",
    "time_local",
    "unix_time",
    "unix_timestamp",
    "unix",
    "epoch",
    "epoch_time",
    "zeit",
    "zeitstempel",
    "uhrzeit",
    "time_s",
    "timestamp_s",
    "unix_s",
    "epoch_s",
    "time_ms",
    "timestamp_ms",
    "unix_ms",
    "epoch_ms",
    "time_us",
    "timestamp_us",
    "time_ns",
    "timestamp_ns",
    "time_of_day",
];

/// The names of a column with the date whose time of day is in another column, as [`LATITUDE_COLUMNS`].
pub const DATE_COLUMNS: &[&str] = &[
    "date",
    "gps_date",
    "utc_date",
    "date_utc",
    "local_date",
    "date_local",
    "datum",
    "fecha",
    "day",
];

/// The names of a column with the accuracy radius, as [`ELEVATION_COLUMNS`].
pub const ACCURACY_COLUMNS: &[&str] = &[
    "accuracy",
    "horizontal_accuracy",
    "hacc",
    "h_accuracy",
    "acc",
    "gps_accuracy",
    "gps_acc",
    "gps_horizontal_accuracy",
    "location_accuracy",
    "position_accuracy",
    "location_error_numerical",
    "horizontal_error",
    "eph",
    "genauigkeit",
];

/// The names of columns with N or S, without case and separators.
pub(super) const NORTH_SOUTH: &[&str] = &[
    "ns",
    "northsouth",
    "nsindicator",
    "nshemisphere",
    "latns",
    "latitudens",
    "latref",
    "latituderef",
    "latitudereference",
    "gpslatituderef",
    "latdir",
    "latitudedir",
    "latdirection",
    "latitudedirection",
    "lathemisphere",
    "lathemi",
    "latitudehemisphere",
    "hemispherelat",
    "hemispherelatitude",
    "hemispherens",
];

/// The names of columns with E or W, as [`NORTH_SOUTH`].
pub(super) const EAST_WEST: &[&str] = &[
    "ew",
    "we",
    "eastwest",
    "ewindicator",
    "ewhemisphere",
    "lonew",
    "longew",
    "longitudeew",
    "lonref",
    "longref",
    "lngref",
    "longituderef",
    "longitudereference",
    "gpslongituderef",
    "londir",
    "longdir",
    "lngdir",
    "longitudedir",
    "londirection",
    "longitudedirection",
    "lonhemisphere",
    "longhemisphere",
    "lonhemi",
    "longitudehemisphere",
    "hemispherelon",
    "hemispherelongitude",
    "hemisphereew",
];

/// The names of columns with well-known text, without case and separators.
pub(super) const WKT_COLUMNS: &[&str] = &[
    "wkt",
    "geometrywkt",
    "geomwkt",
    "wktgeometry",
    "wktgeom",
    "ewkt",
    "geometry",
    "geom",
    "thegeom",
    "shape",
    "linestring",
];

/// The names of columns with encoded polylines, as [`WKT_COLUMNS`].
pub(super) const POLYLINE_COLUMNS: &[&str] = &[
    "polyline",
    "encodedpolyline",
    "overviewpolyline",
    "summarypolyline",
    "mappolyline",
    "mapsummarypolyline",
];

/// The names of columns with the name of a line, as [`WKT_COLUMNS`].
pub(super) const LINE_NAME_COLUMNS: &[&str] = &["name", "trackname", "title", "label"];

/// Returns whether two column names are equal, except for case and white space.
pub(super) fn same(name: &str, wanted: &str) -> bool {
    let normalized =
        |name: &str| name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    normalized(name) == normalized(wanted)
}

/// Returns the letters and digits of a column name without its unit, in lower case.
pub(super) fn key(name: &str) -> String {
    let without_unit = name.split(['(', '[']).next().unwrap_or(name);
    without_unit.to_lowercase().chars().filter(|char| char.is_alphanumeric()).collect()
}

/// Returns the text in brackets at the end of a column name, in lower case.
pub(super) fn unit(name: &str) -> Option<String> {
    let start = name.find(['(', '['])? + 1;
    Some(name[start..].trim().trim_end_matches([')', ']']).trim().to_lowercase())
}

/// Returns the number by which the integers of a coordinate column are divided if it has this name, and 1 for
/// decimal degrees.
pub(super) fn coordinate_divisor(name: &str, known: &str) -> Option<f64> {
    let key_of_name = key(name);
    let rest = key_of_name.strip_prefix(&key(known))?;
    let in_name = scale(rest)?;
    match unit(name).as_deref() {
        Some("rad" | "radians" | "m" | "km" | "ft") if known != "x" && known != "y" => None,
        Some(unit) if in_name == 1.0 => {
            let letters: String = unit.chars().filter(|char| char.is_alphanumeric()).collect();
            let letters = letters.trim_end_matches("degrees").trim_end_matches("deg");
            Some(scale(letters).unwrap_or(1.0))
        }
        _ => Some(in_name),
    }
}

/// Returns the divisor of a scale such as `e7` or `1e7`, without separators.
fn scale(text: &str) -> Option<f64> {
    match text {
        "" => Some(1.0),
        "e5" | "1e5" | "10e5" => Some(1e5),
        "e6" | "1e6" | "micro" => Some(1e6),
        "e7" | "1e7" => Some(1e7),
        _ => None,
    }
}

/// Returns the metres in the unit of a column with lengths if it has this name. The outer `None` is another
/// name, and the inner one an unknown unit.
pub(super) fn metres(name: &str, known: &str) -> Option<Option<f64>> {
    let key_of_name = key(name);
    let rest = key_of_name.strip_prefix(&key(known))?;
    let in_name = metres_of(rest).filter(|_| !rest.is_empty());
    match unit(name) {
        _ if !rest.is_empty() => in_name.map(Some),
        Some(unit) => Some(metres_of(&unit)),
        None => Some(Some(1.0)),
    }
}

fn metres_of(unit: &str) -> Option<f64> {
    match unit {
        "" | "m" | "meter" | "meters" | "metre" | "metres" | "mtrs" => Some(1.0),
        "ft" | "feet" | "foot" => Some(0.3048),
        "km" => Some(1000.0),
        "cm" => Some(0.01),
        "mm" => Some(0.001),
        _ => None,
    }
}

/// The text that may follow the name of a time in brackets.
pub(super) const TIME_UNITS: [&str; 13] = [
    "utc",
    "gmt",
    "z",
    "s",
    "sec",
    "seconds",
    "ms",
    "milliseconds",
    "us",
    "µs",
    "ns",
    "iso 8601",
    "local",
];

/// Returns the unit of the numbers in a column of times, if its name contains one.
pub(super) fn time_unit(name: &str) -> Option<TimeUnit> {
    let plain = name.split(['(', '[']).next().unwrap_or(name).trim().to_lowercase();
    let suffix = plain.rsplit(['_', '-', '.', ' ']).next().filter(|suffix| *suffix != plain);
    match unit(name).or(suffix.map(str::to_owned))?.as_str() {
        "s" | "sec" | "seconds" => Some(TimeUnit::S),
        "ms" | "millis" | "milliseconds" => Some(TimeUnit::Ms),
        "us" | "µs" | "micros" | "microseconds" => Some(TimeUnit::Us),
        "ns" | "nanos" | "nanoseconds" => Some(TimeUnit::Ns),
        _ => None,
    }
}
