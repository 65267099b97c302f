//! Reads the period of validity of an X.509 certificate.
//!
//! rustls and webpki check the period of client certificates but do not return it. This reader follows only the fields
//! up to the period: RFC 5280, section 4.1.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The times between which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The tag of the version, `[0] EXPLICIT`.
const VERSION: u8 = 0xa0;

/// Returns the period of validity of a certificate in DER, or `None` if the bytes are not a certificate.
pub(super) fn of(certificate: &[u8]) -> Option<Validity> {
    let (certificate, _) = value(certificate, SEQUENCE)?;
    let (mut fields, _) = value(certificate, SEQUENCE)?;
    if let Some((_, rest)) = value(fields, VERSION) {
        fields = rest;
    }
    let (_serial_number, fields) = value(fields, INTEGER)?;
    let (_signature_algorithm, fields) = value(fields, SEQUENCE)?;
    let (_issuer, fields) = value(fields, SEQUENCE)?;
    let (period, _) = value(fields, SEQUENCE)?;
    let (not_before, rest) = time(period)?;
    let (not_after, _) = time(rest)?;
    Some(Validity { not_before, not_after })
}

/// Splits off the first value, which must have this tag. Returns its content and the bytes after it.
fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first != tag {
        return None;
    }
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(length) {
        short @ 0..=0x7f => (short, rest),
        // Certificates are shorter than 16 MiB.
        long @ 0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// Splits off a time. RFC 5280 requires UTC with seconds, and two-digit years from 1950 to 2049.
fn time(bytes: &[u8]) -> Option<(SystemTime, &[u8])> {
    let (year, digits, rest) = if let Some((text, rest)) = value(bytes, UTC_TIME) {
        let (year, digits) = text.split_at_checked(2)?;
        let year = number(year)?;
        (if year < 50 { 2000 + year } else { 1900 + year }, digits, rest)
    } else {
        let (text, rest) = value(bytes, GENERALIZED_TIME)?;
        let (year, digits) = text.split_at_checked(4)?;
        (number(year)?, digits, rest)
    };
    let [fields @ .., b'Z'] = digits else { return None };
    let mut numbers = [0; 5];
    if fields.len() != 2 * numbers.len() {
        return None;
    }
    for (number_of, digits) in numbers.iter_mut().zip(fields.chunks(2)) {
        *number_of = number(digits)?;
    }
    let [month, day, hour, minute, second] = numbers;
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let offset = Duration::from_secs(seconds.unsigned_abs());
    let time =
        if seconds < 0 { UNIX_EPOCH.checked_sub(offset) } else { UNIX_EPOCH.checked_add(offset) };
    Some((time?, rest))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// Returns the number of days from 1970-01-01 to a date of the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years from March to February end with the leap day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    const DAYS_TO_1970: i64 = 719_468;
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn seconds(time: SystemTime) -> u64 {
        time.duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    fn certificate(from: (i32, u8, u8), to: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["example.org".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(to.0, to.1, to.2);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_period_is_read_in_both_forms_of_time() {
        // `date -u -d 2024-02-29 +%s` and the like. Years from 2050 are a GeneralizedTime.
        let validity = of(&certificate((2024, 2, 29), (2049, 12, 31))).unwrap();
        assert_eq!(seconds(validity.not_before), 1_709_164_800);
        assert_eq!(seconds(validity.not_after), 2_524_521_600);
        let validity = of(&certificate((1970, 1, 1), (2100, 3, 1))).unwrap();
        assert_eq!(seconds(validity.not_before), 0);
        assert_eq!(seconds(validity.not_after), 4_107_542_400);
    }

    #[test]
    fn a_certificate_without_a_known_end_is_read() {
        // RFC 5280, section 4.1.2.5: 99991231235959Z.
        let mut params = CertificateParams::new(vec!["example.org".to_owned()]).unwrap();
        params.not_after = date_time_ymd(9999, 12, 31);
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        assert_eq!(seconds(of(&der).unwrap().not_after), 253_402_214_400);
    }

    #[test]
    fn bytes_that_are_not_a_certificate_have_no_period() {
        let der = certificate((2024, 1, 1), (2025, 1, 1));
        for end in 0..der.len() {
            assert_eq!(of(&der[..end]), None, "{end} bytes");
        }
        for index in 0..200 {
            let mut damaged = der.clone();
            damaged[index] ^= 0xff;
            // Must not panic. Most damage is found.
            let _ = of(&damaged);
        }
        assert_eq!(time(b"\x17\x0d240230235959X"), None);
        assert_eq!(time(b"\x17\x0d241330235959Z"), None);
        assert_eq!(time(b"\x17\x0d2412302359-9Z"), None);
        assert_eq!(time(b"\x17\x0b2412302359Z"), None);
    }
}
