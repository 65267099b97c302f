//! Parses coordinates: plain numbers, decimal commas, hemispheres, and degrees, minutes and seconds.
//!
//! `DDMM.mmmm` as in NMEA sentences is read with a hemisphere only: without one, it may be another unit.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;

use super::super::decimal::parse_f64;
use super::super::value::excerpt;

/// The letters of the hemispheres of an axis: first the positive one.
pub(super) const NORTH_OR_SOUTH: [char; 2] = ['n', 's'];
pub(super) const EAST_OR_WEST: [char; 2] = ['e', 'w'];

/// A coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Angle {
    pub value: f64,
    /// Whether it has a decimal comma.
    pub has_comma: bool,
    /// Whether its degrees and minutes have no separator.
    pub is_packed: bool,
    /// The sign of the letter of a hemisphere in the text.
    pub hemisphere: Option<f64>,
}

impl Angle {
    pub(super) fn number(value: f64, has_comma: bool) -> Self {
        Self { value, has_comma, is_packed: false, hemisphere: None }
    }
}

/// The meaning of a number that has a hemisphere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Packed {
    /// It is a number of degrees.
    Degrees,
    /// It has degrees and minutes without a separator, and this value in degrees.
    Minutes(f64),
    /// It has leading zeros, but is not like `DDMM.mmm` or `DDDMM.mmm`.
    Unknown,
}

/// Returns the meaning of a number without a sign that has a hemisphere.
pub(super) fn packed(number: &[u8], letters: [char; 2]) -> Packed {
    let is_mark = |byte: &u8| matches!(byte, b'.' | b',');
    let whole = number.iter().position(is_mark).unwrap_or(number.len());
    let is_plain = number.iter().all(|byte| byte.is_ascii_digit() || is_mark(byte));
    if whole <= 3 || !is_plain {
        return Packed::Degrees;
    }
    let degree_digits = if letters == NORTH_OR_SOUTH { 2 } else { 3 };
    if whole == degree_digits + 2 {
        let (degrees, minutes) = number.split_at(degree_digits);
        let minutes = parse_f64(minutes).or_else(|| with_decimal_comma(minutes));
        if let (Some(degrees), Some(minutes)) = (parse_f64(degrees), minutes)
            && minutes < 60.0
        {
            return Packed::Minutes((degrees * 60.0 + minutes) / 60.0);
        }
    }
    if number.starts_with(b"0") { Packed::Unknown } else { Packed::Degrees }
}

/// Decodes text that is UTF-8 or else windows-1252, which contains Latin-1.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// Returns a value as ASCII text would have it, if that differs: without the apostrophe with which spreadsheets
/// mark text, without NUL bytes and other blanks at its ends, with `-` for a minus sign, and without thin blanks
/// that separate thousands.
pub(super) fn plain(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_plain = bytes.is_ascii() && bytes.first() != Some(&b'\'') && bytes.last() != Some(&0);
    if is_plain || bytes.len() > 256 {
        return None;
    }
    let is_edge = |char: char| {
        char.is_whitespace()
            || matches!(char, '\0' | '\u{200b}' | '\u{feff}' | '\u{200e}' | '\u{200f}')
    };
    let text = decode(bytes);
    let text = text.trim_matches(is_edge);
    let text = text.strip_prefix('\'').unwrap_or(text).trim_matches(is_edge);
    let mut plain = String::with_capacity(text.len());
    for (at, char) in text.char_indices() {
        match char {
            '\u{2212}' => plain.push('-'),
            char if char.is_whitespace() => {
                let digits = text[at + char.len_utf8()..].bytes().take_while(u8::is_ascii_digit);
                let is_thousands = !char.is_ascii()
                    && digits.count() == 3
                    && plain.ends_with(|last: char| last.is_ascii_digit());
                if !is_thousands {
                    plain.push(' ');
                }
            }
            char => plain.push(char),
        }
    }
    Some(plain.into_bytes())
}

/// Parses a number with a decimal comma: one comma and no point.
pub(super) fn with_decimal_comma(bytes: &[u8]) -> Option<f64> {
    let mut commas = bytes.iter().enumerate().filter(|(_, byte)| **byte == b',');
    let (at, _) = commas.next()?;
    if commas.next().is_some() || bytes.contains(&b'.') || bytes.len() > 64 {
        return None;
    }
    let mut text = bytes.to_vec();
    text[at] = b'.';
    parse_f64(&text)
}

/// Parses a coordinate. `letters` are those of the hemispheres; `None` reads a number only.
///
/// # Errors
/// A message that says what is wrong.
pub(super) fn parse(what: &str, bytes: &[u8], letters: Option<[char; 2]>) -> Result<Angle, String> {
    let bytes = bytes.trim_ascii();
    if let Some(value) = parse_f64(bytes) {
        return Ok(Angle::number(value, false));
    }
    let plain = plain(bytes);
    let shown = bytes;
    let bytes = plain.as_deref().unwrap_or(bytes);
    if bytes.is_empty() {
        return Err(format!("the {what} is blank"));
    }
    if let Some(value) = parse_f64(bytes) {
        return Ok(Angle::number(value, false));
    }
    if let Some(value) = with_decimal_comma(bytes) {
        return Ok(Angle::number(value, true));
    }
    letters
        .filter(|_| bytes.len() <= 64)
        .and_then(|letters| sexagesimal(&decode(bytes).to_lowercase(), letters))
        .ok_or_else(|| format!("the {what} {} is not a number", excerpt(shown)))
}

/// Parses a coordinate with a hemisphere or with marks, in lower case.
fn sexagesimal(text: &str, letters: [char; 2]) -> Option<Angle> {
    let (text, hemisphere) = split_hemisphere(text.trim(), letters);
    let (text, sign) = match text.strip_prefix(['-', '−']) {
        // A sign and a letter contradict each other, or repeat.
        Some(_) if hemisphere.is_some() => return None,
        Some(rest) => (rest, -1.0),
        None => (text.strip_prefix('+').unwrap_or(text), hemisphere.unwrap_or(1.0)),
    };
    let mut parts = Parts { rest: text, has_mark: false };
    let mut numbers: Vec<&str> = Vec::new();
    while !parts.rest.is_empty() {
        numbers.push(parts.number(numbers.len())?);
    }
    let has_comma = numbers.last()?.contains(',');
    let is_marked = hemisphere.is_some() || parts.has_mark;
    let (whole, last) = numbers.split_at(numbers.len() - 1);
    if !is_marked || whole.iter().any(|number| number.contains(['.', ','])) {
        return None;
    }
    let packed = match (hemisphere, parts.has_mark, &numbers[..]) {
        (Some(_), false, [number]) => packed(number.as_bytes(), letters),
        _ => Packed::Degrees,
    };
    if packed == Packed::Unknown {
        return None;
    }
    let last = parse_f64(last[0].replace(',', ".").as_bytes())?;
    let mut values = whole.iter().filter_map(|number| parse_f64(number.as_bytes()));
    let value = match (values.next(), values.next()) {
        (None, _) => match packed {
            Packed::Minutes(value) => value,
            _ => last,
        },
        (Some(degrees), None) if last < 60.0 => (degrees * 60.0 + last) / 60.0,
        (Some(degrees), Some(minutes)) if minutes < 60.0 && last < 60.0 => {
            (degrees * 3600.0 + minutes * 60.0 + last) / 3600.0
        }
        _ => return None,
    };
    let is_packed = packed != Packed::Degrees;
    Some(Angle { value: sign * value, has_comma, is_packed, hemisphere })
}

/// Splits the letter of a hemisphere off, in front or at the end. Returns its sign.
fn split_hemisphere(text: &str, letters: [char; 2]) -> (&str, Option<f64>) {
    for (letter, sign) in letters.into_iter().zip([1.0, -1.0]) {
        if let Some(rest) = text.strip_prefix(letter).or_else(|| text.strip_suffix(letter)) {
            return (rest.trim(), Some(sign));
        }
    }
    (text, None)
}

/// The rest of a coordinate.
struct Parts<'a> {
    rest: &'a str,
    has_mark: bool,
}

impl<'a> Parts<'a> {
    /// Reads the number of degrees (0), minutes (1) or seconds (2), and its mark.
    fn number(&mut self, index: usize) -> Option<&'a str> {
        let is_part = |char: char| char.is_ascii_digit() || matches!(char, '.' | ',');
        let end = self.rest.find(|char| !is_part(char)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        if !number.starts_with(|char: char| char.is_ascii_digit())
            || number.matches(['.', ',']).count() > 1
        {
            return None;
        }
        let rest = rest.trim_start();
        let marks: &[&str] = match index {
            0 => &["°", "º", "˚", ":"],
            1 => &["'", "′", "’", "´", ":"],
            2 => &["\"", "″", "”", "''", "′′", "’’"],
            _ => return None,
        };
        let after_mark = marks.iter().find_map(|mark| rest.strip_prefix(mark));
        // A colon separates two numbers.
        if after_mark.is_some_and(str::is_empty) && rest.starts_with(':') {
            return None;
        }
        self.has_mark |= after_mark.is_some();
        self.rest = after_mark.unwrap_or(rest).trim_start();
        Some(number)
    }
}

/// Returns the sign in a column of hemispheres: of N or S, or of E or W.
pub(super) fn hemisphere(bytes: &[u8], letters: [char; 2]) -> Option<f64> {
    let text = decode(bytes.get(..16).unwrap_or(bytes)).trim().to_lowercase();
    let words = match letters {
        NORTH_OR_SOUTH => ["north", "south"],
        _ => ["east", "west"],
    };
    letters.iter().zip(words).zip([1.0, -1.0]).find_map(|((letter, word), sign)| {
        let is_letter = text.strip_prefix(*letter).is_some_and(str::is_empty);
        (is_letter || text == word).then_some(sign)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latitude(text: &str) -> Option<f64> {
        parse("latitude", text.as_bytes(), Some(NORTH_OR_SOUTH)).ok().map(|angle| angle.value)
    }

    #[test]
    fn coordinates_are_read_in_every_form() {
        // 48 degrees, 8 minutes, 14 seconds: 48 + 8/60 + 14/3600.
        let expected = 173_294.0 / 3600.0;
        for text in [
            "48°08'14\"N",
            "48° 8′ 14″ N",
            "N 48°08'14\"",
            "48 08 14 N",
            "n48:08:14",
            "48:08:14",
            "48°08'14''",
            "48°08'14",
            " 48º08’14” ",
        ] {
            assert_eq!(latitude(text), Some(expected), "{text}");
            let south = text.replace(['N', 'n'], "S");
            assert_eq!(latitude(&south).map(f64::abs), Some(expected), "{south}");
        }
        for text in ["48 08.25N", "48°08,25'", "N48 08.25", "48°8.25'N", "+48:08.25"] {
            // 48 + 8.25 / 60 is exact.
            assert_eq!(latitude(text), Some(48.1375), "{text}");
        }
        for text in ["51.4779N", "N 51.4779", "51,4779 n", "51.4779°", "51,4779", "51.4779"] {
            assert_eq!(latitude(text), Some(51.4779), "{text}");
        }
        for text in ["S 51.4", "51.4S", "-51.4°", "51.4° S", "−51.4°"] {
            assert_eq!(latitude(text), Some(-51.4), "{text}");
        }
        let latin1 = parse("latitude", b"48\xb030'S", Some(NORTH_OR_SOUTH)).unwrap();
        assert_eq!(latin1.value, -48.5);
        let west = parse("longitude", b"W0.002", Some(EAST_OR_WEST)).unwrap();
        assert_eq!(west.value, -0.002);
    }

    #[test]
    fn text_without_a_clear_meaning_is_not_a_coordinate() {
        for text in [
            "-48.1S",
            "48.1E",
            "N48.1N",
            "48 08 14",
            "48 8",
            "48:60",
            "48:",
            "48:08:60",
            "48.5°10'",
            "1,234.5",
            "1.234,5",
            "48°08°",
            "N",
            "°",
            "1:2:3:4",
            "",
            "48'10",
            "x48",
            "N,5",
        ] {
            assert_eq!(latitude(text), None, "{text}");
        }
        assert!(parse("x", b"48N", None).is_err());
    }

    #[test]
    fn a_hemisphere_is_a_letter_or_a_word() {
        for (text, sign) in
            [("N", Some(1.0)), (" s ", Some(-1.0)), ("South", Some(-1.0)), ("E", None), ("", None)]
        {
            assert_eq!(hemisphere(text.as_bytes(), NORTH_OR_SOUTH), sign, "{text}");
        }
        // O is the east in German and the west in French.
        assert_eq!(hemisphere(b"O", EAST_OR_WEST), None);
        assert_eq!(hemisphere(b"w", EAST_OR_WEST), Some(-1.0));
    }
}
