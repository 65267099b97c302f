//! The time zone of times without one.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::measure;

/// A time zone: rules of the IANA database, or a fixed offset.
#[derive(Clone, Debug)]
pub(super) struct Zone(TimeZone);

impl Zone {
    /// Returns the zone with a name such as `Europe/Berlin`, or an offset such as `+02:00`.
    pub(super) fn new(name: &str) -> Result<Self, String> {
        let zone = measure::Zone::parse(name).map_err(|error| error.to_string())?;
        Ok(Zone(zone.rules()))
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
