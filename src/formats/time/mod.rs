//! Times in files: `civil` parses dates and times of day, `zone` converts local times, `reader` applies the
//! options for times, and `file` adds the notes on the times of a file.
//!
//! The crate jiff has the rules of time zones, from a database that is part of the program, and the conversions
//! of strptime.

pub(in crate::formats) mod civil;
mod file;
mod reader;
mod zone;

pub(super) use file::{ASSUMED_UTC, FileTimes, note_unused_options};
pub(super) use reader::{Clarity, TimeReader};
