//! Finds the columns with hemispheres: by their names, and by the values of columns next to the coordinates.

use super::angle::NORTH_OR_SOUTH;
use super::axis::{Axis, HemisphereColumn};
use super::columns::Columns;
use super::names::key;
use super::splitter::Row;

/// The rows in which a column without the name of a hemisphere must have nothing but hemispheres.
const ROWS: u64 = 20;

/// What follows the name of a coordinate in the name of its hemisphere.
const SUFFIXES: [&str; 14] = [
    "h",
    "hem",
    "ns",
    "sn",
    "ew",
    "we",
    "dir",
    "ref",
    "sign",
    "ind",
    "indicator",
    "letter",
    "cardinal",
    "quadrant",
];
/// The names of columns with directions of a movement.
const COMPASS: [&str; 8] =
    ["dir", "heading", "course", "bearing", "direction", "wind", "compass", "azimuth"];

/// A column that may have the hemisphere of a coordinate.
struct Candidate {
    column: HemisphereColumn,
    /// Whether it has one of the known names.
    is_named: bool,
    /// Whether its name is like that of a hemisphere.
    is_like: bool,
    hemispheres: u64,
    blanks: u64,
    others: u64,
    /// Whether the first value is a hemisphere.
    first: Option<bool>,
}

/// The candidates for x and y.
pub(super) struct Hemispheres([Vec<Candidate>; 2]);

impl Hemispheres {
    pub(super) fn new(columns: &Columns) -> Self {
        Self([
            candidates(columns, &columns.x, &columns.y),
            candidates(columns, &columns.y, &columns.x),
        ])
    }

    /// Takes a row into account.
    pub(super) fn observe(&mut self, row: Row<'_>, columns: &Columns) {
        for (candidates, axis) in self.0.iter_mut().zip([&columns.x, &columns.y]) {
            let Some(letters) = axis.letters else { continue };
            for candidate in candidates {
                let value = row.get(candidate.column.at).unwrap_or_default().trim_ascii();
                if value.is_empty() {
                    candidate.blanks += 1;
                    continue;
                }
                let is_hemisphere = candidate.column.sign(value, letters).is_some();
                candidate.first.get_or_insert(is_hemisphere);
                match is_hemisphere {
                    true => candidate.hemispheres += 1,
                    false => candidate.others += 1,
                }
            }
        }
    }

    /// Returns whether more rows decide nothing.
    pub(super) fn is_decided(&self) -> bool {
        self.0.iter().flatten().all(|candidate| {
            candidate.others > 0
                || candidate.hemispheres >= ROWS
                || candidate.is_named && candidate.hemispheres > 0
                || candidate.blanks >= ROWS && !candidate.is_like
        })
    }

    /// Sets the hemispheres of the coordinates.
    pub(super) fn apply(&self, columns: &mut Columns) {
        let [x, y] = [0, 1].map(|at| self.0[at].iter().find(|candidate| candidate.is_hemisphere()));
        // A column of signs next to both coordinates is that of neither.
        let is_shared = x.is_some_and(|x| y.is_some_and(|y| x.column.at == y.column.at));
        if is_shared {
            (columns.x.hemisphere, columns.y.hemisphere) = (None, None);
            let name = columns.name(x.map_or(0, |x| x.column.at));
            columns.ignored.push(format!(
                "the column {name} is ignored: it may have the sign of either coordinate"
            ));
            return;
        }
        for (at, candidates) in self.0.iter().enumerate() {
            let axis = if at == 0 { &mut columns.x } else { &mut columns.y };
            let named = axis.hemisphere.take();
            let found = candidates.iter().find(|candidate| candidate.is_hemisphere());
            let blank = || candidates.iter().find(|candidate| candidate.is_blank());
            if let Some(candidate) = found.or_else(blank) {
                let may_be_blank = candidate.is_blank();
                axis.hemisphere = Some(HemisphereColumn { may_be_blank, ..candidate.column });
                let what = axis.what;
                if !candidate.is_like {
                    let name = columns.name(candidate.column.at);
                    columns.assumed.push(format!(
                        "the column {name} is read as the hemisphere of the {what}, because it has no other values"
                    ));
                }
            } else if let Some(column) = named {
                let what = axis.what;
                let name = columns.name(column.at);
                columns.ignored.push(format!(
                    "the column {name} is ignored: it has no hemisphere of the {what}"
                ));
            }
        }
    }
}

impl Candidate {
    fn new(at: usize, name: &str, is_named: bool) -> Self {
        let is_sign = key(name) == "sign" || is_like(name) && key(name).ends_with("sign");
        Self {
            column: HemisphereColumn { at, is_sign, may_be_blank: false },
            is_named,
            is_like: is_named || is_like(name),
            hemispheres: 0,
            blanks: 0,
            others: 0,
            first: None,
        }
    }

    fn is_hemisphere(&self) -> bool {
        match self.is_named {
            true => self.first == Some(true),
            false => self.hemispheres > 0 && self.others == 0,
        }
    }

    fn is_blank(&self) -> bool {
        self.is_like && self.first.is_none() && self.blanks > 0
    }
}

/// Returns the columns that may have the hemisphere of an axis, the most probable first.
fn candidates(columns: &Columns, axis: &Axis, other: &Axis) -> Vec<Candidate> {
    if axis.letters.is_none() || columns.geometry.is_some() {
        return Vec::new();
    }
    let name = |at: usize| columns.names.get(at).map_or("", String::as_str);
    if let Some(column) = axis.hemisphere {
        return vec![Candidate::new(column.at, name(column.at), true)];
    }
    let lengths = [columns.z, columns.accuracy].into_iter().flatten().map(|column| column.at);
    let groups = columns.groups.iter().map(|group| group.at);
    let others = [Some(axis.at), Some(other.at), columns.track, columns.segment];
    let other_hemisphere = other.hemisphere.map(|column| column.at);
    let used: Vec<usize> =
        lengths.chain(groups).chain(others.into_iter().flatten()).chain(other_hemisphere).collect();
    let after = axis.at.max(other.at) + 1;
    let is_pair = axis.at.abs_diff(other.at) == 1;
    let pair = is_pair.then_some([after, after + 1]).into_iter().flatten();
    let next = [Some(axis.at + 1), axis.at.checked_sub(1)].into_iter().flatten().chain(pair);
    // A direction of the movement follows one coordinate, and a hemisphere follows each.
    let is_direction = |at: usize| {
        let key_of_name = key(name(at));
        COMPASS.iter().any(|compass| key_of_name.ends_with(compass))
            && key(name(other.at + 1)) != key_of_name
    };
    let like = (0..columns.names.len()).filter(|at| is_like_of(name(*at), axis)).take(8);
    let mut found: Vec<usize> = Vec::new();
    for at in like.chain(next.filter(|at| !is_direction(*at))) {
        if at < columns.names.len() && !used.contains(&at) && !found.contains(&at) {
            found.push(at);
        }
    }
    found.into_iter().map(|at| Candidate::new(at, name(at), false)).collect()
}

/// Returns the start of the name of a latitude (0) or longitude (1), and the rest.
fn coordinate_and_rest(key: &str) -> Option<(usize, &str)> {
    let starts =
        [("latitude", 0), ("lat", 0), ("longitude", 1), ("long", 1), ("lon", 1), ("lng", 1)];
    let key = key.strip_prefix("gps").unwrap_or(key);
    starts.iter().find_map(|(start, axis)| Some((*axis, key.strip_prefix(start)?)))
}

fn is_like(name: &str) -> bool {
    let key = key(name);
    let has_suffix = coordinate_and_rest(&key).is_some_and(|(_, rest)| SUFFIXES.contains(&rest));
    has_suffix || key.contains("hemi")
}

/// Returns whether a name is like that of the hemisphere of an axis.
fn is_like_of(name: &str, axis: &Axis) -> bool {
    let key = key(name);
    let wanted = usize::from(axis.letters != Some(NORTH_OR_SOUTH));
    is_like(name) && coordinate_and_rest(&key).is_none_or(|(found, _)| found == wanted)
}
