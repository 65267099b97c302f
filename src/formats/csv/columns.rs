//! Finds the columns of a table by their names, or by the names and numbers of the options.

use super::super::error::FormatError;
use super::super::options::{ReadOptions, TrackColumn};
use super::super::value::excerpt;
use super::angle::{EAST_OR_WEST, NORTH_OR_SOUTH, decode};
use super::axis::{Axis, HemisphereColumn};
use super::geometry::Geometry;
use super::grouping::{Certainty, Grouping, grouping};
use super::names::{coordinate_divisor, key, metres, same};
use super::splitter::Row;
use super::synonyms::{
    ACCURACY_COLUMNS, EAST_WEST, ELEVATION_COLUMNS, LATITUDE_COLUMNS, LONGITUDE_COLUMNS,
    NORTH_SOUTH,
};
use super::time_source::TimeSource;
use crate::measure::Space;

/// The columns of a table. Positions in a row count from 0.
#[derive(Clone)]
pub(super) struct Columns {
    pub names: Vec<String>,
    /// The geometry. `x` and `y` are not used then.
    pub geometry: Option<Geometry>,
    pub x: Axis,
    pub y: Axis,
    pub z: Option<Length>,
    pub accuracy: Option<Length>,
    /// A column of geometries next to those of the coordinates.
    pub unused_geometry: Option<Geometry>,
    /// The columns that may have the time, in order of preference.
    pub times: Vec<TimeSource>,
    /// Whether the options have the column of times.
    pub is_time_chosen: bool,
    /// The columns that may identify tracks, in order of preference.
    pub groups: Vec<Group>,
    /// The track column of the options.
    pub track: Option<usize>,
    pub segment: Option<usize>,
    /// What was ignored.
    pub ignored: Vec<String>,
    /// What was assumed.
    pub assumed: Vec<String>,
}

/// A column of lengths.
#[derive(Clone, Copy)]
pub(super) struct Length {
    pub at: usize,
    /// The unit of the values.
    pub metres: f64,
}

/// A column that may identify tracks.
#[derive(Clone, Copy)]
pub(super) struct Group {
    pub at: usize,
    pub kind: Grouping,
    pub certainty: Certainty,
}

impl Columns {
    /// Finds the columns of the options, or those with a common name.
    pub(super) fn find(
        names: Vec<String>,
        delimiter: u8,
        options: &ReadOptions,
    ) -> Result<Self, FormatError> {
        Self::find_with(names, delimiter, options, false)
    }

    /// Finds the columns. With `has_pairs`, one column may have both coordinates.
    pub(super) fn find_with(
        names: Vec<String>,
        delimiter: u8,
        options: &ReadOptions,
        has_pairs: bool,
    ) -> Result<Self, FormatError> {
        let search = Search { names: &names, delimiter, options };
        let mut ignored = Vec::new();
        let found = search.geometry(has_pairs);
        let (geometry, (x, y)) = match (search.axes(&mut ignored), found) {
            (Ok(axes), _) => (None, axes),
            (Err(_), Some(geometry)) => (Some(geometry), search.unused_axes(geometry.at)),
            (Err(error), None) => return Err(error),
        };
        let named_track = match &options.track_column {
            TrackColumn::Named(name) => Some(name.clone()),
            _ => None,
        };
        let track = search.named(&named_track, "--track-column")?;
        let segment = search.named(&options.segment_column, "--segment-column")?;
        let mut used: Vec<usize> =
            [Some(x.at), Some(y.at), track, segment].into_iter().flatten().collect();
        let z = search.length(
            &options.z_column,
            "--z-column",
            ELEVATION_COLUMNS,
            &used,
            &mut ignored,
        )?;
        used.extend(z.map(|column| column.at));
        let accuracy = search.length(
            &options.accuracy_column,
            "--accuracy-column",
            ACCURACY_COLUMNS,
            &used,
            &mut ignored,
        )?;
        used.extend(accuracy.map(|column| column.at));
        let chosen = search.named(&options.time_column, "--time-column")?;
        let times = TimeSource::find(&names, &used, chosen);
        let groups = match options.track_column {
            TrackColumn::Auto => search.groups(segment),
            _ => Vec::new(),
        };
        used.extend(times.iter().flat_map(|source| [Some(source.at), source.date]).flatten());
        used.extend(groups.iter().map(|group| group.at));
        ignored.extend(search.duplicates(&used));
        let assumed = match geometry {
            None => search.assumed_axes(&x, &y).into_iter().collect(),
            Some(_) => Vec::new(),
        };
        let unused_geometry = found.filter(|_| geometry.is_none());
        Ok(Self {
            geometry,
            x,
            y,
            z,
            accuracy,
            times,
            is_time_chosen: options.time_column.is_some(),
            groups,
            track,
            segment,
            ignored,
            assumed,
            unused_geometry,
            names,
        })
    }

    /// Returns whether a row repeats the column names of the position.
    pub(super) fn is_header(&self, row: Row<'_>) -> bool {
        let columns = self.geometry.map_or([self.x.at, self.y.at], |geometry| [geometry.at; 2]);
        columns.iter().all(|at| {
            let field = row.get(*at).unwrap_or_default();
            let starts = field
                .trim_ascii()
                .first()
                .is_some_and(|byte| !byte.is_ascii_digit() && !b"-+.".contains(byte));
            starts
                && field.len() <= 256
                && self.names.get(*at).is_some_and(|name| same(name, &decode(field)))
        })
    }

    /// Returns whether a row has the column names of the position, in any column.
    pub(super) fn is_other_header(&self, row: Row<'_>) -> bool {
        [self.x.at, self.y.at].iter().all(|at| {
            self.names.get(*at).is_some_and(|name| {
                row.iter().take(256).any(|field| field.len() <= 256 && same(name, &decode(field)))
            })
        })
    }

    /// Returns whether the geometry of a row is a line.
    pub(super) fn has_line(&self, row: Row<'_>) -> bool {
        let Some(geometry) = self.geometry.or(self.unused_geometry) else { return false };
        let field = row.get(geometry.at).unwrap_or_default();
        geometry.has_line(field)
    }

    /// Returns whether a row has both coordinates in one field.
    pub(super) fn has_pair(&self, row: Row<'_>) -> bool {
        let Some(geometry) = self.geometry else { return false };
        geometry.has_pair(row.get(geometry.at).unwrap_or_default())
    }

    /// Returns the name of a column for a message.
    pub(super) fn name(&self, at: usize) -> String {
        excerpt(self.names.get(at).map_or(&b""[..], |name| name.as_bytes()))
    }
}

/// Returns the names of x and y in messages.
fn coordinate_names(space: Space) -> (&'static str, &'static str) {
    match space {
        Space::Planar => ("x", "y"),
        Space::Geographic => ("longitude", "latitude"),
    }
}

struct Search<'a> {
    names: &'a [String],
    delimiter: u8,
    options: &'a ReadOptions,
}

impl Search<'_> {
    fn missing(&self, what: &str, advice: &str) -> FormatError {
        let delimiter = match self.delimiter {
            b'\t' => "tabs".to_owned(),
            other => format!("'{}'", char::from(other).escape_debug()),
        };
        let found: Vec<_> =
            self.names.iter().take(8).map(|name| excerpt(name.as_bytes())).collect();
        let more = if self.names.len() > found.len() { ", …" } else { "" };
        FormatError::Column(format!(
            "no column {what} in the first row, which has {}{more} (split at {delimiter}); {advice}",
            found.join(", ")
        ))
    }

    /// Finds the column with a name or, if no column has this name, a number from 1.
    fn named(&self, name: &Option<String>, flag: &str) -> Result<Option<usize>, FormatError> {
        let Some(name) = name else { return Ok(None) };
        if let Some(at) = self.names.iter().position(|other| same(other, name)) {
            return Ok(Some(at));
        }
        let missing = |what: String, advice: String| Err(self.missing(&what, &advice));
        match name.trim().parse::<usize>() {
            Ok(number) if (1..=self.names.len()).contains(&number) => Ok(Some(number - 1)),
            Ok(number) => missing(
                format!("{number}"),
                format!("use a number from 1 to {} with {flag}", self.names.len()),
            ),
            Err(_) => missing(
                format!("named {}", excerpt(name.as_bytes())),
                format!("use one of these with {flag}"),
            ),
        }
    }

    /// Returns a remark for each column that is not used because one before it has the same name.
    fn duplicates(&self, used: &[usize]) -> Vec<String> {
        let names = self.names;
        let is_repeated =
            |at: usize| used.iter().any(|used| *used < at && same(&names[*used], &names[at]));
        let remark = |at: usize| {
            let name = excerpt(names[at].as_bytes());
            format!("the name {name} occurs twice; the first column is used")
        };
        (0..names.len()).filter(|at| is_repeated(*at)).map(remark).take(8).collect()
    }

    fn axes(&self, ignored: &mut Vec<String>) -> Result<(Axis, Axis), FormatError> {
        let options = self.options;
        let (x_what, y_what) = coordinate_names(options.space);
        let is_geographic = options.space == Space::Geographic;
        let hemisphere = |known: &[&str], at: usize| {
            let found = self.names.iter().position(|name| known.contains(&&*key(name)));
            let found = found.filter(|found| *found != at && is_geographic);
            found.map(|at| HemisphereColumn { at, is_sign: false, may_be_blank: false })
        };
        let (y, y_divisor) =
            self.coordinate(&options.y_column, "--y-column", LATITUDE_COLUMNS, y_what, ignored)?;
        let (x, x_divisor) =
            self.coordinate(&options.x_column, "--x-column", LONGITUDE_COLUMNS, x_what, ignored)?;
        let axis = |what, at, divisor, known, letters| Axis {
            what,
            at,
            divisor,
            hemisphere: hemisphere(known, at),
            letters: is_geographic.then_some(letters),
        };
        Ok((
            axis(x_what, x, x_divisor, EAST_WEST, EAST_OR_WEST),
            axis(y_what, y, y_divisor, NORTH_SOUTH, NORTH_OR_SOUTH),
        ))
    }

    /// Finds a column of geometries, if no column of a coordinate was chosen.
    fn geometry(&self, has_pairs: bool) -> Option<Geometry> {
        if self.options.x_column.is_some() || self.options.y_column.is_some() {
            return None;
        }
        let has_pairs = has_pairs && self.options.space == Space::Geographic;
        let grouped = self.groups(None).first().map(|group| group.at);
        Geometry::find(self.names, grouped, has_pairs)
    }

    /// Returns a remark on names that do not say that they are those of a longitude and a latitude.
    fn assumed_axes(&self, x: &Axis, y: &Axis) -> Option<String> {
        let options = self.options;
        let is_unclear =
            |at: usize| ["x", "y", "pointx", "pointy"].contains(&&*key(&self.names[at]));
        let is_assumed = options.space == Space::Geographic
            && options.x_column.is_none()
            && options.y_column.is_none()
            && (is_unclear(x.at) || is_unclear(y.at));
        let name = |at: usize| excerpt(self.names[at].as_bytes());
        is_assumed.then(|| {
            format!(
                "the columns {} and {} are read as longitude and latitude",
                name(x.at),
                name(y.at)
            )
        })
    }

    /// Returns the axes of a table with geometries.
    fn unused_axes(&self, at: usize) -> (Axis, Axis) {
        let (x_what, y_what) = coordinate_names(self.options.space);
        let axis = |what| Axis { what, at, divisor: 1.0, hemisphere: None, letters: None };
        (axis(x_what), axis(y_what))
    }

    /// Finds the column of a coordinate and its divisor.
    fn coordinate(
        &self,
        name: &Option<String>,
        flag: &str,
        known: &[&str],
        what: &str,
        ignored: &mut Vec<String>,
    ) -> Result<(usize, f64), FormatError> {
        let is_geographic = self.options.space == Space::Geographic;
        let divisor = |at: usize, known: &str| {
            coordinate_divisor(&self.names[at], known)
                .filter(|divisor| *divisor == 1.0 || is_geographic)
        };
        let matches = |known: &str| -> Vec<(usize, f64)> {
            let columns = 0..self.names.len();
            let mut found: Vec<_> =
                columns.filter_map(|at| Some((at, divisor(at, known)?))).collect();
            found.sort_by_key(|(_, divisor)| *divisor != 1.0);
            found
        };
        if let Some(at) = self.named(name, flag)? {
            let divisor = known.iter().find_map(|known| divisor(at, known));
            return Ok((at, divisor.unwrap_or(1.0)));
        }
        let candidates: Vec<(usize, f64)> = match is_geographic {
            true => known.iter().flat_map(|known| matches(known)).collect(),
            false => known.iter().rev().flat_map(|known| matches(known)).collect(),
        };
        let Some(&(at, divisor)) = candidates.first() else {
            let advice = format!("name it {}, or choose a column with {flag}", known[0]);
            return Err(self.missing(&format!("for the {what}"), &advice));
        };
        // A name such as x or y has coordinates in another system.
        let others = candidates[1..].iter().map(|(at, _)| *at);
        let is_other = |rival: &usize| {
            let key = key(&self.names[*rival]);
            let is_hemisphere = NORTH_SOUTH.contains(&&*key) || EAST_WEST.contains(&&*key);
            is_geographic && key.len() > 1 && !is_hemisphere && !key.starts_with("point")
        };
        let others: Vec<usize> = others.filter(is_other).collect();
        self.remark(what, at, &others, ignored);
        Ok((at, divisor))
    }

    /// Adds a remark on columns that are not used because another one is.
    fn remark(&self, what: &str, used: usize, others: &[usize], ignored: &mut Vec<String>) {
        let name = |at: usize| excerpt(self.names[at].as_bytes());
        let is_same = |rival: usize| same(&self.names[rival], &self.names[used]);
        let names: Vec<String> = others
            .iter()
            .filter(|rival| !is_same(**rival))
            .take(8)
            .map(|rival| name(*rival))
            .collect();
        if !names.is_empty() {
            ignored.push(format!(
                "the {what} is in the column {}; ignored: {}",
                name(used),
                names.join(", ")
            ));
        }
    }

    /// Finds a column of lengths that is not used.
    fn length(
        &self,
        name: &Option<String>,
        flag: &str,
        known: &[&str],
        used: &[usize],
        ignored: &mut Vec<String>,
    ) -> Result<Option<Length>, FormatError> {
        if let Some(at) = self.named(name, flag)? {
            let metres = known.iter().find_map(|known| metres(&self.names[at], known));
            return Ok(Some(Length { at, metres: metres.flatten().unwrap_or(1.0) }));
        }
        let mut found: Vec<Length> = Vec::new();
        for known in known {
            for at in (0..self.names.len()).filter(|at| !used.contains(at)) {
                match metres(&self.names[at], known) {
                    Some(Some(metres)) => found.push(Length { at, metres }),
                    Some(None) => ignored.push(format!(
                        "the column {} is ignored, because its unit is unknown; use {flag} to read metres",
                        excerpt(self.names[at].as_bytes())
                    )),
                    None => {}
                }
            }
        }
        let Some(&first) = found.first() else { return Ok(None) };
        let others: Vec<usize> = found[1..].iter().map(|column| column.at).collect();
        self.remark(known[0], first.at, &others, ignored);
        Ok(Some(first))
    }

    /// Finds the columns that may identify tracks.
    fn groups(&self, segment: Option<usize>) -> Vec<Group> {
        let mut found: Vec<(usize, Group)> = (0..self.names.len())
            .filter(|at| Some(*at) != segment)
            .filter_map(|at| {
                let (kind, rank, certainty) = grouping(&self.names[at])?;
                Some((rank, Group { at, kind, certainty }))
            })
            .collect();
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, group)| group).take(16).collect()
    }
}
