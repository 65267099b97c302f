//! The names of columns: the common names of each column, and the units in them.

use super::super::value::TimeUnit;

/// The names of a column with the latitude, or planar y, in order of preference. Case, surrounding blanks and
/// a unit in brackets are ignored. A blank, a hyphen and a dot are equal to an underscore.
pub const LATITUDE_COLUMNS: &[&str] = &[
    "latitude",
    "lat",
    "latitude_deg",
    "lat_deg",
    "latitude_dd",
    "lat_dd",
    "gps_latitude",
    "gps_lat",
    "location_latitude",
    "location_lat",
    "point_latitude",
    "point_lat",
    "y",
];

/// The names of a column with the longitude, or planar x, as [`LATITUDE_COLUMNS`].
pub const LONGITUDE_COLUMNS: &[&str] = &[
    "longitude",
    "lon",
    "lng",
    "long",
    "longitude_deg",
    "lon_deg",
    "lng_deg",
    "long_deg",
    "longitude_dd",
    "lon_dd",
    "long_dd",
    "gps_longitude",
    "gps_lon",
    "gps_lng",
    "gps_long",
    "location_longitude",
    "location_lon",
    "location_lng",
    "location_long",
    "point_longitude",
    "point_lon",
    "x",
];

/// The names of a column with the elevation in metres, or planar z, as [`LATITUDE_COLUMNS`]. A unit in brackets
/// must be the metre.
pub const ELEVATION_COLUMNS: &[&str] = &[
    "elevation",
    "ele",
    "elevation_m",
    "ele_m",
    "altitude",
    "alt",
    "altitude_m",
    "alt_m",
    "gps_altitude",
    "gps_alt",
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
    "time_utc",
    "timestamp_utc",
    "utc_time",
    "utc",
    "gps_time",
    "unix_time",
    "unix_timestamp",
    "unixtime",
    "unix",
    "epoch",
    "time_s",
    "timestamp_s",
    "unix_s",
    "epoch_s",
    "time_ms",
    "timestamp_ms",
    "unix_ms",
    "epoch_ms",
];

/// The names of a column with the accuracy radius in metres, as [`ELEVATION_COLUMNS`].
pub const ACCURACY_COLUMNS: &[&str] = &[
    "accuracy",
    "accuracy_m",
    "horizontal_accuracy",
    "horizontal_accuracy_m",
    "hacc",
    "h_acc",
    "hacc_m",
    "gps_accuracy",
];

/// The names of columns that often identify tracks. They cause a remark and are not used, because a wrong guess
/// would silently split a path.
pub(super) const TRACK_COLUMNS: [&str; 8] =
    ["track", "trackid", "trip", "tripid", "device", "deviceid", "vehicle", "vehicleid"];

/// Returns whether two column names are equal, except for case and white space.
pub(super) fn same(name: &str, wanted: &str) -> bool {
    let normalized =
        |name: &str| name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    normalized(name) == normalized(wanted)
}

/// Returns a column name in lower case, without unit, with underscores as separators.
pub(super) fn plain(name: &str) -> String {
    let name = name.split(['(', '[']).next().unwrap_or(name);
    let name = name.trim().to_lowercase().replace(['-', '.'], "_");
    name.split_whitespace().collect::<Vec<_>>().join("_")
}

/// Returns the unit in brackets at the end of a column name, in lower case.
pub(super) fn unit(name: &str) -> Option<String> {
    let start = name.find(['(', '['])? + 1;
    Some(name[start..].trim().trim_end_matches([')', ']']).trim().to_lowercase())
}

/// The spellings of the metre in brackets.
pub(super) const METRES: [&str; 5] = ["m", "meter", "meters", "metre", "metres"];

/// The text that may follow the name of a time in brackets.
pub(super) const TIME_UNITS: [&str; 12] =
    ["utc", "gmt", "z", "s", "sec", "seconds", "ms", "milliseconds", "us", "µs", "ns", "iso 8601"];

/// Returns the unit of the numbers in a column of times, if its name contains one.
pub(super) fn time_unit(name: &str) -> Option<TimeUnit> {
    let plain = plain(name);
    let suffix = plain.rsplit_once('_').map(|(_, suffix)| suffix.to_owned());
    match unit(name).or(suffix)?.as_str() {
        "s" | "sec" | "seconds" => Some(TimeUnit::S),
        "ms" | "millis" | "milliseconds" => Some(TimeUnit::Ms),
        "us" | "µs" | "micros" | "microseconds" => Some(TimeUnit::Us),
        "ns" | "nanos" | "nanoseconds" => Some(TimeUnit::Ns),
        _ => None,
    }
}
