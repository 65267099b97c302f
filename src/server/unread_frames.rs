//! The number of DATA frames that wait to be read, and the length of the table that holds them.

/// Estimates the unread DATA frames of a connection.
///
/// A stream that is dropped does not count the frames that it had not read. The difference between received and read
/// frames therefore only grows. Whenever nothing is unread, that difference is the number of dropped frames.
#[derive(Debug, Default)]
pub(super) struct UnreadFrames {
    dropped: u64,
    /// The largest number of frames that waited at the same time.
    peak: u64,
}

impl UnreadFrames {
    pub(super) fn update(&mut self, received: u64, read: u64, unread_bytes: u64) {
        let difference = received.saturating_sub(read);
        if unread_bytes == 0 {
            self.dropped = difference;
        }
        // A frame that waits has at least one byte.
        let unread = difference.saturating_sub(self.dropped).min(unread_bytes);
        self.peak = self.peak.max(unread);
    }

    /// Returns the number of entries of the table.
    pub(super) fn table_len(&self) -> u64 {
        if self.peak == 0 { 0 } else { self.peak.next_power_of_two() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_frames_do_not_count_and_the_table_does_not_shrink() {
        let mut frames = UnreadFrames::default();
        let mut table = |received, read, unread_bytes| {
            frames.update(received, read, unread_bytes);
            frames.table_len()
        };
        assert_eq!(table(0, 0, 0), 0);
        assert_eq!(table(10, 4, 3), 4, "no frame is empty");
        assert_eq!(table(10, 4, 100), 8);
        assert_eq!(table(10, 4, 0), 8, "the table does not shrink");
        assert_eq!(table(18, 4, 100), 8, "six were dropped");
        assert_eq!(table(1_000, 4, 10_000), 1_024);
    }
}
