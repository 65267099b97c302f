//! The units of lengths and speeds in reports.

use clap::ValueEnum;

use crate::measure::Space;

/// A unit of length, and the unit of speed that goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Units {
    /// Metres, and metres per second
    #[default]
    M,
    /// Kilometres, and kilometres per hour
    Km,
    /// Miles of 1609.344 m, and miles per hour
    Mi,
    /// Nautical miles of 1852 m, and knots
    Nmi,
    /// Feet of 0.3048 m, and feet per second
    Ft,
}

const FOOT_M: f64 = 0.3048;

impl Units {
    /// Returns the symbol of the unit of length.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Units::M => "m",
            Units::Km => "km",
            Units::Mi => "mi",
            Units::Nmi => "nmi",
            Units::Ft => "ft",
        }
    }

    /// Converts a length in metres.
    pub(super) fn length(self, length_m: f64) -> f64 {
        length_m
            / match self {
                Units::M => 1.0,
                Units::Km => 1000.0,
                Units::Mi => 1609.344,
                Units::Nmi => 1852.0,
                Units::Ft => FOOT_M,
            }
    }

    /// Formats a length in metres, without grouped digits.
    pub(super) fn format_length(self, length_m: f64) -> String {
        let decimals = if self == Units::Ft { 1 } else { 3 };
        format!("{:.decimals$} {}", self.length(length_m), self.symbol())
    }

    /// Formats a length in metres without decimals and without grouped digits.
    pub(super) fn format_whole(self, length_m: f64) -> String {
        format!("{:.0} {}", self.length(length_m), self.symbol())
    }

    /// Formats an estimated length in metres, without grouped digits. Its decimals are fewer than those of a measured
    /// one.
    pub(super) fn format_estimate(self, length_m: f64) -> String {
        let decimals = if matches!(self, Units::M | Units::Ft) { 0 } else { 3 };
        format!("{:.decimals$} {}", self.length(length_m), self.symbol())
    }

    /// Formats a difference in elevation in metres: in feet for miles and feet, and otherwise in metres.
    pub(super) fn format_elevation(self, elevation_m: f64) -> String {
        match self {
            Units::Mi | Units::Ft => format!("{:.1} ft", elevation_m / FOOT_M),
            Units::M | Units::Km | Units::Nmi => format!("{elevation_m:.3} m"),
        }
    }

    /// Formats a difference in elevation in metres without decimals.
    pub(super) fn format_whole_elevation(self, elevation_m: f64) -> String {
        let (unit, factor) = self.elevation_unit(Space::Geographic);
        format!("{:.0} {unit}", elevation_m * factor)
    }

    /// Returns the unit of elevations, and the factor from metres to it. Planar values have no unit.
    pub(in crate::cli) fn elevation_unit(self, space: Space) -> (&'static str, f64) {
        match self {
            _ if space == Space::Planar => ("", 1.0),
            Units::Mi | Units::Ft => ("ft", 1.0 / FOOT_M),
            Units::M | Units::Km | Units::Nmi => ("m", 1.0),
        }
    }

    /// Returns the unit of speeds in a picture, and the factor from metres per second to it. Planar values have no unit.
    pub(in crate::cli) fn speed_unit(self, space: Space) -> (&'static str, f64) {
        match self {
            _ if space == Space::Planar => ("", 1.0),
            // People know speeds in km/h.
            Units::M | Units::Km => ("km/h", 3.6),
            Units::Mi => ("mph", 3600.0 / 1609.344),
            Units::Nmi => ("kn", 3600.0 / 1852.0),
            Units::Ft => ("ft/s", 1.0 / FOOT_M),
        }
    }

    /// Returns the unit of distances up to `longest_m`, and the metres of it. Planar values have no unit.
    pub(in crate::cli) fn distance_unit(self, space: Space, longest_m: f64) -> (&'static str, f64) {
        match self {
            _ if space == Space::Planar => ("", 1.0),
            Units::M if longest_m >= 5000.0 => ("km", 1000.0),
            units => (units.symbol(), 1.0 / units.length(1.0)),
        }
    }

    /// Formats a speed in metres per second.
    pub(super) fn format_speed(self, speed_mps: f64) -> String {
        const HOUR_S: f64 = 3600.0;
        match self {
            Units::M | Units::Ft => format!("{}/s", self.format_length(speed_mps)),
            Units::Km => format!("{:.3} km/h", self.length(speed_mps * HOUR_S)),
            Units::Mi => format!("{:.3} mph", self.length(speed_mps * HOUR_S)),
            Units::Nmi => format!("{:.3} kn", self.length(speed_mps * HOUR_S)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_speeds_have_the_unit() {
        // The definitions of the units: 1609.344 m, 1852 m and 0.3048 m.
        assert_eq!(Units::M.format_length(1609.344), "1609.344 m");
        assert_eq!(Units::Km.format_length(1609.344), "1.609 km");
        assert_eq!(Units::Mi.format_length(1609.344), "1.000 mi");
        assert_eq!(Units::Nmi.format_length(1852.0), "1.000 nmi");
        assert_eq!(Units::Ft.format_length(1609.344), "5280.0 ft");
        assert_eq!(Units::Km.format_whole(1609.344), "2 km");
        assert_eq!(Units::M.format_speed(2.0), "2.000 m/s");
        assert_eq!(Units::Km.format_speed(10.0), "36.000 km/h");
        assert_eq!(Units::Mi.format_speed(1609.344 / 36.0), "100.000 mph");
        assert_eq!(Units::Nmi.format_speed(1852.0 / 3600.0), "1.000 kn");
        assert_eq!(Units::Ft.format_speed(0.3048), "1.0 ft/s");
        assert_eq!(Units::Mi.format_elevation(3.048), "10.0 ft");
        assert_eq!(Units::Nmi.format_elevation(3.048), "3.048 m");
    }
}
