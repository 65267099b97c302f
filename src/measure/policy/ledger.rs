//! The ledger of a filter: the number of rejected fixes by reason, and the length that their rejection removes.

use crate::measure::rejection_reason::RejectionReason;
use crate::measure::sum::{SignedSum, SumOverflow};
use crate::measure::summary::Rejection;

/// The rejected fixes and the gaps. All sums are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ledger {
    /// Indexed by [`RejectionReason`].
    pub(super) entries: [Entry; RejectionReason::COUNT],
    /// The sum of the distances over the gaps between segments. It is negative only if an earlier program stored the
    /// path and rejected more length than there was.
    pub(super) gap_length: SignedSum,
}

/// The rejected fixes of one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) count: u64,
    /// The least offset; 0 if there are none.
    pub(super) first_offset: u64,
    pub(super) length: SignedSum,
}

impl Ledger {
    /// Counts a rejected fix.
    #[inline]
    pub(super) fn count(&mut self, reason: RejectionReason, offset: u64) {
        let entry = &mut self.entries[reason as usize];
        let is_first = entry.count == 0;
        entry.first_offset = if is_first { offset } else { entry.first_offset.min(offset) };
        entry.count = entry.count.saturating_add(1);
    }

    /// Adds to the length that the rejections of a reason remove.
    #[inline]
    pub(super) fn add(&mut self, reason: RejectionReason, length: f64) -> Result<(), SumOverflow> {
        self.entries[reason as usize].length.add(length)
    }

    /// Adds the difference of two lengths.
    #[inline]
    pub(super) fn add_difference(
        &mut self,
        reason: RejectionReason,
        added: f64,
        removed: f64,
    ) -> Result<(), SumOverflow> {
        // Two fixes in a row at one place have the same bits.
        if added.to_bits() == removed.to_bits() {
            return Ok(());
        }
        let length = &mut self.entries[reason as usize].length;
        length.add(added)?;
        length.subtract(removed)
    }

    pub(super) fn add_gap(&mut self, length: f64) -> Result<(), SumOverflow> {
        self.gap_length.add(length)
    }

    /// Checks that the sums are far enough from their limits for the fixes that are not decided yet.
    ///
    /// # Errors
    /// Returns an error if a sum is 2^62 or more.
    pub(super) fn check_range(&self) -> Result<(), SumOverflow> {
        let mut sums = self.entries.iter().map(|entry| entry.length).chain([self.gap_length]);
        if sums.all(SignedSum::has_reserve) { Ok(()) } else { Err(SumOverflow) }
    }

    /// Returns the reasons that applied.
    pub(super) fn rejections(&self) -> impl Iterator<Item = Rejection> {
        let entry = |reason: RejectionReason| {
            let Entry { count, first_offset, length } = self.entries[reason as usize];
            let rejected_length = length.to_f64();
            (count > 0).then_some(Rejection { reason, count, first_offset, rejected_length })
        };
        RejectionReason::ALL.into_iter().filter_map(entry)
    }
}
