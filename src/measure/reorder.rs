//! The buffer that puts fixes in the order of their times. It is in front of the polyline and the filter.
//!
//! A fix with a time waits in the buffer until more fixes than the limit wait, or until it is earlier than the latest
//! time by more than the limit. Fixes with equal times keep their order. A fix without a time follows the fix that
//! was sent before it. A fix that is earlier than one that has left the buffer is late, and does not wait.
//!
//! If the buffer drops duplicates, fixes with equal times are in the order of their positions, and those without a time
//! follow them. So all fixes with a time have a total order in which only exact repetitions are equal. A fix that equals
//! one that waits, or the last one that has left, is a duplicate. A fix that is less than the last one that has left is
//! late, whether it is a repetition or not. The order in which fixes leave does therefore not depend on repetitions.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::options::Reorder;
use super::state::{BufferedFixState, ReorderState, SkippedFixesState};
use super::track_fix::FixAttributes;

/// A fix with a position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BufferedFix {
    /// The canonical coordinates.
    pub(super) at: (f64, f64),
    pub(super) attributes: FixAttributes,
    /// NaN if missing.
    pub(super) accuracy_m: f64,
    /// The index in the path, in the order in which the fixes are sent.
    pub(super) offset: u64,
}

/// The result of adding a fix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Added {
    /// The fix waits.
    Waits,
    /// The fix leaves at once.
    Leaves {
        /// Whether it is earlier than one that has left before.
        is_late: bool,
    },
    /// The fix has the time and the position of another one, and is counted and dropped.
    Duplicate,
}

/// The place of a fix in the order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Key {
    /// The time of the fix or, without one, of the fix that was sent before it.
    pub(super) unix_ns: i64,
    /// The position, if the buffer drops duplicates and the fix has a time.
    pub(super) at: Option<(f64, f64)>,
}

impl Key {
    /// Compares the times, then the positions. A key without a position follows those with one.
    #[inline]
    pub(super) fn cmp(self, other: Self) -> Ordering {
        self.unix_ns.cmp(&other.unix_ns).then_with(|| match (self.at, other.at) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => a.0.total_cmp(&b.0).then_with(|| a.1.total_cmp(&b.1)),
        })
    }
}

/// The fixes of the current segment that wait. The fixes of earlier segments have left.
#[derive(Debug, PartialEq)]
pub(super) struct ReorderBuffer {
    limits: Reorder,
    drops_duplicates: bool,
    /// In the order of their keys, and with equal keys in the order in which they were sent.
    waiting: VecDeque<Waiting>,
    /// The largest key of the fixes that have left.
    left: Option<Key>,
    /// The time in the key of the last fix that was added. It is known exactly if a fix waits.
    sent_ns: Option<i64>,
    /// The duplicates of all segments.
    duplicates: SkippedFixesState,
}

/// A fix that waits, in 56 bytes.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// The time of the fix or, without one, of the fix that was sent before it.
    key_ns: i64,
    has_time: bool,
    at: (f64, f64),
    /// NaN if missing.
    z: f64,
    /// NaN if missing.
    accuracy_m: f64,
    offset: u64,
}

impl ReorderBuffer {
    pub(super) fn new(limits: Reorder, drops_duplicates: bool) -> Self {
        let waiting = VecDeque::with_capacity(capacity(limits));
        let duplicates = SkippedFixesState::default();
        Self { limits, drops_duplicates, waiting, left: None, sent_ns: None, duplicates }
    }

    /// Returns the number of bytes that it holds in addition to its own size.
    #[cfg(feature = "server")]
    pub(super) fn heap_bytes(&self) -> usize {
        self.waiting.capacity() * size_of::<Waiting>()
    }

    /// Returns the number of fixes that wait or were dropped.
    pub(super) fn point_count(&self) -> u64 {
        self.duplicates.count.saturating_add(self.waiting.len() as u64)
    }

    /// Returns the fixes that were dropped.
    pub(super) fn duplicates(&self) -> SkippedFixesState {
        self.duplicates
    }

    /// Returns the last of the fixes that wait.
    pub(super) fn last(&self) -> Option<BufferedFix> {
        self.waiting.back().map(|waiting| waiting.fix())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a fix. After it, [`ReorderBuffer::pop_due`] has to be called until it returns nothing.
    #[inline]
    pub(super) fn add(&mut self, fix: BufferedFix) -> Added {
        let unix_ns = fix.attributes.unix_ns;
        let Some(key_ns) = unix_ns.or(self.sent_ns) else {
            return Added::Leaves { is_late: false };
        };
        self.sent_ns = Some(key_ns);
        let key =
            Key { unix_ns: key_ns, at: unix_ns.filter(|_| self.drops_duplicates).map(|_| fix.at) };
        match self.left.map(|left| key.cmp(left)) {
            Some(Ordering::Less) => return Added::Leaves { is_late: unix_ns.is_some() },
            Some(Ordering::Equal) if key.at.is_some() => return self.drop_duplicate(fix),
            _ => {}
        }
        let is_after = |waiting: &Waiting| self.key_of(waiting).cmp(key) == Ordering::Greater;
        let index = match self.waiting.back() {
            Some(last) if is_after(last) => {
                self.waiting.partition_point(|waiting| !is_after(waiting))
            }
            _ => self.waiting.len(),
        };
        if key.at.is_some() {
            // The fixes up to the index are at most as great.
            let before = index.checked_sub(1).and_then(|before| self.waiting.get(before));
            if before.is_some_and(|before| self.key_of(before).cmp(key) == Ordering::Equal) {
                return self.drop_duplicate(fix);
            }
        }
        self.waiting.insert(index, Waiting::new(fix, key_ns));
        Added::Waits
    }

    #[cold]
    fn drop_duplicate(&mut self, fix: BufferedFix) -> Added {
        self.duplicates.add(fix.offset, 1);
        Added::Duplicate
    }

    #[inline]
    fn key_of(&self, waiting: &Waiting) -> Key {
        let has_place = self.drops_duplicates && waiting.has_time;
        Key { unix_ns: waiting.key_ns, at: has_place.then_some(waiting.at) }
    }

    /// Removes and returns the next fix that a limit forces to leave.
    #[inline]
    pub(super) fn pop_due(&mut self) -> Option<BufferedFix> {
        let (first, last) = (self.waiting.front()?, self.waiting.back()?);
        let waits_ns = last.key_ns.abs_diff(first.key_ns);
        let is_due = self.waiting.len() > self.limits.count as usize
            || self.limits.time_ns.is_some_and(|limit| waits_ns > limit);
        if is_due { self.pop() } else { None }
    }

    /// Removes and returns the first fix.
    #[inline]
    fn pop(&mut self) -> Option<BufferedFix> {
        let first = self.waiting.pop_front()?;
        self.left = Some(self.key_of(&first));
        Some(first.fix())
    }

    /// Ends the segment: removes and returns the first fix. If the buffer is empty, later fixes are not compared with the
    /// earlier ones.
    pub(super) fn pop_at_end(&mut self) -> Option<BufferedFix> {
        let first = self.pop();
        if first.is_none() {
            (self.left, self.sent_ns) = (None, None);
        }
        first
    }

    pub(super) fn state(&self) -> ReorderState {
        ReorderState {
            waiting: self.waiting.iter().map(Waiting::state).collect(),
            left_unix_ns: self.left.map(|left| left.unix_ns),
            left_at: self.left.and_then(|left| left.at).map(Into::into),
            sent_unix_ns: self.sent_ns,
            duplicates: self.duplicates,
        }
    }

    /// Restores a buffer from a state that was checked.
    pub(super) fn from_checked_state(
        limits: Reorder,
        drops_duplicates: bool,
        state: &ReorderState,
    ) -> Self {
        let mut buffer = Self::new(limits, drops_duplicates);
        buffer.waiting.extend(state.waiting.iter().map(Waiting::from_checked_state));
        let left_at = state.left_at.map(Into::into);
        buffer.left = state.left_unix_ns.map(|unix_ns| Key { unix_ns, at: left_at });
        (buffer.sent_ns, buffer.duplicates) = (state.sent_unix_ns, state.duplicates);
        buffer
    }
}

/// Returns the largest number of fixes: one more than the limit, for a moment.
fn capacity(limits: Reorder) -> usize {
    limits.count as usize + 1
}

/// A copy has the same capacity, so that it does not allocate again when it grows.
impl Clone for ReorderBuffer {
    fn clone(&self) -> Self {
        let mut waiting = VecDeque::with_capacity(capacity(self.limits));
        waiting.extend(&self.waiting);
        Self { waiting, ..*self }
    }
}

impl Waiting {
    #[inline]
    fn new(fix: BufferedFix, key_ns: i64) -> Self {
        let BufferedFix { at, attributes, accuracy_m, offset } = fix;
        let FixAttributes { z, unix_ns } = attributes;
        let (z, has_time) = (z.unwrap_or(f64::NAN), unix_ns.is_some());
        Self { key_ns, has_time, at, z, accuracy_m, offset }
    }

    #[inline]
    fn fix(self) -> BufferedFix {
        let Self { key_ns, has_time, at, z, accuracy_m, offset } = self;
        let attributes =
            FixAttributes { z: (!z.is_nan()).then_some(z), unix_ns: has_time.then_some(key_ns) };
        BufferedFix { at, attributes, accuracy_m, offset }
    }

    fn state(&self) -> BufferedFixState {
        let BufferedFix { at, attributes, accuracy_m, offset } = self.fix();
        BufferedFixState {
            at: at.into(),
            key_unix_ns: self.key_ns,
            attributes: attributes.state(),
            accuracy_m: (!accuracy_m.is_nan()).then_some(accuracy_m),
            offset,
        }
    }

    fn from_checked_state(state: &BufferedFixState) -> Self {
        let BufferedFixState { at, key_unix_ns, attributes, accuracy_m, offset } = *state;
        let attributes = FixAttributes::from_checked_state(attributes);
        let accuracy_m = accuracy_m.unwrap_or(f64::NAN);
        Self::new(BufferedFix { at: at.into(), attributes, accuracy_m, offset }, key_unix_ns)
    }
}

/// Compares all bits, so that missing values are equal.
impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.state() == other.state()
    }
}

#[cfg(test)]
mod tests;
