//! Options for one kind of movement.

use super::options::{EstimateOptions, InvalidPoints, Options, Reorder};

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
        let (max_speed, max_accuracy_m, stopped_speed, reorder_count) = match self {
            Self::Walk => (6.0, 50.0, 0.3, 0),
            Self::Run => (12.0, 50.0, 0.5, 0),
            Self::Bike => (30.0, 50.0, 0.8, 0),
            Self::Car => (70.0, 100.0, 1.0, 0),
            Self::Boat => (40.0, 100.0, 0.5, 0),
            Self::Flight => (400.0, 500.0, 1.0, 0),
            Self::Phone => (400.0, 200.0, 0.5, 32),
        };
        Values { max_speed, max_accuracy_m, stopped_speed, reorder_count }
    }

    /// Sets the options of the preset that still have their defaults.
    pub fn fill(self, options: Options) -> Options {
        let defaults = Options::new(options.metric);
        let values = self.values();
        let reorder = (values.reorder_count > 0)
            .then_some(Reorder { count: values.reorder_count, time_ns: None });
        let is_default = options.stopped_speed == defaults.stopped_speed;
        let invalid_points = match options.invalid_points {
            InvalidPoints::RejectCall => InvalidPoints::Skip,
            set => set,
        };
        Options {
            max_speed: options.max_speed.or(Some(values.max_speed)),
            max_accuracy_m: options.max_accuracy_m.or(Some(values.max_accuracy_m)),
            stopped_speed: if is_default {
                Some(values.stopped_speed)
            } else {
                options.stopped_speed
            },
            reorder: options.reorder.or(reorder),
            estimate: options.estimate.or(Some(EstimateOptions::default())),
            reject_zero_position: true,
            invalid_points,
            ..options
        }
    }
}
