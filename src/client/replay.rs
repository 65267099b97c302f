//! The fixes of a recording that are not known to be durable, in order, kept to be sent again.
//!
//! Pure: it knows neither the source that fills it nor the server whose word empties it. `recorder`
//! drives it. Offsets count from the first fix of the path.

use std::collections::VecDeque;

use crate::measure::Fix;

/// A bounded run of fixes: [`Replay::base`] is the offset of the first, [`Replay::end`] that of the next
/// one to be pushed.
#[derive(Debug)]
pub(super) struct Replay {
    fixes: VecDeque<Fix>,
    base: u64,
    capacity: usize,
}

/// The server has fewer fixes than it once said: those between are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub base: u64,
}

impl Replay {
    /// Nothing yet, and room for `capacity` fixes, at least one.
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

    /// Whether the source has to wait.
    pub(super) fn is_full(&self) -> bool {
        self.fixes.len() >= self.capacity
    }

    /// Takes the next fix; gives it back where there is no room.
    pub(super) fn push(&mut self, fix: Fix) -> Result<(), Fix> {
        if self.is_full() {
            return Err(fix);
        }
        self.fixes.push_back(fix);
        Ok(())
    }

    /// All fixes before `offset` are durable, and are dropped. Tells how many fixes of the source are to
    /// be passed over because the server has them already: those past the end, if `offset` is there.
    ///
    /// # Errors
    /// When more was durable before. Nothing changes.
    pub(super) fn committed(&mut self, offset: u64) -> Result<u64, Lost> {
        if offset < self.base {
            return Err(Lost { base: self.base });
        }
        let end = self.end();
        let held = offset.min(end) - self.base;
        self.fixes.drain(..usize::try_from(held).unwrap_or(usize::MAX).min(self.fixes.len()));
        self.base = offset;
        Ok(offset - offset.min(end))
    }

    /// Up to `count` fixes from `offset` on; none where that is out of what is held.
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
        fn it_is_the_part_of_the_source_between_what_is_durable_and_what_was_taken(
            capacity in 1..50_usize, steps in prop::collection::vec((any::<bool>(), 0..60_u64), 0..60),
        ) {
            let mut replay = Replay::new(capacity);
            let (mut durable, mut taken) = (0_u64, 0_u64);
            for (is_push, count) in steps {
                if is_push {
                    for _ in 0..count {
                        let has_room = taken - durable < capacity as u64;
                        prop_assert_eq!(replay.is_full(), !has_room);
                        prop_assert_eq!(replay.push(fix(taken)).is_ok(), has_room);
                        taken += u64::from(has_room);
                    }
                } else {
                    // Now and then back, now and then past what was taken.
                    let offset = (durable + count).saturating_sub(5);
                    let outcome = replay.committed(offset);
                    if offset < durable {
                        prop_assert_eq!(outcome, Err(Lost { base: durable }));
                    } else {
                        prop_assert_eq!(outcome, Ok(offset.saturating_sub(taken)));
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
