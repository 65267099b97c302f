//! The conversion of whole numbers with a resolution to `f64`, with one rounding where possible.

/// The operation that converts whole numbers of a resolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// Division by a whole number, if the resolution is one divided by it. The quotient is the `f64`
    /// nearest to the decimal number, the same value as from a text file. A product would sometimes
    /// differ by a rounding error.
    Over(f64),
    /// Multiplication by the resolution, in all other cases.
    Times(f64),
}

impl Scale {
    pub(super) fn new(resolution: f64) -> Self {
        const WHOLE_MAX: f64 = (1_u64 << 53) as f64;
        let parts = (1.0 / resolution).round();
        if (1.0..=WHOLE_MAX).contains(&parts) && 1.0 / parts == resolution {
            Scale::Over(parts)
        } else {
            Scale::Times(resolution)
        }
    }

    #[inline(always)]
    pub(super) fn apply(self, value: f64) -> f64 {
        match self {
            Scale::Over(parts) => value / parts,
            Scale::Times(resolution) => value * resolution,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_decimal_resolution_gives_the_parsed_decimal_number(
            value in -(1_i64 << 53)..=1 << 53, digits in 0..12_i32,
        ) {
            let written = |value: i64| format!("{value}e-{digits}").parse::<f64>().unwrap();
            prop_assert_eq!(Scale::new(written(1)).apply(value as f64), written(value));
        }
    }

    #[test]
    fn other_resolutions_multiply() {
        assert_eq!(Scale::new(2.5), Scale::Times(2.5));
        assert_eq!(Scale::new(0.3).apply(2.0), 0.6);
        for resolution in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Scale::new(resolution), Scale::Times(_)));
        }
    }
}
