//! The progress of a stream, for those who observe it from outside.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Points and bytes of one call so far.
///
/// An observer, such as the server's log, puts an `Arc<Progress>` into the extensions of the request; the
/// service counts in it.
#[derive(Debug, Default)]
pub struct Progress {
    point_count: AtomicU64,
    byte_count: AtomicU64,
    buffered_bytes: AtomicU64,
}

impl Progress {
    /// Points folded; a unary method folds none.
    pub fn point_count(&self) -> u64 {
        self.point_count.load(Relaxed)
    }

    /// Bytes of the request body, framing included.
    pub fn byte_count(&self) -> u64 {
        self.byte_count.load(Relaxed)
    }

    /// Bytes that were read from the stream and wait for the rest of their message.
    pub fn buffered_bytes(&self) -> u64 {
        self.buffered_bytes.load(Relaxed)
    }

    /// One task writes; a plain store is enough.
    pub(super) fn set_points(&self, point_count: u64) {
        self.point_count.store(point_count, Relaxed);
    }

    pub(super) fn set_buffered(&self, bytes: usize) {
        self.buffered_bytes.store(bytes as u64, Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: usize) {
        self.byte_count.store(self.byte_count.load(Relaxed) + bytes as u64, Relaxed);
    }
}
