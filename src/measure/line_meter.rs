//! Measures many lines of points in columns, such as the geometries of a table, without an accumulator for each.

use super::error::ColumnError;
use super::level::Level;
use super::metric::{FEW_LEGS, Metric};
use super::point::PointError;
use super::point_block::PointBlock;
use super::sum::{ExactSum, SumOverflow};

/// The number of legs from which the vector code of the sum is faster.
const VECTOR_LEGS: usize = 32;

/// Measures lines whose points are in columns: x and y in the caller's unit, or longitude and latitude in degrees.
///
/// The caller loads up to [`LineMeter::CAPACITY`] points, and then measures them line by line. A line may continue in the
/// next points that are loaded. Its length is bit-identical to that of a [`PathAccumulator`](super::PathAccumulator).
///
/// ```
/// use waywiser::measure::{LineMeter, Metric};
///
/// let mut meter = LineMeter::new(Metric::Planar);
/// meter.load_xy(&[0.0, 3.0, 3.0, 7.0], &[0.0, 4.0, 5.0, 7.0])?;
/// assert_eq!(meter.measure(3)?, [0.0, 5.0, 1.0]);
/// assert_eq!(meter.end_line().to_f64(), 6.0);
/// assert_eq!(meter.measure(1)?, [0.0]); // the first point of the next line
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct LineMeter {
    metric: Metric,
    block: PointBlock,
    /// The number of points of the block that were measured.
    done: usize,
    legs: [f64; PointBlock::CAPACITY],
    /// The last point that was measured, in canonical coordinates.
    last: (f64, f64),
    /// Whether a leg joins the last point and the next one.
    joined: bool,
    sum: ExactSum,
}

impl LineMeter {
    /// The maximum number of points that are loaded at once.
    pub const CAPACITY: usize = PointBlock::CAPACITY;

    /// Returns a meter at the start of a line, without points.
    pub fn new(metric: Metric) -> Self {
        Self {
            metric,
            block: PointBlock::new(metric.space()),
            done: 0,
            legs: [0.0; PointBlock::CAPACITY],
            last: (0.0, 0.0),
            joined: false,
            sum: ExactSum::ZERO,
        }
    }

    /// Returns the metric of the legs.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Loads points. Loaded points that were not measured are dropped.
    ///
    /// # Errors
    /// Returns [`ColumnError::Point`] for the first invalid point; see [`Point::new`](super::Point::new). The points
    /// before it were loaded.
    ///
    /// # Panics
    /// Panics if the columns differ in length or are longer than [`LineMeter::CAPACITY`].
    pub fn load_xy(&mut self, x: &[f64], y: &[f64]) -> Result<(), ColumnError> {
        self.load(|block| block.extend_xy(x, y))
    }

    /// Loads points as [`LineMeter::load_xy`], from whole numbers: longitude and latitude in units of 1e-7 degree, or x
    /// and y in the caller's unit.
    ///
    /// # Errors
    /// See [`LineMeter::load_xy`].
    ///
    /// # Panics
    /// See [`LineMeter::load_xy`].
    pub fn load_i32(&mut self, x: &[i32], y: &[i32]) -> Result<(), ColumnError> {
        self.load(|block| block.extend_i32(x, y))
    }

    #[inline]
    fn load(
        &mut self,
        extend: impl FnOnce(&mut PointBlock) -> Result<(), (usize, PointError)>,
    ) -> Result<(), ColumnError> {
        self.block.clear();
        self.done = 0;
        let outcome = extend(&mut self.block);
        let _columns = self.block.columns_after(self.last);
        outcome.map_err(|(index, source)| ColumnError::Point { index, source })
    }

    /// Adds the next `count` loaded points to the line and returns the legs to them. The leg to the first point of a
    /// line is 0.
    ///
    /// # Errors
    /// Returns an error if the length of the line is out of range. The line then has to be ended.
    ///
    /// # Panics
    /// Panics if fewer points are loaded.
    #[inline]
    pub fn measure(&mut self, count: usize) -> Result<&[f64], SumOverflow> {
        let (from, to) = (self.done, self.done + count);
        assert!(to <= self.block.len());
        if count == 0 {
            return Ok(&[]);
        }
        let (x, y) = self.block.columns_with_previous();
        let level = Level::best();
        // The leg to the first point of a line is 0.
        let first = usize::from(!self.joined);
        self.legs[0] = 0.0;
        let (from, leg_count) = (from + first, count - first);
        let is_done = leg_count <= FEW_LEGS
            && match (
                x[from..].first_chunk(),
                y[from..].first_chunk(),
                self.legs[first..].first_chunk_mut(),
            ) {
                (Some(x), Some(y), Some(legs)) => {
                    self.metric.few_legs(level, x, y, leg_count, legs)
                }
                _ => false,
            };
        if !is_done {
            let legs = &mut self.legs[first..count];
            self.metric.legs(level, &x[from..=to], &y[from..=to], legs);
        }
        let legs = &self.legs[..count];
        (self.last, self.joined, self.done) = ((x[to], y[to]), true, to);
        if count < VECTOR_LEGS {
            self.sum.add_few(legs)?;
        } else {
            self.sum.add_block(level, legs)?;
        }
        Ok(legs)
    }

    /// Ends the segment. No leg joins the last point and the next one, and the line continues.
    pub fn end_segment(&mut self) {
        self.joined = false;
    }

    /// Ends the line and returns its length, in metres or, for [`Metric::Planar`], in the caller's unit.
    #[inline]
    pub fn end_line(&mut self) -> ExactSum {
        self.joined = false;
        std::mem::take(&mut self.sum)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::{Options, PathAccumulator, Point};

    fn lengths(metric: Metric, lines: &[Vec<(f64, f64)>]) -> Vec<u64> {
        let line = |line: &Vec<(f64, f64)>| {
            let mut path = PathAccumulator::new(Options::new(metric));
            for &(x, y) in line {
                path.extend(&[Point::new(metric.space(), x, y).unwrap().into()]).unwrap();
            }
            path.summary().length.to_bits()
        };
        lines.iter().map(line).collect()
    }

    proptest! {
        #[test]
        fn lines_have_the_lengths_of_paths_however_they_are_loaded(
            lines in prop::collection::vec(
                // Short legs in one cell and across cells, and longer legs.
                (-80.0..80.0, prop::sample::select(vec![1e-4, 2e-3, 0.2])).prop_flat_map(|(south, size)|
                    prop::collection::vec((13.0..13.0 + size, south..south + size), 0..60)), 0..30),
            chunk in 1..=PointBlock::CAPACITY,
            metric in prop::sample::select(vec![Metric::Geodesic, Metric::Haversine, Metric::Planar]),
        ) {
            let ends: Vec<usize> = lines
                .iter()
                .scan(0, |end, line| { *end += line.len(); Some(*end) })
                .collect();
            let (x, y): (Vec<_>, Vec<_>) = lines.iter().flatten().copied().unzip();
            let (mut meter, mut found) = (LineMeter::new(metric), Vec::new());
            let mut at = 0;
            for (x, y) in x.chunks(chunk).zip(y.chunks(chunk)) {
                meter.load_xy(x, y).unwrap();
                let loaded_end = at + x.len();
                while let Some(&end) = ends.get(found.len()).filter(|&&end| end <= loaded_end) {
                    meter.measure(end - at).unwrap();
                    at = end;
                    found.push(meter.end_line().to_f64().to_bits());
                }
                meter.measure(loaded_end - at).unwrap();
                at = loaded_end;
            }
            found.resize_with(lines.len(), || meter.end_line().to_f64().to_bits());
            prop_assert_eq!(found, lengths(metric, &lines));
        }
    }

    #[test]
    fn whole_numbers_are_units_of_1e_7_degree() {
        let mut meter = LineMeter::new(Metric::Geodesic);
        meter.load_i32(&[130_000_000, 131_234_567], &[461_000_000, 461_000_001]).unwrap();
        meter.measure(2).unwrap();
        let line = vec![(13.0, 46.1), (13.123_456_7, 46.100_000_1)];
        assert_eq!(meter.end_line().to_f64().to_bits(), lengths(Metric::Geodesic, &[line])[0]);
    }

    #[test]
    fn the_points_before_an_invalid_one_are_loaded() {
        let mut meter = LineMeter::new(Metric::Geodesic);
        let error = meter.load_xy(&[1.0, 2.0, 3.0], &[1.0, 2.0, 91.0]).unwrap_err();
        assert_eq!(error.index(), 2);
        assert_eq!(meter.measure(2).unwrap().len(), 2);
        meter.end_segment();
        meter.load_xy(&[5.0], &[5.0]).unwrap();
        assert_eq!(meter.measure(1).unwrap(), [0.0]);
        assert!(meter.end_line().to_f64() > 100_000.0);
    }

    #[test]
    fn a_line_that_is_too_long_leaves_no_part_in_the_next_one() {
        let mut meter = LineMeter::new(Metric::Planar);
        let far = (1_u64 << 40) as f64;
        let x: Vec<f64> = (0..256).map(|index| if index % 2 == 0 { far } else { -far }).collect();
        let outcome = (0..1 << 16).try_for_each(|_| {
            meter.load_xy(&x, &x).unwrap();
            meter.measure(256).map(drop)
        });
        assert_eq!(outcome, Err(SumOverflow));
        meter.end_line();
        meter.load_xy(&[0.0, 1.0], &[0.0, 0.0]).unwrap();
        meter.measure(2).unwrap();
        assert_eq!(meter.end_line().to_f64(), 1.0);
    }
}
