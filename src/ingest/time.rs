//! Times of fixes: numbers of seconds or milliseconds since 1970, ISO 8601, or `yyyy-MM-dd HH:mm:ss`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::json::Scalar;
use super::problem::FixProblem;
use super::{TIME_AHEAD_MAX_S, TIME_MIN_UNIX_S};

const S_NS: i128 = 1_000_000_000;
/// Whole numbers below this are seconds, and others milliseconds: the year 5138, or 1973.
const MILLISECONDS_MIN: u64 = 100_000_000_000;
/// Maximum length of the text of a time.
const TEXT_BYTES_MAX: usize = 64;

/// Reads a time and checks its range. Returns nanoseconds since 1970.
///
/// # Errors
/// If it is missing, cannot be read, or is out of range.
pub(super) fn unix_ns(value: &Scalar, now_unix_ns: i64) -> Result<i64, FixProblem> {
    let unix_ns = match value {
        Scalar::Missing => return Err(FixProblem::Missing("time")),
        Scalar::Integer(value) => of_integer(*value),
        Scalar::Number(value) => of_number(*value).ok_or(FixProblem::Time)?,
        Scalar::Text(text) => of_text(text).ok_or(FixProblem::Time)?,
        Scalar::Bool(_) | Scalar::Other => return Err(FixProblem::Time),
    };
    let max = i128::from(now_unix_ns) + i128::from(TIME_AHEAD_MAX_S) * S_NS;
    if unix_ns < i128::from(TIME_MIN_UNIX_S) * S_NS {
        return Err(FixProblem::TooEarly);
    }
    if unix_ns > max {
        return Err(FixProblem::TooLate);
    }
    i64::try_from(unix_ns).map_err(|_| FixProblem::TooLate)
}

fn of_integer(value: i64) -> i128 {
    let is_seconds = value.unsigned_abs() < MILLISECONDS_MIN;
    i128::from(value) * if is_seconds { S_NS } else { S_NS / 1000 }
}

/// Reads a number with a fraction, to the nearest microsecond. An `f64` of seconds has no more digits.
fn of_number(value: f64) -> Option<i128> {
    let is_seconds = value.abs() < MILLISECONDS_MIN as f64;
    let microseconds = (value * if is_seconds { 1e6 } else { 1e3 }).round();
    // Far more than all times, and exact as a whole number.
    (microseconds.abs() < 1e18).then(|| microseconds as i128 * 1000)
}

/// Reads a text. A time without a zone is one of UTC.
fn of_text(text: &str) -> Option<i128> {
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    if let Ok(value) = text.parse() {
        return Some(of_integer(value));
    }
    if let Some(value) = super::json::number(text) {
        return of_number(value);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_nanosecond());
    }
    let local: DateTime = text.parse().ok()?;
    TimeZone::UTC.to_timestamp(local).ok().map(Timestamp::as_nanosecond)
}
