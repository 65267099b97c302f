//! The reference systems that an SRID can name.

use crate::measure::Space;

/// What a number of a reference system means for the coordinates.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Reference {
    /// The coordinates are in the space that the options ask for.
    Known,
    /// The coordinates are longitudes and latitudes of another datum. The field is a note.
    Assumed(String),
    /// The coordinates are not longitudes and latitudes of a known datum. The field is an error.
    Other(String),
}

/// WGS 84 with two and three dimensions, and the numbers for an unknown system.
const WGS_84: [u32; 3] = [4326, 4979, 0];
/// Other systems of longitude and latitude, at most a few metres from WGS 84: ETRS89, NAD83, GDA94, GDA2020,
/// SIRGAS 2000, NZGD2000, RGF93, JGD2000, JGD2011, CGCS2000.
const NEAR_WGS_84: [u32; 10] = [4258, 4269, 4283, 7844, 4674, 4167, 4171, 4612, 6668, 4490];

/// Returns what an EPSG number means for coordinates that are read in this space.
pub(in super::super) fn reference(srid: u32, space: Space) -> Reference {
    if space == Space::Planar || WGS_84.contains(&srid) {
        return Reference::Known;
    }
    if NEAR_WGS_84.contains(&srid) {
        let message =
            format!("the reference system EPSG:{srid} is read as WGS 84, which it nearly equals");
        return Reference::Assumed(message);
    }
    Reference::Other(format!(
        "the reference system is EPSG:{srid}, not WGS 84; for projected coordinates use --model planar, or \
         transform them to EPSG:4326 first"
    ))
}
