//! The storage backend of the database. It counts requests to the disk and verifies the checksums of blocks. It does not
//! interpret the bytes.

use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use redb::{BackendError, StorageBackend};

use super::sums::Sums;

/// Counters of a store since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Write requests that were answered, with success or an error.
    pub requests: u64,
    /// Transactions that were committed. Each carries out all waiting requests.
    pub transactions: u64,
    /// Syncs of the file, including those of opening it.
    pub syncs: u64,
    /// Bytes written.
    pub bytes: u64,
    /// The total duration of all transactions, each from its first request to its last answer.
    pub busy: Duration,
    /// The longest duration of a transaction.
    pub longest: Duration,
    /// Recordings in the file after the last transaction.
    pub recordings: u64,
    /// Batches of write requests, each carried out in one transaction, by size: element `n` counts those of up to
    /// 2^n requests that are too large for the element before it. The last element also counts all larger ones.
    pub batches: [u64; BATCH_SIZES],
}

/// Number of elements of [`StoreStats::batches`]: sizes from 1 to 4096.
pub(super) const BATCH_SIZES: usize = 13;

#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    pub(super) transactions: AtomicU64,
    syncs: AtomicU64,
    bytes: AtomicU64,
    pub(super) bytes_read: AtomicU64,
    busy_ns: AtomicU64,
    longest_ns: AtomicU64,
    pub(super) recordings: AtomicU64,
    batches: [AtomicU64; BATCH_SIZES],
}

impl Counters {
    /// Counts a batch of write requests.
    pub(super) fn add_batch(&self, requests: usize) {
        self.requests.fetch_add(requests as u64, Relaxed);
        let size = requests.max(1).next_power_of_two().ilog2() as usize;
        self.batches[size.min(BATCH_SIZES - 1)].fetch_add(1, Relaxed);
    }

    pub(super) fn add_busy(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.busy_ns.fetch_add(ns, Relaxed);
        self.longest_ns.fetch_max(ns, Relaxed);
    }

    pub(super) fn stats(&self) -> StoreStats {
        StoreStats {
            requests: self.requests.load(Relaxed),
            transactions: self.transactions.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            busy: Duration::from_nanos(self.busy_ns.load(Relaxed)),
            longest: Duration::from_nanos(self.longest_ns.load(Relaxed)),
            recordings: self.recordings.load(Relaxed),
            batches: std::array::from_fn(|size| self.batches[size].load(Relaxed)),
        }
    }
}

/// A backend that counts requests and compares what it reads with what was written.
#[derive(Debug)]
pub(super) struct Counted<B> {
    pub(super) inner: B,
    pub(super) counters: Arc<Counters>,
    pub(super) sums: Arc<Sums>,
}

impl<B: StorageBackend> StorageBackend for Counted<B> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.counters.bytes_read.fetch_add(out.len() as u64, Relaxed);
        self.inner.read(offset, out)?;
        self.sums.check(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)?;
        self.sums.set_len(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.counters.syncs.fetch_add(1, Relaxed);
        let outcome = self.inner.sync_data();
        self.sums.synced(outcome.is_ok());
        outcome
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.counters.bytes.fetch_add(data.len() as u64, Relaxed);
        self.sums.write(offset, data);
        let outcome = self.inner.write(offset, data);
        if outcome.is_err() {
            self.sums.forget(offset, data.len());
        }
        outcome
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
