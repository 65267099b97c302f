//! Hysteresis: finds the turning points of a sequence of elevations, and adds the climbs and descents
//! between them.

use crate::measure::sum::{ExactSum, SumOverflow};

/// The climb or descent that is not complete yet.
///
/// It is confirmed once it is at least as high as the threshold. It then ends when the elevation turns
/// back from `to` by the threshold or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Leg {
    /// The turning point at which it starts.
    pub(super) from: f64,
    /// The extreme so far. It is above `from` for a climb and below it for a descent.
    pub(super) to: f64,
    pub(super) is_confirmed: bool,
}

/// The exact sums of the climbs and of the descents.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Climbed {
    pub(super) ascent: ExactSum,
    pub(super) descent: ExactSum,
}

impl Leg {
    /// Starts at the first elevation of a segment.
    pub(super) fn starting_at(z: f64) -> Self {
        Self { from: z, to: z, is_confirmed: false }
    }

    /// Adds the next elevation. If it confirms a turning point, adds the leg up to that point to `sums`.
    #[inline]
    pub(super) fn add(
        &mut self,
        z: f64,
        threshold: f64,
        sums: &mut Climbed,
    ) -> Result<(), SumOverflow> {
        let is_climb = self.to > self.from;
        let is_farther = if is_climb { z > self.to } else { z < self.to };
        if is_farther {
            self.to = z;
        } else if self.is_confirmed {
            if z != self.to && (z - self.to).abs() >= threshold {
                sums.add(*self)?;
                (self.from, self.to) = (self.to, z);
            }
            return Ok(());
        } else {
            // The leg goes from the earlier extreme to the later one.
            let is_other_extreme = if is_climb { z < self.from } else { z > self.from };
            if is_other_extreme {
                (self.from, self.to) = (self.to, z);
            }
        }
        self.is_confirmed |= self.to != self.from && (self.to - self.from).abs() >= threshold;
        Ok(())
    }
}

impl Climbed {
    /// Adds a leg if it is confirmed.
    pub(super) fn add(&mut self, leg: Leg) -> Result<(), SumOverflow> {
        let rise = leg.to - leg.from;
        match leg.is_confirmed {
            true if rise > 0.0 => self.ascent.add(rise),
            true => self.descent.add(-rise),
            false => Ok(()),
        }
    }
}
