//! The value of `coordinates`, as a sequence of tokens: brackets, numbers and other values.
//!
//! [`Tokens`] parses the value, and [`Lines`] checks the shape and calls the sink. If the `type` of the object
//! comes first, [`Lines`] receives the tokens while they are parsed. Otherwise [`Stored`] stores them until the
//! type is known. So both orders of the members have the same checks.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::Walk;

/// Maximum number of tokens that are stored: 96 MiB of memory, about a million positions.
const TOKENS_MAX: usize = 4 << 20;

#[derive(Clone, Copy)]
pub(super) enum Token {
    Open,
    Close,
    Number(f64),
    Null,
    /// Any other value, with its name for messages.
    Other(&'static str),
}

impl Token {
    fn name(self) -> &'static str {
        match self {
            Token::Open | Token::Close => "a list",
            Token::Number(_) => "a number",
            Token::Null => "null",
            Token::Other(name) => name,
        }
    }
}

/// Receives tokens.
pub(super) trait Take {
    fn take<E: Error>(&mut self, token: Token) -> Result<(), E>;
}

/// Ignores coordinates that are not of a line.
pub(super) struct Skipped;

impl Take for Skipped {
    fn take<E: Error>(&mut self, _: Token) -> Result<(), E> {
        Ok(())
    }
}

/// Stores coordinates until the type of their object is known, up to a limit.
#[derive(Default)]
pub(super) struct Stored(Vec<Token>);

impl Stored {
    /// Passes the tokens to `lines`. Errors have the position of the end of the object.
    pub(super) fn replay<E: Error>(&self, lines: &mut Lines<'_, '_, '_>) -> Result<(), E> {
        self.0.iter().try_for_each(|&token| lines.take(token))
    }
}

impl Take for Stored {
    fn take<E: Error>(&mut self, token: Token) -> Result<(), E> {
        if self.0.len() == TOKENS_MAX {
            return Err(E::custom(
                "too many coordinates before their \"type\", which must be stored; write \"type\" first",
            ));
        }
        self.0.push(token);
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let mut stored = Stored::default();
        Tokens(&mut stored).deserialize(input)?;
        Ok(stored)
    }
}

/// Checks the shape of the coordinates of lines, and passes each position to the sink.
pub(super) struct Lines<'w, 'a, 'b> {
    walk: &'w mut Walk<'a, 'b>,
    /// The number of lists around a position: 1 for a line, 2 for several lines.
    line_depth: usize,
    /// The number of open lists.
    depth: usize,
    /// The number of values in the current position.
    count: usize,
    position: [f64; 2],
    z: Option<f64>,
}

impl<'w, 'a, 'b> Lines<'w, 'a, 'b> {
    pub(super) fn new(walk: &'w mut Walk<'a, 'b>, line_depth: usize) -> Self {
        Self { walk, line_depth, depth: 0, count: 0, position: [0.0; 2], z: None }
    }

    /// Handles a value of a position: longitude, latitude, an elevation or null. Further values are ignored.
    fn value<E: Error>(&mut self, token: Token) -> Result<(), E> {
        match (self.count, token) {
            (0 | 1, Token::Number(number)) => self.position[self.count] = number,
            (2, Token::Number(number)) => self.z = Some(number),
            (2, Token::Null) => {}
            (0 | 1, token) => return Err(unexpected("a number", token)),
            (2, token) => return Err(unexpected("a number or null", token)),
            (_, Token::Open) => self.depth += 1,
            _ => {}
        }
        self.count += 1;
        Ok(())
    }

    fn end_position<E: Error>(&mut self) -> Result<(), E> {
        if self.count < 2 {
            return Err(E::custom("a position has fewer than two numbers"));
        }
        self.depth -= 1;
        self.walk.fix(self.position, self.z)
    }

    /// Returns the kind of value that is expected next, for messages.
    fn expected(&self) -> &'static str {
        match self.line_depth - self.depth {
            0 => "a position, [longitude, latitude]",
            1 => "a list of positions",
            _ => "a list of lines",
        }
    }
}

fn unexpected<E: Error>(expected: &str, found: Token) -> E {
    E::custom(format!("expected {expected}, found {}", found.name()))
}

impl Take for Lines<'_, '_, '_> {
    #[inline]
    fn take<E: Error>(&mut self, token: Token) -> Result<(), E> {
        let position_depth = self.line_depth + 1;
        match token {
            Token::Close if self.depth == position_depth => return self.end_position(),
            token if self.depth == position_depth => return self.value(token),
            Token::Close => self.depth -= 1,
            Token::Open => self.depth += 1,
            // A value in a list that is ignored.
            _ if self.depth > position_depth => {}
            token => return Err(unexpected(self.expected(), token)),
        }
        match token {
            Token::Open if self.depth == self.line_depth => self.walk.line(),
            Token::Open if self.depth == position_depth => {
                (self.count, self.z) = (0, None);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Parses any JSON value and passes its tokens to the receiver.
pub(super) struct Tokens<'t, T>(pub(super) &'t mut T);

impl<'de, T: Take> DeserializeSeed<'de> for Tokens<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de, T: Take> Visitor<'de> for Tokens<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("coordinates")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.0.take(Token::Number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.take(Token::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.0.take(Token::Other(if value { "true" } else { "false" }))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.0.take(Token::Other("a string"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.take(Token::Open)?;
        while list.next_element_seed(Tokens(&mut *self.0))?.is_some() {}
        self.0.take(Token::Close)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.0.take(Token::Other("an object"))
    }
}
