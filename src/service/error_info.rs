//! The details of a gRPC status for each error: ErrorInfo with its metadata, BadRequest, and RetryInfo.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::status::{ACCEPTED_ENCODINGS, RpcError};
use super::violation::FieldViolation;
use crate::auth::AuthError;
use crate::measure::PointError;
use crate::recording::RecordingError;

pub use crate::contract::reason::DOMAIN;

/// The delay after which a client may retry a call that can succeed later: long enough for a restart, short for a user.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The shortest and the longest delay of clients whose sessions end at the same time.
const SPREAD_DELAYS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

impl RpcError {
    /// Returns the ErrorInfo metadata, which programs read in addition to the reason.
    pub(super) fn metadata(&self) -> HashMap<String, String> {
        match self {
            Self::Message(error) => pair("message_index", error.message_index()),
            Self::Stream(error) => point(error.message_index()).into(),
            Self::Decode { index, .. } | Self::Point { index, .. } => point(*index).into(),
            Self::Request { place, .. } => {
                place.metadata().map_or_else(HashMap::new, |(key, value)| pair(key, value))
            }
            Self::Fields { place, violations } => {
                let at = place.metadata().map(|(key, value)| (key.to_owned(), value.to_string()));
                let field =
                    violations.first().map(|first| ("field".to_owned(), first.field.clone()));
                at.into_iter().chain(field).collect()
            }
            Self::Fix { offset, violation } => {
                let field = ("field".to_owned(), violation.field.clone());
                point(*offset).into_iter().chain([field]).collect()
            }
            Self::Recording { name, error } => {
                let mut metadata = pair("committed_points", error.committed_points());
                metadata.extend(name.clone().map(|name| ("name".to_owned(), name)));
                if let Some((field, key, place)) = fault(error) {
                    metadata.insert("field".to_owned(), field.to_owned());
                    metadata.insert(key.to_owned(), place.to_string());
                }
                metadata
            }
            Self::Store { name, committed_points, .. } => {
                let mut metadata = HashMap::from([("name".to_owned(), name.clone())]);
                if let Some(points) = committed_points {
                    metadata.insert("committed_points".to_owned(), points.to_string());
                }
                metadata
            }
            Self::OptionsDiffer { name, violations } => {
                let name = ("name".to_owned(), name.clone());
                let field =
                    violations.first().map(|first| ("field".to_owned(), first.field.clone()));
                field.into_iter().chain([name]).collect()
            }
            Self::Quota(error) => error.metadata(),
            Self::Deleted { name } | Self::QueueFull { name } => {
                HashMap::from([("name".to_owned(), name.clone())])
            }
            Self::Path { index: point_count, .. }
            | Self::Deadline { point_count }
            | Self::Idle { point_count, .. }
            | Self::ShuttingDown { point_count }
            | Self::Cut { point_count, .. } => pair("point_count", *point_count),
            _ => HashMap::new(),
        }
    }
}

/// Returns the index of a point as metadata. `offset` is the documented key; older clients read `point_index`.
fn point(index: u64) -> [(String, String); 2] {
    ["offset", "point_index"].map(|key| (key.to_owned(), index.to_string()))
}

fn pair(key: &str, value: u64) -> HashMap<String, String> {
    HashMap::from([(key.to_owned(), value.to_string())])
}

/// Returns the field that a recording error is about, and the position of its message, as ErrorInfo metadata. Returns
/// `None` if the request is valid and only does not fit the recording.
fn fault(error: &RecordingError) -> Option<(&'static str, &'static str, u64)> {
    match error {
        RecordingError::AfterEnd { point_count, .. } => Some(("points", "offset", *point_count)),
        RecordingError::OffsetMismatch { expected, .. } => {
            Some(("write_offset", "offset", *expected))
        }
        RecordingError::OffsetRequired { .. } => Some(("write_offset", "message_index", 0)),
        _ => None,
    }
}

/// Returns the field of an invalid point of a stream.
fn axis(error: &PointError) -> &'static str {
    match error {
        PointError::Latitude { .. } => "latitude",
        PointError::NotFinite { axis, .. } | PointError::PlanarRange { axis, .. } => axis,
    }
}

impl From<RpcError> for Status {
    fn from(error: RpcError) -> Self {
        let (code, reason) = error.kind();
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, error.metadata());
        match &error {
            RpcError::Fields { place, violations } => {
                for FieldViolation { field, description } in violations {
                    details.add_bad_request_violation(field, format!("{place}{description}"));
                }
            }
            RpcError::OptionsDiffer { violations, .. } => {
                for FieldViolation { field, description } in violations {
                    details.add_bad_request_violation(field, description);
                }
            }
            RpcError::Point { index, error } => {
                details.add_bad_request_violation(axis(error), format!("point {index}: {error}"));
            }
            RpcError::Fix { offset, violation } => {
                let description = format!("point {offset}: {}", violation.description);
                details.add_bad_request_violation(&violation.field, description);
            }
            RpcError::Recording { error, .. } => {
                if let Some((field, ..)) = fault(error) {
                    details.add_bad_request_violation(field, error.to_string());
                }
            }
            RpcError::Quota(error) => {
                details.set_retry_info(Some(error.retry_after));
            }
            RpcError::Unauthenticated(AuthError::Unavailable { retry_after, .. }) => {
                details.set_retry_info(Some(*retry_after));
            }
            // A reload can end the sessions of many clients, and a busy server refuses many calls. The clients do not all
            // call again at the same time.
            RpcError::SessionEnded | RpcError::Busy => {
                let [min, max] = SPREAD_DELAYS;
                details.set_retry_info(Some(min + (max - min).mul_f64(fastrand::f64())));
            }
            _ if code == Code::Unavailable
                || matches!(reason, "STORE_FULL" | "SERVER_MEMORY" | "CREATION_RATE") =>
            {
                details.set_retry_info(Some(RETRY_DELAY));
            }
            _ => {}
        }
        let mut status = Status::with_error_details(code, error.to_string(), details);
        if let RpcError::Encoding(_) = error {
            let accepted = tonic::metadata::MetadataValue::from_static(ACCEPTED_ENCODINGS);
            status.metadata_mut().insert("grpc-accept-encoding", accepted);
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::StoreError;

    #[test]
    fn every_status_has_error_info_with_the_position() {
        let error = crate::measure::Point::from_e7(i32::MAX, 0).unwrap_err();
        let status = Status::from(RpcError::Point { index: 17, error });
        assert_eq!(status.code(), Code::InvalidArgument);
        insta::assert_snapshot!(
            status.message(),
            @"point 17: latitude 214.7483647 is not between -90 and 90 degrees"
        );
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("POINT_INVALID", "waywiser"));
        assert_eq!((&*info.metadata["offset"], &*info.metadata["point_index"]), ("17", "17"));
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "latitude");
    }

    #[test]
    fn the_error_of_a_damaged_recording_has_advice() {
        let error = StoreError::Damaged("a bit is wrong".into());
        let name = "paths/a".to_owned();
        let status = Status::from(RpcError::Store { name, error, committed_points: None });
        assert_eq!(status.code(), Code::DataLoss);
        insta::assert_snapshot!(
            status.message(),
            @"paths/a: its checkpoint is damaged: a bit is wrong; delete the recording and record it again"
        );
    }

    #[test]
    fn clients_that_are_refused_at_the_same_time_are_asked_to_wait_for_different_times() {
        for error in [RpcError::SessionEnded, RpcError::Busy] {
            let delay = || {
                let status = Status::from(error.clone());
                status.get_details_retry_info().unwrap().retry_delay.unwrap()
            };
            assert_spread((0..200).map(|_| delay()).collect());
        }
    }

    fn assert_spread(mut delays: Vec<std::time::Duration>) {
        let [min, max] = SPREAD_DELAYS;
        assert!(delays.iter().all(|delay| (min..=max).contains(delay)));
        delays.sort_unstable();
        // Each fifth of the time has some of them: the chance that one has none is below 1e-18.
        for fifth in 0..5 {
            let from = min + (max - min) * fifth / 5;
            let to = from + (max - min) / 5;
            assert!(delays.iter().any(|delay| (from..=to).contains(delay)), "{delays:?}");
        }
    }

    #[test]
    fn a_refused_encoding_names_those_that_are_accepted() {
        let status = Status::from(RpcError::Encoding("br".into()));
        assert_eq!(status.code(), Code::Unimplemented);
        assert_eq!(status.metadata().get("grpc-accept-encoding").unwrap(), "identity,gzip");
    }
}
