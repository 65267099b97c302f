//! The part of the accumulator that puts fixes in the order of their times before it adds them.

use super::{FixOrder, PathAccumulator};
use crate::measure::cost::{self, Cost};
use crate::measure::error::PathError;
use crate::measure::fix_block::FixBlock;
use crate::measure::index_set::IndexSet;
use crate::measure::metric::Metric;
use crate::measure::rejection_reason::RejectionReason;
use crate::measure::reorder::{Added, BufferedFix, ReorderBuffer};
use crate::measure::sum::SumOverflow;

/// Fixes that have left the buffer, and are not added yet.
struct Released {
    block: FixBlock,
    starts: IndexSet,
    late: IndexSet,
    offsets: [u64; FixBlock::CAPACITY],
    /// Whether the next fix starts a segment.
    starts_next: bool,
}

impl Released {
    fn new(metric: Metric) -> Self {
        Self {
            block: FixBlock::new(metric),
            starts: IndexSet::EMPTY,
            late: IndexSet::EMPTY,
            offsets: [0; FixBlock::CAPACITY],
            starts_next: false,
        }
    }

    /// Adds a fix. The block must not be full.
    fn push(&mut self, fix: BufferedFix, is_late: bool) {
        let slot = self.block.len();
        self.block.push_buffered(fix);
        self.offsets[slot] = fix.offset;
        if is_late {
            self.late.insert(slot);
        }
        if std::mem::take(&mut self.starts_next) {
            self.starts.insert(slot);
        }
    }
}

impl PathAccumulator {
    /// Adds the fixes of a block that have a position. `starts` has the slots of those that start a segment.
    ///
    /// # Errors
    /// Returns an error if a total is out of range. The path is then unusable.
    pub(super) fn fold_in_order(
        &mut self,
        buffer: &mut ReorderBuffer,
        block: &FixBlock,
        starts: &IndexSet,
    ) -> Result<Cost, PathError> {
        let count = block.points.len();
        let mut cost = Cost::of_block(count, cost::REORDERED_POINT_NS);
        let first_offset = self.point_count().saturating_add(buffer.point_count());
        let offsets = block.offsets_of_slots(first_offset);
        let (x, y) = block.points.columns();
        let mut out = Released::new(self.options.metric);
        for (slot, ((&x, &y), offset)) in x.iter().zip(y).zip(offsets).enumerate() {
            if starts.contains(slot) {
                cost += self.release_all(buffer, &mut out)?;
                out.starts_next = true;
            }
            let attributes = block.attributes_of(slot);
            let accuracy_m = block.accuracy_m(slot);
            let fix = BufferedFix { at: (x, y), attributes, accuracy_m, offset };
            match buffer.add(fix) {
                Added::Leaves { is_late } => cost += self.release(&mut out, fix, is_late)?,
                Added::Waits => {}
                Added::Duplicate => {
                    self.list_rejected(RejectionReason::Duplicate, offset);
                    continue;
                }
            }
            while let Some(fix) = buffer.pop_due() {
                cost += self.release(&mut out, fix, false)?;
            }
        }
        cost += self.fold_released(&mut out)?;
        if out.starts_next {
            self.raw.start_segment();
        }
        // The fixes in the buffer can be added later without an error.
        match self.raw.length().has_reserve() && self.derived.stats.has_reserve() {
            true => Ok(cost),
            false => Err(SumOverflow.into()),
        }
    }

    /// Ends the segment.
    ///
    /// # Errors
    /// Returns an error if a total is out of range. The path is then unchanged.
    pub(super) fn end_segment(&mut self) -> Result<(), PathError> {
        if let Some(next) = self.with_empty_buffer()? {
            *self = next;
        }
        self.raw.start_segment();
        Ok(())
    }

    /// Returns the path with the fixes that wait in the buffer; `None` if no fix waits.
    ///
    /// # Errors
    /// Returns an error if a total is out of range.
    pub(super) fn with_empty_buffer(&self) -> Result<Option<Self>, PathError> {
        let Some(buffer) = self.reorder.as_ref().filter(|buffer| !buffer.is_empty()) else {
            return Ok(None);
        };
        let mut buffer = buffer.clone();
        let mut next = Self { reorder: None, ..self.clone() };
        let mut out = Released::new(self.options.metric);
        next.release_all(&mut buffer, &mut out)?;
        next.fold_released(&mut out)?;
        next.reorder = Some(buffer);
        Ok(Some(next))
    }

    /// Adds all fixes that wait, and ends the segment of the buffer.
    fn release_all(
        &mut self,
        buffer: &mut ReorderBuffer,
        out: &mut Released,
    ) -> Result<Cost, PathError> {
        let mut cost = Cost::default();
        while let Some(fix) = buffer.pop_at_end() {
            cost += self.release(out, fix, false)?;
        }
        Ok(cost)
    }

    fn release(
        &mut self,
        out: &mut Released,
        fix: BufferedFix,
        is_late: bool,
    ) -> Result<Cost, PathError> {
        let cost = if out.block.is_full() { self.fold_released(out)? } else { Cost::default() };
        out.push(fix, is_late);
        Ok(cost)
    }

    /// Adds the fixes that have left the buffer.
    fn fold_released(&mut self, out: &mut Released) -> Result<Cost, PathError> {
        if out.block.is_empty() {
            return Ok(Cost::default());
        }
        let Released { block, starts, late, offsets, .. } = out;
        let order = FixOrder { late, offset: 0, offsets: Some(offsets) };
        let cost = self.fold_all(block, starts, order)?;
        block.clear();
        (*starts, *late) = (IndexSet::EMPTY, IndexSet::EMPTY);
        Ok(cost)
    }
}
