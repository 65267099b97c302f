//! The parts of coordinates.

use std::fmt;

/// A part of coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Event {
    /// A list of lists starts.
    Open,
    /// A list without elements.
    Empty,
    /// A position: longitude, latitude and an elevation, which is NaN if it is missing and infinite if it is
    /// not a number.
    Position([f64; 3]),
    /// A list that starts with a value other than a list, and is not a position.
    NotPosition(Fault),
    /// A value next to lists, or instead of the coordinates.
    Value(Fault),
}

/// The reason why a value is not a position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    TooShort,
    /// A position is in place of a list of positions.
    NoList,
    /// A value of another type, with its name.
    Found(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::TooShort => f.write_str("a position has fewer than two numbers"),
            Fault::NoList => f.write_str("a position is in place of a list of positions"),
            Fault::Found(name) => write!(f, "a position has {name} in place of a number"),
        }
    }
}
