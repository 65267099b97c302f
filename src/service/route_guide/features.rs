//! The features of the server: named places, which are loaded once and never change.

use std::collections::HashMap;

use super::place::Place;
use crate::measure::PointError;
use crate::proto::routeguide as pb;

/// A named place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Latitude in units of 1e-7 degree.
    pub latitude_e7: i32,
    /// Longitude in units of 1e-7 degree.
    pub longitude_e7: i32,
    /// The name. A place with an empty name has no feature.
    pub name: String,
}

/// The features of a server, by place and in their order.
///
/// ```
/// use waywiser::service::{Feature, Features};
///
/// let hill = Feature { latitude_e7: 464_397_000, longitude_e7: 137_433_000, name: "Hill".to_owned() };
/// assert_eq!(Features::new([hill.clone()])?.len(), 1);
/// assert!(Features::new([hill.clone(), hill]).is_err());
/// # Ok::<(), waywiser::service::FeatureError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Features {
    features: Vec<pb::Feature>,
    index_of: HashMap<Place, usize>,
}

/// Features that are not valid. Indices count from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FeatureError {
    /// A position is outside the valid range.
    #[error("feature {index}: {error}")]
    Latitude {
        /// The feature.
        index: usize,
        /// The reason.
        error: PointError,
    },
    /// A longitude is outside the valid range.
    #[error("feature {index}: longitude {} is not between -180 and 180 degrees", f64::from(*longitude_e7) / 1e7)]
    Longitude {
        /// The feature.
        index: usize,
        /// The value, in units of 1e-7 degree.
        longitude_e7: i32,
    },
    /// A name is too long.
    #[error(
        "feature {index}: the name has {bytes} bytes, more than the limit of {}",
        Features::NAME_BYTES_MAX
    )]
    Name {
        /// The feature.
        index: usize,
        /// The length of the name.
        bytes: usize,
    },
    /// Two named features have the same place.
    #[error("feature {index}: feature {other} is at the same place; a place can have one name")]
    SamePlace {
        /// The feature.
        index: usize,
        /// The earlier feature.
        other: usize,
    },
    /// There are too many features.
    #[error("there are more features than the limit of {}", Features::COUNT_MAX)]
    Count,
}

impl Features {
    /// Maximum number of features, including those without a name.
    pub const COUNT_MAX: usize = 100_000;
    /// Maximum length of a name.
    pub const NAME_BYTES_MAX: usize = 1024;

    /// Returns the features in this order. Those without a name are checked and left out.
    ///
    /// # Errors
    /// If a feature is not valid, two are at the same place, or there are too many.
    pub fn new(features: impl IntoIterator<Item = Feature>) -> Result<Self, FeatureError> {
        let mut known = Self::default();
        // The indices of the given features, which include those without a name.
        let mut indices = Vec::new();
        for (index, Feature { latitude_e7, longitude_e7, name }) in features.into_iter().enumerate()
        {
            if index == Self::COUNT_MAX {
                return Err(FeatureError::Count);
            }
            let place = Place::new(latitude_e7, longitude_e7)
                .map_err(|error| FeatureError::Latitude { index, error })?;
            if !(-1_800_000_000..=1_800_000_000).contains(&longitude_e7) {
                return Err(FeatureError::Longitude { index, longitude_e7 });
            }
            if name.len() > Self::NAME_BYTES_MAX {
                return Err(FeatureError::Name { index, bytes: name.len() });
            }
            if name.is_empty() {
                continue;
            }
            if let Some(other) = known.index_of.insert(place, known.features.len()) {
                let other = indices.get(other).copied().unwrap_or(other);
                return Err(FeatureError::SamePlace { index, other });
            }
            indices.push(index);
            let location = pb::Point { latitude: latitude_e7, longitude: longitude_e7 };
            known.features.push(pb::Feature { name, location: Some(location) });
        }
        Ok(known)
    }

    /// Returns the number of named features.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Returns whether there is no named feature.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// Returns the feature at exactly this place.
    pub(super) fn at(&self, place: Place) -> Option<&pb::Feature> {
        self.features.get(*self.index_of.get(&place)?)
    }

    /// Returns the number of positions with a feature. All latitudes are valid.
    pub(super) fn count(&self, latitudes: &[i32], longitudes: &[i32]) -> u64 {
        let positions = latitudes.iter().zip(longitudes);
        let places = positions.map(|(&latitude, &longitude)| Place::of_valid(latitude, longitude));
        places.filter(|place| self.index_of.contains_key(place)).count() as u64
    }

    /// Returns the first feature of a rectangle whose index is at least `start`, and the index after it.
    pub(super) fn next_in(&self, area: &Area, start: usize) -> Option<(&pb::Feature, usize)> {
        let rest = self.features.get(start..)?;
        let offset = rest.iter().position(|feature| area.contains(feature))?;
        Some((rest.get(offset)?, start + offset + 1))
    }
}

/// A rectangle of latitudes and longitudes, with its edges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    min: pb::Point,
    max: pb::Point,
}

impl Area {
    /// Returns the area between two opposite corners. A corner that is missing has zeros, as in proto3.
    pub(super) fn new(rectangle: pb::Rectangle) -> Self {
        let (a, b) = (rectangle.lo.unwrap_or_default(), rectangle.hi.unwrap_or_default());
        let min = pb::Point {
            latitude: a.latitude.min(b.latitude),
            longitude: a.longitude.min(b.longitude),
        };
        let max = pb::Point {
            latitude: a.latitude.max(b.latitude),
            longitude: a.longitude.max(b.longitude),
        };
        Self { min, max }
    }

    fn contains(&self, feature: &pb::Feature) -> bool {
        let at = feature.location.unwrap_or_default();
        (self.min.latitude..=self.max.latitude).contains(&at.latitude)
            && (self.min.longitude..=self.max.longitude).contains(&at.longitude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(latitude_e7: i32, longitude_e7: i32, name: &str) -> Feature {
        Feature { latitude_e7, longitude_e7, name: name.to_owned() }
    }

    fn names(features: &Features, area: &Area) -> Vec<String> {
        let mut names = Vec::new();
        let mut next = 0;
        while let Some((feature, after)) = features.next_in(area, next) {
            names.push(feature.name.clone());
            next = after;
        }
        names
    }

    #[test]
    fn a_feature_is_found_at_its_place_only() {
        let features =
            Features::new([feature(1, 2, "a"), feature(3, 4, ""), feature(5, 1_800_000_000, "b")])
                .unwrap();
        let at = |latitude, longitude| {
            let found = features.at(Place::new(latitude, longitude).unwrap());
            found.map(|feature| feature.name.as_str())
        };
        assert_eq!((at(1, 2), at(2, 1), at(3, 4)), (Some("a"), None, None));
        assert_eq!((at(5, 1_800_000_000), at(5, -1_800_000_000)), (Some("b"), Some("b")));
        assert_eq!(features.count(&[1, 3, 1, 5, 1], &[2, 4, 2, -1_800_000_000, 3]), 3);
        assert_eq!(features.len(), 2);
    }

    #[test]
    fn a_rectangle_has_its_edges_and_any_order_of_corners() {
        let features =
            (0..5).flat_map(|y| (0..5).map(move |x| feature(y, x - 2, &format!("{y}{x}"))));
        let features = Features::new(features).unwrap();
        let point = |latitude, longitude| Some(pb::Point { latitude, longitude });
        for (lo, hi) in [
            (point(1, -1), point(2, 1)),
            (point(2, 1), point(1, -1)),
            (point(1, 1), point(2, -1)),
            (point(2, -1), point(1, 1)),
        ] {
            let area = Area::new(pb::Rectangle { lo, hi });
            assert_eq!(names(&features, &area), ["11", "12", "13", "21", "22", "23"]);
        }
        let missing = Area::new(pb::Rectangle { lo: None, hi: point(1, 0) });
        assert_eq!(names(&features, &missing), ["02", "12"]);
        let whole = point(i32::MIN, i32::MAX);
        let whole = Area::new(pb::Rectangle { lo: whole, hi: point(i32::MAX, i32::MIN) });
        assert_eq!(names(&features, &whole).len(), 25);
    }

    #[test]
    fn an_error_names_the_feature() {
        let error = |features: &[Feature]| Features::new(features.to_vec()).unwrap_err();
        let good = feature(0, 0, "a");
        insta::assert_snapshot!(
            error(&[good.clone(), feature(900_000_001, 0, "b")]),
            @"feature 1: latitude 90.0000001 is not between -90 and 90 degrees"
        );
        insta::assert_snapshot!(
            error(&[good.clone(), feature(0, 1_800_000_001, "")]),
            @"feature 1: longitude 180.0000001 is not between -180 and 180 degrees"
        );
        insta::assert_snapshot!(
            error(&[feature(0, 0, &"n".repeat(1025))]),
            @"feature 0: the name has 1025 bytes, more than the limit of 1024"
        );
        insta::assert_snapshot!(
            error(&[feature(0, 0, ""), good.clone(), feature(1, 1, "b"), good]),
            @"feature 3: feature 1 is at the same place; a place can have one name"
        );
        let too_many = (0..=Features::COUNT_MAX).map(|i| feature(0, i as i32, "a"));
        insta::assert_snapshot!(
            Features::new(too_many).unwrap_err(),
            @"there are more features than the limit of 100000"
        );
    }
}
