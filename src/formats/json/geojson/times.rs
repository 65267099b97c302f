//! The times of the positions of lines: `coordTimes`, or `times` in `coordinateProperties`.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::times::JsonTimes;

/// Maximum number of times of a Feature: 8 MiB of memory.
const TIMES_MAX: usize = 1 << 20;
/// A missing time.
const MISSING: i64 = i64::MIN;
/// A value that is not a time.
const INVALID: i64 = i64::MIN + 1;

/// The times of a Feature, in a list or in a list for each line.
#[derive(Default)]
pub(super) struct Times {
    values: Vec<i64>,
    /// The index of the first time of each line, if the lists are nested.
    lines: Vec<usize>,
    /// Whether there are more than [`TIMES_MAX`] times.
    pub is_cut: bool,
    /// The message of the first invalid time.
    pub fault: Option<String>,
    /// The number of positions that have a time in the list.
    used: usize,
    /// The number of positions that have none.
    unmatched: usize,
}

/// A time of a position.
pub(super) enum Time {
    At(i64),
    Missing,
    Invalid,
}

impl Times {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the time of a position, from its number in the line and in the Feature.
    pub(super) fn get(&mut self, line: usize, in_line: usize, in_feature: usize) -> Time {
        let index = match self.lines.get(line) {
            _ if self.lines.is_empty() => Some(in_feature),
            Some(start) => {
                let end = self.lines.get(line + 1).copied().unwrap_or(self.values.len());
                Some(start + in_line).filter(|&at| at < end)
            }
            None => None,
        };
        let Some(time) = index.and_then(|at| self.values.get(at)) else {
            self.unmatched += 1;
            return Time::Missing;
        };
        self.used += 1;
        match *time {
            MISSING => Time::Missing,
            INVALID => Time::Invalid,
            unix_ns => Time::At(unix_ns),
        }
    }

    /// Returns the note if the number of times differs from the number of positions.
    pub(super) fn mismatch(&self) -> Option<String> {
        if self.is_cut {
            return Some(format!("only the first {TIMES_MAX} times of the line are used"));
        }
        let (times, positions) = (self.values.len(), self.used + self.unmatched);
        if self.unmatched == 0 && self.used == times {
            return None;
        }
        Some(match self.lines.is_empty() {
            true => format!(
                "the Feature has {times} times for {positions} positions; they are assigned in order"
            ),
            false => format!(
                "the Feature has {times} times for {positions} positions, and the lists do not have the \
                 lengths of the lines; they are assigned in the order of each line"
            ),
        })
    }

    fn push(&mut self, time: Result<Option<i64>, String>) {
        if self.values.len() == TIMES_MAX {
            self.is_cut = true;
            return;
        }
        self.values.push(match time {
            Ok(Some(unix_ns)) => unix_ns,
            Ok(None) => MISSING,
            Err(message) => {
                self.fault.get_or_insert(message);
                INVALID
            }
        });
    }
}

/// Parses a list of times or of lists of times. Other values are ignored.
pub(super) struct TimeList<'t> {
    pub times: &'t mut Times,
    pub reader: &'t mut JsonTimes,
    pub depth: usize,
}

impl<'de> DeserializeSeed<'de> for TimeList<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl TimeList<'_> {
    fn time<E>(self, time: Result<Option<i64>, String>) -> Result<(), E> {
        if self.depth > 0 {
            self.times.push(time);
        }
        Ok(())
    }

    fn number<E>(self, number: impl fmt::Display) -> Result<(), E> {
        let time = self.reader.number(&number.to_string());
        self.time(time)
    }
}

impl<'de> Visitor<'de> for TimeList<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("times")
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.number(number)
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.number(number)
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.number(number)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.time(Ok(None))
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.time(Err(format!("the time is {value}")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let time = self.reader.text(text);
        self.time(time)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.time(Err("the time is an object".to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let TimeList { times, reader, depth } = self;
        match depth {
            0 => *times = Times::default(),
            1 if times.lines.len() < TIMES_MAX => times.lines.push(times.values.len()),
            _ => {}
        }
        let depth = depth + 1;
        loop {
            let element = TimeList { times: &mut *times, reader: &mut *reader, depth };
            if list.next_element_seed(element)?.is_none() {
                return Ok(());
            }
        }
    }
}
