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

/// Parses a size above zero, of an integer type.
pub(super) fn positive_size<T: TryFrom<u64> + TryInto<u64> + Copy>(
    text: &str,
) -> Result<Size<T>, String> {
    let size: Size<T> = text.parse()?;
    match size.0.try_into() {
        Ok(0) => Err("must be at least 1 byte".to_owned()),
        _ => Ok(size),
    }
}

/// Parses a whole number of an integer type. The error names the numbers that are allowed.
pub(super) fn whole<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    from(text, 0)
}

/// Parses a whole number of at least 1.
pub(super) fn at_least_one<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    from(text, 1)
}

fn from<T: TryFrom<u64>>(text: &str, min: u64) -> Result<T, String> {
    let number = text.parse::<u64>().ok().filter(|&number| number >= min);
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
        let max = u64::MAX >> (u64::BITS as usize - 8 * size_of::<T>());
        format!("must be a whole number from {min} to {max}")
    })
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
    fn the_error_of_a_number_has_the_range() {
        assert_eq!((whole("0"), at_least_one("7")), (Ok(0_u32), Ok(7_usize)));
        assert_eq!(at_least_one("4294967295"), Ok(u32::MAX));
        for text in ["", "abc", "-1", "1.5", "4294967296", "99999999999999999999"] {
            let error = "must be a whole number from 0 to 4294967295";
            assert_eq!(whole::<u32>(text), Err(error.to_owned()), "{text}");
        }
        for text in ["0", "-1", "99999999999999999999"] {
            let error = at_least_one::<std::num::NonZeroU64>(text).unwrap_err();
            assert_eq!(error, "must be a whole number from 1 to 18446744073709551615");
        }
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
        assert_eq!(positive_size("1kB"), Ok(Size(1000_u32)));
        assert_eq!(positive_size::<u32>("0MiB"), Err("must be at least 1 byte".to_owned()));
    }
}
