//! A position on the Earth as a key: equal places have equal values.

use crate::measure::{Point, PointError};
use crate::proto::routeguide as pb;

const HALF_TURN_E7: i32 = 1_800_000_000;

/// A valid position, in units of 1e-7 degree. The longitude is in -180 degrees to below 180 degrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    latitude: i32,
    longitude: i32,
}

impl Place {
    /// Returns the place of a position.
    ///
    /// # Errors
    /// If the latitude is outside -90 to 90 degrees.
    pub(super) fn new(latitude: i32, longitude: i32) -> Result<Self, PointError> {
        Point::from_e7(latitude, longitude).map(|_| Self::of_valid(latitude, longitude))
    }

    /// Returns the place of a position with a valid latitude.
    pub(super) fn of_valid(latitude: i32, longitude: i32) -> Self {
        // 180° + 180° is 360°, and neither step overflows.
        let longitude = if longitude >= HALF_TURN_E7 {
            longitude - HALF_TURN_E7 - HALF_TURN_E7
        } else if longitude < -HALF_TURN_E7 {
            longitude + HALF_TURN_E7 + HALF_TURN_E7
        } else {
            longitude
        };
        Self { latitude, longitude }
    }

    /// Returns the place of a message. A message that is missing has zeros, as its fields have in proto3.
    ///
    /// # Errors
    /// If the latitude is outside -90 to 90 degrees.
    pub(super) fn of_message(location: Option<pb::Point>) -> Result<Self, PointError> {
        let pb::Point { latitude, longitude } = location.unwrap_or_default();
        Self::new(latitude, longitude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longitudes_that_differ_by_360_degrees_are_the_same_place() {
        let place = |longitude| Place::new(0, longitude).unwrap();
        assert_eq!(place(1_800_000_000), place(-1_800_000_000));
        assert_eq!(place(1_900_000_000), place(-1_700_000_000));
        assert_eq!(place(-1_900_000_000), place(1_700_000_000));
        assert_eq!(place(i32::MAX), place(-1_452_516_353));
        assert_eq!(place(i32::MIN), place(1_452_516_352));
        assert_ne!(place(1_799_999_999), place(-1_799_999_999));
    }

    #[test]
    fn a_latitude_beyond_a_pole_is_an_error() {
        for latitude in [900_000_001, -900_000_001, i32::MAX, i32::MIN] {
            assert!(Place::new(latitude, 0).is_err(), "{latitude}");
        }
        assert!(Place::new(900_000_000, 0).is_ok() && Place::new(-900_000_000, 0).is_ok());
        assert_eq!(Place::of_message(None), Place::new(0, 0));
    }
}
