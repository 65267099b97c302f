//! The time zone of times without one.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::super::value::excerpt;

/// A time zone: rules of the IANA database, or a fixed offset.
#[derive(Clone, Debug)]
pub(super) struct Zone(TimeZone);

impl Zone {
    /// Returns the zone with a name such as `Europe/Berlin`, or an offset such as `+02:00`.
    pub(super) fn new(name: &str) -> Result<Self, String> {
        let name = name.trim();
        if let Some(zone) = fixed(name) {
            return Ok(Zone(zone));
        }
        TimeZone::get(name).map(Zone).map_err(|_| {
            format!(
                "the time zone {} is unknown; use a name of the IANA database, such as Europe/Berlin, or an \
                 offset, such as +02:00",
                excerpt(name.as_bytes())
            )
        })
    }

    /// Returns the nanoseconds since 1970-01-01T00:00:00Z for a local time in nanoseconds since
    /// 1970-01-01T00:00:00, and whether the local time occurs exactly once.
    ///
    /// A local time that occurs twice, when clocks are set back, is the first one. A local time that is
    /// skipped, when clocks are set forward, is read with the offset before the change.
    pub(super) fn unix_ns(&self, local_ns: i128) -> Option<(i128, bool)> {
        let as_utc = Timestamp::from_nanosecond(local_ns).ok()?;
        let local = TimeZone::UTC.to_datetime(as_utc);
        let found = self.0.to_ambiguous_timestamp(local);
        let is_unique = !found.is_ambiguous();
        Some((found.compatible().ok()?.as_nanosecond(), is_unique))
    }
}

/// Returns the zone of an offset such as `+02:00`, `+0200`, `+02` or `Z`.
fn fixed(name: &str) -> Option<TimeZone> {
    if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("z") {
        return Some(TimeZone::UTC);
    }
    let sign = match name.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = name[1..].replacen(':', "", 1);
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = digits[..2].parse().ok()?;
    let minutes: i32 = digits.get(2..4).map_or(Some(0), |minutes| minutes.parse().ok())?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = Offset::from_seconds(sign * (3600 * hours + 60 * minutes)).ok()?;
    Some(TimeZone::fixed(offset))
}
