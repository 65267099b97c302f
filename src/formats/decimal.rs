//! Parses short decimal numbers quickly and exactly.

/// The powers of ten that an `f64` represents exactly, as far as they are needed.
const POWERS: [f64; 19] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];
/// The digits of a number and a point whose whole number fits a `u64`.
const BYTES_MAX: usize = 19;

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
    let (mut mantissa, mut point) = (0_u64, None);
    for (at, &byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = 10 * mantissa + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    if mantissa >= 1 << 53 || digits == b"." {
        return None;
    }
    let fraction_digits = point.map_or(0, |at| digits.len() - at - 1);
    let value = mantissa as f64 / POWERS[fraction_digits];
    Some(if is_negative { -value } else { value })
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
    }
}
