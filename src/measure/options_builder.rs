//! The builder of [`Options`]: sets one option per call and checks all of them at the end.

use super::metric::Metric;
use super::options::{
    ClimbOptions, Elevation, EstimateOptions, InvalidPoints, Options, OptionsError, Reorder,
};
use super::windows::WindowOptions;

/// Sets options one by one; [`OptionsBuilder::build`] checks them.
///
/// The setters of rules take a number, or an `Option` in which `None` turns the rule off.
/// [`Options::builder`] makes a builder; the getters of [`Options`] describe the options.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct OptionsBuilder {
    options: Options,
}

impl Options {
    /// Returns a builder that starts from [`Options::new`].
    pub fn builder(metric: Metric) -> OptionsBuilder {
        Self::new(metric).to_builder()
    }

    /// Returns a builder that starts from these options.
    pub fn to_builder(self) -> OptionsBuilder {
        OptionsBuilder { options: self }
    }
}

impl OptionsBuilder {
    /// Sets [`Options::elevation`].
    pub fn elevation(mut self, elevation: Elevation) -> Self {
        self.options.elevation = elevation;
        self
    }

    /// Sets [`Options::xy_resolution`].
    pub fn xy_resolution(mut self, xy_resolution: f64) -> Self {
        self.options.xy_resolution = xy_resolution;
        self
    }

    /// Sets [`Options::z_resolution`].
    pub fn z_resolution(mut self, z_resolution: f64) -> Self {
        self.options.z_resolution = z_resolution;
        self
    }

    /// Sets [`Options::max_gap_time_ns`].
    pub fn max_gap_time_ns(mut self, max_gap_time_ns: impl Into<Option<u64>>) -> Self {
        self.options.max_gap_time_ns = max_gap_time_ns.into();
        self
    }

    /// Sets [`Options::max_gap`].
    pub fn max_gap(mut self, max_gap: impl Into<Option<f64>>) -> Self {
        self.options.max_gap = max_gap.into();
        self
    }

    /// Sets [`Options::max_speed`].
    pub fn max_speed(mut self, max_speed: impl Into<Option<f64>>) -> Self {
        self.options.max_speed = max_speed.into();
        self
    }

    /// Sets [`Options::reanchor_count`].
    pub fn reanchor_count(mut self, reanchor_count: u32) -> Self {
        self.options.reanchor_count = reanchor_count;
        self
    }

    /// Sets [`Options::min_step`].
    pub fn min_step(mut self, min_step: impl Into<Option<f64>>) -> Self {
        self.options.min_step = min_step.into();
        self
    }

    /// Sets [`Options::max_accuracy_m`].
    pub fn max_accuracy_m(mut self, max_accuracy_m: impl Into<Option<f64>>) -> Self {
        self.options.max_accuracy_m = max_accuracy_m.into();
        self
    }

    /// Sets [`Options::reject_backward_time`].
    pub fn reject_backward_time(mut self, reject_backward_time: bool) -> Self {
        self.options.reject_backward_time = reject_backward_time;
        self
    }

    /// Sets [`Options::stopped_speed`].
    pub fn stopped_speed(mut self, stopped_speed: impl Into<Option<f64>>) -> Self {
        self.options.stopped_speed = stopped_speed.into();
        self
    }

    /// Sets [`Options::invalid_points`].
    pub fn invalid_points(mut self, invalid_points: InvalidPoints) -> Self {
        self.options.invalid_points = invalid_points;
        self
    }

    /// Sets [`Options::reject_zero_position`].
    pub fn reject_zero_position(mut self, reject_zero_position: bool) -> Self {
        self.options.reject_zero_position = reject_zero_position;
        self
    }

    /// Sets [`Options::reorder`].
    pub fn reorder(mut self, reorder: impl Into<Option<Reorder>>) -> Self {
        self.options.reorder = reorder.into();
        self
    }

    /// Sets [`Options::drop_duplicates`].
    pub fn drop_duplicates(mut self, drop_duplicates: bool) -> Self {
        self.options.drop_duplicates = drop_duplicates;
        self
    }

    /// Sets [`Options::climb`].
    pub fn climb(mut self, climb: ClimbOptions) -> Self {
        self.options.climb = climb;
        self
    }

    /// Sets [`Options::estimate`].
    pub fn estimate(mut self, estimate: impl Into<Option<EstimateOptions>>) -> Self {
        self.options.estimate = estimate.into();
        self
    }

    /// Sets [`Options::windows`].
    pub fn windows(mut self, windows: impl Into<Option<WindowOptions>>) -> Self {
        self.options.windows = windows.into();
        self
    }

    /// Returns the options.
    ///
    /// # Errors
    /// Returns the first option that is out of range: a distance, speed or resolution must be above 0
    /// and at most 2^40, and a count or time must be at least 1.
    pub fn build(self) -> Result<Options, OptionsError> {
        self.options.check()?;
        Ok(self.options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_is_out_of_range_is_named() {
        let builder = Options::builder(Metric::Geodesic);
        assert_eq!(builder.build(), Ok(Options::default()));
        insta::assert_snapshot!(
            builder.max_speed(f64::NAN).build().unwrap_err(),
            @"max_speed is NaN, and must be a number above 0, at most 2^40"
        );
        insta::assert_snapshot!(
            builder.reanchor_count(0).build().unwrap_err(),
            @"reanchor_count is 0, and must be from 1 to 16"
        );
        assert!(builder.max_gap_time_ns(0_u64).build().is_err());
        for value in [0.0, -1.0, f64::INFINITY, 2_f64.powi(41)] {
            assert!(builder.min_step(value).build().is_err());
            assert!(builder.xy_resolution(value).build().is_err());
        }
    }
}
