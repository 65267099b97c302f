//! Round numbers for the lines of a grid and for scales.

/// Maximum number of ticks of a scale.
const TICKS_MAX: usize = 60;

/// Returns the smallest of 1, 2 and 5 times a power of ten that is at least `value`.
pub(super) fn round_up(value: f64) -> f64 {
    let power = libm::pow(10.0, libm::floor(libm::log10(value)));
    if !(power.is_finite() && power > 0.0) {
        return 1.0;
    }
    [1.0, 2.0, 5.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|&step| step >= value * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// Returns the largest of 1, 2 and 5 times a power of ten that is at most `value`.
pub(super) fn round_down(value: f64) -> f64 {
    let up = round_up(value);
    if up <= value * (1.0 + 1e-9) {
        return up;
    }
    // 5 is preceded by 2, and 1 and 2 by their halves.
    let digit = up / libm::pow(10.0, libm::floor(libm::log10(up) + 1e-9));
    if (digit - 5.0).abs() < 0.5 { up / 2.5 } else { up / 2.0 }
}

/// Round values of a scale.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ticks {
    pub(super) values: Vec<f64>,
    step: f64,
}

impl Ticks {
    /// Returns the multiples of `step` from `low` to `high`.
    pub(super) fn of_step(low: f64, high: f64, step: f64) -> Self {
        let first = libm::ceil(low / step - 1e-9);
        let count = (libm::floor(high / step + 1e-9) - first + 1.0).clamp(0.0, TICKS_MAX as f64);
        let values = (0..count as usize).map(|index| (first + index as f64) * step + 0.0);
        Self { values: values.collect(), step }
    }

    /// Returns about `count` values from `low` to `high`.
    pub(super) fn about(low: f64, high: f64, count: f64) -> Self {
        Self::of_step(low, high, round_up((high - low) / count))
    }

    /// Formats a value with the decimal places of the step.
    pub(super) fn label(&self, value: f64) -> String {
        let decimals = libm::ceil(-libm::log10(self.step) - 1e-9).clamp(0.0, 9.0) as usize;
        let text = format!("{value:.decimals$}");
        let is_zero = !text.contains(|char: char| matches!(char, '1'..='9'));
        if is_zero { text.trim_start_matches('-').to_owned() } else { text }
    }
}
