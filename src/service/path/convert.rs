//! The conversions of this service: those of [`crate::contract`], with violations as fields of the request, and the
//! message of a recording.

use crate::contract::time::timestamp;
use crate::contract::{options, summary};
use crate::measure::{Metric, Options};
use crate::proto::waywiser_v1 as pb;
use crate::recording::{Checkpoint, RecordingName};
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
    options::from_message(message).map_err(|violations| {
        let violation = |options::OptionViolation { field, description }| {
            FieldViolation::new(format!("options.{field}"), description)
        };
        violations.into_iter().map(violation).collect()
    })
}

/// Converts a recording into a message.
pub(super) fn path_message(name: &RecordingName, checkpoint: &Checkpoint) -> pb::Path {
    let accumulator = &checkpoint.accumulator;
    pb::Path {
        name: name.to_string(),
        complete: checkpoint.complete,
        committed_points: checkpoint.committed_points(),
        summary: Some(summary::to_message(accumulator.options(), &accumulator.summary())),
        create_time: Some(timestamp(checkpoint.create_unix_ms)),
        update_time: Some(timestamp(checkpoint.update_unix_ms)),
        expire_time: Some(timestamp(checkpoint.expire_unix_ms)),
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
        assert_eq!(metric(3, "model"), Ok(Metric::Planar));
        assert_eq!(metric(9, "model").unwrap_err().field, "model");
    }
}
