//! Columns with whole geometries, and columns with both coordinates of a position.

use super::super::value::excerpt;
use super::angle::{self, Angle, EAST_OR_WEST, NORTH_OR_SOUTH};
use super::names::key;
use super::synonyms::{LINE_NAME_COLUMNS, PAIR_COLUMNS, POLYLINE_COLUMNS, WKT_COLUMNS};

/// A column of geometries.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    pub at: usize,
    pub kind: GeometryKind,
    /// The column with the name of each line.
    pub name: Option<usize>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum GeometryKind {
    Wkt,
    Polyline,
    /// A latitude and a longitude.
    Pair,
    /// A longitude and a latitude.
    SwappedPair,
}

impl Geometry {
    /// Finds a column of geometries by its name. `grouped` is the column that identifies tracks.
    pub(super) fn find(names: &[String], grouped: Option<usize>, has_pairs: bool) -> Option<Self> {
        let find = |known: &[&str]| {
            known.iter().find_map(|known| names.iter().position(|name| key(name) == *known))
        };
        let wkt = find(WKT_COLUMNS).map(|at| (at, GeometryKind::Wkt));
        let polyline = || find(POLYLINE_COLUMNS).map(|at| (at, GeometryKind::Polyline));
        let pair = || {
            let at = find(PAIR_COLUMNS).filter(|_| has_pairs)?;
            let is_swapped =
                key(&names[at]).starts_with("lon") || key(&names[at]).starts_with("lng");
            let kind = if is_swapped { GeometryKind::SwappedPair } else { GeometryKind::Pair };
            Some((at, kind))
        };
        let (at, kind) = wkt.or_else(polyline).or_else(pair)?;
        let name = find(LINE_NAME_COLUMNS).or(grouped).or_else(|| find(&["id", "fid", "gid"]));
        Some(Self { at, kind, name })
    }

    /// Returns whether a field of this column has both coordinates of a position.
    pub(super) fn has_pair(&self, field: &[u8]) -> bool {
        match self.kind {
            GeometryKind::Pair => pair(field, false).is_ok(),
            GeometryKind::SwappedPair => pair(field, true).is_ok(),
            GeometryKind::Wkt | GeometryKind::Polyline => false,
        }
    }

    /// Returns whether a field of this column has a line.
    pub(super) fn has_line(&self, field: &[u8]) -> bool {
        match self.kind {
            GeometryKind::Pair | GeometryKind::SwappedPair => false,
            GeometryKind::Polyline => true,
            GeometryKind::Wkt => {
                field.trim_ascii().starts_with(b"[")
                    || field.windows(4).take(64).any(|part| part.eq_ignore_ascii_case(b"line"))
            }
        }
    }
}

/// Parses a latitude and a longitude, or the reverse, in one field. Returns the longitude first.
///
/// # Errors
/// A message that says what is wrong.
pub(super) fn pair(field: &[u8], is_swapped: bool) -> Result<(Angle, Angle), String> {
    let field = field.trim_ascii();
    let within = [(b'(', b')'), (b'[', b']')]
        .into_iter()
        .find_map(|(open, close)| field.strip_prefix(&[open])?.strip_suffix(&[close]));
    let field = within.unwrap_or(field).trim_ascii();
    let (first, second) =
        split(field).ok_or_else(|| format!("{} is not a pair of coordinates", excerpt(field)))?;
    let (latitude, longitude) = if is_swapped { (second, first) } else { (first, second) };
    let latitude = angle::parse("latitude", latitude, Some(NORTH_OR_SOUTH))?;
    Ok((angle::parse("longitude", longitude, Some(EAST_OR_WEST))?, latitude))
}

/// Splits a pair at a separator that occurs once: a semicolon, a comma with a blank, a comma, or blanks.
fn split(field: &[u8]) -> Option<(&[u8], &[u8])> {
    for separator in [&b";"[..], b", ", b","] {
        let parts = field.windows(separator.len()).enumerate();
        let mut found = parts.filter(|(_, part)| *part == separator).map(|(at, _)| at);
        if let (Some(at), None) = (found.next(), found.next()) {
            return Some((&field[..at], &field[at + separator.len()..]));
        }
    }
    let at = field.iter().position(u8::is_ascii_whitespace)?;
    let rest = field[at..].trim_ascii();
    (!rest.contains(&b' ')).then_some((&field[..at], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_split_where_it_is_clear() {
        for text in [
            "46.5,13.25",
            "46.5, 13.25",
            "(46.5;13.25)",
            "[46.5, 13.25]",
            "46.5 13.25",
            "46,5; 13,25",
            "46,5, 13,25",
            "46,5 13,25",
            "46.5N, 13.25E",
            "N46.5 E13.25",
        ] {
            let (x, y) = pair(text.as_bytes(), false).unwrap();
            assert_eq!((x.value, y.value), (13.25, 46.5), "{text}");
        }
        let (x, y) = pair(b"13.25,46.5", true).unwrap();
        assert_eq!((x.value, y.value), (13.25, 46.5));
        for text in ["", "46.5", "46,5,13,25", "46.5,13.25,700", "46.5,", "Paris, France", "1 2 3"]
        {
            assert!(pair(text.as_bytes(), false).is_err(), "{text}");
        }
    }
}
