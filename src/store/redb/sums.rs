//! Checksums of the blocks of the database file, kept in memory.
//!
//! redb verifies the checksums of its pages only when it checks a whole file. Without more checks, a page that changes
//! on the disk while the store is open could make a lookup miss. This module stores the checksum of every block that
//! is written, or read during the check at the start. Later reads are compared with it. The checksums take 1/1024 of
//! the size of the file.

use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The size of a block. The pages of redb are blocks or multiples of them.
const BLOCK: u64 = 4096;
/// Maximum number of damaged blocks that are logged.
const LOGGED_MAX: usize = 100;

/// The checksums of a file.
#[derive(Debug, Default)]
pub(super) struct Sums {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Checksums by block; 0 means unknown.
    sums: Vec<u32>,
    /// Blocks that were written since the last sync.
    unsynced: Vec<u64>,
    logged: HashSet<u64>,
}

impl State {
    fn set(&mut self, block: u64, sum: u32) {
        let Ok(index) = usize::try_from(block) else { return };
        if index >= self.sums.len() {
            self.sums.resize(index + 1, 0);
        }
        self.sums[index] = sum;
    }

    fn get(&self, block: u64) -> u32 {
        let sum = usize::try_from(block).ok().and_then(|index| self.sums.get(index));
        sum.copied().unwrap_or(0)
    }
}

/// Returns a checksum that is never 0.
fn sum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes).max(1)
}

/// Returns the blocks that are completely inside a range, with their bytes. The first block of a file is left out: it
/// contains the header, which redb writes in parts and verifies itself.
fn blocks(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let skipped = offset.next_multiple_of(BLOCK) - offset;
    let whole = usize::try_from(skipped).ok().and_then(|skipped| bytes.get(skipped..));
    let first = (offset + skipped) / BLOCK;
    let chunks = whole.unwrap_or_default().chunks_exact(BLOCK as usize);
    (first..).zip(chunks).filter(|(block, _)| *block > 0)
}

/// Returns the blocks that overlap a range.
fn touched(offset: u64, len: usize) -> std::ops::Range<u64> {
    offset / BLOCK..(offset + len as u64).div_ceil(BLOCK)
}

impl Sums {
    /// Stores the checksums of a write. Call it before the write, and call [`Sums::forget`] if the write fails.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) {
        let sums: Vec<_> =
            blocks(offset, bytes).map(|(block, bytes)| (block, sum(bytes))).collect();
        let mut state = self.state();
        for block in touched(offset, bytes.len()) {
            state.set(block, 0);
            state.unsynced.push(block);
        }
        for (block, sum) in sums {
            state.set(block, sum);
        }
    }

    /// Removes the checksums of a range.
    pub(super) fn forget(&self, offset: u64, len: usize) {
        let mut state = self.state();
        touched(offset, len).for_each(|block| state.set(block, 0));
    }

    /// Removes the checksums after the new end of the file.
    pub(super) fn set_len(&self, len: u64) {
        let mut state = self.state();
        state.sums.truncate(usize::try_from(len / BLOCK).unwrap_or(usize::MAX));
    }

    /// Reports the result of a sync. After a failure the disk may have lost everything written since the last sync.
    pub(super) fn synced(&self, is_done: bool) {
        let mut state = self.state();
        for block in std::mem::take(&mut state.unsynced) {
            if !is_done {
                state.set(block, 0);
            }
        }
    }

    /// Compares the bytes of a read with the stored checksums. Stores the checksums that are unknown.
    ///
    /// # Errors
    /// `InvalidData` if a block has changed.
    pub(super) fn check(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        for (block, bytes) in blocks(offset, bytes) {
            let found = sum(bytes);
            let mut state = self.state();
            let known = state.get(block);
            if known == 0 {
                state.set(block, found);
            } else if known != found {
                if state.logged.len() < LOGGED_MAX && state.logged.insert(block) {
                    tracing::error!(
                        offset = block * BLOCK,
                        "a page of the database file has changed on the disk; stop the server and check the disk"
                    );
                }
                let text = format!("the page at byte {} is damaged", block * BLOCK);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = BLOCK as usize;

    #[test]
    fn a_changed_block_is_an_error() {
        let sums = Sums::default();
        let written = vec![7; 2 * PAGE];
        sums.write(BLOCK, &written);
        sums.check(BLOCK, &written).unwrap();
        sums.check(2 * BLOCK, &written[..PAGE]).unwrap();
        let mut changed = written.clone();
        changed[PAGE + 5] ^= 1;
        let error = sums.check(BLOCK, &changed).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(error.to_string(), "the page at byte 8192 is damaged");
        // The first read of a block stores its checksum.
        sums.check(9 * BLOCK, &written[..PAGE]).unwrap();
        assert!(sums.check(9 * BLOCK, &changed[PAGE..]).is_err());
    }

    #[test]
    fn blocks_with_unknown_checksums_are_not_compared() {
        let sums = Sums::default();
        let (old, new) = (vec![1; PAGE], vec![2; PAGE]);
        let known = |sums: &Sums| sums.check(BLOCK, &old).is_err();
        // The header, and a write of a part of a block.
        sums.write(0, &old);
        sums.check(0, &new).unwrap();
        sums.write(BLOCK, &new);
        assert!(known(&sums));
        sums.write(BLOCK + 100, &[0; 9]);
        assert!(!known(&sums));
        // A failed write, a failed sync, a truncated file.
        sums.write(BLOCK, &new);
        sums.forget(BLOCK, PAGE);
        assert!(!known(&sums));
        sums.write(BLOCK, &new);
        sums.synced(true);
        sums.synced(false);
        assert!(known(&sums));
        sums.write(BLOCK, &new);
        sums.synced(false);
        assert!(!known(&sums));
        sums.write(BLOCK, &new);
        sums.set_len(BLOCK);
        sums.set_len(4 * BLOCK);
        assert!(!known(&sums));
    }
}
