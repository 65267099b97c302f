//! The columns of a file: their meanings, by their names.

use arrow_schema::{DataType, Fields};

use super::super::csv::{
    ACCURACY_COLUMNS, ELEVATION_COLUMNS, LATITUDE_COLUMNS, LONGITUDE_COLUMNS, TIME_COLUMNS,
};
use super::super::error::FormatError;
use super::super::options::{ReadOptions, TrackColumn};
use super::super::value::excerpt;
use super::cells::{is_identifier, is_numeric, is_temporal};
use super::geo::GeometryColumn;
use super::geometry::Encoding;
use crate::measure::Space;

/// The names of columns with WKB in a file without the metadata of GeoParquet.
const GEOMETRY_NAMES: [&str; 5] = ["geometry", "geom", "thegeom", "wkb", "wkbgeometry"];
/// The names of columns that identify tracks, finest first. They may be followed by one of
/// [`TRACK_SUFFIXES`].
const TRACK_NAMES: [&str; 21] = [
    "trajectory",
    "traj",
    "trip",
    "track",
    "activity",
    "session",
    "flight",
    "individual",
    "individuallocal",
    "mmsi",
    "icao24",
    "imei",
    "device",
    "tracker",
    "vehicle",
    "vessel",
    "user",
    "uid",
    "imo",
    "callsign",
    "animal",
];
const TRACK_SUFFIXES: [&str; 5] = ["", "id", "name", "no", "identifier"];

/// The columns of a file that are read, as indexes of the schema.
pub(super) struct Layout {
    pub place: Place,
    pub z: Option<usize>,
    pub time: Option<usize>,
    pub accuracy: Option<usize>,
    pub track: Option<usize>,
    /// Whether the user chose the track column.
    pub is_track_chosen: bool,
    pub segment: Option<usize>,
    /// The column with the names of lines.
    pub name: Option<usize>,
}

/// The columns with the positions.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Columns { x: usize, y: usize },
    Geometry { column: usize, encoding: Encoding },
}

impl Layout {
    /// Returns the indexes of the columns.
    pub(super) fn columns(&self) -> Vec<usize> {
        let [first, second] = match self.place {
            Place::Columns { x, y } => [x, y],
            Place::Geometry { column, .. } => [column, column],
        };
        let optional = [self.z, self.time, self.accuracy, self.track, self.segment, self.name];
        let mut columns: Vec<_> =
            [first, second].into_iter().chain(optional.into_iter().flatten()).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Finds the columns of the options, or those with a common name.
    pub(super) fn find(
        fields: &Fields,
        geometry: Option<GeometryColumn>,
        options: &ReadOptions,
    ) -> Result<Self, FormatError> {
        let finder = Finder { fields, space: options.space };
        let place = finder.place(geometry, options)?;
        let used = match place {
            Place::Columns { x, y } => [x, y],
            Place::Geometry { column, .. } => [column, column],
        };
        let optional = |name: &Option<String>,
                        flag: &str,
                        known: &[&str],
                        is_usable: fn(&DataType) -> bool| {
            let chosen = finder.named(name.as_deref(), flag)?;
            let common = || finder.common(known, is_usable).filter(|at| !used.contains(at));
            Ok::<_, FormatError>(chosen.or_else(common))
        };
        let (track, is_track_chosen) = match &options.track_column {
            TrackColumn::Named(name) => (finder.named(Some(name), "--track-column")?, true),
            TrackColumn::Auto => (finder.track(), false),
            TrackColumn::None => (None, false),
        };
        Ok(Self {
            place,
            z: optional(&options.z_column, "--z-column", ELEVATION_COLUMNS, is_numeric)?,
            time: optional(&options.time_column, "--time-column", TIME_COLUMNS, is_temporal)?,
            accuracy: optional(
                &options.accuracy_column,
                "--accuracy-column",
                ACCURACY_COLUMNS,
                is_numeric,
            )?,
            track,
            is_track_chosen,
            segment: finder.named(options.segment_column.as_deref(), "--segment-column")?,
            name: match place {
                Place::Geometry { .. } => finder.common(&["name", "id"], is_identifier),
                Place::Columns { .. } => None,
            },
        })
    }
}

struct Finder<'a> {
    fields: &'a Fields,
    space: Space,
}

impl Finder<'_> {
    fn place(
        &self,
        geometry: Option<GeometryColumn>,
        options: &ReadOptions,
    ) -> Result<Place, FormatError> {
        let is_chosen = options.x_column.is_some() || options.y_column.is_some();
        if let Some(geometry) = geometry.filter(|_| !is_chosen) {
            let column = self.fields.iter().position(|field| *field.name() == geometry.name);
            let missing =
                || self.missing(&format!("named {:?} for the geometry", geometry.name), "");
            return Ok(Place::Geometry {
                column: column.ok_or_else(missing)?,
                encoding: geometry.encoding,
            });
        }
        let x = self.named(options.x_column.as_deref(), "--x-column")?;
        let y = self.named(options.y_column.as_deref(), "--y-column")?;
        let x = x.or_else(|| self.common(LONGITUDE_COLUMNS, is_numeric));
        let y = y.or_else(|| self.common(LATITUDE_COLUMNS, is_numeric));
        if let (Some(x), Some(y)) = (x, y) {
            return Ok(Place::Columns { x, y });
        }
        let is_binary = |kind: &DataType| matches!(kind, DataType::Binary | DataType::LargeBinary);
        if let Some(column) = self.common(&GEOMETRY_NAMES, is_binary) {
            return Ok(Place::Geometry { column, encoding: Encoding::Wkb });
        }
        let (what, flag) = match (x, self.space) {
            (None, Space::Geographic) => ("for the longitude", "--x-column"),
            (None, Space::Planar) => ("for x", "--x-column"),
            (_, Space::Geographic) => ("for the latitude", "--y-column"),
            (_, Space::Planar) => ("for y", "--y-column"),
        };
        Err(self.missing(what, &format!("; choose one with {flag}")))
    }

    /// Returns the column with this name or number.
    fn named(&self, name: Option<&str>, flag: &str) -> Result<Option<usize>, FormatError> {
        let Some(name) = name else { return Ok(None) };
        let is_same = |other: &str| other.trim().eq_ignore_ascii_case(name.trim());
        let by_name = self.fields.iter().position(|field| is_same(field.name()));
        let number = name.trim().parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let by_number = number.filter(|&number| number < self.fields.len());
        match by_name.or(by_number) {
            Some(at) => Ok(Some(at)),
            None => {
                let what = format!("named {}", excerpt(name.as_bytes()));
                Err(self.missing(&what, &format!("; use one of these with {flag}")))
            }
        }
    }

    fn common(&self, known: &[&str], is_usable: impl Fn(&DataType) -> bool) -> Option<usize> {
        let position = |known: &&str| {
            let known = key(known);
            self.fields
                .iter()
                .position(|field| key(field.name()) == known && is_usable(field.data_type()))
        };
        match self.space {
            Space::Geographic => known.iter().find_map(position),
            Space::Planar => known.iter().rev().find_map(position),
        }
    }

    fn track(&self) -> Option<usize> {
        let is_match = |name: &str, base: &str| {
            key(name).strip_prefix(base).is_some_and(|rest| TRACK_SUFFIXES.contains(&rest))
        };
        TRACK_NAMES.iter().find_map(|base| {
            self.fields
                .iter()
                .position(|field| is_match(field.name(), base) && is_identifier(field.data_type()))
        })
    }

    fn missing(&self, what: &str, advice: &str) -> FormatError {
        const NAMES_MAX: usize = 8;
        let names: Vec<_> = self
            .fields
            .iter()
            .take(NAMES_MAX)
            .map(|field| excerpt(field.name().as_bytes()))
            .collect();
        let more = if self.fields.len() > NAMES_MAX { ", …" } else { "" };
        let names = names.join(", ");
        FormatError::Column(format!(
            "no usable column {what}; the columns are {names}{more}{advice}"
        ))
    }
}

/// Returns the letters and digits of a column name, in lower case.
fn key(name: &str) -> String {
    name.to_lowercase().chars().filter(|char| char.is_alphanumeric()).collect()
}
