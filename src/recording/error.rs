//! Why the points of a message are not taken, with what a sender has to know to go on.
//!
//! It knows nothing of what becomes of it: `machine` refuses by it, and the service makes a status of it.

/// Why points are not taken. Nothing has changed, and other points may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// Points between the last one that was taken and the first of the message are missing.
    #[error(
        "a message starts at point {got} and the path goes on at {expected}: in this stream send from there, in a new one from committed_points, {committed_points}"
    )]
    Gap {
        /// The offset that the path goes on at.
        expected: u64,
        /// The offset of the message.
        got: u64,
        /// How many points are durable: from here on any sender can go on.
        committed_points: u64,
    },
    /// The recording is finished, and the message goes on past its end.
    #[error("a message goes on to point {got} and the path was finished with {point_count}")]
    PastEnd {
        /// How many points the recording has.
        point_count: u64,
        /// How many it would have.
        got: u64,
        /// How many points are durable.
        committed_points: u64,
    },
    /// The sender has said where the path ends, and goes on past it. The recording is not finished.
    #[error(
        "a message goes on to point {got} and finish_write has ended the path with {point_count} before: set it in the last message"
    )]
    AfterEnd {
        /// How many points the recording has.
        point_count: u64,
        /// How many it would have.
        got: u64,
        /// How many points are durable.
        committed_points: u64,
    },
    /// The path is said to end where it has points already.
    #[error(
        "the path is to end with point {got} and has {point_count} already: finish it at write_offset {point_count}"
    )]
    EndsBefore {
        /// How many points the recording has.
        point_count: u64,
        /// With how many it is to end.
        got: u64,
        /// How many points are durable.
        committed_points: u64,
    },
}
