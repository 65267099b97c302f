//! The names of columns: how they are compared, and the units and scales in them.
//!
//! Names are compared by their letters and digits, in lower case: blanks, underscores, hyphens, dots and a unit
//! in brackets are ignored.

use super::super::value::TimeUnit;

/// Returns whether two column names are equal, except for case and white space.
pub(super) fn same(name: &str, wanted: &str) -> bool {
    let normalized =
        |name: &str| name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    normalized(name) == normalized(wanted)
}

/// Returns the letters and digits of a column name without its unit, in lower case.
pub(super) fn key(name: &str) -> String {
    let without_unit = name.split(['(', '[']).next().unwrap_or(name);
    without_unit.to_lowercase().chars().filter(|char| char.is_alphanumeric()).collect()
}

/// Returns the text in brackets at the end of a column name, in lower case.
pub(super) fn unit(name: &str) -> Option<String> {
    let start = name.find(['(', '['])? + 1;
    Some(name[start..].trim().trim_end_matches([')', ']']).trim().to_lowercase())
}

/// Returns the number by which the integers of a coordinate column are divided if it has this name, and 1 for
/// decimal degrees.
pub(super) fn coordinate_divisor(name: &str, known: &str) -> Option<f64> {
    let key_of_name = key(name);
    let rest = key_of_name.strip_prefix(&key(known))?;
    let in_name = scale(rest)?;
    match unit(name).as_deref() {
        Some("rad" | "radians" | "m" | "km" | "ft") if known != "x" && known != "y" => None,
        Some(unit) if in_name == 1.0 => {
            let letters: String = unit.chars().filter(|char| char.is_alphanumeric()).collect();
            let letters = letters.trim_end_matches("degrees").trim_end_matches("deg");
            Some(scale(letters).unwrap_or(1.0))
        }
        _ => Some(in_name),
    }
}

/// Returns the divisor of a scale such as `e7` or `1e7`, without separators.
fn scale(text: &str) -> Option<f64> {
    match text {
        "" => Some(1.0),
        "e5" | "1e5" | "10e5" => Some(1e5),
        "e6" | "1e6" | "micro" => Some(1e6),
        "e7" | "1e7" => Some(1e7),
        _ => None,
    }
}

/// Returns the metres in the unit of a column with lengths if it has this name. The outer `None` is another
/// name, and the inner one an unknown unit.
pub(super) fn metres(name: &str, known: &str) -> Option<Option<f64>> {
    let key_of_name = key(name);
    let rest = key_of_name.strip_prefix(&key(known))?;
    let in_name = metres_of(rest).filter(|_| !rest.is_empty());
    match unit(name) {
        _ if !rest.is_empty() => in_name.map(Some),
        Some(unit) => Some(metres_of(&unit)),
        None => Some(Some(1.0)),
    }
}

fn metres_of(unit: &str) -> Option<f64> {
    match unit {
        "" | "m" | "meter" | "meters" | "metre" | "metres" | "mtrs" => Some(1.0),
        "ft" | "feet" | "foot" => Some(0.3048),
        "km" => Some(1000.0),
        "cm" => Some(0.01),
        "mm" => Some(0.001),
        _ => None,
    }
}

/// The text that may follow the name of a time in brackets.
pub(super) const TIME_UNITS: [&str; 15] = [
    "utc",
    "gmt",
    "z",
    "s",
    "sec",
    "seconds",
    "ms",
    "milliseconds",
    "us",
    "µs",
    "ns",
    "iso 8601",
    "local",
    "txt",
    "text",
];

/// Returns the unit of the numbers in a column of times, if its name contains one.
pub(super) fn time_unit(name: &str) -> Option<TimeUnit> {
    let plain = name.split(['(', '[']).next().unwrap_or(name).trim().to_lowercase();
    let suffix = plain.rsplit(['_', '-', '.', ' ']).next().filter(|suffix| *suffix != plain);
    match unit(name).or(suffix.map(str::to_owned))?.as_str() {
        "s" | "sec" | "seconds" => Some(TimeUnit::S),
        "ms" | "millis" | "milliseconds" => Some(TimeUnit::Ms),
        "us" | "µs" | "micros" | "microseconds" => Some(TimeUnit::Us),
        "ns" | "nanos" | "nanoseconds" => Some(TimeUnit::Ns),
        _ => None,
    }
}
