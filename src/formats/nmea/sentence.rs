//! Finds the sentences in a line of a log, checks their checksums and reads their fields.
//!
//! The `nmea` crate is not used: it rejects a whole sentence for one damaged field. Here such a field costs only its
//! value, with a reason that a note can name.

use super::super::calendar;
use super::super::value::excerpt;

/// A sentence without its `$` and checksum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sentence<'a> {
    pub text: &'a [u8],
    pub checksum: Checksum,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Checksum {
    Right,
    Wrong,
    Missing,
}

/// Returns the sentences in a line. A line may have a prefix, for example a time stamp, and after a loss of bytes
/// also the start of another sentence.
pub(super) fn sentences(line: &[u8]) -> impl Iterator<Item = Sentence<'_>> {
    line.split_inclusive(|byte| matches!(byte, b'$' | b'!')).skip(1).filter_map(|part| {
        let Some(text) = part.strip_suffix(b"$").or_else(|| part.strip_suffix(b"!")) else {
            return sentence(part.trim_ascii_end());
        };
        // Another sentence starts here, so that the end of this one may be lost.
        let found = sentence(text.trim_ascii_end())?;
        let is_right = found.checksum == Checksum::Right;
        Some(Sentence {
            checksum: if is_right { Checksum::Right } else { Checksum::Wrong },
            ..found
        })
    })
}

fn sentence(text: &[u8]) -> Option<Sentence<'_>> {
    let address = text.iter().position(|byte| *byte == b',')?;
    let is_address = (3..=8).contains(&address)
        && text[..address].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if !is_address {
        return None;
    }
    let Some(star) = text.iter().position(|byte| *byte == b'*') else {
        return Some(Sentence { text, checksum: Checksum::Missing });
    };
    let found = text.get(star + 1..star + 3).and_then(|digits| std::str::from_utf8(digits).ok());
    let found = found.and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let text = &text[..star];
    let expected = text.iter().fold(0, |sum, byte| sum ^ byte);
    let checksum = if found == Some(expected) { Checksum::Right } else { Checksum::Wrong };
    Some(Sentence { text, checksum })
}

/// The kind of a sentence that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gga,
    Gns,
    Rmc,
    Gll,
    Gst,
    Zda,
    /// The estimated position error of Garmin receivers.
    Pgrme,
}

impl Kind {
    pub(super) fn of(address: &[u8]) -> Option<Self> {
        if address == b"PGRME" {
            return Some(Kind::Pgrme);
        }
        match *address {
            // P is the start of a proprietary sentence.
            [b'P', ..] => None,
            [_, _, b'G', b'G', b'A'] => Some(Kind::Gga),
            [_, _, b'G', b'N', b'S'] => Some(Kind::Gns),
            [_, _, b'R', b'M', b'C'] => Some(Kind::Rmc),
            [_, _, b'G', b'L', b'L'] => Some(Kind::Gll),
            [_, _, b'G', b'S', b'T'] => Some(Kind::Gst),
            [_, _, b'Z', b'D', b'A'] => Some(Kind::Zda),
            _ => None,
        }
    }
}

/// The position in a sentence.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// This kind of sentence has none.
    None,
    /// The receiver has no fix, according to this field.
    Void(&'static str),
    /// The position cannot be read, for this reason.
    Invalid(String),
    At {
        x: f64,
        y: f64,
    },
}

/// The content of a sentence.
#[derive(Debug)]
pub(super) struct Report {
    /// The first two letters of the address: the system or receiver.
    pub talker: [u8; 2],
    pub kind: Kind,
    /// The time of day in nanoseconds; `None` if the field is blank.
    pub time: Result<Option<i64>, String>,
    pub day: Option<i64>,
    pub place: Place,
    pub z: Result<Option<f64>, String>,
    pub accuracy_m: Result<Option<f64>, String>,
}

/// Returns the content of a sentence; `None` for a kind that is not read.
pub(super) fn report(text: &[u8]) -> Option<Report> {
    let mut parts = text.split(|byte| *byte == b',');
    let address = parts.next()?;
    let kind = Kind::of(address)?;
    let talker = [*address.first()?, *address.get(1)?];
    let fields: Vec<&[u8]> = parts.take(FIELDS_MAX).map(<[u8]>::trim_ascii).collect();
    let field = |index: usize| fields.get(index).copied().unwrap_or_default();
    let (time_index, place_index) = match kind {
        Kind::Gga | Kind::Gns => (0, Some(1)),
        Kind::Rmc => (0, Some(2)),
        Kind::Gll => (4, Some(0)),
        Kind::Gst | Kind::Zda => (0, None),
        Kind::Pgrme => (FIELDS_MAX, None),
    };
    let place = match (void(kind, &field), place_index) {
        (_, None) => Place::None,
        (Some(reason), _) => Place::Void(reason),
        (None, Some(at)) => place(&[field(at), field(at + 1), field(at + 2), field(at + 3)]),
    };
    let day = match kind {
        Kind::Rmc => calendar::day_of_ddmmyy(field(8)),
        Kind::Zda => zda_day(field(1), field(2), field(3)),
        _ => None,
    };
    let z = match kind {
        Kind::Gga => match (metres("altitude", field(8)), field(9)) {
            (Ok(Some(_)), unit) if unit != b"M" => {
                Err(format!("the unit of the altitude is {}, not M", excerpt(unit)))
            }
            (z, _) => z,
        },
        Kind::Gns => metres("altitude", field(8)),
        _ => Ok(None),
    };
    let accuracy_m = match kind {
        Kind::Gst => match (metres("error", field(5)), metres("error", field(6))) {
            (Ok(Some(north)), Ok(Some(east))) => Ok(Some(north.hypot(east))),
            (Err(error), _) | (_, Err(error)) => Err(error),
            _ => Ok(None),
        },
        Kind::Pgrme if field(1) == b"M" => metres("error", field(0)),
        _ => Ok(None),
    };
    let time = match field(time_index) {
        b"" => Ok(None),
        text => calendar::ns_of_hhmmss(text)
            .map(Some)
            .ok_or_else(|| format!("the time {} is not like 235959.00", excerpt(text))),
    };
    Some(Report { talker, kind, time, day, place, z, accuracy_m })
}

/// More fields than any sentence has that is read.
const FIELDS_MAX: usize = 24;

/// Returns the field that says that the receiver has no fix.
fn void<'a>(kind: Kind, field: &impl Fn(usize) -> &'a [u8]) -> Option<&'static str> {
    match kind {
        Kind::Gga if field(5) == b"0" => Some("quality 0 in GGA"),
        Kind::Gns if !field(5).is_empty() && field(5).iter().all(|mode| *mode == b'N') => {
            Some("mode N in GNS")
        }
        Kind::Rmc if field(1) == b"V" => Some("status V in RMC"),
        Kind::Rmc if field(11) == b"N" => Some("mode N in RMC"),
        Kind::Gll if field(5) == b"V" => Some("status V in GLL"),
        Kind::Gll if field(6) == b"N" => Some("mode N in GLL"),
        _ => None,
    }
}

fn place([latitude, north, longitude, east]: &[&[u8]; 4]) -> Place {
    let y = degrees("latitude", latitude, north, [b"N", b"S"]);
    let x = degrees("longitude", longitude, east, [b"E", b"W"]);
    match (x, y) {
        (Ok(x), Ok(y)) => Place::At { x, y },
        (_, Err(reason)) | (Err(reason), _) => Place::Invalid(reason),
    }
}

/// Parses degrees and minutes such as `4807.038` and the hemisphere.
fn degrees(
    name: &str,
    text: &[u8],
    hemisphere: &[u8],
    [positive, negative]: [&[u8]; 2],
) -> Result<f64, String> {
    if text.is_empty() {
        return Err(format!("the {name} is blank"));
    }
    let invalid = || format!("the {name} {} is not like 4807.038", excerpt(text));
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let split = point.checked_sub(2).ok_or_else(invalid)?;
    let is_number = text[..point].iter().chain(text.get(point + 1..).unwrap_or_default());
    if !is_number.clone().all(u8::is_ascii_digit) || point > 5 {
        return Err(invalid());
    }
    let parse = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<f64>().ok();
    let whole = if split == 0 { Some(0.0) } else { parse(&text[..split]) };
    let degrees = whole
        .zip(parse(&text[split..]))
        .filter(|(_, minutes)| *minutes < 60.0)
        .map(|(whole, minutes)| whole + minutes / 60.0)
        .ok_or_else(invalid)?;
    match hemisphere {
        _ if hemisphere == positive => Ok(degrees),
        _ if hemisphere == negative => Ok(-degrees),
        b"" => Err(format!("the {name} has no hemisphere")),
        _ => Err(format!("the hemisphere {} of the {name} is unknown", excerpt(hemisphere))),
    }
}

fn metres(name: &str, text: &[u8]) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or_else(|| format!("the {name} {} is not a number", excerpt(text)))
}

fn zda_day(day: &[u8], month: &[u8], year: &[u8]) -> Option<i64> {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i64>().ok();
    calendar::day(number(year)?, number(month)?, number(day)?)
}
