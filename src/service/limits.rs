//! The limits of a stream.

use std::time::Duration;

use crate::wire::{Encoding, Messages};

/// The limits of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Maximum size of a message in bytes, before and after decompression. A stream holds at most this many bytes
    /// while a message is incomplete.
    ///
    /// A stream yields after about a millisecond of work, but not while it parses a message. That takes up to 1 us per
    /// KiB, or up to 10 us per KiB if the message is not encoded in the canonical way: 0.7 ms for 64 KiB, and 10 ms for
    /// 1 MiB. Other streams of the thread wait for that time.
    pub max_message_bytes: usize,
    /// Maximum ratio of inflated to compressed size of the messages of a stream, once they have inflated to 1 MiB.
    /// Recorded tracks reach 2 to 5. A receiver that repeats one position reaches 60 in messages of 1000 points and 450
    /// in messages of 64 KiB. Deflate cannot reach 1033, so that value disables the limit.
    pub max_inflation_ratio: u32,
    /// A stream ends with DEADLINE_EXCEEDED if its client sends nothing for this time.
    pub idle_timeout: Duration,
}

impl StreamLimits {
    /// Returns a reader for the messages of a stream.
    pub(super) fn messages(&self, encoding: Encoding) -> Messages {
        Messages::new(encoding, self.max_message_bytes)
            .with_max_inflation_ratio(self.max_inflation_ratio)
    }
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            max_message_bytes: 64 * 1024,
            max_inflation_ratio: 100,
            idle_timeout: Duration::from_secs(300),
        }
    }
}
