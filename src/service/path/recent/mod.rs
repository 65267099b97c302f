//! The recent points of the recordings that this server writes, for maps. They are held in memory, and lost when the
//! server stops. The store has no points.
//!
//! A [`Sampler`] takes points of a stream, and the writer adds those that are durable. The memory has a limit, and is charged
//! to the memory budget. When the limit is reached, the namespace with the most bytes loses the points of its recordings that
//! have not grown for the longest time, so that a namespace cannot remove the points of others that hold less.

mod namespaces;
mod sampler;
mod samples;
#[cfg(test)]
mod testing;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::namespaces::Namespaces;
pub(super) use self::sampler::Sampler;
pub(super) use self::samples::Samples;
use crate::contract::points::row;
use crate::measure::Fix;
use crate::proto::waywiser_v1 as pb;
use crate::recording::{Checkpoint, RecordingName};
use crate::service::memory_budget::{MemoryBudget, MemoryCharge};

/// Maximum number of points of a recording.
pub(super) const POINTS_MAX: usize = 512;
/// Maximum number of bytes of all recordings, and the part of the memory budget that is their maximum if it is less.
const BYTES_MAX: usize = 16 << 20;
const BUDGET_PART: u64 = 16;
/// The number of bytes of a recording in addition to those of its points, estimated.
const ENTRY_BYTES: usize = 512;

/// A point and its offset in the recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RecentPoint {
    offset: u64,
    fix: Fix,
}

impl RecentPoint {
    pub(super) fn new(offset: u64, fix: Fix) -> Self {
        Self { offset, fix }
    }

    /// Returns the point, with a mark of the start of a segment if `is_start`.
    fn starting_segment_if(self, is_start: bool) -> Self {
        let fix = if is_start { self.fix.starting_segment() } else { self.fix };
        Self { fix, ..self }
    }
}

/// The recent points of all recordings. Their bytes are charged to the memory budget.
#[derive(Debug)]
pub(super) struct RecentPoints {
    state: Mutex<State>,
    bytes_max: usize,
}

#[derive(Debug)]
struct State {
    known: Namespaces,
    /// The number of changes so far.
    changes: u64,
    charge: MemoryCharge,
}

#[derive(Debug)]
struct OfRecording {
    epoch: u64,
    create_unix_ms: i64,
    points: VecDeque<RecentPoint>,
    change: u64,
}

impl OfRecording {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.points.capacity() * size_of::<RecentPoint>()
    }

    /// Returns the offset of the last point.
    fn last(&self) -> Option<u64> {
        self.points.back().map(|point| point.offset)
    }

    /// Removes the points from an offset on.
    fn truncate(&mut self, offset: u64) {
        let kept = self.points.partition_point(|point| point.offset < offset);
        self.points.truncate(kept);
    }
}

impl RecentPoints {
    pub(super) fn new(budget: &Arc<dyn MemoryBudget>) -> Self {
        let bytes_max = usize::try_from(budget.limit() / BUDGET_PART).unwrap_or(usize::MAX);
        let charge = MemoryCharge::new(budget);
        let state = State { known: Namespaces::default(), changes: 0, charge };
        Self { state: Mutex::new(state), bytes_max: bytes_max.min(BYTES_MAX) }
    }

    /// Adds points of a recording that are durable with this checkpoint, in the order of their offsets.
    pub(super) fn add(
        &self,
        name: &RecordingName,
        checkpoint: &Checkpoint,
        points: impl Iterator<Item = RecentPoint>,
    ) {
        let mut points = points.peekable();
        let Some(first) = points.peek().map(|point| point.offset) else { return };
        let mut state = self.state();
        state.changes += 1;
        let change = state.changes;
        let (epoch, create_unix_ms) = (checkpoint.epoch, checkpoint.create_unix_ms);
        let mut recording = match state.known.remove(name) {
            Some(known) if known.create_unix_ms == create_unix_ms && known.epoch <= epoch => known,
            _ => OfRecording { epoch, create_unix_ms, points: VecDeque::new(), change },
        };
        (recording.epoch, recording.change) = (epoch, change);
        // Points are sent again if the store has lost their commit.
        recording.truncate(first);
        for point in points {
            if recording.points.len() == POINTS_MAX {
                recording.points.pop_front();
            }
            recording.points.push_back(point);
        }
        state.known.insert(name, recording);
        state.shrink(self.bytes_max);
    }

    /// Forgets the points that a recording does not have when a writer opens it: a store can lose its last commits.
    pub(super) fn opened(&self, name: &RecordingName, checkpoint: &Checkpoint) {
        let mut state = self.state();
        let is_current = |known: &OfRecording| known.last() < Some(checkpoint.committed_points());
        if state.known.get(name).is_none_or(is_current) {
            return;
        }
        let Some(mut recording) = state.known.remove(name) else { return };
        recording.truncate(checkpoint.committed_points());
        if !recording.points.is_empty() {
            state.known.insert(name, recording);
        }
        state.shrink(self.bytes_max);
    }

    /// Forgets the points of a recording of which every checkpoint of `epoch` or an older one was removed.
    pub(super) fn remove(&self, name: &RecordingName, epoch: u64) {
        let mut state = self.state();
        if let Some(recording) = state.known.remove(name)
            && recording.epoch > epoch
        {
            state.known.insert(name, recording);
        }
        state.shrink(self.bytes_max);
    }

    /// Forgets the points of a recording whose last commits the store has lost.
    pub(super) fn forget(&self, name: &RecordingName) {
        let mut state = self.state();
        state.known.remove(name);
        state.shrink(self.bytes_max);
    }

    /// Forgets all points, to release memory.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.known = Namespaces::default();
        state.shrink(self.bytes_max);
    }

    /// Returns the known points of a stored recording whose offsets are at least `from`, in the order of their offsets.
    pub(super) fn rows(
        &self,
        name: &RecordingName,
        stored: &Checkpoint,
        from: u64,
    ) -> Vec<pb::Point> {
        let committed_points = stored.committed_points();
        let points: Vec<_> = {
            let state = self.state();
            let known = state.known.get(name);
            match known.filter(|known| known.create_unix_ms == stored.create_unix_ms) {
                None => return Vec::new(),
                Some(known) => known.points.iter().copied().collect(),
            }
        };
        let range = from..committed_points;
        points.iter().filter(|point| range.contains(&point.offset)).map(|it| row(it.fix)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Removes recordings until at most `bytes_max` bytes are left, and charges those that are left. A call that has added
    /// the points of one recording removes few others.
    fn shrink(&mut self, bytes_max: usize) {
        while self.known.bytes() > bytes_max
            && let Some(oldest) = self.known.oldest_of_largest()
        {
            self.known.remove(&oldest);
        }
        self.charge.set(self.known.bytes() as u64);
    }
}

#[cfg(test)]
mod tests;
