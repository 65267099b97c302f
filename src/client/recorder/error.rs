//! The errors of a recorder.

use std::time::Duration;

use crate::client::ClientError;
use crate::measure::Space;
use crate::recording::RecordingName;

/// The error of a recorder. Durable points stay stored, and the recording can be resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The server refused the recording, and a retry cannot succeed.
    #[error("{name}: {source}")]
    Refused {
        /// The recording.
        name: RecordingName,
        /// The error of the call.
        source: ClientError,
    },
    /// Another client has started to write the recording.
    #[error(
        "{name} is now written by another client, which continues after the points that were sent so far"
    )]
    Fenced {
        /// The recording.
        name: RecordingName,
    },
    /// The server asks for a wait until after the end of the time for retries, which is the budget of the
    /// [`RetryPolicy`](crate::client::RetryPolicy).
    #[error(
        "{name}: the server asks to try again in {} s, and the recorder retries for a shorter time{}: {source}",
        seconds(*delay),
        after(*committed_points)
    )]
    RetryTooLate {
        /// The recording.
        name: RecordingName,
        /// The number of points that are known to be durable.
        committed_points: u64,
        /// The wait that the server asks for.
        delay: Duration,
        /// The error of the server.
        source: ClientError,
    },
    /// No point became durable within the budget of the [`RetryPolicy`](crate::client::RetryPolicy).
    #[error(
        "{name}: no point became durable for {} s{}: {source}",
        seconds(*elapsed),
        after(*committed_points)
    )]
    TimedOut {
        /// The recording.
        name: RecordingName,
        /// The number of points that are known to be durable.
        committed_points: u64,
        /// The time without progress.
        elapsed: Duration,
        /// The last error.
        source: ClientError,
    },
    /// The server has fewer points than it had reported as durable: the recording was deleted, or the disk was lost.
    #[error(
        "{name}: the server has {got} points, and had {durable}; the recording was deleted or lost: record it again from the start"
    )]
    PointsLost {
        /// The recording.
        name: RecordingName,
        /// The number of points that were durable.
        durable: u64,
        /// The number of points that the server has now.
        got: u64,
    },
    /// The source has another number of fixes than the recording.
    #[error(
        "{name} has {stored} points already, and {}; record another path under another name",
        source_length(*source_points)
    )]
    SourceLength {
        /// The recording.
        name: RecordingName,
        /// The number of points of the recording.
        stored: u64,
        /// The number of fixes of the source. `None` if the source has more than the recording.
        source_points: Option<u64>,
    },
    /// The first fixes of the source differ from those of the recording.
    #[error(
        "{name} has {stored} points already, and the first {stored} points to record are different; record another path under another name"
    )]
    SourceDiffers {
        /// The recording.
        name: RecordingName,
        /// The number of points of the recording.
        stored: u64,
    },
    /// A fix is not in the space of the metric.
    #[error("fix {offset} is {space}, and the metric takes {wanted} fixes")]
    Space {
        /// The offset of the fix.
        offset: u64,
        /// The space of the fix.
        space: Space,
        /// The space of the metric.
        wanted: Space,
    },
    /// A fix has no valid position, and the options do not skip such fixes.
    #[error(
        "fix {offset} has no valid position; set invalid_points to skip such fixes or to start a segment after them"
    )]
    InvalidPosition {
        /// The offset of the fix.
        offset: u64,
    },
}

fn source_length(points: Option<u64>) -> String {
    match points {
        None => "there are more points to record".to_owned(),
        Some(1) => "there is 1 point to record".to_owned(),
        Some(points) => format!("there are {points} points to record"),
    }
}

/// Returns seconds for a message: with one decimal, or as a whole number from 10 s on.
fn seconds(duration: Duration) -> f64 {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 { (seconds * 10.0).round() / 10.0 } else { seconds.round() }
}

/// Returns the end of a phrase about what follows the points that are durable.
fn after(committed_points: u64) -> String {
    match committed_points {
        0 => String::new(),
        1 => " after the first point".to_owned(),
        count => format!(" after the first {count} points"),
    }
}
