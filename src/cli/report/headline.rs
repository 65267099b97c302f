//! The most important totals on one line, for a picture.

use super::text::{grouped, short_duration};
use super::units::Units;
use crate::measure::{PathSummary, Space};

/// Returns the length, the raw length if it differs, the time, the ascent and the descent, as far as they are known.
pub(in crate::cli) fn headline(summary: &PathSummary, units: Units) -> String {
    let is_planar = summary.metric.space() == Space::Planar;
    let length = |length: f64| match is_planar {
        true => grouped(&format!("{length:.3}")),
        false => grouped(&units.format_length(length)),
    };
    let elevation = |value: f64| match is_planar {
        true => grouped(&format!("{value:.0}")),
        false => grouped(&units.format_whole_elevation(value)),
    };
    let mut parts = vec![format!("Length {}", length(summary.length))];
    if summary.raw_length.to_bits() != summary.length.to_bits() {
        parts.push(format!("{} with rejected points", length(summary.raw_length)));
    }
    if let Some(estimate) = &summary.estimate {
        let [low, high] = [estimate.low_m, estimate.high_m].map(|end| units.format_estimate(end));
        parts.push(format!("estimate {} to {}", grouped(&low), grouped(&high)));
    }
    if let Some(ns) = summary.elapsed_ns {
        parts.push(format!("time {}", short_duration(ns)));
    }
    if let (Some(up), Some(down)) = (summary.ascent, summary.descent) {
        parts.push(format!("ascent {}, descent {}", elevation(up), elevation(down)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Metric, Options, PathAccumulator};

    #[test]
    fn a_headline_has_what_is_known() {
        let summary = |metric| PathAccumulator::new(Options::new(metric)).summary();
        let walk = PathSummary {
            length: 12_345.678,
            raw_length: 12_400.0,
            elapsed_ns: Some(4_260_000_000_000),
            ascent: Some(1234.4),
            descent: Some(0.0),
            ..summary(Metric::Geodesic)
        };
        insta::assert_snapshot!(
            headline(&walk, Units::Km),
            @"Length 12.346 km, 12.400 km with rejected points, time 1h 11m, ascent 1 234 m, descent 0 m"
        );
        let plane = PathSummary { length: 5.0, raw_length: 5.0, ..summary(Metric::Planar) };
        assert_eq!(headline(&plane, Units::Km), "Length 5.000");
    }
}
