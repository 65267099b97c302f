//! The windows of a path, sorted by time.
//!
//! The accumulator copies its state for every block, so that an error leaves the path unchanged. The windows are
//! therefore in chunks that copies share. A copy costs one reference count, and a change copies one chunk.

use std::sync::Arc;

use super::calendar::Span;

/// Maximum number of windows of a chunk.
const CHUNK_MAX: usize = 128;

/// One window with its content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) span: Span,
    /// The length in units of 2^-64.
    pub(super) units: u128,
    pub(super) point_count: u64,
}

impl Window {
    pub(super) fn empty(span: Span) -> Self {
        Self { span, units: 0, point_count: 0 }
    }

    /// Adds a length and fixes. The caller limits the sum of all lengths.
    #[inline]
    pub(super) fn add(&mut self, units: u128, point_count: u64) {
        self.units += units;
        self.point_count = self.point_count.saturating_add(point_count);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.units == 0 && self.point_count == 0
    }
}

/// Windows sorted by time. No two overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// No chunk is empty.
    chunks: Arc<Vec<Arc<Vec<Window>>>>,
    count: usize,
}

impl Table {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Returns the number of bytes of the windows.
    #[cfg(feature = "server")]
    pub(super) fn heap_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.capacity() * size_of::<Window>()).sum()
    }

    /// Returns the windows in order of time.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Window> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Returns the window of a time.
    pub(super) fn find(&self, unix_s: i64) -> Option<&Window> {
        let (before, _) = self.around(unix_s);
        before.filter(|window| unix_s < window.span.end_s)
    }

    /// Returns the last window that starts at a time or before it, and the first one that starts after it.
    pub(super) fn around(&self, unix_s: i64) -> (Option<&Window>, Option<&Window>) {
        let starts_before = |window: &Window| window.span.start_s <= unix_s;
        let index = self.chunks.partition_point(|chunk| chunk.first().is_some_and(starts_before));
        let next_chunk = self.chunks.get(index).and_then(|chunk| chunk.first());
        let Some(chunk) = index.checked_sub(1).and_then(|index| self.chunks.get(index)) else {
            return (None, next_chunk);
        };
        let slot = chunk.partition_point(starts_before);
        (slot.checked_sub(1).and_then(|slot| chunk.get(slot)), chunk.get(slot).or(next_chunk))
    }

    /// Returns the earliest window.
    pub(super) fn first(&self) -> Option<&Window> {
        self.chunks.first().and_then(|chunk| chunk.first())
    }

    /// Removes the earliest window and returns it.
    pub(super) fn take_first(&mut self) -> Option<Window> {
        let window = *self.first()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        match chunks.first_mut().map(Arc::make_mut) {
            Some(chunk) if chunk.len() > 1 => _ = chunk.remove(0),
            _ => _ = chunks.remove(0),
        }
        self.count -= 1;
        Some(window)
    }

    /// Adds a window, or replaces the one with the same start.
    pub(super) fn put(&mut self, window: Window) {
        let chunks = Arc::make_mut(&mut self.chunks);
        let start_s = window.span.start_s;
        let starts_before = |window: &Window| window.span.start_s <= start_s;
        let index = chunks.partition_point(|chunk| chunk.first().is_some_and(starts_before));
        let index = index.saturating_sub(1);
        let Some(chunk) = chunks.get_mut(index).map(Arc::make_mut) else {
            chunks.push(Arc::new(vec![window]));
            self.count += 1;
            return;
        };
        match chunk.binary_search_by_key(&start_s, |window| window.span.start_s) {
            Ok(slot) => chunk[slot] = window,
            Err(slot) => {
                chunk.insert(slot, window);
                self.count += 1;
                if chunk.len() > CHUNK_MAX {
                    let upper = chunk.split_off(CHUNK_MAX / 2);
                    chunks.insert(index + 1, Arc::new(upper));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn window(start_s: i64, point_count: u64) -> Window {
        let span = Span { start_s, end_s: start_s + 10, key: start_s };
        Window { span, units: 0, point_count }
    }

    proptest! {
        #[test]
        fn a_table_is_a_sorted_map(
            starts in prop::collection::vec(0_i64..600, 0..900), times in prop::collection::vec(-5_i64..6100, 50),
        ) {
            let (mut table, mut map) = (Table::default(), BTreeMap::new());
            for (count, start) in starts.iter().enumerate() {
                let window = window(start * 10, count as u64);
                let copy = table.clone();
                table.put(window);
                prop_assert_eq!(copy.iter().count(), map.len());
                map.insert(start * 10, window);
            }
            prop_assert_eq!(table.count(), map.len());
            prop_assert!(table.iter().eq(map.values()));
            prop_assert_eq!(table.first(), map.values().next());
            for time in &times {
                let time = *time;
                let before = map.range(..=time).next_back().map(|(_, window)| window);
                let after = map.range(time + 1..).next().map(|(_, window)| window);
                prop_assert_eq!(table.around(time), (before, after));
                prop_assert_eq!(table.find(time), before.filter(|window| time < window.span.end_s));
            }
            for _ in 0..times.len() {
                let copy = table.clone();
                prop_assert_eq!(table.take_first(), map.pop_first().map(|(_, window)| window));
                prop_assert_eq!(copy.count(), map.len() + usize::from(copy.first().is_some()));
                prop_assert!(table.iter().eq(map.values()) && table.count() == map.len());
            }
        }
    }
}
