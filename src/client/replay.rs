//! A buffer of the fixes of a recording that are not known to be durable. After a lost connection they are sent again.
//!
//! The module is sans-IO: `recorder` fills the buffer from the source, and removes fixes that the server reports as
//! durable. Offsets count from the first fix of the path.

use std::collections::{VecDeque, vec_deque};

use crate::measure::Fix;

/// A bounded queue of fixes. [`ReplayBuffer::base`] is the offset of its first fix, [`ReplayBuffer::end`] the offset of
/// the next fix that is pushed.
#[derive(Debug)]
pub(super) struct ReplayBuffer {
    fixes: VecDeque<Fix>,
    base: u64,
    capacity: usize,
}

/// The server has fewer fixes than it reported before, so that durable fixes are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PointsLost {
    /// The number of fixes that were durable.
    pub base: u64,
}

impl ReplayBuffer {
    /// Returns an empty buffer for `capacity` fixes, at least one.
    pub(super) fn new(capacity: usize) -> Self {
        Self { fixes: VecDeque::new(), base: 0, capacity: capacity.max(1) }
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn end(&self) -> u64 {
        self.base + self.fixes.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fixes.is_empty()
    }

    /// Returns whether the source has to wait.
    pub(super) fn is_full(&self) -> bool {
        self.fixes.len() >= self.capacity
    }

    /// Appends the next fix. Returns it as the error if the buffer is full.
    pub(super) fn push(&mut self, fix: Fix) -> Result<(), Fix> {
        if self.is_full() {
            return Err(fix);
        }
        self.fixes.push_back(fix);
        Ok(())
    }

    /// Removes all fixes before `offset`, because they are durable, and returns them. If `offset` is after the end of the
    /// buffer, also returns how many further fixes of the source to skip.
    ///
    /// # Errors
    /// More fixes were durable before. The buffer is unchanged.
    pub(super) fn set_committed(
        &mut self,
        offset: u64,
    ) -> Result<(vec_deque::Drain<'_, Fix>, u64), PointsLost> {
        if offset < self.base {
            return Err(PointsLost { base: self.base });
        }
        let end = self.end();
        let held = offset.min(end) - self.base;
        self.base = offset;
        let held = usize::try_from(held).unwrap_or(usize::MAX).min(self.fixes.len());
        Ok((self.fixes.drain(..held), offset - offset.min(end)))
    }

    /// Returns up to `count` fixes from `offset` on. Returns no fixes if the buffer does not hold that offset.
    pub(super) fn from(&self, offset: u64, count: usize) -> impl Iterator<Item = Fix> + '_ {
        let skip = offset.checked_sub(self.base).and_then(|skip| usize::try_from(skip).ok());
        self.fixes.range(skip.unwrap_or(usize::MAX).min(self.fixes.len())..).take(count).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::Point;

    fn fix(offset: u64) -> Fix {
        Fix::new(Point::planar(offset as f64, 0.0).unwrap())
    }

    proptest! {
        #[test]
        fn the_buffer_holds_the_fixes_between_the_durable_ones_and_the_next(
            capacity in 1..50_usize, steps in prop::collection::vec((any::<bool>(), 0..60_u64), 0..60),
        ) {
            let mut replay = ReplayBuffer::new(capacity);
            let (mut durable, mut taken) = (0_u64, 0_u64);
            for (is_push, count) in steps {
                if is_push {
                    for _ in 0..count {
                        let has_capacity = taken - durable < capacity as u64;
                        prop_assert_eq!(replay.is_full(), !has_capacity);
                        prop_assert_eq!(replay.push(fix(taken)).is_ok(), has_capacity);
                        taken += u64::from(has_capacity);
                    }
                } else {
                    // The offset may be before the base or after the end.
                    let offset = (durable + count).saturating_sub(5);
                    let outcome = replay.set_committed(offset);
                    let outcome = outcome.map(|(removed, skip)| (removed.collect::<Vec<_>>(), skip));
                    if offset < durable {
                        prop_assert_eq!(outcome, Err(PointsLost { base: durable }));
                    } else {
                        let removed = (durable..offset.min(taken)).map(fix).collect();
                        prop_assert_eq!(outcome, Ok((removed, offset.saturating_sub(taken))));
                        durable = offset;
                        taken = taken.max(offset);
                    }
                }
                prop_assert_eq!((replay.base(), replay.end()), (durable, taken));
                prop_assert_eq!(replay.is_empty(), durable == taken);
                for from in [durable, (durable + taken) / 2, taken, taken + 1] {
                    let held: Vec<_> = replay.from(from, 7).collect();
                    let expected: Vec<_> = (from..taken).take(7).map(fix).collect();
                    prop_assert_eq!(held, expected);
                }
            }
        }
    }
}
