//! Options for one kind of movement.

use super::options::{EstimateOptions, InvalidPoints, Options, Reorder};

/// Which options with a default the caller sets. [`Preset::fill`] keeps them, even if they have their defaults. An
/// option that is not set by default needs no flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExplicitOptions {
    /// [`Options::stopped_speed`] is set.
    pub stopped_speed: bool,
    /// [`Options::invalid_points`] is set.
    pub invalid_points: bool,
}

/// A kind of movement, for which [`Preset::fill`] sets options. Presets are for geographic paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Walking and hiking.
    Walk,
    /// Running.
    Run,
    /// Cycling.
    Bike,
    /// Motor vehicles.
    Car,
    /// Boats.
    Boat,
    /// Aircraft.
    Flight,
    /// A phone that records all day, in any vehicle.
    Phone,
}

/// The values of a preset, in metres and metres per second.
struct Values {
    max_speed: f64,
    max_accuracy_m: f64,
    stopped_speed: f64,
    reorder_count: u32,
    drop_duplicates: bool,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 7] =
        [Self::Walk, Self::Run, Self::Bike, Self::Car, Self::Boat, Self::Flight, Self::Phone];

    /// Returns the name: `walk`, `run` and so on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Walk => "walk",
            Self::Run => "run",
            Self::Bike => "bike",
            Self::Car => "car",
            Self::Boat => "boat",
            Self::Flight => "flight",
            Self::Phone => "phone",
        }
    }

    fn values(self) -> Values {
        let drop_duplicates = self == Self::Phone;
        let (max_speed, max_accuracy_m, stopped_speed, reorder_count) = match self {
            Self::Walk => (6.0, 50.0, 0.3, 0),
            Self::Run => (12.0, 50.0, 0.5, 0),
            Self::Bike => (30.0, 50.0, 0.8, 0),
            Self::Car => (70.0, 100.0, 1.0, 0),
            Self::Boat => (40.0, 100.0, 0.5, 0),
            Self::Flight => (400.0, 500.0, 1.0, 0),
            Self::Phone => (400.0, 200.0, 0.5, 32),
        };
        Values { max_speed, max_accuracy_m, stopped_speed, reorder_count, drop_duplicates }
    }

    /// Sets the options of the preset that `options` does not set and `explicit` does not list.
    pub fn fill(self, options: Options, explicit: ExplicitOptions) -> Options {
        let values = self.values();
        let reorder = (values.reorder_count > 0)
            .then_some(Reorder { count: values.reorder_count, time_ns: None });
        Options {
            max_speed: options.max_speed.or(Some(values.max_speed)),
            max_accuracy_m: options.max_accuracy_m.or(Some(values.max_accuracy_m)),
            stopped_speed: match explicit.stopped_speed {
                true => options.stopped_speed,
                false => Some(values.stopped_speed),
            },
            reorder: options.reorder.or(reorder),
            drop_duplicates: options.drop_duplicates || values.drop_duplicates,
            estimate: options.estimate.or(Some(EstimateOptions::default())),
            reject_zero_position: true,
            invalid_points: match explicit.invalid_points {
                true => options.invalid_points,
                false => InvalidPoints::Skip,
            },
            ..options
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Metric, STOPPED_SPEED_MPS};

    #[test]
    fn a_preset_keeps_the_options_that_are_set() {
        let defaults = Options::new(Metric::Geodesic);
        let set = defaults
            .to_builder()
            .max_speed(9.0)
            .max_accuracy_m(8.0)
            .reorder(Reorder { count: 7, time_ns: None })
            .estimate(EstimateOptions { min_stop_ns: 90_000_000_000, max_trips: 3 })
            .invalid_points(InvalidPoints::Split)
            .stopped_speed(0.1)
            .build()
            .unwrap();
        let explicit = ExplicitOptions { stopped_speed: true, invalid_points: true };
        for preset in Preset::ALL {
            let kept = preset.fill(set, explicit);
            let values = preset.values();
            let expected = set.to_builder().reject_zero_position(true);
            let expected = expected.drop_duplicates(values.drop_duplicates).build().unwrap();
            assert_eq!(kept, expected);
            let filled = preset.fill(defaults, ExplicitOptions::default());
            assert_eq!(filled.max_speed(), Some(values.max_speed));
            assert_eq!(filled.stopped_speed(), Some(values.stopped_speed));
            assert_eq!(filled.invalid_points(), InvalidPoints::Skip);
            // Also an option that is set to its default is kept, and each one alone.
            let kept = preset.fill(defaults, ExplicitOptions { invalid_points: false, ..explicit });
            assert_eq!(kept.stopped_speed(), Some(STOPPED_SPEED_MPS));
            assert_eq!(kept.invalid_points(), InvalidPoints::Skip);
            let kept = preset.fill(defaults, ExplicitOptions { stopped_speed: false, ..explicit });
            assert_eq!(kept.stopped_speed(), Some(values.stopped_speed));
            assert_eq!(kept.invalid_points(), InvalidPoints::RejectCall);
        }
    }
}
