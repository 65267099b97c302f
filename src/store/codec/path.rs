//! The bytes of a path outside of a store: a partial result that programs exchange and merge.
//!
//! | bytes | content, little endian |
//! |---|---|
//! | 0..4 | `wayp` |
//! | 4..n | the sealed fold of `fold.rs`, with a checksum of its bytes alone |

use super::RecordError;
use super::fold::{self, SealedFold};
use crate::measure::PathAccumulator;

const MAGIC: [u8; 4] = *b"wayp";

/// Returns a path as bytes: about 200 for a path without rules and windows. [`path_from_bytes`] restores it.
///
/// The bytes of equal paths are equal. Their format has a version, and later versions of this crate read it.
///
/// ```
/// use waywiser::measure::{Metric, Options, PathAccumulator, Point};
/// use waywiser::store::{path_from_bytes, path_to_bytes};
///
/// let mut path = PathAccumulator::new(Options::new(Metric::Planar));
/// path.extend(&[Point::planar(0.0, 0.0)?.into()])?;
/// let mut resumed = path_from_bytes(&path_to_bytes(&path))?;
/// resumed.extend(&[Point::planar(3.0, 4.0)?.into()])?;
/// assert_eq!(resumed.summary().length, 5.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn path_to_bytes(path: &PathAccumulator) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend(MAGIC);
    fold::seal(None, path, &mut out);
    out
}

/// Restores a path from the bytes of [`path_to_bytes`]. The bytes are checked; they may come from anywhere.
///
/// # Errors
/// If the bytes are something else, damaged, or of a later version.
pub fn path_from_bytes(bytes: &[u8]) -> Result<PathAccumulator, RecordError> {
    let foreign = || RecordError::Foreign(bytes.len());
    let sealed = bytes.strip_prefix(&MAGIC).ok_or_else(foreign)?;
    match *sealed.first().ok_or_else(foreign)? {
        version @ fold::VERSION_WITH_NEITHER..=fold::VERSION => {
            SealedFold::read(None, version, sealed)?.accumulator()
        }
        ..fold::VERSION_WITH_NEITHER => Err(foreign()),
        newer => Err(RecordError::Newer(newer)),
    }
}

/// Decodes arbitrary bytes of a path, as they are and with a valid checksum. A path is encoded to the same bytes.
///
/// # Panics
/// If the bytes differ.
pub(super) fn check_any(bytes: &[u8]) {
    let mut sealed = [&MAGIC, bytes].concat();
    sealed.extend(fold::checksum(None, bytes).to_le_bytes());
    for bytes in [bytes, &sealed] {
        if let Ok(path) = path_from_bytes(bytes) {
            assert_eq!(path_to_bytes(&path), bytes, "a path is encoded to other bytes");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{
        EstimateOptions, Fix, Metric, Options, Point, WindowOptions, WindowUnit, Zone,
    };

    fn path(options: Options) -> PathAccumulator {
        let mut path = PathAccumulator::new(options);
        for second in 0..300 {
            let at = Point::geographic(46.0 + f64::from(second) * 1e-5, 13.7).unwrap();
            let fix = Fix::new(at).at_unix_ns(i64::from(second) * 1_000_000_000).unwrap();
            path.extend(&[fix]).unwrap();
        }
        path
    }

    fn all_options() -> Vec<Options> {
        let utc = Zone::UTC;
        let builder = Options::builder(Metric::Geodesic);
        vec![
            Options::default(),
            Options::new(Metric::Haversine),
            builder.max_speed(50.0).build().unwrap(),
            builder.windows(WindowOptions::new(WindowUnit::Day, utc)).build().unwrap(),
            builder.estimate(EstimateOptions::default()).build().unwrap(),
        ]
    }

    #[test]
    fn a_path_is_restored_from_its_bytes() {
        for options in all_options() {
            let path = path(options);
            let bytes = path_to_bytes(&path);
            assert_eq!(path_from_bytes(&bytes), Ok(path));
        }
    }

    #[test]
    fn a_path_without_rules_has_few_bytes() {
        let mut path = PathAccumulator::new(Options::default());
        path.extend(&[Point::geographic(46.0, 13.7).unwrap().into()]).unwrap();
        let bytes = path_to_bytes(&path);
        assert!(bytes.len() < 1024, "{}", bytes.len());
    }

    #[test]
    fn changed_bytes_are_errors() {
        for options in all_options() {
            let bytes = path_to_bytes(&path(options));
            super::super::check_any(&bytes[4..bytes.len() - 4]);
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                assert!(path_from_bytes(&changed).is_err(), "{at}");
                assert!(path_from_bytes(&bytes[..at]).is_err(), "{at}");
            }
            let mut newer = bytes;
            newer[4] = fold::VERSION + 1;
            assert_eq!(path_from_bytes(&newer), Err(RecordError::Newer(fold::VERSION + 1)));
        }
    }
}
