//! How far a stream has come, for those who watch it from outside.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Points and bytes of one call so far.
///
/// Whoever wants to know (the server's log does) puts an `Arc<Progress>` into the extensions of
/// the request; the service counts in it.
#[derive(Debug, Default)]
pub struct Progress {
    point_count: AtomicU64,
    byte_count: AtomicU64,
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

    /// One task writes; a plain store is enough.
    pub(super) fn set_points(&self, point_count: u64) {
        self.point_count.store(point_count, Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: usize) {
        self.byte_count.store(self.byte_count.load(Relaxed) + bytes as u64, Relaxed);
    }
}
