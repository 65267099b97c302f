//! The names of columns that identify tracks.

use super::names::key;

/// The names of one outing of a mover, finest first. A name may be followed by one of [`TRACK_SUFFIXES`].
const TRIPS: &[&str] = &[
    "trajectory",
    "traj",
    "trip",
    "track",
    "path",
    "tour",
    "ride",
    "journey",
    "voyage",
    "activity",
    "session",
    "flight",
];

/// The names of movers, finest first, as [`TRIPS`].
const MOVERS: &[&str] = &[
    "individual",
    "individuallocal",
    "animal",
    "bird",
    "mmsi",
    "icao24",
    "icao",
    "imei",
    "device",
    "tracker",
    "vehicle",
    "vessel",
    "ship",
    "boat",
    "aircraft",
    "bus",
    "taxi",
    "cab",
    "car",
    "truck",
    "bike",
    "object",
    "asset",
    "tag",
    "taglocal",
    "collar",
    "phone",
    "driver",
    "rider",
    "runner",
    "athlete",
    "user",
    "uid",
    "person",
    "participant",
    "subject",
    "imo",
    "callsign",
];

/// What may follow a name of [`TRIPS`] or [`MOVERS`].
const TRACK_SUFFIXES: &[&str] =
    &["", "id", "name", "no", "nr", "num", "number", "key", "code", "uuid", "identifier", "ident"];

/// The identifiers of movers that never have fractions, and never are the number of a row.
const SURE_MOVERS: &[&str] = &["individual", "individuallocal", "mmsi", "icao24", "imei", "imo"];
/// The names that are also used for the number of a row.
const AMBIGUOUS: &[&str] = &[
    "track", "path", "activity", "session", "object", "asset", "tag", "user", "uid", "person",
    "subject",
];

/// How surely a name identifies tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// The values always identify tracks.
    Sure,
    /// The values identify tracks, if they have no fractions.
    Likely,
    /// The values identify tracks, if they also occur more than once.
    Ambiguous,
}

/// What the values of a column identify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grouping {
    Mover,
    Trip,
}

/// Returns what a column of this name identifies, its rank, and how surely.
pub(super) fn grouping(name: &str) -> Option<(Grouping, usize, Certainty)> {
    let key = key(name);
    let rank = |names: &[&str]| {
        names.iter().position(|base| {
            key.strip_prefix(base).is_some_and(|suffix| TRACK_SUFFIXES.contains(&suffix))
        })
    };
    if let Some(at) = rank(TRIPS) {
        return Some((Grouping::Trip, at, certainty(TRIPS[at])));
    }
    let at = rank(MOVERS)?;
    Some((Grouping::Mover, at, certainty(MOVERS[at])))
}

fn certainty(base: &str) -> Certainty {
    match base {
        base if SURE_MOVERS.contains(&base) => Certainty::Sure,
        base if AMBIGUOUS.contains(&base) => Certainty::Ambiguous,
        _ => Certainty::Likely,
    }
}
