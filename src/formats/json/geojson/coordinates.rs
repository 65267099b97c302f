//! The value of `coordinates`, as a sequence of events: lists, positions and other values.
//!
//! The events depend only on the lists and their nesting, so that they are the same whether the type of the
//! geometry comes before or after its coordinates. `emit` interprets them for the type.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::Walk;
use super::event::{Event, Fault};

/// Parses coordinates at a depth: the number of lists around them.
pub(super) struct Coordinates<'w, 'a, 'b> {
    pub walk: &'w mut Walk<'a, 'b>,
    pub depth: u8,
    /// The list around this value.
    pub parent: Option<&'w mut List>,
}

/// The elements of a list so far.
#[derive(Default)]
pub(super) struct List {
    /// Whether a list was among the elements, and no number before it.
    has_lists: bool,
    /// The number of elements before the first list.
    count: u64,
    has_number: bool,
    values: [f64; 3],
    fault: Option<Fault>,
    elevation_fault: bool,
}

impl List {
    /// Adds an element of what may be a position.
    fn value(&mut self, value: Result<f64, &'static str>) {
        match (self.count, value) {
            (at @ 0..3, Ok(number)) => {
                self.values[at as usize] = number;
                self.has_number = true;
            }
            (0 | 1, Err(name)) => self.fault = self.fault.or(Some(Fault::Found(name))),
            (2, Err(name)) => self.elevation_fault = name != "null",
            _ => {}
        }
        self.count += 1;
    }

    fn end(&self) -> Event {
        match (self.fault, self.count) {
            (_, 0) => Event::Empty,
            (Some(fault), _) => Event::NotPosition(fault),
            (None, 1) => Event::NotPosition(Fault::TooShort),
            (None, 2) => Event::Position([self.values[0], self.values[1], f64::NAN]),
            _ if self.elevation_fault => {
                Event::Position([self.values[0], self.values[1], f64::INFINITY])
            }
            // Without a third number the value is null.
            _ if self.values[2].is_nan() => {
                Event::Position([self.values[0], self.values[1], f64::NAN])
            }
            _ => Event::Position(self.values),
        }
    }
}

impl Coordinates<'_, '_, '_> {
    fn event<E: Error>(&mut self, depth: u8, event: Event) -> Result<(), E> {
        let result = super::pending::event(self.walk, depth, event);
        self.walk.checked(result)
    }

    /// Handles a value that is not a list.
    fn scalar<E: Error>(mut self, value: Result<f64, &'static str>) -> Result<(), E> {
        match self.parent.take() {
            Some(parent) if !parent.has_lists => {
                parent.value(value);
                Ok(())
            }
            _ => {
                let name = value.err().unwrap_or("a number");
                self.event(self.depth, Event::Value(Fault::Found(name)))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Coordinates<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Coordinates<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("coordinates")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.scalar(Ok(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.scalar(Ok(number as f64))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.scalar(Ok(number as f64))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar(Err("null"))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(Err(if value { "true" } else { "false" }))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.scalar(Err("a string"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.scalar(Err("an object"))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        if let Some(parent) = self.parent.take() {
            if parent.has_number {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                parent.value(Err("a list"));
                return Ok(());
            }
            if !parent.has_lists {
                parent.has_lists = true;
                self.event(self.depth - 1, Event::Open)?;
                // Values before the first list stand for positions or lists.
                let fault = parent.fault.unwrap_or(Fault::Found("null"));
                for _ in 0..parent.count {
                    self.event(self.depth, Event::Value(fault))?;
                }
            }
        }
        let mut elements = List { values: [f64::NAN; 3], ..List::default() };
        let depth = self.depth + 1;
        loop {
            let walk = &mut *self.walk;
            let element = Coordinates { walk, depth, parent: Some(&mut elements) };
            if list.next_element_seed(element)?.is_none() {
                break;
            }
        }
        if elements.has_lists {
            return Ok(());
        }
        self.event(self.depth, elements.end())
    }
}
