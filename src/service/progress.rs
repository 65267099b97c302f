//! The progress of a call, for the server and its observers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts the points and bytes of one call.
///
/// The server puts an `Arc<Progress>` into the extensions of the request, and the service updates it.
#[derive(Debug, Default)]
pub struct Progress {
    point_count: AtomicU64,
    byte_count: AtomicU64,
    message_count: AtomicU64,
    /// Points that the path had before the call.
    earlier_points: AtomicU64,
    throttled_ns: AtomicU64,
    buffered_bytes: AtomicU64,
    path_bytes: AtomicU64,
    work_ns: AtomicU64,
    has_yielded: AtomicBool,
    is_kept: AtomicBool,
}

impl Progress {
    /// Returns the number of folded points; 0 for a unary method.
    pub fn point_count(&self) -> u64 {
        self.point_count.load(Relaxed)
    }

    /// Returns the number of points that this call has added to its path. Differs from [`Progress::point_count`] for a
    /// recording that continues.
    pub fn added_points(&self) -> u64 {
        self.point_count().saturating_sub(self.earlier_points.load(Relaxed))
    }

    /// Returns the number of request messages, as of the last chunk that was processed.
    pub fn message_count(&self) -> u64 {
        self.message_count.load(Relaxed)
    }

    /// Returns the number of bytes of the request body, including framing.
    pub fn byte_count(&self) -> u64 {
        self.byte_count.load(Relaxed)
    }

    /// Returns the number of bytes that were read from the stream and are not processed.
    pub fn buffered_bytes(&self) -> u64 {
        self.buffered_bytes.load(Relaxed)
    }

    /// Returns the number of bytes that the open path holds, in addition to what every stream holds.
    pub fn path_bytes(&self) -> u64 {
        self.path_bytes.load(Relaxed)
    }

    // Only one task writes, so a plain store is enough.
    pub(crate) fn set_points(&self, point_count: u64) {
        self.point_count.store(point_count, Relaxed);
    }

    /// Returns the time for which quotas have stopped the stream, including a wait that has just begun.
    pub fn throttled(&self) -> Duration {
        Duration::from_nanos(self.throttled_ns.load(Relaxed))
    }

    /// Adds work that the call has done, by the estimate of `work`.
    pub(crate) fn add_work(&self, work_ns: u64) {
        self.work_ns.store(self.work_ns().saturating_add(work_ns), Relaxed);
    }

    pub(crate) fn work_ns(&self) -> u64 {
        self.work_ns.load(Relaxed)
    }

    /// Notes that the call yields with work left.
    pub(crate) fn yields(&self) {
        self.has_yielded.store(true, Relaxed);
    }

    /// Returns whether the call has yielded since the last call of this function.
    pub(crate) fn take_yield(&self) -> bool {
        let has_yielded = self.has_yielded.load(Relaxed);
        if has_yielded {
            self.has_yielded.store(false, Relaxed);
        }
        has_yielded
    }

    /// Notes that the call has had an effect, or has sent a part of its answer. Load shedding does not refuse it any more.
    pub(crate) fn keep(&self) {
        self.is_kept.store(true, Relaxed);
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept.load(Relaxed)
    }

    pub(crate) fn set_throttled(&self, time: Duration) {
        self.throttled_ns.store(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Sets the number of points that the path has before this call adds its own.
    pub(crate) fn set_earlier_points(&self, point_count: u64) {
        self.earlier_points.store(point_count, Relaxed);
    }

    pub(crate) fn set_messages(&self, message_count: u64) {
        self.message_count.store(message_count, Relaxed);
    }

    pub(crate) fn set_buffered(&self, bytes: usize) {
        self.buffered_bytes.store(bytes as u64, Relaxed);
    }

    pub(crate) fn set_path_bytes(&self, bytes: usize) {
        self.path_bytes.store(bytes as u64, Relaxed);
    }

    pub(crate) fn add_bytes(&self, bytes: usize) {
        self.byte_count.store(self.byte_count.load(Relaxed) + bytes as u64, Relaxed);
    }
}
