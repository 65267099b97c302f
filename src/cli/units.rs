//! Durations and sizes as values of options.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration such as `30s` or `5m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time(pub(super) Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = humantime::parse_duration(text)
            .map_err(|error| format!("{error}; use a number with a unit, such as 30s or 5m"))?;
        Ok(Self(duration))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(out)
    }
}

/// Parses a duration above zero.
pub(super) fn positive_time(text: &str) -> Result<Time, String> {
    match text.parse()? {
        Time(Duration::ZERO) => Err("must be more than 0 s".to_owned()),
        time => Ok(time),
    }
}

/// A number of bytes such as `512KiB`, of an integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size<T>(pub(super) T);

impl<T: TryFrom<u64>> FromStr for Size<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = size(text)?;
        // Types of 64 bits hold every size.
        T::try_from(bytes).map(Self).map_err(|_| "must be less than 4GiB".to_owned())
    }
}

impl<T: TryInto<u64> + Copy> fmt::Display for Size<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.try_into().unwrap_or(u64::MAX);
        let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let unit = units.into_iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
        match unit {
            Some((name, unit)) => write!(out, "{}{name}", bytes / unit),
            None => bytes.fmt(out),
        }
    }
}

/// Parses a number of bytes with an optional unit.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, unit_bytes) = unit.unwrap_or((text, 1));
    let bytes = number.trim_end().parse::<u64>().ok().and_then(|n| n.checked_mul(unit_bytes));
    bytes.ok_or_else(|| "must be a size such as 65536, 64KiB, 512MiB or 2GiB".to_owned())
}

/// Parses a whole number of at least 1.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| "must be a whole number of at least 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_as_it_is_parsed() {
        for text in ["30s", "5m", "7days", "1h 30m", "100ms"] {
            assert_eq!(text.parse::<Time>().unwrap().to_string(), text);
        }
        assert_eq!("7d".parse(), Ok(Time(Duration::from_secs(7 * 86_400))));
        assert!("30".parse::<Time>().is_err());
        assert!(positive_time("0s").is_err());
    }

    #[test]
    fn a_size_has_a_binary_or_decimal_unit() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("2 GB"), Ok(2_000_000_000));
        assert_eq!(size("17"), Ok(17));
        assert!(size("1.5GiB").is_err());
        assert!(size("99999999999GiB").is_err());
    }

    #[test]
    fn a_size_is_printed_as_it_is_parsed() {
        for text in ["64KiB", "1MiB", "3GiB", "1000", "1025KiB", "0"] {
            assert_eq!(text.parse::<Size<u32>>().unwrap().to_string(), text);
        }
        assert_eq!("4GiB".parse::<Size<u64>>(), Ok(Size(4 << 30)));
        let error = "4GiB".parse::<Size<u32>>().unwrap_err();
        assert_eq!(error, "must be less than 4GiB");
        assert!("4".parse::<Size<usize>>().is_ok());
    }
}
