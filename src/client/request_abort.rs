//! The connection between a call and its request body, through which the call aborts the request.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use futures::task::AtomicWaker;

use crate::measure::Point;

/// Connects a request body with the call that waits for the reply, so that the call can abort the request.
#[derive(Debug, Default)]
pub(super) struct RequestAbort {
    is_aborted: AtomicBool,
    body: AtomicWaker,
    unsupported_point: OnceLock<(u64, Point)>,
}

impl RequestAbort {
    /// Resets the stream unless its end was already sent.
    ///
    /// hyper also resets the stream of a dropped call, but only when its own task runs. If the source ends before that,
    /// such as a channel whose sender is dropped with the call, the stream would be closed as if it were complete.
    pub(super) fn abort(&self) {
        self.is_aborted.store(true, Ordering::Release);
        self.body.wake();
    }

    /// Returns the first point that the method does not support, and its index.
    pub(super) fn unsupported_point(&self) -> Option<(u64, Point)> {
        self.unsupported_point.get().copied()
    }

    /// Reports the first point that the method does not support. A body is not polled after that.
    pub(super) fn set_unsupported_point(&self, index: u64, point: Point) {
        let _ = self.unsupported_point.set((index, point));
    }

    /// Returns whether the request was aborted. Call [`RequestAbort::register`] first.
    pub(super) fn is_aborted(&self) -> bool {
        self.is_aborted.load(Ordering::Acquire)
    }

    /// Registers the waker that is called when the request is aborted.
    pub(super) fn register(&self, waker: &Waker) {
        self.body.register(waker);
    }
}
