//! The longitudes that a path covers, in a fixed number of ranges, and the widest gap between them.
//!
//! The circle has 16 sectors of 22.5 degrees. A sector keeps the smallest and the largest covered longitude in
//! it, and everything between the two counts as covered. This fills gaps that are narrower than a sector. A gap
//! that is at least as wide as a sector contains a boundary, and its ends are the ends of what two sectors cover.
//! Therefore it is kept exactly, and the result does not depend on the order or the grouping of the points.

use crate::measure::point::{HALF_TURN_E7, TURN_E7};

/// The number of sectors.
pub(in crate::measure) const SECTORS: usize = 16;
/// The width of a sector.
const SECTOR_E7: f64 = TURN_E7 / SECTORS as f64;
/// A range without a longitude. Every comparison with it takes the other range.
const NOTHING: [f64; 2] = [f64::INFINITY, f64::NEG_INFINITY];

/// The covered longitudes in E7 units: the smallest and the largest of each sector. The antimeridian as the
/// start of a range belongs to the first sector, and as the end of a range to the last one.
///
/// A planar path uses the first sector for all x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::measure) struct Longitudes([[f64; 2]; SECTORS]);

/// Returns the western boundary of a sector.
pub(in crate::measure) fn boundary(sector: usize) -> f64 {
    sector as f64 * SECTOR_E7 - HALF_TURN_E7
}

/// Returns the sector of a longitude, or [`SECTORS`] for the antimeridian as an eastern longitude.
#[inline]
fn sector(x: f64) -> usize {
    let sector = ((x + HALF_TURN_E7) * (1.0 / SECTOR_E7)) as u8 as usize;
    // Sum and product are rounded, so that the result can be wrong by one.
    if x < boundary(sector) {
        sector.saturating_sub(1)
    } else if x >= boundary(sector + 1) {
        (sector + 1).min(SECTORS)
    } else {
        sector
    }
}

impl Longitudes {
    pub(in crate::measure) const EMPTY: Self = Self([NOTHING; SECTORS]);

    /// Adds a range of x of a planar path.
    #[inline]
    pub(in crate::measure) fn add_planar(&mut self, low: f64, high: f64) {
        self.add_to(0, low, high);
    }

    #[inline]
    fn add_to(&mut self, sector: usize, low: f64, high: f64) {
        let [min, max] = &mut self.0[sector];
        *min = if low < *min { low } else { *min };
        *max = if high > *max { high } else { *max };
    }

    /// Adds all longitudes from `low` to `high`.
    #[inline]
    pub(in crate::measure) fn add_range(&mut self, low: f64, high: f64) {
        let from = sector(low);
        if high < boundary(from + 1) && from < SECTORS {
            self.add_to(from, low, high);
        } else {
            self.add_sectors([low, high], from);
        }
    }

    /// Adds a range that reaches another sector.
    #[cold]
    fn add_sectors(&mut self, [low, high]: [f64; 2], from: usize) {
        let to = sector(high);
        if to == SECTORS {
            self.add_to(0, -HALF_TURN_E7, -HALF_TURN_E7);
        }
        for sector in from..=to.min(SECTORS - 1) {
            let start = if sector == from { low } else { boundary(sector) };
            let end = if sector == to { high } else { boundary(sector + 1) };
            self.add_to(sector, start, end);
        }
    }

    /// Adds the longitudes of a leg, along the shorter way.
    #[inline]
    pub(super) fn add_leg(&mut self, a: f64, b: f64) {
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        if high - low > HALF_TURN_E7 {
            self.add_range(high, HALF_TURN_E7);
            self.add_range(-HALF_TURN_E7, low);
        } else {
            self.add_range(low, high);
        }
    }

    /// Returns whether a range is in one sector.
    #[inline]
    pub(super) fn is_one_sector(low: f64, high: f64) -> bool {
        high < boundary(sector(low) + 1)
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (sector, &[low, high]) in other.0.iter().enumerate() {
            self.add_to(sector, low, high);
        }
    }

    /// Returns the smallest and the largest x of a planar path, or `None` if there is no point.
    pub(super) fn planar(&self) -> Option<[f64; 2]> {
        let [min, max] = self.0[0];
        (min <= max).then_some([min, max])
    }

    /// Returns the western and the eastern end of the smallest range that contains everything, or `None` if
    /// there is no point. The range crosses the antimeridian if the western end is larger.
    pub(super) fn range(&self) -> Option<[f64; 2]> {
        let mut covered = self.0.iter().copied().filter(|[low, high]| low <= high);
        let [first, mut east] = covered.next()?;
        let (mut gap, mut ends) = (0.0, [first, first]);
        for [low, high] in covered {
            if low - east >= gap {
                (gap, ends) = (low - east, [low, east]);
            }
            east = high;
        }
        // Of gaps of the same width, the one that begins farthest east is taken. This is the last one.
        let last = (HALF_TURN_E7 - east) + (first + HALF_TURN_E7);
        if last >= gap {
            (gap, ends) = (last, [first, east]);
        }
        let [west, east] = ends;
        if gap < SECTOR_E7 {
            return Some([-HALF_TURN_E7, HALF_TURN_E7]);
        }
        // As an eastern end the antimeridian is 180, and as a western end -180. The range of it alone is 180 to 180.
        Some(match east == -HALF_TURN_E7 {
            true if west == east => [HALF_TURN_E7; 2],
            true => [west, HALF_TURN_E7],
            false => ends,
        })
    }

    /// Returns the covered range of each sector.
    pub(in crate::measure) fn state(&self) -> [Option<[f64; 2]>; SECTORS] {
        self.0.map(|[low, high]| (low <= high).then_some([low, high]))
    }

    pub(super) fn from_checked_state(state: &[Option<[f64; 2]>; SECTORS]) -> Self {
        Self(state.map(|range| range.unwrap_or(NOTHING)))
    }
}
