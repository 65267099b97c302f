//! The coordinates that stored states of earlier versions have of the points of a polyline.

use super::check::Part;
use super::{PlacesState, StateError};
use crate::measure::bounds::longitudes::Longitudes;
use crate::measure::point::{HALF_TURN_E7, Space, TURN_E7};

/// The smallest and the largest coordinates of points. Earlier versions kept them instead of [`PlacesState`]. They do
/// not have the legs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExtremesState {
    /// The first point.
    pub first: [f64; 2],
    /// The last point.
    pub last: [f64; 2],
    /// The smallest coordinates.
    pub min: [f64; 2],
    /// The largest coordinates.
    pub max: [f64; 2],
    /// The largest x below 0, and the smallest x that is at least 0. It is set exactly if both exist.
    pub x_around_zero: Option<[f64; 2]>,
}

impl ExtremesState {
    /// Returns the state with everything in the narrower of the two boxes that the extremes describe. The legs of
    /// these points that leave it are not known.
    ///
    /// # Errors
    /// If no path has these coordinates.
    pub fn places(&self, space: Space) -> Result<PlacesState, StateError> {
        let part = Part("extremes");
        let Self { first, last, min, max, x_around_zero } = *self;
        for place in [first, last, min, max] {
            part.place(space, place)?;
        }
        let (min_x, max_x) = (min[0], max[0]);
        let is_valid = match x_around_zero {
            None => min_x <= max_x && (min_x >= 0.0 || max_x < 0.0),
            Some([below, above]) => {
                part.place(space, [below, 0.0])?;
                part.place(space, [above, 0.0])?;
                min_x <= below && below < 0.0 && 0.0 <= above && above <= max_x
            }
        };
        part.require(is_valid, "the coordinates around 0 contradict the bounds")?;
        let mut x = Longitudes::EMPTY;
        match (space, x_around_zero) {
            (Space::Planar, _) => x.add_planar(min_x, max_x),
            (Space::Geographic, Some([below, above]))
                if below + TURN_E7 - above < max_x - min_x =>
            {
                x.add_range(above, HALF_TURN_E7);
                x.add_range(-HALF_TURN_E7, below);
            }
            (Space::Geographic, _) => x.add_range(min_x, max_x),
        }
        Ok(PlacesState { first, last, y: [min[1], max[1]], x: x.state() })
    }
}
