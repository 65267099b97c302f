//! A block: a short run of points as columns, the shape in which a [`Metric`](super::Metric)
//! takes them.

use super::level::{Level, kernel};
use super::point::{HALF_TURN_E7, POLE_E7, Point, PointError, Space};

/// A run of up to [`Block::CAPACITY`] points of one space, held as two columns.
///
/// Whoever makes points (a decoder, a file reader) pushes them here, and a
/// [`Path`](super::Path) folds and empties it. How a run is cut into blocks changes no bit of the
/// result, so a block may be folded when it is full, at the end of a network frame, or whenever.
#[derive(Clone, Debug)]
pub struct Block {
    space: Space,
    len: usize,
    /// Slot 0 is room for the point before the block, which the path fills in when it folds: the
    /// columns it hands to the metric are then one unbroken run.
    x: [f64; Block::CAPACITY + 1],
    y: [f64; Block::CAPACITY + 1],
}

kernel! {
    /// Integers as `f64`, which is exact. Gives 0, the number of those that want a second look.
    fn convert(x: &[i32], y: &[i32], x_out: &mut [f64], y_out: &mut [f64]) -> u64 = convert_body
}

kernel! {
    /// The same for E7 positions; gives the number of those out of range, which are not to be used.
    fn convert_geographic(x: &[i32], y: &[i32], x_out: &mut [f64], y_out: &mut [f64]) -> u64 =
        convert_geographic_body
}

#[inline(always)]
fn convert_body(x: &[i32], y: &[i32], x_out: &mut [f64], y_out: &mut [f64]) -> u64 {
    for (out, &value) in x_out.iter_mut().zip(x) {
        *out = f64::from(value);
    }
    for (out, &value) in y_out.iter_mut().zip(y) {
        *out = f64::from(value);
    }
    0
}

#[inline(always)]
fn convert_geographic_body(x: &[i32], y: &[i32], x_out: &mut [f64], y_out: &mut [f64]) -> u64 {
    const POLE: i32 = POLE_E7 as i32;
    const HALF_TURN: i32 = HALF_TURN_E7 as i32;
    convert_body(x, y, x_out, y_out);
    let mut odd = 0;
    for &value in x {
        odd += u32::from(value > HALF_TURN) | u32::from(value < -HALF_TURN);
    }
    for &value in y {
        odd += u32::from(value > POLE) | u32::from(value < -POLE);
    }
    odd.into()
}

impl Block {
    /// How many points fit: 256, two columns of 2 KiB, which stay in the first-level cache
    /// together with their legs.
    pub const CAPACITY: usize = 256;

    /// An empty block for points of `space`.
    pub fn new(space: Space) -> Self {
        Self { space, len: 0, x: [0.0; Self::CAPACITY + 1], y: [0.0; Self::CAPACITY + 1] }
    }

    /// The space its points lie in.
    pub fn space(&self) -> Space {
        self.space
    }

    /// How many points it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no point.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it takes no further point before it is folded.
    pub fn is_full(&self) -> bool {
        self.len == Self::CAPACITY
    }

    /// Adds a pair of `int32`: x and y of the published contract in a planar block, longitude and
    /// latitude in E7 in a geographic one.
    ///
    /// # Errors
    /// As [`Point::from_e7`]; every pair of `int32` is a planar point.
    ///
    /// # Panics
    /// When the block is full. Ask [`Block::is_full`] first; no input can bring this about.
    #[inline]
    pub fn push_i32(&mut self, x: i32, y: i32) -> Result<(), PointError> {
        let (x, y) = match self.space {
            Space::Planar => (f64::from(x), f64::from(y)),
            Space::Geographic => Point::from_e7(y, x)?.canonical(),
        };
        self.push_canonical(x, y);
        Ok(())
    }

    /// Adds what [`Point::new`] takes: x and y in the caller's unit, or longitude and latitude in
    /// degrees.
    ///
    /// # Errors
    /// As [`Point::new`]; the block is then as it was.
    ///
    /// # Panics
    /// When the block is full, as [`Block::push_i32`].
    #[inline]
    pub fn push_xy(&mut self, x: f64, y: f64) -> Result<(), PointError> {
        let (x, y) = Point::new(self.space, x, y)?.canonical();
        self.push_canonical(x, y);
        Ok(())
    }

    /// How many more points fit.
    #[inline]
    pub fn room(&self) -> usize {
        Self::CAPACITY - self.len
    }

    /// Adds many pairs, as [`Block::push_i32`] adds one.
    ///
    /// # Errors
    /// The index of the first pair that is no point, and why. Those before it were added.
    ///
    /// # Panics
    /// When the columns are of different lengths or longer than [`Block::room`]. No input can bring
    /// this about.
    pub fn extend_i32(&mut self, x: &[i32], y: &[i32]) -> Result<(), (usize, PointError)> {
        self.extend_at(Level::best(), x, y)
    }

    fn extend_at(&mut self, level: Level, x: &[i32], y: &[i32]) -> Result<(), (usize, PointError)> {
        assert!(x.len() == y.len() && x.len() <= self.room());
        let from = self.len + 1;
        let to = from + x.len();
        let columns = (&mut self.x[from..to], &mut self.y[from..to]);
        let odd = match self.space {
            Space::Planar => convert(level, x, y, columns.0, columns.1),
            Space::Geographic => convert_geographic(level, x, y, columns.0, columns.1),
        };
        if odd == 0 {
            self.len += x.len();
            return Ok(());
        }
        // A longitude to wrap or a latitude to refuse: one by one.
        for (index, (&x, &y)) in x.iter().zip(y).enumerate() {
            self.push_i32(x, y).map_err(|error| (index, error))?;
        }
        Ok(())
    }

    /// Adds coordinates in the canonical unit that were checked by whoever made them.
    #[inline]
    pub(super) fn push_canonical(&mut self, x: f64, y: f64) {
        debug_assert!(self.space == Space::Planar || x.abs() <= HALF_TURN_E7);
        self.len += 1;
        self.x[self.len] = x;
        self.y[self.len] = y;
    }

    /// The columns of the points alone.
    pub(super) fn columns(&self) -> (&[f64], &[f64]) {
        (&self.x[1..=self.len], &self.y[1..=self.len])
    }

    /// The columns with `before` put in front of them.
    pub(super) fn columns_after(&mut self, before: (f64, f64)) -> (&[f64], &[f64]) {
        (self.x[0], self.y[0]) = before;
        (&self.x[..=self.len], &self.y[..=self.len])
    }

    /// Forgets its points.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn many_pairs_are_added_as_one_by_one_on_every_level(
            pairs in prop::collection::vec(
                (prop_oneof![any::<i32>(), -1_800_000_001..=1_800_000_001_i32],
                 prop_oneof![20 => -900_000_000..=900_000_000_i32, 1 => any::<i32>()]),
                0..=Block::CAPACITY,
            ),
            space in prop::sample::select(vec![Space::Planar, Space::Geographic]),
        ) {
            let (x, y): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let mut singly = Block::new(space);
            let expected = (0..)
                .zip(&pairs)
                .try_for_each(|(i, &(x, y))| singly.push_i32(x, y).map_err(|error| (i, error)));
            for level in Level::all() {
                let mut block = Block::new(space);
                prop_assert_eq!(block.extend_at(level, &x, &y), expected);
                prop_assert_eq!(block.columns(), singly.columns());
            }
        }
    }

    #[test]
    fn coordinates_are_checked_on_their_way_in() {
        let mut block = Block::new(Space::Geographic);
        block.push_xy(190.0, 46.0).unwrap();
        assert!(block.push_xy(0.0, 91.0).is_err());
        assert!(block.push_xy(f64::NAN, 0.0).is_err());
        assert_eq!(block.columns(), (&[-170.0e7][..], &[46.0e7][..]));
    }
}
