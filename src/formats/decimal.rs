//! Parses short decimal numbers quickly and exactly.

/// The powers of ten that an `f64` represents exactly, as far as they are needed.
const POWERS: [f64; 19] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];
/// The digits of a number and a point whose whole number fits a `u64`.
const BYTES_MAX: usize = 19;
/// The value 1 in each byte.
pub(super) const EACH_BYTE: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
pub(super) const HIGH_BITS: u64 = EACH_BYTE << 7;

/// Parses a number in the form `-46.123`. Returns what [`str::parse`] returns for the same text.
///
/// The digits are a whole number below 2^53, which an `f64` represents exactly, and so is the power of ten. The
/// one division rounds once. So the result is the nearest number, as with `parse`, which is called for every
/// other text.
#[inline]
pub(super) fn parse_f64(text: &[u8]) -> Option<f64> {
    short(text).or_else(|| std::str::from_utf8(text).ok()?.parse().ok())
}

#[inline]
fn short(bytes: &[u8]) -> Option<f64> {
    let (is_negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !(1..=BYTES_MAX).contains(&digits.len()) {
        return None;
    }
    let (first, last) = match digits.split_last_chunk() {
        Some((first, last)) => (first, Some(last)),
        None => (digits, None),
    };
    let (mut mantissa, mut point) = (0_u64, None);
    for (at, &byte) in first.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = 10 * mantissa + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    if let Some(&last) = last {
        let word = u64::from_le_bytes(last);
        let difference = word ^ (EACH_BYTE * u64::from(b'.'));
        // The lowest bit marks the first point.
        let points = difference.wrapping_sub(EACH_BYTE) & !difference & HIGH_BITS;
        if points == 0 {
            mantissa = 100_000_000 * mantissa + eight_digits(word)?;
        } else if point.is_none() {
            let bit = points.trailing_zeros() & !7;
            let after = word & ((!0 << bit) << 8);
            let before = word & !(!0 << bit);
            mantissa =
                10_000_000 * mantissa + eight_digits(after | (before << 8) | u64::from(b'0'))?;
            point = Some(first.len() + bit as usize / 8);
        } else {
            return None;
        }
    }
    if mantissa >= 1 << 53 || (point.is_some() && digits.len() == 1) {
        return None;
    }
    let fraction_digits = point.map_or(0, |at| digits.len() - at - 1);
    let value = mantissa as f64 / POWERS[fraction_digits];
    Some(if is_negative { -value } else { value })
}

/// Parses eight digits. The lowest byte of `word` is the first digit.
#[inline]
fn eight_digits(word: u64) -> Option<u64> {
    let digits = word ^ (EACH_BYTE * u64::from(b'0'));
    if (digits.wrapping_add(EACH_BYTE * 0x76) | digits) & HIGH_BITS != 0 {
        return None;
    }
    // Joins neighbours: to four numbers of two digits, to two of four digits, and to one.
    let pairs = (10 * digits + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (100 * pairs + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((10_000 * fours + (fours >> 32)) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str) {
        let expected = text.parse::<f64>().ok();
        assert_eq!(
            parse_f64(text.as_bytes()).map(f64::to_bits),
            expected.map(f64::to_bits),
            "{text}"
        );
    }

    #[test]
    fn the_result_is_that_of_parse() {
        for text in [
            "",
            "-",
            ".",
            "-.",
            "+1",
            "-0",
            "-0.0",
            "0",
            "5.",
            ".5",
            "-.5",
            "1..2",
            "1.2.3",
            "1e5",
            "999999999999999",
            "9999999999999999",
            "0.000000000000001",
            "0.0000000000000001",
            "nan",
            "-inf",
            "46.1234567",
            "13.123456789012345678901234567890",
            " 1",
            "1 ",
            "--1",
            "١",
        ] {
            check(text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_result_is_that_of_parse_for_any_decimal(text in "[+-]?[0-9]{0,16}(\\.[0-9]{0,17})?") {
            check(&text);
        }

        #[test]
        fn the_result_is_that_of_parse_for_any_text(text in "[-+.e0-9naif]{0,8}") {
            check(&text);
        }

        #[test]
        fn the_result_is_that_of_parse_for_digits_with_another_byte(
            first in "-?[0-9]{0,12}",
            byte in any::<char>(),
            last in "[0-9.]{0,9}",
        ) {
            check(&format!("{first}{byte}{last}"));
        }
    }
}
