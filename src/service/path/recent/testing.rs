//! Points and blocks for tests.

use std::ops::Range;

use crate::measure::{Fix, FixBlock, Metric, Point};

/// Returns a fix at this x.
pub(super) fn fix(x: usize) -> Fix {
    Fix::new(Point::planar(x as f64, 0.0).unwrap())
}

/// Returns a block of fixes at these x.
pub(super) fn block(range: Range<usize>) -> FixBlock {
    let mut block = FixBlock::new(Metric::Planar);
    range.for_each(|x| block.push(fix(x)).unwrap());
    block
}
