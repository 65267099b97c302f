//! The memory budget of the process: unread input and unsent replies of all connections, and what services hold between
//! calls.
//!
//! Each connection has a [`Usage`], which counts the bytes that it is charged. Replies and streams are charged from
//! their start to their end. Unread input is measured: h2 knows the unread bytes of each stream, and
//! [`Usage::sample`] adds them up at intervals. Bytes that arrive between two samples are charged in full. Above
//! [`REFUSE_PERCENT`] of the budget, connections that hold more than a small share get no new streams. Above
//! [`END_PERCENT`], the connection that holds most is ended.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio_util::sync::CancellationToken;

use super::peer::peer_key;
use super::unread_frames::UnreadFrames;
use crate::service::MemoryBudget;

/// The cost of a connection without streams: its task, the buffers of h2, and the header tables, without kernel
/// buffers. 2000 idle connections added 20 KB each to the resident memory of a release build.
pub(super) const CONNECTION_BYTES: u64 = 20 * 1024;
/// The cost of an open stream in addition to its bytes: the state of its call and its fold, and its part in h2.
/// 8000 streams of RecordPath on these connections added 11.6 KB each.
pub(super) const STREAM_BYTES: u64 = 12 * 1024;
/// The bytes that h2 allocates for each DATA frame that waits to be read, in addition to its payload. The frames of
/// all streams of a connection are in one table, which doubles when it is full and does not shrink.
const FRAME_BYTES: u64 = 264;

/// Above this share, new streams are refused on connections that hold more than [`SMALL_SHARE`] of the budget.
const REFUSE_PERCENT: u64 = 80;
/// Above this share, the largest consumer is ended.
const END_PERCENT: u64 = 95;
/// A connection that holds at most the budget divided by this number, or [`SMALL_BYTES_MIN`], gets new streams also
/// above [`REFUSE_PERCENT`]. Small clients are served while large ones fill the budget. Above [`END_PERCENT`], a large
/// one is ended.
const SMALL_SHARE: u64 = 256;
const SMALL_BYTES_MIN: u64 = 128 * 1024;

/// The budget, and the bytes of it that are in use.
#[derive(Debug)]
pub(super) struct Memory {
    limit: u64,
    /// Releases what services hold between calls.
    release: OnceLock<Release>,
    used: AtomicU64,
    /// The highest use since [`Memory::take_peak`].
    peak: AtomicU64,
    connections: Mutex<HashMap<u64, Arc<Usage>>>,
    /// Connections that have ended, with charges of work that has not stopped yet.
    closed: Mutex<Vec<Weak<Usage>>>,
    next_id: AtomicU64,
}

impl Memory {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            release: OnceLock::new(),
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            connections: Mutex::default(),
            closed: Mutex::default(),
            next_id: AtomicU64::new(0),
        })
    }

    /// Sets the function that releases what services hold between calls, and returns the bytes that are charged until their
    /// tasks have ended. Only the first one counts.
    pub(super) fn set_release(&self, release: impl Fn() -> u64 + Send + Sync + 'static) {
        let _ = self.release.set(Release(Box::new(release)));
    }

    /// Returns the budget in bytes.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Returns the bytes that are charged.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// Returns the highest use since the last call.
    pub(super) fn take_peak(&self) -> u64 {
        self.peak.swap(self.used(), Relaxed)
    }

    /// Returns the bytes of unread input of all connections, as of their last samples.
    pub(super) fn unread(&self) -> u64 {
        self.connections().values().map(|usage| usage.unread()).sum()
    }

    fn is_above(&self, percent: u64) -> bool {
        self.used() > self.limit / 100 * percent
    }

    fn add(&self, bytes: u64) {
        let used = self.used.fetch_add(bytes, Relaxed) + bytes;
        self.peak.fetch_max(used, Relaxed);
    }

    fn subtract(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    /// Charges a new connection.
    pub(super) fn connection(self: &Arc<Self>, peer: IpAddr) -> Arc<Usage> {
        let id = self.next_id.fetch_add(1, Relaxed);
        let usage = Arc::new(Usage {
            memory: Arc::clone(self),
            id,
            peer: peer_key(peer),
            steady: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            inputs: Mutex::default(),
            frames_read: AtomicU64::new(0),
            ended: CancellationToken::new(),
        });
        usage.charge_bytes(CONNECTION_BYTES);
        self.connections().insert(id, Arc::clone(&usage));
        usage
    }

    /// Returns the bytes that are charged to connections that have ended.
    fn closed_bytes(&self) -> u64 {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        closed.retain(|usage| {
            let usage = usage.upgrade();
            bytes += usage.as_ref().map_or(0, |usage| usage.charged());
            usage.is_some()
        });
        bytes
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Arc<Usage>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases what no call needs if use is above [`END_PERCENT`]. Ends the largest consumer if that is not enough: of the
    /// peer that holds most, the connection that holds most. Returns its peer and the bytes that it held.
    pub(super) fn relieve(&self) -> Option<(IpAddr, u64)> {
        if !self.is_above(END_PERCENT) {
            return None;
        }
        // Read before the use: what has been released meanwhile is then subtracted twice, and no connection is ended for it.
        let released = self.release.get().map_or(0, |Release(release)| release());
        let connections = self.connections();
        let mut by_peer: HashMap<IpAddr, u64> = HashMap::new();
        let open = || connections.values().filter(|usage| !usage.ended.is_cancelled());
        for usage in open() {
            *by_peer.entry(usage.peer).or_default() += usage.charged();
        }
        // Connections that were ended release their memory soon, and so does the work of closed ones.
        let ending = connections.values().filter(|usage| usage.ended.is_cancelled());
        let ending: u64 = ending.map(|usage| usage.charged()).sum();
        let leaving = ending + self.closed_bytes();
        if self.used().saturating_sub(leaving + released) <= self.limit / 100 * END_PERCENT {
            return None;
        }
        let largest =
            open().max_by_key(|usage| (by_peer.get(&usage.peer).copied(), usage.charged()))?;
        largest.ended.cancel();
        Some((largest.peer, largest.charged()))
    }
}

/// The memory of services is charged to no connection, because it outlives the calls that it is for.
impl MemoryBudget for Memory {
    fn limit(&self) -> u64 {
        self.limit
    }

    fn add(&self, bytes: u64) {
        Self::add(self, bytes);
    }

    fn subtract(&self, bytes: u64) {
        Self::subtract(self, bytes);
    }

    fn try_add(&self, bytes: u64) -> bool {
        let most = self.limit / 100 * END_PERCENT;
        let add = |used: u64| used.checked_add(bytes).filter(|&used| used <= most);
        let added = self.used.fetch_update(Relaxed, Relaxed, add);
        self.peak.fetch_max(added.map_or(0, |before| before + bytes), Relaxed);
        added.is_ok()
    }
}

struct Release(Box<dyn Fn() -> u64 + Send + Sync>);

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Release").finish_non_exhaustive()
    }
}

/// A stream that may hold unread input.
pub(super) trait UnreadInput: fmt::Debug + Send + Sync {
    /// Returns what the stream holds now.
    fn measure(&self) -> InputBytes;
}

/// The memory of a stream in addition to [`STREAM_BYTES`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InputBytes {
    /// Bytes that were received and not processed.
    pub(super) unread: u64,
    /// The number of DATA frames that were read.
    pub(super) frames_read: u64,
    /// Bytes of the path that the stream measures, such as its windows, its stops and the fixes that wait.
    pub(super) path: u64,
}

/// The bytes that one connection is charged.
#[derive(Debug)]
pub(super) struct Usage {
    memory: Arc<Memory>,
    id: u64,
    peer: IpAddr,
    /// The connection, its streams, its unsent replies.
    steady: AtomicU64,
    /// Unread input and open paths at the last sample, and the bytes that have arrived since.
    unread: AtomicU64,
    /// The streams that may hold unread input.
    inputs: Mutex<Vec<Weak<dyn UnreadInput>>>,
    /// DATA frames that were read by streams that have ended.
    frames_read: AtomicU64,
    /// Cancelled when the connection must end to free memory.
    ended: CancellationToken,
}

impl Usage {
    /// Returns the bytes that the connection is charged.
    fn charged(&self) -> u64 {
        self.steady.load(Relaxed) + self.unread.load(Relaxed)
    }

    /// Returns the token that is cancelled when the connection must end because memory is short.
    pub(super) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Returns whether the connection may open another stream.
    pub(super) fn admits_stream(&self) -> bool {
        !self.memory.is_above(REFUSE_PERCENT)
            || (self.charged() <= (self.memory.limit / SMALL_SHARE).max(SMALL_BYTES_MIN)
                && !self.memory.is_above(END_PERCENT))
    }

    /// Charges bytes until the charge is dropped.
    pub(super) fn charge(self: &Arc<Self>, bytes: u64) -> Charge {
        self.charge_bytes(bytes);
        Charge { usage: Arc::clone(self), bytes }
    }

    fn charge_bytes(&self, bytes: u64) {
        self.steady.fetch_add(bytes, Relaxed);
        self.memory.add(bytes);
    }

    fn uncharge_bytes(&self, bytes: u64) {
        self.steady.fetch_sub(bytes, Relaxed);
        self.memory.subtract(bytes);
    }

    /// Includes the unread input of a stream in later samples.
    pub(super) fn watch(&self, input: Weak<dyn UnreadInput>) {
        push_live(&mut self.inputs(), input);
    }

    /// Records the end of a stream that had read this many DATA frames.
    pub(super) fn input_ended(&self, frames_read: u64) {
        self.frames_read.fetch_add(frames_read, Relaxed);
    }

    fn inputs(&self) -> MutexGuard<'_, Vec<Weak<dyn UnreadInput>>> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges input that has arrived since the last sample.
    pub(super) fn arrived(&self, bytes: u64) {
        self.unread.fetch_add(bytes, Relaxed);
        self.memory.add(bytes);
    }

    /// Returns the sums of what all streams hold, and of the DATA frames that were read, also by ended streams.
    fn measure(&self) -> InputBytes {
        let mut inputs = self.inputs();
        let frames_read = self.frames_read.load(Relaxed);
        let mut sums = InputBytes { frames_read, ..InputBytes::default() };
        // Removes streams that have ended. Each lock is held for a few instructions.
        inputs.retain(|input| match input.upgrade() {
            Some(input) => {
                let InputBytes { unread, frames_read, path } = input.measure();
                sums.unread += unread;
                sums.frames_read += frames_read;
                sums.path += path;
                true
            }
            None => false,
        });
        sums
    }

    /// Measures unread input and open paths, and charges them in place of the previous charge. `frames` is the state
    /// between samples; `received_frames` counts all DATA frames that have arrived.
    pub(super) fn sample(&self, frames: &mut UnreadFrames, received_frames: u64) {
        let InputBytes { unread, frames_read, path } = self.measure();
        frames.update(received_frames, frames_read, unread);
        let unread = unread + path + FRAME_BYTES * frames.table_len();
        let before = self.unread.swap(unread, Relaxed);
        self.memory.add(unread);
        self.memory.subtract(before);
    }

    /// Returns the bytes of unread input that are charged.
    pub(super) fn unread(&self) -> u64 {
        self.unread.load(Relaxed)
    }

    /// Removes the connection from the budget.
    fn close(self: &Arc<Self>) {
        self.memory.connections().remove(&self.id);
        let unread = self.unread.swap(0, Relaxed);
        self.memory.subtract(unread);
        self.steady.fetch_sub(CONNECTION_BYTES, Relaxed);
        self.memory.subtract(CONNECTION_BYTES);
        if self.charged() > 0 {
            let mut closed = self.memory.closed.lock().unwrap_or_else(PoisonError::into_inner);
            push_live(&mut closed, Arc::downgrade(self));
        }
    }
}

/// Adds an entry. Removes dead entries before the list grows, because each keeps the memory of a stream.
fn push_live<T: ?Sized>(list: &mut Vec<Weak<T>>, entry: Weak<T>) {
    if list.len() == list.capacity() {
        list.retain(|entry| entry.strong_count() > 0);
    }
    list.push(entry);
}

/// Removes a connection from the budget when it is dropped.
#[derive(Debug)]
pub(super) struct OpenConnection(pub(super) Arc<Usage>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Bytes that are charged until this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    usage: Arc<Usage>,
    bytes: u64,
}

impl Charge {
    /// Charges this number of bytes instead.
    #[cfg(feature = "http")]
    pub(super) fn set(&mut self, bytes: u64) {
        match bytes > self.bytes {
            true => self.usage.charge_bytes(bytes - self.bytes),
            false => self.usage.uncharge_bytes(self.bytes - bytes),
        }
        self.bytes = bytes;
    }

    /// Splits off a part.
    pub(super) fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { usage: Arc::clone(&self.usage), bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.usage.uncharge_bytes(self.bytes);
    }
}

#[cfg(test)]
mod tests;
