//! The recent points of the recordings that this server writes, for maps. They are held in memory, and lost when the
//! server stops. The store has no points.
//!
//! A [`Sampler`] takes points of a stream, and the writer adds those that are durable. The memory has a limit. When it is
//! reached, the namespace with the most bytes loses the points of its recordings that have not grown for the longest
//! time, so that a namespace cannot remove the points of others that hold less.

mod sampler;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) use self::sampler::Sampler;
use crate::contract::points::row;
use crate::measure::{Fix, FixBlock};
use crate::proto::waywiser_v1 as pb;
use crate::recording::{Checkpoint, Namespace, RecordingName};

/// Maximum number of points of a recording.
pub(super) const POINTS_MAX: usize = 512;
/// Maximum number of bytes of all recordings.
const BYTES_MAX: usize = 16 << 20;
/// The number of bytes of a recording in addition to those of its points, estimated.
const ENTRY_BYTES: usize = 512;

/// A point and its offset in the recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RecentPoint {
    offset: u64,
    fix: Fix,
}

impl RecentPoint {
    /// Returns at most `count` points of a block, evenly spaced, and the last one. `first_offset` is the offset of the first
    /// point.
    pub(super) fn of_block(
        block: &FixBlock,
        first_offset: u64,
        count: usize,
    ) -> impl Iterator<Item = Self> {
        let samples = block.samples(count);
        samples.map(move |(index, fix)| Self { offset: first_offset + index as u64, fix })
    }
}

/// The recent points of all recordings.
#[derive(Debug)]
pub(super) struct RecentPoints {
    state: Mutex<State>,
    bytes_max: usize,
}

impl Default for RecentPoints {
    fn default() -> Self {
        Self { state: Mutex::default(), bytes_max: BYTES_MAX }
    }
}

#[derive(Debug, Default)]
struct State {
    namespaces: HashMap<Option<Namespace>, OfNamespace>,
    bytes: usize,
    /// The number of changes so far.
    changes: u64,
}

#[derive(Debug, Default)]
struct OfNamespace {
    recordings: HashMap<RecordingName, OfRecording>,
    /// The recordings by the number of their last change.
    by_change: BTreeMap<u64, RecordingName>,
    bytes: usize,
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
}

impl RecentPoints {
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
        let mut recording = match state.remove(name) {
            Some(known) if known.create_unix_ms == create_unix_ms && known.epoch <= epoch => known,
            _ => OfRecording { epoch, create_unix_ms, points: VecDeque::new(), change },
        };
        (recording.epoch, recording.change) = (epoch, change);
        // Points are sent again if the store has lost their commit.
        let kept = recording.points.partition_point(|point| point.offset < first);
        recording.points.truncate(kept);
        for point in points {
            if recording.points.len() == POINTS_MAX {
                recording.points.pop_front();
            }
            recording.points.push_back(point);
        }
        state.insert(name, recording);
        if state.bytes > self.bytes_max {
            state.shrink(self.bytes_max - self.bytes_max / 8);
        }
    }

    /// Forgets the points of a recording of which every checkpoint of `epoch` or an older one was removed.
    pub(super) fn remove(&self, name: &RecordingName, epoch: u64) {
        let mut state = self.state();
        if let Some(recording) = state.remove(name)
            && recording.epoch > epoch
        {
            state.insert(name, recording);
        }
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
            let namespace = state.namespaces.get(&name.namespace().cloned());
            let recording = namespace.and_then(|namespace| namespace.recordings.get(name));
            match recording.filter(|known| known.create_unix_ms == stored.create_unix_ms) {
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
    fn remove(&mut self, name: &RecordingName) -> Option<OfRecording> {
        let key = name.namespace().cloned();
        let namespace = self.namespaces.get_mut(&key)?;
        let removed = namespace.recordings.remove(name)?;
        namespace.by_change.remove(&removed.change);
        namespace.bytes -= removed.bytes();
        self.bytes -= removed.bytes();
        if namespace.recordings.is_empty() {
            self.namespaces.remove(&key);
        }
        Some(removed)
    }

    /// Adds a recording that is not there.
    fn insert(&mut self, name: &RecordingName, recording: OfRecording) {
        let namespace = self.namespaces.entry(name.namespace().cloned()).or_default();
        namespace.bytes += recording.bytes();
        self.bytes += recording.bytes();
        namespace.by_change.insert(recording.change, name.clone());
        namespace.recordings.insert(name.clone(), recording);
    }

    /// Removes recordings until at most `bytes_max` bytes are left.
    fn shrink(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let largest = self.namespaces.values().max_by_key(|namespace| namespace.bytes);
            let oldest = largest.and_then(|largest| largest.by_change.values().next().cloned());
            let Some(oldest) = oldest else { return };
            self.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;
