//! The coordinates in the `lat` and `lon` attributes of a GPX point.

use std::borrow::Cow;

use quick_xml::escape::unescape;

use super::super::decimal::parse_f64;
use super::super::value::{coordinate, number};
use super::reader::Element;

/// The coordinates of a point. They are not checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Coordinates {
    pub x: f64,
    pub y: f64,
    /// Whether a number has a comma instead of a decimal point.
    pub has_decimal_comma: bool,
}

/// Returns the coordinates of a point.
///
/// # Errors
/// A message, if a coordinate is missing, is not a number, or is there twice.
#[inline]
pub(super) fn read(element: &Element<'_>) -> Result<Coordinates, String> {
    match plain(element.attributes_text()) {
        Some((y, x)) => Ok(Coordinates { x, y, has_decimal_comma: false }),
        None => general(element),
    }
}

/// Reads attributes in the form that devices write, ` lat="46.5" lon="13.5"` in either order. Returns the
/// latitude and longitude.
#[inline]
fn plain(text: &str) -> Option<(f64, f64)> {
    let bytes = text.as_bytes();
    if bytes.starts_with(b" lat=\"") {
        let (y, rest) = quoted(text, " lat=\"".len())?;
        let (x, end) = quoted(text, after(bytes, rest, b" lon=\"")?)?;
        return is_end(bytes, end).then_some((y, x));
    }
    let (x, rest) = quoted(text, after(bytes, 0, b" lon=\"")?)?;
    let (y, end) = quoted(text, after(bytes, rest, b" lat=\"")?)?;
    is_end(bytes, end).then_some((y, x))
}

/// Returns the index after `expected`, if it is at `start`.
#[inline]
fn after(bytes: &[u8], start: usize, expected: &[u8; 6]) -> Option<usize> {
    bytes[start..].starts_with(expected).then_some(start + expected.len())
}

/// Parses the number at `start` in quotes. Returns it and the index after the closing quote.
#[inline]
fn quoted(text: &str, start: usize) -> Option<(f64, usize)> {
    let length = text.as_bytes()[start..].iter().position(|&byte| byte == b'"')?;
    Some((parse_f64(&text.as_bytes()[start..start + length])?, start + length + 1))
}

#[inline]
fn is_end(bytes: &[u8], end: usize) -> bool {
    matches!(bytes[end..], [] | [b' '])
}

/// Reads attributes in any form.
fn general(element: &Element<'_>) -> Result<Coordinates, String> {
    let (mut x, mut y, mut has_decimal_comma) = (None, None, false);
    for attribute in element.attributes() {
        let (key, value) = attribute?;
        let (name, found) = match key {
            _ if key.eq_ignore_ascii_case("lon") => ("longitude", &mut x),
            _ if key.eq_ignore_ascii_case("lat") => ("latitude", &mut y),
            _ => continue,
        };
        // Text with an unknown entity is not a number either.
        let value = unescape(&value).unwrap_or(Cow::Borrowed(&value));
        let value = with_decimal_point(&value, &mut has_decimal_comma);
        if found.replace(coordinate(name, value.as_bytes())?).is_some() {
            return Err(format!("this <{}> has two attributes {key}", element.local_name()));
        }
    }
    let missing = |name| format!("this <{}> has no \"{name}\" attribute", element.local_name());
    let (x, y) = (x.ok_or_else(|| missing("lon"))?, y.ok_or_else(|| missing("lat"))?);
    Ok(Coordinates { x, y, has_decimal_comma })
}

/// Parses a number that may be missing and may have a comma instead of a decimal point.
pub(super) fn number_with_comma(
    name: &str,
    text: &str,
    has_decimal_comma: &mut bool,
) -> Result<Option<f64>, String> {
    match parse_f64(text.as_bytes()) {
        Some(value) if value.is_finite() => Ok(Some(value)),
        _ => number(name, with_decimal_point(text, has_decimal_comma).as_bytes()),
    }
}

/// Replaces the comma in a number with one comma and no point. In an attribute or element with one number it
/// can only be a decimal comma.
fn with_decimal_point<'a>(text: &'a str, has_decimal_comma: &mut bool) -> Cow<'a, str> {
    if text.matches(',').count() != 1 || text.contains('.') {
        return Cow::Borrowed(text);
    }
    let with_point = text.replacen(',', ".", 1);
    if with_point.trim().parse::<f64>().is_err() {
        return Cow::Borrowed(text);
    }
    *has_decimal_comma = true;
    Cow::Owned(with_point)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_text(attributes: &str) -> Result<Coordinates, String> {
        read(&Element::from_content(&format!("trkpt{attributes}")))
    }

    fn at(y: f64, x: f64) -> Result<Coordinates, String> {
        Ok(Coordinates { x, y, has_decimal_comma: false })
    }

    #[test]
    fn attributes_are_read_in_any_spelling() {
        for attributes in [
            " lat=\"46.5\" lon=\"13.25\"",
            " lon=\"13.25\" lat=\"46.5\" ",
            " lat='46.5'\n\tlon='13.25'",
            " Lat=\" 46.5 \" LON=\"+13.25\"",
            " lat=\"46&#46;5\" lon=\"1&#x33;.25\"",
            " version=\"2\" lat = \"4.65e1\" lon=\"13.25\" x:lat=\"1\" latitude=\"2\"",
        ] {
            assert_eq!(read_text(attributes), at(46.5, 13.25), "{attributes}");
        }
        let comma = Coordinates { x: -13.25, y: 46.5, has_decimal_comma: true };
        assert_eq!(read_text(" lat=\"46,5\" lon=\" -13,25\""), Ok(comma));
    }

    #[test]
    fn attributes_without_two_numbers_are_explained() {
        let message = |attributes| read_text(attributes).unwrap_err();
        insta::assert_snapshot!(message(""), @r#"this <trkpt> has no "lon" attribute"#);
        insta::assert_snapshot!(message(" lat=\"46.5\""), @r#"this <trkpt> has no "lon" attribute"#);
        insta::assert_snapshot!(message(" lat=\"\" lon=\"\""), @"the latitude is blank");
        insta::assert_snapshot!(message(" lat=\"46.5\" lon=\"&east;\""), @r#"the longitude "&east;" is not a number"#);
        insta::assert_snapshot!(message(" lat=\"46.5\" lon=\"1,234.5\""), @r#"the longitude "1,234.5" is not a number"#);
        insta::assert_snapshot!(message(" lat=\"46.5\" lon=\"1,2,3\""), @r#"the longitude "1,2,3" is not a number"#);
        insta::assert_snapshot!(message(" lat=\"46.5\" lat=\"46.6\" lon=\"13\""), @"this <trkpt> has two attributes lat");
        insta::assert_snapshot!(message(" lat=46.5 lon=13"), @r#"an attribute of <trkpt>: position 10: attribute value must be enclosed in `"` or `'`"#);
    }

    proptest! {
        #[test]
        fn both_ways_to_read_attributes_give_the_same(
            attributes in "( (lat|lon|Lat|x)=[\"'](-?[0-9]{0,3}(\\.[0-9]{0,20})?(e-?[0-9])?|[a-z0-9.,&;\" ]{0,4})[\"']){1,3}",
        ) {
            let content = format!("trkpt{attributes}");
            let element = Element::from_content(&content);
            let bits = |read: Result<Coordinates, String>| {
                read.map(|read| (read.x.to_bits(), read.y.to_bits(), read.has_decimal_comma))
            };
            prop_assert_eq!(bits(read(&element)), bits(general(&element)));
        }
    }
}
