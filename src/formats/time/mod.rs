//! Times in files: `civil` parses dates and times of day, `zone` converts local times, and `reader` applies the
//! options for times.
//!
//! The crate jiff has the rules of time zones, from a database that is part of the program, and the conversions
//! of strptime.

pub(in crate::formats) mod civil;
mod reader;
mod zone;

pub(super) use reader::{Clarity, TimeReader};
