//! Errors of the recording rules, with what a client needs to continue.
//!
//! `machine.rs` returns them, and the service converts them to a gRPC status.

/// The reason why the points of a message are refused. A refused message changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The first message of a stream starts past the end of the path.
    #[error(
        "write_offset is {got}, but the path has only {expected} points; continue from write_offset {committed_points}"
    )]
    Gap {
        /// The number of points of the path.
        expected: u64,
        /// The offset of the message.
        got: u64,
        /// The number of durable points. A new stream continues from here.
        committed_points: u64,
    },
    /// The first message of a stream has no offset, and the path already has points.
    #[error(
        "the path already has {committed_points} points, and the first message of the stream has no write_offset; set it to {committed_points} to continue, or to 0 to send the same points again, which are then skipped; a finished recording takes no further points"
    )]
    OffsetRequired {
        /// The number of durable points. A new stream continues from here.
        committed_points: u64,
    },
    /// A later message of a stream does not start where the message before it ended.
    #[error(
        "write_offset is {got}, but the stream continues at point {expected}; leave write_offset unset or set it to {expected}"
    )]
    OffsetMismatch {
        /// The offset at which the message before it ended.
        expected: u64,
        /// The offset of the message.
        got: u64,
        /// The number of durable points. A new stream continues from here.
        committed_points: u64,
    },
    /// The path is finished, and the message has points past its end.
    #[error("the message ends at point {got}, but the path is finished with {point_count} points")]
    PastEnd {
        /// The number of points of the path.
        point_count: u64,
        /// The number of points that it would have.
        got: u64,
        /// The number of durable points.
        committed_points: u64,
    },
    /// The message has points after the message with finish_write. The path is not finished.
    #[error(
        "the message ends at point {got}, but an earlier message ended the path with {point_count} points by finish_write; set finish_write in the last message only"
    )]
    AfterEnd {
        /// The number of points of the path.
        point_count: u64,
        /// The number of points that it would have.
        got: u64,
        /// The number of durable points.
        committed_points: u64,
    },
    /// finish_write is set before the last point that the path already has.
    #[error(
        "finish_write ends the path with {got} points, but it already has {point_count}; set finish_write at write_offset {point_count}"
    )]
    EndsBefore {
        /// The number of points of the path.
        point_count: u64,
        /// The number of points with which it would end.
        got: u64,
        /// The number of durable points.
        committed_points: u64,
    },
}

impl RecordingError {
    /// Returns the number of durable points.
    pub fn committed_points(&self) -> u64 {
        let mut error = *self;
        *error.committed_points_mut()
    }

    /// Returns the same error with a newer number of durable points.
    #[must_use]
    pub fn with_committed_points(mut self, committed_points: u64) -> Self {
        *self.committed_points_mut() = committed_points;
        self
    }

    fn committed_points_mut(&mut self) -> &mut u64 {
        match self {
            Self::Gap { committed_points, .. }
            | Self::OffsetRequired { committed_points }
            | Self::OffsetMismatch { committed_points, .. }
            | Self::PastEnd { committed_points, .. }
            | Self::AfterEnd { committed_points, .. }
            | Self::EndsBefore { committed_points, .. } => committed_points,
        }
    }
}
