//! A block of fixes: a `PointBlock` with optional columns of times, elevations and accuracies. The
//! optional columns are allocated when the first such value is set. Fixes without a position are
//! only marked, so that they do not slow down the others.
//!
//! Decoders and file readers fill the block, which checks the values. A path folds and clears it.

mod columns;

use std::ops::Range;

use super::attribute_columns::AttributeColumns;
use super::error::{ColumnError, PathError};
use super::fix::{Fix, FixError, UNIX_S, checked_accuracy, checked_unix_ns, checked_z};
use super::index_set::IndexSet;
use super::metric::Metric;
use super::point::PointError;
use super::point_block::PointBlock;
use super::reorder::BufferedFix;
use super::scale::Scale;
use super::seen_attributes::SeenAttributes;
use super::track_fix::FixAttributes;

/// A run of up to [`FixBlock::CAPACITY`] fixes of one space, as columns.
///
/// Add points first, then set their attributes:
///
/// ```
/// use waywiser::measure::{FixBlock, PathAccumulator, Metric, Options};
///
/// let mut block = FixBlock::new(Metric::Geodesic);
/// let from = block.len();
/// block.extend_scaled(&[137_433_000, 137_434_000], &[464_397_000, 464_398_000], 1e-7)?;
/// block.set_times_ms(from, &[1_700_000_000_000, 1_700_000_004_000])?;
/// block.set_z_scaled(from, &[1_611_000, 1_612_500], 1e-3)?;
///
/// let mut path = PathAccumulator::new(Options::new(Metric::Geodesic));
/// path.fold(&mut block)?;
/// assert_eq!(path.summary().raw_ascent, Some(1.5));
/// assert_eq!(path.summary().elapsed_ns, Some(4_000_000_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FixBlock {
    metric: Metric,
    /// The positions of the fixes that have one.
    pub(super) points: PointBlock,
    /// The fixes that start a segment.
    pub(super) starts: IndexSet,
    /// The fixes without a position.
    without_position: IndexSet,
    without_position_count: usize,
    /// Allocated when the first attribute is set.
    attributes: Option<Box<AttributeColumns>>,
}

impl FixBlock {
    /// The maximum number of fixes.
    pub const CAPACITY: usize = PointBlock::CAPACITY;

    /// Returns an empty block for fixes in the space of `metric`.
    pub fn new(metric: Metric) -> Self {
        let points = PointBlock::new(metric.space());
        Self {
            metric,
            points,
            starts: IndexSet::EMPTY,
            without_position: IndexSet::EMPTY,
            without_position_count: 0,
            attributes: None,
        }
    }

    /// Returns the metric that defines the space of the fixes.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Returns the number of fixes, with or without a position.
    #[inline]
    pub fn len(&self) -> usize {
        self.points.len() + self.without_position_count
    }

    /// Returns whether the block has no fixes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether the block has no capacity left.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len() == Self::CAPACITY
    }

    /// Returns the number of fixes that can be added.
    #[inline]
    pub fn remaining_capacity(&self) -> usize {
        Self::CAPACITY - self.len()
    }

    /// Adds a fix with its attributes. Those of a fix without a position are ignored.
    ///
    /// # Errors
    /// Returns [`PathError::Space`] if the fix is in another space. The block is then unchanged.
    ///
    /// # Panics
    /// Panics if the block is full; see [`FixBlock::is_full`].
    #[inline]
    pub fn push(&mut self, fix: Fix) -> Result<(), PathError> {
        let Some(point) = fix.point() else {
            self.push_without_position(fix.starts_segment());
            return Ok(());
        };
        if point.space() != self.points.space() {
            return Err(PathError::Space { metric: self.metric, points: point.space() });
        }
        assert!(!self.is_full());
        if fix.starts_segment() {
            self.starts.insert(self.len());
        }
        let slot = self.points.len();
        let (x, y) = point.canonical();
        self.points.push_canonical(x, y);
        if let Some(z) = fix.z() {
            self.attributes_mut().z_from(slot)[0] = z;
        }
        if let Some(unix_ns) = fix.unix_ns() {
            self.attributes_mut().times_from(slot)[0] = unix_ns;
        }
        if let Some(accuracy_m) = fix.accuracy_m() {
            self.attributes_mut().accuracy_from(slot)[0] = accuracy_m;
        }
        Ok(())
    }

    /// Adds a fix that was checked before.
    ///
    /// # Panics
    /// Panics if the block is full; see [`FixBlock::is_full`].
    #[inline]
    pub(super) fn push_buffered(&mut self, fix: BufferedFix) {
        let (slot, (x, y)) = (self.points.len(), fix.at);
        self.points.push_canonical(x, y);
        self.attributes_mut().set(slot, fix.attributes, fix.accuracy_m);
    }

    #[cold]
    fn push_without_position(&mut self, starts_segment: bool) {
        assert!(!self.is_full());
        let index = self.len();
        self.without_position.insert(index);
        self.without_position_count += 1;
        if starts_segment {
            self.starts.insert(index);
        }
    }

    /// Adds a point without attributes: x and y in the caller's unit, or longitude and latitude in
    /// degrees.
    ///
    /// # Errors
    /// See [`Point::new`](super::Point::new). The block is then unchanged.
    ///
    /// # Panics
    /// Panics if the block is full; see [`FixBlock::is_full`].
    #[inline]
    pub fn push_xy(&mut self, x: f64, y: f64) -> Result<(), PointError> {
        assert!(!self.is_full());
        self.points.push_xy(x, y)
    }

    /// Adds the points of two columns as [`FixBlock::push_xy`] does, several times as fast.
    ///
    /// # Errors
    /// Returns [`ColumnError::Point`] for the first invalid point. The points before it were added.
    ///
    /// # Panics
    /// Panics if the columns differ in length or are longer than [`FixBlock::remaining_capacity`].
    pub fn extend_xy(&mut self, x: &[f64], y: &[f64]) -> Result<(), ColumnError> {
        assert!(x.len() <= self.remaining_capacity());
        self.points.extend_xy(x, y).map_err(|(index, source)| ColumnError::Point { index, source })
    }

    /// Adds points in whole numbers of `resolution`: x and y in the caller's unit, or longitude and
    /// latitude in degrees.
    ///
    /// A resolution of 1e-7 degree is exact and accepts every longitude, like [`Point::from_e7`]. If the
    /// resolution is one divided by a whole number, such as a tenth or a thousandth, each value is the
    /// `f64` nearest to its decimal number.
    ///
    /// [`Point::from_e7`]: super::Point::from_e7
    ///
    /// # Errors
    /// Returns [`ColumnError::Point`] for the first invalid point. The points before it were added.
    ///
    /// # Panics
    /// Panics if the columns differ in length or are longer than [`FixBlock::remaining_capacity`].
    pub fn extend_scaled(
        &mut self,
        x: &[i64],
        y: &[i64],
        resolution: f64,
    ) -> Result<(), ColumnError> {
        assert!(x.len() <= self.remaining_capacity());
        self.points
            .extend_scaled(x, y, resolution)
            .map_err(|(index, source)| ColumnError::Point { index, source })
    }

    /// Sets the elevations of the points from the index `from` on, in whole numbers of `resolution`; see
    /// [`FixBlock::extend_scaled`].
    ///
    /// # Errors
    /// Returns [`ColumnError::Z`] for the first elevation out of range. No elevation is then set.
    ///
    /// # Panics
    /// Panics if the block has fewer points, or if one of these has no position.
    pub fn set_z_scaled(
        &mut self,
        from: usize,
        z: &[i64],
        resolution: f64,
    ) -> Result<(), ColumnError> {
        let range = self.range(from, z.len());
        if z.is_empty() {
            return Ok(());
        }
        let scale = Scale::new(resolution);
        let mut values = [0.0; PointBlock::CAPACITY];
        let values = &mut values[..z.len()];
        for (index, (out, &z)) in values.iter_mut().zip(z).enumerate() {
            let z = checked_z(scale.apply(z as f64));
            *out = z.map_err(|source| ColumnError::Z { index, source })? + 0.0;
        }
        self.attributes_mut().z_from(range.start)[..values.len()].copy_from_slice(values);
        Ok(())
    }

    /// Sets the times of the points from the index `from` on, in milliseconds since
    /// 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// Returns [`ColumnError::Time`] for the first time out of range. No time is then set.
    ///
    /// # Panics
    /// Panics if the block has fewer points, or if one of these has no position.
    pub fn set_times_ms(&mut self, from: usize, times_ms: &[i64]) -> Result<(), ColumnError> {
        const NS_PER_MS: i64 = 1_000_000;
        const FIRST_MS: i64 = UNIX_S.start * 1000;
        const END_MS: i64 = UNIX_S.end * 1000;
        let range = self.range(from, times_ms.len());
        if times_ms.is_empty() {
            return Ok(());
        }
        let fits = |time_ms: i64| (FIRST_MS..END_MS).contains(&time_ms);
        // Counting first makes a loop that the compiler vectorises.
        if times_ms.iter().map(|&time_ms| u64::from(!fits(time_ms))).sum::<u64>() > 0 {
            let bad = times_ms.iter().enumerate().find(|&(_, &time_ms)| !fits(time_ms));
            if let Some((index, &time_ms)) = bad {
                let source = FixError::Time { unix_s: time_ms.div_euclid(1000) };
                return Err(ColumnError::Time { index, source });
            }
        }
        for (out, &time_ms) in
            self.attributes_mut().times_from(range.start).iter_mut().zip(times_ms)
        {
            *out = time_ms * NS_PER_MS;
        }
        Ok(())
    }

    /// Sets the accuracies of the points from the index `from` on, in millimetres. Every value is in range.
    ///
    /// # Panics
    /// Panics if the block has fewer points, or if one of these has no position.
    pub fn set_accuracy_mm(&mut self, from: usize, accuracy_mm: &[u32]) {
        let range = self.range(from, accuracy_mm.len());
        if accuracy_mm.is_empty() {
            return;
        }
        let column = self.attributes_mut().accuracy_from(range.start);
        for (out, &accuracy_mm) in column.iter_mut().zip(accuracy_mm) {
            *out = f64::from(accuracy_mm) / 1e3;
        }
    }

    /// Sets the elevation of the point with this index.
    ///
    /// # Errors
    /// See [`Fix::with_z`]. No elevation is then set.
    ///
    /// # Panics
    /// Panics if the block has no such point, or if it has no position.
    #[inline]
    pub fn set_z_at(&mut self, index: usize, z: f64) -> Result<(), FixError> {
        let range = self.range(index, 1);
        self.attributes_mut().z_from(range.start)[0] = checked_z(z)? + 0.0;
        Ok(())
    }

    /// Sets the time of the point with this index.
    ///
    /// # Errors
    /// See [`Fix::at_unix_ns`]. No time is then set.
    ///
    /// # Panics
    /// Panics if the block has no such point, or if it has no position.
    #[inline]
    pub fn set_unix_ns_at(&mut self, index: usize, unix_ns: i64) -> Result<(), FixError> {
        let range = self.range(index, 1);
        let unix_ns = checked_unix_ns(unix_ns)?;
        self.attributes_mut().times_from(range.start)[0] = unix_ns;
        Ok(())
    }

    /// Sets the accuracy of the point with this index.
    ///
    /// # Errors
    /// See [`Fix::with_accuracy_m`]. No accuracy is then set.
    ///
    /// # Panics
    /// Panics if the block has no such point, or if it has no position.
    #[inline]
    pub fn set_accuracy_m_at(&mut self, index: usize, accuracy_m: f64) -> Result<(), FixError> {
        let range = self.range(index, 1);
        self.attributes_mut().accuracy_from(range.start)[0] = checked_accuracy(accuracy_m)? + 0.0;
        Ok(())
    }

    /// Marks the point with this index as the first of a segment. No leg joins the previous point and it.
    ///
    /// # Panics
    /// Panics if the block has no such point.
    pub fn start_segment_at(&mut self, index: usize) {
        assert!(index < self.len());
        self.starts.insert(index);
    }

    /// Keeps the first `len` fixes and removes the others.
    pub fn truncate(&mut self, len: usize) {
        let old_slots = self.points.len();
        let slots = len.min(self.len()) - self.without_position_before(len);
        self.points.truncate(slots);
        self.starts.truncate(len);
        if self.without_position_count > 0 {
            self.without_position.truncate(len);
            self.without_position_count = self.without_position.len();
        }
        if let Some(attributes) = &mut self.attributes {
            attributes.clear_range(slots..old_slots);
        }
    }

    /// Removes all fixes.
    pub fn clear(&mut self) {
        self.truncate(0);
        if let Some(attributes) = &mut self.attributes {
            attributes.mark_cleared();
        }
    }

    /// Returns the slots of the `count` fixes from the index `from` on, all of which have a position.
    #[inline]
    fn range(&self, from: usize, count: usize) -> Range<usize> {
        assert!(from <= self.len() && count <= self.len() - from);
        let before = self.without_position_before(from);
        assert!(before == self.without_position_before(from + count));
        from - before..from - before + count
    }

    fn attributes_mut(&mut self) -> &mut AttributeColumns {
        self.attributes.get_or_insert_with(Box::default)
    }

    /// Returns which attributes the fixes with a position have.
    pub(super) fn seen_attributes(&self) -> SeenAttributes {
        let columns = self.attributes.as_ref();
        columns.map_or(SeenAttributes::default(), |columns| columns.seen(self.points.len()))
    }

    /// Returns whether no fix has a time or an elevation.
    pub(super) fn is_without_times_and_z(&self) -> bool {
        self.attributes.as_ref().is_none_or(|attributes| !attributes.has_z_or_time())
    }

    /// Returns the elevation and the time of the fix in this slot.
    #[inline]
    pub(super) fn attributes_of(&self, slot: usize) -> FixAttributes {
        self.attributes.as_ref().map_or(FixAttributes::NOTHING, |columns| columns.get(slot))
    }

    /// Returns the accuracy radius of the fix in this slot in metres, NaN if it is missing.
    #[inline]
    pub(super) fn accuracy_m(&self, slot: usize) -> f64 {
        self.attributes.as_ref().map_or(f64::NAN, |columns| columns.accuracy_m(slot))
    }
}

/// Fixes with a position are stored in slots without gaps. The slot of a fix is its index among them.
impl FixBlock {
    /// Returns the number of fixes without a position.
    #[inline]
    pub(super) fn without_position_count(&self) -> usize {
        self.without_position_count
    }

    /// Returns the number of fixes without a position among the first `end`.
    #[inline]
    fn without_position_before(&self, end: usize) -> usize {
        match self.without_position_count {
            0 => 0,
            _ => self.without_position.count_before(end),
        }
    }

    /// Returns the index of the first fix without a position, or the number of fixes.
    pub(super) fn first_without_position(&self) -> usize {
        let mut indices = 0..self.len();
        indices.find(|&index| self.without_position.contains(index)).unwrap_or(self.len())
    }

    /// Returns the offset of each slot. `first` is the offset of the first fix.
    pub(super) fn offsets_of_slots(&self, first: u64) -> [u64; Self::CAPACITY] {
        let mut offsets = [0; Self::CAPACITY];
        let with_position = (0..self.len()).filter(|&index| !self.without_position.contains(index));
        for (slot, index) in offsets.iter_mut().zip(with_position) {
            *slot = first.saturating_add(index as u64);
        }
        offsets
    }

    /// Returns the slots of the fixes that start a segment, and whether the fix after the block does. A start that
    /// is marked at a fix without a position moves to the next fix with one. If `splits` is set, each fix without a
    /// position is such a mark.
    pub(super) fn starting_slots(&self, splits: bool) -> (IndexSet, bool) {
        let (mut slots, mut slot, mut is_start) = (IndexSet::EMPTY, 0, false);
        for index in 0..self.len() {
            is_start |= self.starts.contains(index);
            if self.without_position.contains(index) {
                is_start |= splits;
            } else {
                if std::mem::take(&mut is_start) {
                    slots.insert(slot);
                }
                slot += 1;
            }
        }
        (slots, is_start)
    }
}
