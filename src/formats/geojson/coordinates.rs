//! The value of `coordinates`, as a sequence of pieces: brackets, numbers and other values.
//!
//! One visitor makes the pieces. [`Lines`] checks their shape and calls the sink. It receives them while they
//! are parsed if the `type` came before, and from [`Kept`] if it came after: both orders of the members have
//! the same checks.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::{Fix, Walk};

/// How many pieces are kept: 64 MiB of memory, about a million positions.
const PIECES_MAX: usize = 4 << 20;

#[derive(Clone, Copy)]
pub(super) enum Piece {
    Open,
    Close,
    Number(f64),
    Null,
    /// A value that no coordinate can be.
    Other(&'static str),
}

impl Piece {
    fn name(self) -> &'static str {
        match self {
            Piece::Open | Piece::Close => "a list",
            Piece::Number(_) => "a number",
            Piece::Null => "null",
            Piece::Other(name) => name,
        }
    }
}

/// Receives pieces.
pub(super) trait Take {
    fn take<E: Error>(&mut self, piece: Piece) -> Result<(), E>;
}

/// Coordinates without a line: each piece is parsed and dropped.
pub(super) struct Skipped;

impl Take for Skipped {
    fn take<E: Error>(&mut self, _: Piece) -> Result<(), E> {
        Ok(())
    }
}

/// Coordinates that came before the `type` that says what they are: kept up to a limit.
#[derive(Default)]
pub(super) struct Kept(Vec<Piece>);

impl Kept {
    /// Passes the pieces on. Errors carry the place where the object ends.
    pub(super) fn replay<E: Error>(&self, lines: &mut Lines<'_, '_>) -> Result<(), E> {
        self.0.iter().try_for_each(|&piece| lines.take(piece))
    }
}

impl Take for Kept {
    fn take<E: Error>(&mut self, piece: Piece) -> Result<(), E> {
        if self.0.len() == PIECES_MAX {
            return Err(E::custom(
                "coordinates before their \"type\" must be kept, and these are too many; write \
                 \"type\" first",
            ));
        }
        self.0.push(piece);
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let mut kept = Kept::default();
        Pieces(&mut kept).deserialize(input)?;
        Ok(kept)
    }
}

/// The coordinates of one line, or of several: checks the shape and calls the sink for each position.
pub(super) struct Lines<'w, 'a> {
    walk: &'w mut Walk<'a>,
    /// Lists around a position: 1 for a line, 2 for several.
    line_depth: usize,
    /// Lists that are open.
    depth: usize,
    /// Values in the current position.
    count: usize,
    position: [f64; 2],
    z: Option<f64>,
}

impl<'w, 'a> Lines<'w, 'a> {
    pub(super) fn new(walk: &'w mut Walk<'a>, line_depth: usize) -> Self {
        Self { walk, line_depth, depth: 0, count: 0, position: [0.0; 2], z: None }
    }

    /// A value of a position: longitude, latitude, an elevation or null, and then any values, which are
    /// ignored.
    fn value<E: Error>(&mut self, piece: Piece) -> Result<(), E> {
        match (self.count, piece) {
            (0 | 1, Piece::Number(number)) => self.position[self.count] = number,
            (2, Piece::Number(number)) => self.z = Some(number),
            (2, Piece::Null) => {}
            (0 | 1, piece) => return Err(misfit("a number", piece)),
            (2, piece) => return Err(misfit("a number or null", piece)),
            (_, Piece::Open) => self.depth += 1,
            _ => {}
        }
        self.count += 1;
        Ok(())
    }

    fn end_position<E: Error>(&mut self) -> Result<(), E> {
        if self.count < 2 {
            return Err(E::custom("a position with fewer than two numbers"));
        }
        self.depth -= 1;
        let [x, y] = self.position;
        self.walk.fix(Fix { z: self.z, ..Fix::new(x, y) })
    }

    /// What stands in the lists that are open now.
    fn expected(&self) -> &'static str {
        match self.line_depth - self.depth {
            0 => "a position, [longitude, latitude]",
            1 => "a list of positions",
            _ => "a list of lines",
        }
    }
}

fn misfit<E: Error>(expected: &str, found: Piece) -> E {
    E::custom(format!("expected {expected}, found {}", found.name()))
}

impl Take for Lines<'_, '_> {
    #[inline]
    fn take<E: Error>(&mut self, piece: Piece) -> Result<(), E> {
        let position_depth = self.line_depth + 1;
        match piece {
            Piece::Close if self.depth == position_depth => return self.end_position(),
            piece if self.depth == position_depth => return self.value(piece),
            Piece::Close => self.depth -= 1,
            Piece::Open => self.depth += 1,
            // In a list that is ignored.
            _ if self.depth > position_depth => {}
            piece => return Err(misfit(self.expected(), piece)),
        }
        match piece {
            Piece::Open if self.depth == self.line_depth => self.walk.line(),
            Piece::Open if self.depth == position_depth => {
                (self.count, self.z) = (0, None);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Parses any JSON value and passes its pieces on.
pub(super) struct Pieces<'t, T>(pub(super) &'t mut T);

impl<'de, T: Take> DeserializeSeed<'de> for Pieces<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de, T: Take> Visitor<'de> for Pieces<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("coordinates")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.0.take(Piece::Number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.take(Piece::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.0.take(Piece::Other(if value { "true" } else { "false" }))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.0.take(Piece::Other("a string"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.take(Piece::Open)?;
        while list.next_element_seed(Pieces(&mut *self.0))?.is_some() {}
        self.0.take(Piece::Close)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.0.take(Piece::Other("an object"))
    }
}
