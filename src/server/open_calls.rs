//! The calls that are open, and the totals of all calls by method.
//!
//! A stream may last for hours, so its points count while it is open, not only when it ends. A call costs two short
//! locks. Its messages cost nothing, because the totals are added up when they are read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::methods::{MethodId, Methods};
use crate::service::Progress;

/// Number of independent parts, so that threads rarely wait for each other.
const SHARDS: usize = 16;

/// The sums of some calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Calls that are open.
    pub(super) open: u64,
    /// Points that were added to paths.
    pub(super) points: u64,
    /// Bytes of request bodies.
    pub(super) bytes: u64,
    /// Request messages.
    pub(super) messages: u64,
    /// Time for which quotas have stopped streams.
    pub(super) throttled: Duration,
}

impl Totals {
    fn add(&mut self, progress: &Progress) {
        self.points += progress.added_points();
        self.bytes += progress.byte_count();
        self.messages += progress.message_count();
        self.throttled += progress.throttled();
    }
}

/// All calls of a server.
#[derive(Debug)]
pub(super) struct OpenCalls {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug)]
struct Shard {
    open: HashMap<usize, (MethodId, Arc<Progress>)>,
    /// The totals of the calls that have ended, by method.
    ended: Vec<Totals>,
}

impl OpenCalls {
    pub(super) fn new() -> Arc<Self> {
        let methods = Methods::get().names().len();
        let shard = || Shard { open: HashMap::new(), ended: vec![Totals::default(); methods] };
        Arc::new(Self { shards: std::array::from_fn(|_| Mutex::new(shard())) })
    }

    /// Adds a call until the returned value is dropped.
    pub(super) fn open(self: &Arc<Self>, method: MethodId, progress: &Arc<Progress>) -> OpenCall {
        // The address is unique while the call is open.
        let key = Arc::as_ptr(progress).addr();
        self.shard(key).open.insert(key, (method, Arc::clone(progress)));
        OpenCall { calls: Arc::clone(self), key }
    }

    fn shard(&self, key: usize) -> MutexGuard<'_, Shard> {
        // The lowest bits of addresses are equal.
        lock(&self.shards[(key >> 6) % SHARDS])
    }

    /// Returns the totals of each method.
    pub(super) fn totals(&self) -> Vec<Totals> {
        let mut totals = vec![Totals::default(); Methods::get().names().len()];
        for shard in &self.shards {
            let shard = lock(shard);
            for (total, ended) in totals.iter_mut().zip(&shard.ended) {
                total.points += ended.points;
                total.bytes += ended.bytes;
                total.messages += ended.messages;
                total.throttled += ended.throttled;
            }
            for (method, progress) in shard.open.values() {
                if let Some(total) = totals.get_mut(*method) {
                    total.open += 1;
                    total.add(progress);
                }
            }
        }
        totals
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // No code panics while it holds the lock.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call that is open.
#[derive(Debug)]
pub(super) struct OpenCall {
    calls: Arc<OpenCalls>,
    key: usize,
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        // Both changes are made under one lock, so that a reader counts the call once.
        let mut shard = self.calls.shard(self.key);
        if let Some((method, progress)) = shard.open.remove(&self.key)
            && let Some(ended) = shard.ended.get_mut(method)
        {
            ended.add(&progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_points_of_a_call_count_while_it_is_open_and_after_its_end() {
        let calls = OpenCalls::new();
        let progress: Vec<Arc<Progress>> = (0..100).map(|_| Arc::default()).collect();
        let mut open: Vec<_> =
            progress.iter().enumerate().map(|(at, call)| calls.open(at % 2, call)).collect();
        for call in &progress {
            call.set_earlier_points(1_000);
            call.set_points(1_007);
            call.add_bytes(20);
            call.set_messages(3);
            call.set_throttled(Duration::from_millis(20));
        }
        let throttled = Duration::from_secs(1);
        let expected = |open| Totals { open, points: 350, bytes: 1_000, messages: 150, throttled };
        assert_eq!(calls.totals()[..2], [expected(50); 2]);
        open.drain(..60);
        assert_eq!(calls.totals()[..2], [expected(20); 2]);
        drop(open);
        assert_eq!(calls.totals()[..2], [expected(0); 2]);
        assert_eq!(calls.totals()[2..].iter().find(|total| **total != Totals::default()), None);
    }
}
