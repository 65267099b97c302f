//! Reads the records of a flight recorder file: B (fixes), I (the extensions of B) and H (dates and names).

use super::super::calendar::{self, S_NS};
use super::super::value::excerpt;

/// The bytes of a B record without extensions.
pub(super) const FIX_BYTES: usize = 35;
/// The bytes of a B record up to the validity of its altitude.
const POSITION_BYTES: usize = 25;

/// A part of a B record, as bytes of the line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Extension {
    start: usize,
    end: usize,
}

/// The extensions of B records that are read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Extensions {
    /// FXA, the accuracy in metres.
    accuracy: Option<Extension>,
    /// LAD and LOD, further decimal places of the minutes.
    latitude: Option<Extension>,
    longitude: Option<Extension>,
    /// TDS, decimal places of the seconds.
    second: Option<Extension>,
}

impl Extensions {
    /// Parses an I record: the number of extensions and, for each, the first and last byte and the name.
    pub(super) fn parse(record: &[u8]) -> Self {
        let mut extensions = Self::default();
        for part in record.get(3..).unwrap_or_default().chunks_exact(7) {
            let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<usize>().ok();
            let (Some(start), Some(end)) = (number(&part[..2]), number(&part[2..4])) else { break };
            let Some(start) =
                start.checked_sub(1).filter(|start| *start >= FIX_BYTES && *start < end)
            else {
                continue;
            };
            let slot = match &part[4..] {
                b"FXA" => &mut extensions.accuracy,
                b"LAD" => &mut extensions.latitude,
                b"LOD" => &mut extensions.longitude,
                b"TDS" => &mut extensions.second,
                _ => continue,
            };
            *slot = Some(Extension { start, end });
        }
        extensions
    }
}

fn part(line: &[u8], extension: Option<Extension>) -> Option<&[u8]> {
    let Extension { start, end } = extension?;
    line.get(start..end).filter(|digits| digits.iter().all(u8::is_ascii_digit))
}

/// The content of a B record.
#[derive(Debug)]
pub(super) struct FixRecord {
    pub ns_of_day: Result<i64, String>,
    pub x: f64,
    pub y: f64,
    /// The altitude above the WGS 84 ellipsoid in metres; `None` for a fix in two dimensions.
    pub z: Result<Option<f64>, String>,
    pub accuracy_m: Option<f64>,
}

/// Parses a B record.
///
/// # Errors
/// The reason that it has no valid position.
pub(super) fn fix(line: &[u8], extensions: &Extensions) -> Result<FixRecord, String> {
    let invalid = || format!("the B record {} is not valid", excerpt(line));
    let fixed = line.get(..POSITION_BYTES).ok_or_else(invalid)?;
    let y = degrees(&fixed[7..15], 2, [b'N', b'S'], part(line, extensions.latitude));
    let x = degrees(&fixed[15..24], 3, [b'E', b'W'], part(line, extensions.longitude));
    let (x, y) = x.zip(y).ok_or_else(invalid)?;
    let has_altitude = match fixed[24] {
        b'A' => true,
        b'V' => false,
        _ => return Err(invalid()),
    };
    if !has_altitude && (x, y) == (0.0, 0.0) {
        return Err("the recorder has no fix (validity V, latitude 0, longitude 0)".to_owned());
    }
    let z = match line.get(30..FIX_BYTES) {
        _ if !has_altitude => Ok(None),
        Some(digits) => integer(digits)
            .map(Some)
            .ok_or_else(|| format!("the GNSS altitude {} is not a number", excerpt(digits))),
        None => Err("the B record ends before the GNSS altitude".to_owned()),
    };
    let accuracy_m = part(line, extensions.accuracy).and_then(integer);
    Ok(FixRecord { ns_of_day: ns_of_day(line, extensions), x, y, z, accuracy_m })
}

fn ns_of_day(line: &[u8], extensions: &Extensions) -> Result<i64, String> {
    let digits = &line[1..7];
    let whole = calendar::ns_of_hhmmss(digits)
        .ok_or_else(|| format!("the time {} is not like 235959", excerpt(digits)))?;
    let mut place_ns = S_NS;
    let fraction = part(line, extensions.second).unwrap_or_default();
    Ok(fraction.iter().take(9).fold(whole, |ns, digit| {
        place_ns /= 10;
        ns + i64::from(digit - b'0') * place_ns
    }))
}

fn integer(digits: &[u8]) -> Option<f64> {
    std::str::from_utf8(digits).ok()?.parse::<i32>().ok().map(f64::from)
}

/// Parses degrees, minutes in thousandths and the hemisphere. `more` has further decimal places of the minutes.
fn degrees(
    text: &[u8],
    degree_digits: usize,
    [positive, negative]: [u8; 2],
    more: Option<&[u8]>,
) -> Option<f64> {
    let (&hemisphere, digits) = text.split_last()?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (whole, minutes) = digits.split_at(degree_digits);
    let (minute, thousandths) = minutes.split_at(2);
    let fraction = [minute, b".", thousandths, more.unwrap_or_default()].concat();
    let parse = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
    let minutes = parse(&fraction).filter(|minutes| *minutes < 60.0)?;
    let degrees = parse(whole)? + minutes / 60.0;
    match hemisphere {
        _ if hemisphere == positive => Some(degrees),
        _ if hemisphere == negative => Some(-degrees),
        _ => None,
    }
}

/// What an H record says.
#[derive(Debug, PartialEq)]
pub(super) enum Header<'a> {
    /// The date of the first fix; `None` if it cannot be read.
    Date(Option<i64>),
    GliderId(&'a [u8]),
    CompetitionId(&'a [u8]),
    /// The datum of the positions.
    Datum(&'a [u8]),
    Other,
}

/// Parses an H record such as `HFDTE010124`, `HFDTEDATE:010124,01` or `HFGIDGLIDERID:D-1234`.
pub(super) fn header(line: &[u8]) -> Header<'_> {
    let value = || match line.iter().position(|byte| *byte == b':') {
        Some(colon) => line[colon + 1..].trim_ascii(),
        None => line.get(5..).unwrap_or_default().trim_ascii(),
    };
    match line.get(2..5) {
        Some(b"DTE") => {
            let digits = value();
            let digits = &digits[..digits.len().min(6)];
            Header::Date(calendar::day_of_ddmmyy(digits))
        }
        Some(b"GID") => Header::GliderId(value()),
        Some(b"CID") => Header::CompetitionId(value()),
        Some(b"DTM") => Header::Datum(value()),
        _ => Header::Other,
    }
}
