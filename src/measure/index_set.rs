//! A set of fixes of a block: one bit per fix.

use super::point_block::PointBlock;

/// A set of indices of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexSet([u64; PointBlock::CAPACITY / 64]);

impl IndexSet {
    pub(super) const EMPTY: Self = Self([0; PointBlock::CAPACITY / 64]);

    #[inline]
    pub(super) fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    /// Removes the indices from `len` on.
    #[inline]
    pub(super) fn truncate(&mut self, len: usize) {
        for (word, bits) in self.0.iter_mut().zip((0..).step_by(64)) {
            let kept = len.saturating_sub(bits).min(64);
            *word &= u64::MAX.checked_shr(64 - kept as u32).unwrap_or(0);
        }
    }

    #[inline]
    pub(super) fn contains(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// Returns the number of indices.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Returns the number of indices that are less than `end`.
    pub(super) fn count_before(&self, end: usize) -> usize {
        let mut before = *self;
        before.truncate(end);
        before.len()
    }
}
