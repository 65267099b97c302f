//! The buffer that puts fixes in the order of their times. It is in front of the polyline and the filter.
//!
//! A fix with a time waits in the buffer until more fixes than the limit wait, or until it is earlier than the latest
//! time by more than the limit. Fixes with equal times keep their order. A fix without a time follows the fix that
//! was sent before it. A fix that is earlier than one that has left the buffer is late, and does not wait.

use std::collections::VecDeque;

use super::options::Reorder;
use super::state::{BufferedFixState, ReorderState};
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
}

/// The fixes of the current segment that wait. The fixes of earlier segments have left.
#[derive(Debug, PartialEq)]
pub(super) struct ReorderBuffer {
    limits: Reorder,
    /// In the order of their keys, and with equal keys in the order in which they were sent.
    waiting: VecDeque<Waiting>,
    /// The largest key of the fixes that have left.
    left_ns: Option<i64>,
    /// The key of the last fix that was added. It is known exactly if a fix waits.
    sent_ns: Option<i64>,
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
    pub(super) fn new(limits: Reorder) -> Self {
        let waiting = VecDeque::with_capacity(capacity(limits));
        Self { limits, waiting, left_ns: None, sent_ns: None }
    }

    /// Returns the number of bytes that it holds in addition to its own size.
    #[cfg(feature = "server")]
    pub(super) fn heap_bytes(&self) -> usize {
        self.waiting.capacity() * size_of::<Waiting>()
    }

    /// Returns the number of fixes that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
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
        if self.left_ns.is_some_and(|left_ns| key_ns < left_ns) {
            return Added::Leaves { is_late: unix_ns.is_some() };
        }
        let index = match self.waiting.back() {
            Some(last) if last.key_ns > key_ns => {
                self.waiting.partition_point(|waiting| waiting.key_ns <= key_ns)
            }
            _ => self.waiting.len(),
        };
        self.waiting.insert(index, Waiting::new(fix, key_ns));
        Added::Waits
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
        self.left_ns = Some(first.key_ns);
        Some(first.fix())
    }

    /// Ends the segment: removes and returns the first fix. If there is none, later fixes are not compared with the
    /// earlier ones.
    pub(super) fn pop_at_end(&mut self) -> Option<BufferedFix> {
        let first = self.pop();
        if first.is_none() {
            (self.left_ns, self.sent_ns) = (None, None);
        }
        first
    }

    pub(super) fn state(&self) -> ReorderState {
        ReorderState {
            waiting: self.waiting.iter().map(Waiting::state).collect(),
            left_unix_ns: self.left_ns,
            sent_unix_ns: self.sent_ns,
        }
    }

    /// Restores a buffer from a state that was checked.
    pub(super) fn from_checked_state(limits: Reorder, state: &ReorderState) -> Self {
        let mut buffer = Self::new(limits);
        buffer.waiting.extend(state.waiting.iter().map(Waiting::from_checked_state));
        (buffer.left_ns, buffer.sent_ns) = (state.left_unix_ns, state.sent_unix_ns);
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
