//! Reads times with the options for them: the zone, the format, and the order of day and month.

use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::{Timestamp, tz::TimeZone};

use super::super::error::FormatError;
use super::super::options::ReadOptions;
use super::super::rfc3339::utc_unix_ns;
use super::super::value::{TimeUnit, checked_unix_ns, excerpt, not_a_time, number_unix_ns};
use super::civil::{self, Civil, DayOrder};
use super::zone::Zone;

/// What a text says about a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::formats) enum Clarity {
    /// There is no text.
    Missing,
    /// It is a time.
    Clear,
    /// It is a time that also decides the order of day and month.
    Decides(DayOrder),
    /// It is a time if the order of day and month is known.
    Ambiguous,
    /// It is not a time.
    Unreadable,
}

/// Reads times.
pub(in crate::formats) struct TimeReader {
    zone: Option<Zone>,
    /// Whether the zone also has an effect elsewhere.
    shares_zone: bool,
    format: Option<String>,
    order: Option<DayOrder>,
    assumes_zone: bool,
    has_clock_change: bool,
    /// Whether a time was in the zone of the options.
    uses_zone: bool,
    /// Whether a time was in the format of the options.
    uses_format: bool,
}

impl TimeReader {
    /// # Errors
    /// If the time zone or the format of the options is not valid.
    pub(in crate::formats) fn new(options: &ReadOptions) -> Result<Self, FormatError> {
        let zone = options.timezone.as_deref().map(Zone::new).transpose();
        let zone = zone.map_err(FormatError::Option)?;
        if let Some(format) = &options.time_format {
            check_format(format).map_err(FormatError::Option)?;
        }
        Ok(Self {
            zone,
            shares_zone: options.shares_timezone,
            format: options.time_format.clone(),
            order: None,
            assumes_zone: false,
            has_clock_change: false,
            uses_zone: false,
            uses_format: false,
        })
    }

    /// Returns whether a time had no zone, and the options have none either.
    pub(in crate::formats) fn assumes_zone(&self) -> bool {
        self.assumes_zone
    }

    /// Returns whether the options have a format of times.
    pub(in crate::formats) fn has_format(&self) -> bool {
        self.format.is_some()
    }

    /// Returns whether the last time that was read occurs twice or never in the zone of the options.
    pub(in crate::formats) fn has_clock_change(&self) -> bool {
        self.has_clock_change
    }

    /// Forgets that a time had no zone.
    pub(super) fn forget(&mut self) {
        self.assumes_zone = false;
    }

    /// Returns whether the zone and the format of the options had an effect, or are not given.
    pub(super) fn effects(&self) -> (bool, bool) {
        (
            self.zone.is_none() || self.uses_zone || self.shares_zone,
            self.format.is_none() || self.uses_format,
        )
    }

    /// Sets the order of day and month in dates such as `01/02/2024`.
    pub(in crate::formats) fn set_order(&mut self, order: DayOrder) {
        self.order = Some(order);
    }

    /// Returns what a text says about a time.
    pub(in crate::formats) fn clarity(&self, bytes: &[u8], unit: Option<TimeUnit>) -> Clarity {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            return Clarity::Missing;
        }
        if let Some(format) = &self.format {
            let is_time = self.formatted(bytes, format).is_ok();
            return if is_time { Clarity::Clear } else { Clarity::Unreadable };
        }
        if let Some(number) = number_unix_ns(bytes, unit) {
            return if number.is_ok() { Clarity::Clear } else { Clarity::Unreadable };
        }
        match civil::parse(bytes) {
            Ok(civil) if civil.is_ambiguous() => Clarity::Ambiguous,
            Ok(civil) if civil.local_ns(None).is_none() => Clarity::Unreadable,
            Ok(civil) => civil.order().map_or(Clarity::Clear, Clarity::Decides),
            Err(_) => Clarity::Unreadable,
        }
    }

    /// Parses a time that may be missing. Returns nanoseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// As [`unix_ns`](super::super::value::unix_ns), and if the order of day and month is not known.
    pub(in crate::formats) fn unix_ns(
        &mut self,
        bytes: &[u8],
        unit: Option<TimeUnit>,
    ) -> Result<Option<i64>, String> {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            return Ok(None);
        }
        if let Some(format) = &self.format {
            let (local_ns, has_zone) = self.formatted(bytes, format)?;
            self.uses_format = true;
            return self.located(local_ns, has_zone.then_some(0));
        }
        self.unformatted_unix_ns(bytes, unit)
    }

    /// Parses a time as [`TimeReader::unix_ns`] does, without the format of the options.
    pub(super) fn unformatted_unix_ns(
        &mut self,
        bytes: &[u8],
        unit: Option<TimeUnit>,
    ) -> Result<Option<i64>, String> {
        // The most common form.
        if let Some(unix_ns) = utc_unix_ns(bytes) {
            return Ok(Some(unix_ns));
        }
        if let Some(number) = number_unix_ns(bytes, unit) {
            return number;
        }
        let civil = civil::parse(bytes).map_err(|fault| not_a_time(bytes, fault))?;
        let local_ns = self.local_ns(&civil, bytes)?;
        self.located(local_ns, civil.offset_s)
    }

    /// Parses a time in the most common form, such as `2024-05-18T09:12:40Z`. Returns `None` for any other text, and
    /// if the options have a format.
    pub(in crate::formats) fn common_unix_ns(&self, bytes: &[u8]) -> Option<i64> {
        if self.format.is_some() { None } else { utc_unix_ns(bytes) }
    }

    fn local_ns(&mut self, civil: &Civil, bytes: &[u8]) -> Result<i128, String> {
        if civil.is_ambiguous() && self.order.is_none() {
            return Err(ambiguous(bytes));
        }
        // A value that decides the order decides it for the values after it, too.
        self.order = self.order.or_else(|| civil.order());
        civil.local_ns(self.order).ok_or_else(|| not_a_time(bytes, civil::Fault::Other))
    }

    fn located(&mut self, local_ns: i128, offset_s: Option<i32>) -> Result<Option<i64>, String> {
        let unix_ns = match (offset_s, &self.zone) {
            (Some(offset_s), _) => local_ns - i128::from(offset_s) * 1_000_000_000,
            (None, Some(zone)) => {
                self.uses_zone = true;
                match zone.unix_ns(local_ns) {
                    Some((unix_ns, is_unique)) => {
                        self.has_clock_change = !is_unique;
                        unix_ns
                    }
                    None => local_ns,
                }
            }
            (None, None) => {
                self.assumes_zone = true;
                local_ns
            }
        };
        checked_unix_ns(unix_ns)
    }

    /// Parses a time in the format of the options. Returns nanoseconds, and whether they count from
    /// 1970-01-01T00:00:00Z.
    fn formatted(&self, bytes: &[u8], format: &str) -> Result<(i128, bool), String> {
        let failed = || {
            format!(
                "the time {} is not in the format {}",
                excerpt(bytes),
                excerpt(format.as_bytes())
            )
        };
        let time = BrokenDownTime::parse(format, bytes).map_err(|_| failed())?;
        if let Ok(timestamp) = time.to_timestamp() {
            return Ok((timestamp.as_nanosecond(), true));
        }
        let local = time.to_datetime().map_err(|_| failed())?;
        let as_utc = TimeZone::UTC.to_timestamp(local).map_err(|_| failed())?;
        Ok((as_utc.as_nanosecond(), false))
    }
}

fn ambiguous(bytes: &[u8]) -> String {
    format!(
        "the time {} may start with the day or with the month, and no value decides it; use --time-format, \
         for example '%d/%m/%Y %H:%M:%S'",
        excerpt(bytes)
    )
}

/// Checks that a format is valid and has a date: a time in this format can be read again.
fn check_format(format: &str) -> Result<(), String> {
    let invalid = |reason: String| {
        format!(
            "the time format {} is not valid: {reason}; use the conversions of strptime, for example \
             '%d/%m/%Y %H:%M:%S'",
            excerpt(format.as_bytes())
        )
    };
    let sample =
        Timestamp::from_second(1_706_795_130).map_err(|error| invalid(error.to_string()))?;
    let sample = sample.to_zoned(TimeZone::UTC);
    let text = strtime::format(format, &sample).map_err(|error| invalid(error.to_string()))?;
    let time = BrokenDownTime::parse(format, &text).map_err(|error| invalid(error.to_string()))?;
    if time.to_timestamp().is_err() && time.to_datetime().is_err() {
        return Err(invalid("it has no complete date".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
