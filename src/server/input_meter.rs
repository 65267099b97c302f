//! Charges the received bytes of a connection to the memory budget, and measures at intervals which of them are unread.

use std::sync::Arc;

use super::memory::Usage;
use super::socket::Traffic;
use super::unread_frames::UnreadFrames;

/// The input is measured when this many bytes have arrived, plus some for each stream that must be asked.
const SAMPLE_BYTES: u64 = 256 * 1024;
const SAMPLE_BYTES_PER_STREAM: u64 = 4 * 1024;

/// The same limits in DATA frames, for input of small frames.
const SAMPLE_FRAMES: u64 = 2048;
const SAMPLE_FRAMES_PER_STREAM: u64 = 32;

/// When a stream ends, unread input is measured if this much is charged.
const ENDED_SAMPLE_BYTES: u64 = 64 * 1024;

/// The meter of one connection.
pub(super) struct InputMeter {
    traffic: Arc<Traffic>,
    usage: Arc<Usage>,
    frames: UnreadFrames,
    /// Bytes that are charged.
    charged_bytes: u64,
    /// Bytes and frames that had arrived when the input was last measured.
    sampled_bytes: u64,
    sampled_frames: u64,
}

impl InputMeter {
    pub(super) fn new(traffic: Arc<Traffic>, usage: Arc<Usage>) -> Self {
        let frames = UnreadFrames::default();
        Self { traffic, usage, frames, charged_bytes: 0, sampled_bytes: 0, sampled_frames: 0 }
    }

    /// Returns the number of bytes that were charged so far.
    pub(super) fn charged_bytes(&self) -> u64 {
        self.charged_bytes
    }

    /// Charges the bytes that have arrived, and measures them when that is due. Returns whether any have arrived.
    pub(super) fn charge_arrived(&mut self, stream_count: usize, is_idle: bool) -> bool {
        let bytes = self.traffic.bytes();
        if bytes == self.charged_bytes {
            return false;
        }
        self.usage.arrived(bytes - self.charged_bytes);
        self.charged_bytes = bytes;
        let streams = stream_count as u64;
        let new_frames = self.traffic.data_frames() - self.sampled_frames;
        if bytes - self.sampled_bytes >= SAMPLE_BYTES + SAMPLE_BYTES_PER_STREAM * streams
            || new_frames >= SAMPLE_FRAMES + SAMPLE_FRAMES_PER_STREAM * streams
            || is_idle
        {
            self.sample();
        }
        true
    }

    /// Measures the input after a stream has ended, whose unread input is free then.
    pub(super) fn stream_ended(&mut self) {
        if self.usage.unread() > ENDED_SAMPLE_BYTES {
            self.sample();
        }
    }

    /// Measures the unread input.
    pub(super) fn sample(&mut self) {
        self.sampled_bytes = self.charged_bytes;
        self.sampled_frames = self.traffic.data_frames();
        self.usage.sample(&mut self.frames, self.sampled_frames);
    }
}
