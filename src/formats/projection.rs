//! Recognises files whose coordinates are not degrees.

use super::error::{FormatError, Position};
use super::track_writer::RawFix;
use crate::measure::Space;

/// The number of positions after which a file is rejected if none is in degrees.
const POSITIONS_MAX: u64 = 16;
/// The largest coordinate of a position that may be a placeholder, such as 181 and 91.
const DEGREES_MAX: f64 = 360.0;

/// What is known about the coordinates of a file.
#[derive(Default)]
pub(super) struct Projection {
    has_degrees: bool,
    /// The positions that are too large for degrees.
    count: u64,
    first: Option<Position>,
    /// Positions that are not whole numbers of 1e-7 degrees.
    other_than_e7: u64,
    /// Positions that are not degrees and minutes as in `4807.038`.
    other_than_minutes: u64,
}

impl Projection {
    /// Takes a position into account.
    ///
    /// # Errors
    /// If none of the first positions is in degrees.
    #[inline]
    pub(super) fn check(&mut self, raw: &RawFix, space: Space) -> Result<(), FormatError> {
        if self.has_degrees || space == Space::Planar {
            return Ok(());
        }
        let (x, y) = (raw.x.abs(), raw.y.abs());
        if x <= 180.0 && y <= 90.0 {
            self.has_degrees = true;
        } else if x > DEGREES_MAX || y > DEGREES_MAX {
            self.first.get_or_insert(raw.position);
            self.count += 1;
            let is_whole = x.fract() == 0.0 && y.fract() == 0.0 && x.max(y) >= 1e7;
            self.other_than_e7 += u64::from(!is_whole || x > 1.8e9 || y > 9e8);
            let has_minutes = x < 18_000.0 && y < 9_000.0 && x % 100.0 < 60.0 && y % 100.0 < 60.0;
            self.other_than_minutes += u64::from(!has_minutes);
            if self.count == POSITIONS_MAX {
                return self.end();
            }
        }
        Ok(())
    }

    /// Returns an error if there were positions but none in degrees.
    pub(super) fn end(&self) -> Result<(), FormatError> {
        let Some(first) = self.first.filter(|_| !self.has_degrees) else { return Ok(()) };
        let message = if self.other_than_e7 == 0 {
            "no position is in degrees: these look like whole numbers of 1e-7 degrees; name the columns \
             latitudeE7 and longitudeE7, or convert the file to degrees"
        } else if self.other_than_minutes == 0 {
            "no position is in degrees: these look like degrees and minutes, as 4807.038 for 48° 07.038'; add \
             the hemisphere N, S, E or W to each value, or convert the file to degrees"
        } else {
            "no position is in degrees: these look like projected coordinates; use --model planar to measure in \
             their plane, or convert the file to WGS 84"
        };
        Err(FormatError::malformed(first, message))
    }
}
