//! The properties of a Feature: the name, the times of a line, and the values of a point.

use serde::de::MapAccess;

use super::super::times::JsonTimes;
use super::super::visit::{Key, Read, Receive, Scalar, read_into};
use super::times::{TimeList, Times};

const NAMES: &[&str] = &["name", "title"];
/// The names of values, in order of preference, in lower case without `_`, `-` and blanks.
const TIMES: &[&str] = &[
    "time",
    "timestamp",
    "datetime",
    "timestampms",
    "tst",
    "fixtime",
    "gpstime",
    "utctime",
    "recordedat",
    "timelong",
    "unixtime",
];
const ELEVATIONS: &[&str] =
    &["ele", "elevation", "altitude", "alt", "elevationm", "altitudem", "altitudemeters"];
const ACCURACIES: &[&str] =
    &["accuracy", "horizontalaccuracy", "acc", "accuracym", "accuracymeters", "hacc"];
/// The names of values that identify a mover or a track. A generic `id` is not among them.
const DEVICES: &[&str] = &[
    "deviceid",
    "device",
    "trackerid",
    "trackfid",
    "trackid",
    "topic",
    "tid",
    "trip",
    "tripid",
    "track",
    "trajectory",
    "trajectoryid",
    "vehicle",
    "vehicleid",
    "individual",
    "individuallocalidentifier",
    "mmsi",
    "imei",
    "callsign",
    "flight",
    "user",
    "userid",
    "uid",
];

/// The value with the most preferred name that can be read.
#[derive(Default)]
pub(super) struct Ranked<T> {
    rank: usize,
    pub value: Option<T>,
    fault: Option<String>,
}

impl<T: Clone> Ranked<T> {
    fn offer(&mut self, rank: usize, value: Result<Option<T>, String>) {
        match value {
            Ok(Some(value)) if self.value.is_none() || rank < self.rank => {
                (self.rank, self.value) = (rank, Some(value));
            }
            Ok(_) => {}
            Err(message) => self.fault = self.fault.take().or(Some(message)),
        }
    }

    /// Returns the value, or the message of the first value that cannot be read.
    pub(super) fn result(&self) -> Result<Option<T>, String> {
        match (&self.value, &self.fault) {
            (None, Some(fault)) => Err(fault.clone()),
            (value, _) => Ok(value.clone()),
        }
    }
}

/// The properties of a Feature that are used.
#[derive(Default)]
pub(in super::super) struct Properties {
    name: Ranked<String>,
    /// The values that may be the time of a point, with their ranks.
    time_values: Vec<(usize, Scalar)>,
    pub(super) elevation: Ranked<f64>,
    pub(super) accuracy: Ranked<f64>,
    pub(super) device: Ranked<String>,
    pub(super) times: Times,
}

impl Properties {
    pub(super) fn name(&self) -> Option<&str> {
        self.name.value.as_deref()
    }

    /// Returns the time of a point.
    ///
    /// # Errors
    /// A message, if no value is a time.
    pub(super) fn time(&self, times: &mut JsonTimes) -> Result<Option<i64>, String> {
        let mut time = Ranked::default();
        for (rank, value) in &self.time_values {
            time.offer(*rank, times.unix_ns(value));
        }
        time.result()
    }
}

/// Reads properties. The name of the property that identifies tracks may be an option.
pub(super) struct Reader<'p> {
    pub properties: &'p mut Properties,
    pub track_property: Option<&'p str>,
    pub times: &'p mut JsonTimes,
}

impl Receive for Reader<'_> {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        let Reader { properties, track_property, times } = self;
        let normalized = key.normalized();
        let name = normalized.as_str();
        let rank = |names: &[&str]| names.iter().position(|known| *known == name);
        match name {
            "coordtimes" | "times" | "timestamps" => {
                let list = &mut properties.times;
                members.next_value_seed(TimeList { times: list, reader: times, depth: 0 })?;
                return Ok(true);
            }
            "coordinateproperties" => {
                return read_into(&mut CoordinateProperties(properties, times), members);
            }
            _ => {}
        }
        let device = match track_property {
            Some(wanted) => (*wanted == key.as_str()).then_some(0),
            None => rank(DEVICES),
        };
        if let Some(rank) = device {
            let text = Scalar::read(members)?.text();
            properties.device.offer(rank, Ok(text));
        } else if let Some(rank) = rank(NAMES) {
            properties.name.offer(rank, Ok(Scalar::read(members)?.text()));
        } else if let Some(rank) = rank(TIMES) {
            let value = Scalar::read(members)?.shortened();
            if properties.time_values.len() < TIMES.len() {
                properties.time_values.push((rank, value));
            }
        } else if let Some(rank) = rank(ELEVATIONS) {
            properties.elevation.offer(rank, Scalar::read(members)?.number("elevation"));
        } else if let Some(rank) = rank(ACCURACIES) {
            properties.accuracy.offer(rank, Scalar::read(members)?.number("accuracy"));
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// The `coordinateProperties` of togeojson.
struct CoordinateProperties<'p>(&'p mut Properties, &'p mut JsonTimes);

impl Receive for CoordinateProperties<'_> {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        if !matches!(key.as_str(), "times" | "coordTimes") {
            return Ok(false);
        }
        let CoordinateProperties(properties, reader) = self;
        let list = &mut properties.times;
        members.next_value_seed(TimeList { times: list, reader, depth: 0 })?;
        Ok(true)
    }
}

/// The members of the `crs` object that name the reference system.
#[derive(Default)]
pub(super) struct Crs {
    kind: Option<String>,
    name: Option<String>,
}

impl Crs {
    /// Reads the member. Returns the name of the system; `None` if it has no name.
    pub(super) fn read<'de, A: MapAccess<'de>>(
        members: &mut A,
    ) -> Result<Option<String>, A::Error> {
        let mut crs = Crs::default();
        match members.next_value_seed(Read(&mut crs))? {
            super::super::visit::Shape::Scalar(scalar) => Ok(scalar.text()),
            _ => Ok(match (crs.kind.as_deref(), crs.name) {
                (Some(kind), Some(code)) if kind.eq_ignore_ascii_case("epsg") => {
                    Some(format!("EPSG:{code}"))
                }
                (_, name) => name,
            }),
        }
    }
}

impl Receive for Crs {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        match key.as_str() {
            "type" => self.kind = Scalar::read(members)?.text(),
            "name" | "code" | "href" => self.name = Scalar::read(members)?.text(),
            "properties" => return read_into(self, members),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The relation of a reference system to WGS 84.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    Wgs84,
    /// Degrees on an ellipsoid that differs from that of WGS 84 by less than a millimetre.
    NearWgs84,
    Other,
}

/// Returns the relation of the system with this name, such as `urn:ogc:def:crs:OGC:1.3:CRS84`, to WGS 84.
pub(super) fn system(name: &str) -> System {
    // ETRS89, NAD83, GDA94, GDA2020, NZGD2000, RGF93, SIRGAS 2000, JGD2011 and others on GRS 80.
    const NEAR: [&str; 10] =
        ["4258", "4269", "4283", "7844", "4167", "4171", "4674", "6668", "4937", "6318"];
    let upper = name.trim().to_ascii_uppercase();
    let last = upper.rsplit([':', '/', '#', ' ']).next().unwrap_or_default();
    match last.trim_end_matches('>') {
        "CRS84" | "CRS84H" | "4326" | "4979" | "WGS84" => System::Wgs84,
        "84" if upper == "WGS 84" => System::Wgs84,
        code if NEAR.contains(&code) => System::NearWgs84,
        _ => System::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_reference_systems_are_known() {
        for name in [
            "urn:ogc:def:crs:OGC:1.3:CRS84",
            "urn:ogc:def:crs:OGC::CRS84",
            "OGC:CRS84h",
            "urn:ogc:def:crs:EPSG::4326",
            "urn:ogc:def:crs:EPSG:6.9:4326",
            "EPSG:4326",
            "epsg:4326",
            "http://www.opengis.net/def/crs/EPSG/0/4326",
            "http://www.opengis.net/gml/srs/epsg.xml#4326",
            "WGS84",
            "WGS 84",
        ] {
            assert_eq!(system(name), System::Wgs84, "{name}");
        }
        assert_eq!(system("EPSG:4258"), System::NearWgs84);
        for name in ["urn:ogc:def:crs:EPSG::25832", "EPSG:3857", "EPSG:14326", "", "local"] {
            assert_eq!(system(name), System::Other, "{name}");
        }
    }
}
