//! The flags of options, and the names of the data that they need, for messages and reports.

use tonic_types::StatusExt as _;

use crate::client::{ClientError, RecordError};
use crate::measure::MissingData;

/// Returns the flag of an option that a path did not use.
pub(super) fn flag(option: &'static str) -> &'static str {
    match option {
        "climb_smoothing_ns" => "--climb-smoothing",
        "climb_threshold" => "--min-climb",
        "drop_duplicates" => "--drop-duplicates",
        "elevation" => "--elevation",
        "estimate" => "--estimate",
        "max_accuracy_m" => "--max-accuracy",
        "max_gap_time_ns" => "--max-gap-time",
        "max_speed" => "--max-speed",
        "reject_backward_time" => "--reject-backward-time",
        "reorder" => "--reorder",
        "stopped_speed" => "--stopped-speed",
        "windows" => "--by",
        option => option,
    }
}

/// Returns the name of data that points lack.
pub(super) fn missing_data(missing: MissingData) -> &'static str {
    match missing {
        MissingData::Time => "time",
        MissingData::Z => "elevation",
        MissingData::Accuracy => "accuracy",
    }
}

/// Returns the flag that sets a field of `PathOptions`. Some fields have none.
fn flag_of_field(field: &str) -> Option<&'static str> {
    Some(match field {
        "model" => "--model",
        "elevation_mode" => "--elevation",
        "max_gap_time" => "--max-gap-time",
        "max_gap_m" | "max_gap" => "--max-gap",
        "max_speed_mps" | "max_speed" => "--max-speed",
        "reanchor_count" => "--reanchor-count",
        "min_step_m" | "min_step" => "--min-step",
        "max_accuracy_m" => "--max-accuracy",
        "reject_backward_time" => "--reject-backward-time",
        "stopped_speed_mps" | "stopped_speed" => "--stopped-speed",
        "invalid_points" => "--on-invalid",
        "estimate" => "--estimate",
        "min_stop_time" => "--min-stop-time",
        "reject_zero_position" => "--reject-zero-position",
        "reorder_count" => "--reorder",
        "reorder_time" => "--reorder-time",
        "drop_duplicates" => "--drop-duplicates",
        "min_climb_m" | "min_climb" => "--min-climb",
        "climb_smoothing_time" => "--climb-smoothing",
        _ => return None,
    })
}

/// Returns the message of an error, with the flags of the options that it is about.
pub(super) fn explain(error: &RecordError) -> String {
    let RecordError::Refused { source: ClientError::Status(status), .. } = error else {
        return error.to_string();
    };
    let violations = status.get_details_bad_request().map(|request| request.field_violations);
    let violations = violations.unwrap_or_default();
    let fields = violations.iter().filter_map(|violation| violation.field.strip_prefix("options."));
    let mut flags: Vec<&str> = fields.filter_map(flag_of_field).collect();
    flags.dedup();
    match &flags[..] {
        [] => error.to_string(),
        [flag] => format!("{error} (the flag is {flag})"),
        flags => format!("{error} (the flags are {})", flags.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use tonic::{Code, Status};
    use tonic_types::ErrorDetails;

    use super::*;

    fn explained(fields: &[&str]) -> String {
        let mut details = ErrorDetails::new();
        for field in fields {
            details.add_bad_request_violation(*field, "it is 3 in this message");
        }
        let status = Status::with_error_details(Code::FailedPrecondition, "differ", details);
        let source = ClientError::from(Box::new(status));
        explain(&RecordError::Refused { name: "paths/a".parse().unwrap(), source })
    }

    #[test]
    fn an_error_about_options_names_their_flags() {
        let plain = explained(&[]);
        assert!(plain.ends_with("differ"), "{plain}");
        assert_eq!(explained(&["options.xy_resolution", "points[2].x"]), plain);
        let one = explained(&["options.min_step_m"]);
        assert_eq!(one, format!("{plain} (the flag is --min-step)"));
        let all = explained(&["options.estimate", "options.reorder_count", "options.min_climb"]);
        assert_eq!(all, format!("{plain} (the flags are --estimate, --reorder, --min-climb)"));
    }

    /// Each option that a client can set has a flag, except those that `record` does not offer.
    #[test]
    fn the_fields_of_options_have_flags() {
        // The readers of files use the default resolutions, a summary on the command line lists no trips, and a preset
        // sets other options.
        let without = ["xy_resolution", "z_resolution", "max_trips", "windows", "preset"];
        let files =
            prost_types::FileDescriptorSet::decode(crate::proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut messages = files.file.iter().flat_map(|file| &file.message_type);
        let options = messages.find(|message| message.name() == "PathOptions").unwrap();
        assert!(!options.field.is_empty());
        for field in &options.field {
            let field = field.name();
            assert_eq!(flag_of_field(field).is_none(), without.contains(&field), "{field}");
        }
    }
}
