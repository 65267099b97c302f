//! The conversions of this service: those of [`crate::contract`], with violations as fields of the request, and the
//! message of a recording.

use super::scope::PathName;
use crate::contract::points::row;
use crate::contract::time::timestamp;
use crate::contract::{options, summary};
use crate::measure::{EstimateOptions, Metric, Options, WindowOptions};
use crate::proto::waywiser_v1 as pb;
use crate::recording::Checkpoint;
use crate::service::violation::FieldViolation;

pub(super) use crate::contract::summary::to_message as summary_message;
pub(super) use crate::contract::time::unix_ns;

/// Returns the metric of a model whose field in the request is `field`.
///
/// # Errors
/// The model is unknown.
pub(super) fn metric(model: i32, field: &str) -> Result<Metric, FieldViolation> {
    options::metric(model)
        .ok_or_else(|| FieldViolation::new(field, format!("there is no model {model}")))
}

/// Reads options whose field in the request is `options`.
///
/// # Errors
/// All violations.
pub(super) fn options(message: &pb::PathOptions) -> Result<Options, Vec<FieldViolation>> {
    let options = options::from_message(message).map_err(|violations| {
        let violation = |options::OptionViolation { field, description }| {
            FieldViolation::new(format!("options.{field}"), description)
        };
        violations.into_iter().map(violation).collect::<Vec<_>>()
    })?;
    let limits = Limits {
        max_trips: EstimateOptions::TRIPS_MAX,
        max_windows: WindowOptions::REPLY_WINDOWS_MAX,
    };
    match limits.violations(&options, "") {
        violations if violations.is_empty() => Ok(options),
        violations => Err(violations),
    }
}

/// Checks that the lists of a recording, which are stored with each commit, are short enough.
///
/// # Errors
/// All violations.
pub(super) fn check_recorded(options: &Options) -> Result<(), Vec<FieldViolation>> {
    let max_windows = WindowOptions::RECORDING_WINDOWS_MAX;
    let limits = Limits { max_trips: EstimateOptions::RECORDING_TRIPS_MAX, max_windows };
    match limits.violations(options, " in a recording") {
        violations if violations.is_empty() => Ok(()),
        violations => Err(violations),
    }
}

/// The maximum lengths of the lists of a summary.
struct Limits {
    max_trips: u32,
    max_windows: u32,
}

impl Limits {
    fn violations(&self, options: &Options, place: &str) -> Vec<FieldViolation> {
        let lists = [
            ("max_trips", options.estimate().map(|estimate| estimate.max_trips), self.max_trips),
            ("windows.max_windows", options.windows().map(|w| w.max_windows), self.max_windows),
        ];
        let too_long = lists.into_iter().filter_map(|(field, count, max)| {
            let count = count.filter(|&count| count > max)?;
            let text = format!("it is {count}, and must be at most {max}{place}");
            Some(FieldViolation::new(format!("options.{field}"), text))
        });
        too_long.collect()
    }
}

/// Converts a recording into a message.
pub(super) fn path_message(name: &PathName, checkpoint: &Checkpoint) -> pb::Path {
    let accumulator = &checkpoint.accumulator;
    pb::Path {
        name: name.to_string(),
        complete: checkpoint.complete,
        committed_points: checkpoint.committed_points(),
        summary: Some(summary::to_message(accumulator.options(), &accumulator.summary())),
        create_time: Some(timestamp(checkpoint.create_unix_ms)),
        update_time: Some(timestamp(checkpoint.update_unix_ms)),
        expire_time: Some(timestamp(checkpoint.expire_unix_ms)),
        last_point: accumulator.last_fix().map(row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_has_the_path_of_its_field_in_the_request() {
        let message = pb::PathOptions { model: 9, max_accuracy_m: -1.0, ..Default::default() };
        let violations = options(&message).unwrap_err();
        let texts: Vec<_> = violations.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(texts.join("\n"), @r"
        options.model: there is no model 9
        options.max_accuracy_m: -1 is not a finite number of at least 0; 0 means not set
        ");
        let lists = |max_trips, max_windows| pb::PathOptions {
            estimate: true,
            max_trips,
            windows: Some(pb::WindowOptions { unit: 2, max_windows, ..Default::default() }),
            ..Default::default()
        };
        insta::assert_snapshot!(
            options(&lists(5, 1001)).unwrap_err()[0],
            @"options.windows.max_windows: it is 1001, and must be at most 1000"
        );
        let allowed = options(&lists(1000, 1000)).unwrap();
        let texts: Vec<_> =
            check_recorded(&allowed).unwrap_err().iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(texts.join("\n"), @r"
        options.max_trips: it is 1000, and must be at most 32 in a recording
        options.windows.max_windows: it is 1000, and must be at most 400 in a recording
        ");
        assert_eq!(check_recorded(&options(&lists(32, 0)).unwrap()), Ok(()));
        assert_eq!(metric(3, "model"), Ok(Metric::Planar));
        assert_eq!(metric(9, "model").unwrap_err().field, "model");
    }
}
