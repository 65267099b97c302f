//! The position of one stream in its path: the offset of its next message, and which of its points are new.
//!
//! `machine.rs` adds the rules about stores and about the end of the path.

use super::error::RecordingError;

/// The position of an admitted message in its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The offset of the first point of the message.
    pub start: u64,
    /// Number of leading points that were durable when the stream was opened. The rest is folded.
    pub skip: u64,
}

/// The position of a stream. A stream sends one contiguous range of offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The offset of the next message; `None` before the first message.
    next: Option<u64>,
    /// Number of points of the path. Includes admitted points that are not folded yet.
    point_count: u64,
    /// Number of points that this stream sent and that were skipped.
    skipped: u64,
}

impl Position {
    /// Returns the position of a stream that is opened for a path of `point_count` durable points.
    pub(super) fn new(point_count: u64) -> Self {
        Self { next: None, point_count, skipped: 0 }
    }

    /// Returns the number of points of the path, including admitted points that are not folded yet.
    pub(super) fn point_count(&self) -> u64 {
        self.point_count
    }

    /// Returns the offset of the next message; 0 before the first message.
    pub(super) fn next(&self) -> u64 {
        self.next.unwrap_or_default()
    }

    /// Returns the number of points that this stream sent and that were skipped.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns the offset of the first point of a message. Only the first message chooses it.
    ///
    /// # Errors
    /// If the first message has no offset and the path has points, or if a later message has another offset than
    /// the end of the message before it.
    pub(super) fn start(
        &self,
        write_offset: Option<u64>,
        committed_points: u64,
    ) -> Result<u64, RecordingError> {
        match (self.next, write_offset) {
            (None, Some(start)) => Ok(start),
            (None, None) if self.point_count == 0 => Ok(0),
            (None, None) => Err(RecordingError::OffsetRequired { committed_points }),
            (Some(expected), Some(got)) if got != expected => {
                Err(RecordingError::OffsetMismatch { expected, got, committed_points })
            }
            (Some(expected), _) => Ok(expected),
        }
    }

    /// Moves past the `count` points of a message that begins at `start`, which is at most the number of points.
    pub(super) fn advance(&mut self, start: u64, count: u64) -> Admitted {
        let skip = count.min(self.point_count.saturating_sub(start));
        let end = start.saturating_add(count);
        self.next = Some(end);
        self.point_count = self.point_count.max(end);
        self.skipped = self.skipped.saturating_add(skip);
        Admitted { start, skip }
    }
}
