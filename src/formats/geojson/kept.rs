//! Coordinates that came before the `type` which says what they are: kept as they stand, up to a
//! limit, and played back once it is known.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::{Fix, Walk};

/// How many numbers and brackets are kept: 64 MiB of memory, about a million positions.
const PIECES_MAX: usize = 4 << 20;

#[derive(Clone, Copy)]
enum Piece {
    Open,
    Number(f64),
    Close,
}

/// Nested lists of numbers, flat.
pub(super) struct Kept(Vec<Piece>);

impl Kept {
    /// Tells the walk what [`Lines`](super::Lines) of this depth would have told it. Errors carry
    /// the place where the object ends.
    pub(super) fn replay<E: Error>(&self, line_depth: usize, walk: &mut Walk<'_>) -> Result<(), E> {
        let mut depth = 0;
        let mut numbers = 0;
        let mut position = [0.0; 3];
        for &piece in &self.0 {
            match piece {
                Piece::Open => {
                    depth += 1;
                    numbers = 0;
                    if depth == line_depth {
                        walk.line()?;
                    }
                }
                Piece::Number(number) => {
                    if depth != line_depth + 1 {
                        return Err(E::custom("the coordinates are not nested as the type says"));
                    }
                    if let Some(slot) = position.get_mut(numbers) {
                        *slot = number;
                    }
                    numbers += 1;
                }
                Piece::Close => {
                    if depth == line_depth + 1 {
                        if numbers < 2 {
                            return Err(E::custom("a position with fewer than two numbers"));
                        }
                        let z = (numbers > 2 && !position[2].is_nan()).then_some(position[2]);
                        walk.fix(Fix { z, ..Fix::new(position[0], position[1]) })?;
                    }
                    depth -= 1;
                }
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let mut pieces = Vec::new();
        Keep(&mut pieces).deserialize(input)?;
        Ok(Kept(pieces))
    }
}

struct Keep<'a>(&'a mut Vec<Piece>);

impl Keep<'_> {
    fn push<E: Error>(&mut self, piece: Piece) -> Result<(), E> {
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

impl<'de> DeserializeSeed<'de> for Keep<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("coordinates")
    }

    fn visit_f64<E: Error>(mut self, number: f64) -> Result<(), E> {
        self.push(Piece::Number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    /// JSON has no NaN, so it can stand for a null: no elevation, and no coordinate either.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.visit_f64(f64::NAN)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        self.push(Piece::Open)?;
        while list.next_element_seed(Keep(&mut *self.0))?.is_some() {}
        self.push(Piece::Close)
    }
}
