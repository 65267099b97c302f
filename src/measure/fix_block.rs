//! A block of fixes: the columns of a [`PointBlock`](super::Block), and beside them what is known of time,
//! elevation and accuracy, which costs nothing where nothing is known.
//!
//! Decoders and file readers fill it, a [`PathAccumulator`](super::PathAccumulator) folds and empties it. What
//! is checked is checked here, on the way in; the policy is none of its affair.

use std::ops::Range;

use super::fix::{Fix, FixError, UNIX_S, checked_accuracy, checked_unix_ns, checked_z};
use super::metric::Metric;
use super::point::PointError;
use super::point_block::PointBlock;
use super::polyline::PathError;
use super::scale::Scale;
use super::starts::Starts;
use super::track_stats::FixAttributes;

/// A run of up to [`FixBlock::CAPACITY`] fixes of one space, as columns.
///
/// Points come first, then what is known of them:
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
/// assert_eq!(path.summary().ascent, Some(1.5));
/// assert_eq!(path.summary().elapsed_ns, Some(4_000_000_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FixBlock {
    metric: Metric,
    pub(super) points: PointBlock,
    /// Which points start a segment.
    pub(super) starts: Starts,
    /// Made when something beside points is known for the first time.
    extras: Option<Box<Extras>>,
}

/// What is known beside the points. In each column, whatever was not set is missing; a column in which
/// nothing was set was not touched.
#[derive(Clone, Debug)]
struct Extras {
    /// NaN where missing.
    z: [f64; PointBlock::CAPACITY],
    has_z: bool,
    /// [`NO_TIME`] where missing.
    unix_ns: [i64; PointBlock::CAPACITY],
    has_time: bool,
    /// NaN where missing.
    accuracy_m: [f64; PointBlock::CAPACITY],
    has_accuracy: bool,
}

/// The one instant that a fix cannot have.
const NO_TIME: i64 = i64::MIN;

/// A value of a column that is no part of a fix. The index counts from the first value that was given
/// along with it.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnError {
    /// In the columns x and y. The points before it were added.
    #[error("{source}")]
    Point {
        /// Of the first pair that is no point.
        index: usize,
        /// Why it is none.
        source: PointError,
    },
    /// In the column z. No value was set.
    #[error("{source}")]
    Z {
        /// Of the first value that is no elevation.
        index: usize,
        /// Why it is none.
        source: FixError,
    },
    /// In the column of times. No value was set.
    #[error("{source}")]
    Time {
        /// Index of the first value that is out of range.
        index: usize,
        /// What is wrong with it.
        source: FixError,
    },
}

impl ColumnError {
    /// Which of the values that were given.
    pub fn index(&self) -> usize {
        match *self {
            ColumnError::Point { index, .. }
            | ColumnError::Z { index, .. }
            | ColumnError::Time { index, .. } => index,
        }
    }
}

impl FixBlock {
    /// How many fixes fit: as many as in a [`PointBlock`].
    pub const CAPACITY: usize = PointBlock::CAPACITY;

    /// An empty block for fixes of the space of `metric`.
    pub fn new(metric: Metric) -> Self {
        let points = PointBlock::new(metric.space());
        Self { metric, points, starts: Starts::NONE, extras: None }
    }

    /// For the space of which metric.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// How many fixes it holds.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether it holds no fix.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Whether it takes no further fix before it is folded.
    pub fn is_full(&self) -> bool {
        self.points.is_full()
    }

    /// How many more fixes fit.
    pub fn remaining_capacity(&self) -> usize {
        self.points.remaining_capacity()
    }

    /// Adds a fix with all that is known of it.
    ///
    /// # Errors
    /// When it lies in another space; the block is then as it was.
    ///
    /// # Panics
    /// When the block is full. Ask [`FixBlock::is_full`] first; no input can bring this about.
    #[inline]
    pub fn push(&mut self, fix: Fix) -> Result<(), PathError> {
        let point = fix.point();
        if point.space() != self.points.space() {
            return Err(PathError::Space { metric: self.metric, points: point.space() });
        }
        let index = self.len();
        let (x, y) = point.canonical();
        self.points.push_canonical(x, y);
        if fix.starts_segment() {
            self.starts.insert(index);
        }
        if let Some(z) = fix.z() {
            self.extras().z_from(index)[0] = z;
        }
        if let Some(unix_ns) = fix.unix_ns() {
            self.extras().times_from(index)[0] = unix_ns;
        }
        if let Some(accuracy_m) = fix.accuracy_m() {
            self.extras().accuracy_from(index)[0] = accuracy_m;
        }
        Ok(())
    }

    /// Adds a point of which nothing else is known, as [`PointBlock::push_xy`].
    ///
    /// # Errors
    /// As [`PointBlock::push_xy`].
    ///
    /// # Panics
    /// When the block is full.
    #[inline]
    pub fn push_xy(&mut self, x: f64, y: f64) -> Result<(), PointError> {
        self.points.push_xy(x, y)
    }

    /// Adds many points, as [`PointBlock::extend_i32`].
    ///
    /// # Errors
    /// As [`PointBlock::extend_i32`].
    ///
    /// # Panics
    /// When the columns are of different lengths or longer than [`FixBlock::room`].
    pub fn extend_i32(&mut self, x: &[i32], y: &[i32]) -> Result<(), (usize, PointError)> {
        self.points.extend_i32(x, y)
    }

    /// Adds points in whole numbers of `resolution`: x and y in the caller's unit, or longitude and
    /// latitude in degrees.
    ///
    /// A resolution of 1e-7 degree is exact and takes every longitude, as [`Point::from_e7`] does. With
    /// one that is a part in a whole number, a tenth or a thousandth, a value is the `f64` nearest to the
    /// decimal number that it means.
    ///
    /// [`Point::from_e7`]: super::Point::from_e7
    ///
    /// # Errors
    /// [`ColumnError::Point`]; the points before the bad one were added.
    ///
    /// # Panics
    /// When the columns are of different lengths or longer than [`FixBlock::room`]. No input can bring
    /// this about.
    pub fn extend_scaled(
        &mut self,
        x: &[i64],
        y: &[i64],
        resolution: f64,
    ) -> Result<(), ColumnError> {
        self.points
            .extend_scaled(x, y, resolution)
            .map_err(|(index, source)| ColumnError::Point { index, source })
    }

    /// Sets the elevations of the points from the index `from` on, in whole numbers of `resolution`, as
    /// [`FixBlock::extend_scaled`] takes coordinates.
    ///
    /// # Errors
    /// [`ColumnError::Z`]; no elevation is then set.
    ///
    /// # Panics
    /// When there are not so many points. No input can bring this about.
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
        self.extras().z_from(range.start)[..values.len()].copy_from_slice(values);
        Ok(())
    }

    /// Sets the times of the points from the index `from` on, in milliseconds since
    /// 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`ColumnError::Time`]; no time is then set.
    ///
    /// # Panics
    /// When there are not so many points. No input can bring this about.
    pub fn set_times_ms(&mut self, from: usize, times_ms: &[i64]) -> Result<(), ColumnError> {
        const NS_PER_MS: i64 = 1_000_000;
        const FIRST_MS: i64 = UNIX_S.start * 1000;
        const END_MS: i64 = UNIX_S.end * 1000;
        let range = self.range(from, times_ms.len());
        if times_ms.is_empty() {
            return Ok(());
        }
        let fits = |time_ms: i64| (FIRST_MS..END_MS).contains(&time_ms);
        // Counted first, so that the loop is one over lanes.
        if times_ms.iter().map(|&time_ms| u64::from(!fits(time_ms))).sum::<u64>() > 0 {
            let bad = times_ms.iter().enumerate().find(|&(_, &time_ms)| !fits(time_ms));
            if let Some((index, &time_ms)) = bad {
                let source = FixError::Time { unix_s: time_ms.div_euclid(1000) };
                return Err(ColumnError::Time { index, source });
            }
        }
        for (out, &time_ms) in self.extras().times_from(range.start).iter_mut().zip(times_ms) {
            *out = time_ms * NS_PER_MS;
        }
        Ok(())
    }

    /// Sets the accuracy of the points from the index `from` on, in millimetres. All are in range.
    ///
    /// # Panics
    /// When there are not so many points. No input can bring this about.
    pub fn set_accuracy_mm(&mut self, from: usize, accuracy_mm: &[u32]) {
        let range = self.range(from, accuracy_mm.len());
        if accuracy_mm.is_empty() {
            return;
        }
        let column = self.extras().accuracy_from(range.start);
        for (out, &accuracy_mm) in column.iter_mut().zip(accuracy_mm) {
            *out = f64::from(accuracy_mm) / 1e3;
        }
    }

    /// Sets the elevation of the point with this index, as [`Fix::with_z`].
    ///
    /// # Errors
    /// As [`Fix::with_z`]; none is then set.
    ///
    /// # Panics
    /// When there is no such point. No input can bring this about.
    #[inline]
    pub fn set_z_at(&mut self, index: usize, z: f64) -> Result<(), FixError> {
        let range = self.range(index, 1);
        self.extras().z_from(range.start)[0] = checked_z(z)? + 0.0;
        Ok(())
    }

    /// Sets the time of the point with this index, as [`Fix::at_unix_ns`].
    ///
    /// # Errors
    /// As [`Fix::at_unix_ns`]; no time is then set.
    ///
    /// # Panics
    /// When there is no such point. No input can bring this about.
    #[inline]
    pub fn set_unix_ns_at(&mut self, index: usize, unix_ns: i64) -> Result<(), FixError> {
        let range = self.range(index, 1);
        let unix_ns = checked_unix_ns(unix_ns)?;
        self.extras().times_from(range.start)[0] = unix_ns;
        Ok(())
    }

    /// Sets the accuracy of the point with this index, as [`Fix::with_accuracy_m`].
    ///
    /// # Errors
    /// As [`Fix::with_accuracy_m`]; none is then set.
    ///
    /// # Panics
    /// When there is no such point. No input can bring this about.
    #[inline]
    pub fn set_accuracy_m_at(&mut self, index: usize, accuracy_m: f64) -> Result<(), FixError> {
        let range = self.range(index, 1);
        self.extras().accuracy_from(range.start)[0] = checked_accuracy(accuracy_m)? + 0.0;
        Ok(())
    }

    /// Says that no leg joins the point before to the one with this index.
    ///
    /// # Panics
    /// When there is no such point. No input can bring this about.
    pub fn start_segment_at(&mut self, index: usize) {
        let _ = self.range(index, 1);
        self.starts.insert(index);
    }

    /// Forgets its fixes but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        let (len, old_len) = (len.min(self.len()), self.len());
        self.points.truncate(len);
        self.starts.truncate(len);
        if let Some(extras) = &mut self.extras {
            extras.forget(len..old_len);
        }
    }

    /// Forgets its fixes.
    pub fn clear(&mut self) {
        self.truncate(0);
        if let Some(extras) = &mut self.extras {
            (extras.has_z, extras.has_time, extras.has_accuracy) = (false, false, false);
        }
    }

    fn range(&self, from: usize, count: usize) -> Range<usize> {
        assert!(from <= self.len() && count <= self.len() - from);
        from..from + count
    }

    fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_with(Box::default)
    }

    /// Whether neither a time nor an elevation is known of any fix.
    pub(super) fn is_flat_and_timeless(&self) -> bool {
        self.extras.as_ref().is_none_or(|extras| !extras.has_z && !extras.has_time)
    }

    /// What is known of the fix `index` beside its place and accuracy.
    #[inline]
    pub(super) fn known(&self, index: usize) -> FixAttributes {
        let Some(extras) = &self.extras else { return FixAttributes::NOTHING };
        let (z, unix_ns) = (extras.z[index], extras.unix_ns[index]);
        FixAttributes {
            z: (!z.is_nan()).then_some(z),
            unix_ns: (unix_ns != NO_TIME).then_some(unix_ns),
        }
    }

    /// The accuracy radius of the fix `index` in metres, NaN if it is not known.
    #[inline]
    pub(super) fn accuracy_m(&self, index: usize) -> f64 {
        self.extras.as_ref().map_or(f64::NAN, |extras| extras.accuracy_m[index])
    }
}

impl Default for Extras {
    fn default() -> Self {
        Self {
            z: [f64::NAN; PointBlock::CAPACITY],
            has_z: false,
            unix_ns: [NO_TIME; PointBlock::CAPACITY],
            has_time: false,
            accuracy_m: [f64::NAN; PointBlock::CAPACITY],
            has_accuracy: false,
        }
    }
}

impl Extras {
    fn z_from(&mut self, index: usize) -> &mut [f64] {
        self.has_z = true;
        &mut self.z[index..]
    }

    fn times_from(&mut self, index: usize) -> &mut [i64] {
        self.has_time = true;
        &mut self.unix_ns[index..]
    }

    fn accuracy_from(&mut self, index: usize) -> &mut [f64] {
        self.has_accuracy = true;
        &mut self.accuracy_m[index..]
    }

    fn forget(&mut self, range: Range<usize>) {
        if self.has_z {
            self.z[range.clone()].fill(f64::NAN);
        }
        if self.has_time {
            self.unix_ns[range.clone()].fill(NO_TIME);
        }
        if self.has_accuracy {
            self.accuracy_m[range].fill(f64::NAN);
        }
    }
}
