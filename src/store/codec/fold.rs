//! The sealed fold of version 3: the bytes of an accumulator with its number of points and a checksum.
//!
//! A store can keep these bytes next to epoch, times and completeness, and change those without reading the fold.
//!
//! | bytes | content, little endian |
//! |---|---|
//! | 0 | the version: 3 |
//! | 1..9 | the number of points |
//! | 9..n-4 | the state: the options, then the fields of [`State`] in the order of the lists in this file |
//! | n-4..n | CRC-32 of all bytes before it, followed by the ID of the recording |
//!
//! `field.rs` defines the bytes of single values.

use super::RecordError;
use super::field::{Field, fields, take};
use crate::measure::{
    AttributesState, Elevation, FilterState, FixState, Metric, Options, PathAccumulator,
    PlacesState, PolylineState, RejectionState, State, StatsState,
};
use crate::recording::RecordingName;

/// The format version. Raise it when a list in this file changes, and keep reading the old version.
pub(super) const VERSION: u8 = 3;
const CHECKSUM_BYTES: usize = 4;

/// A sealed fold whose checksum was verified.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SealedFold<'a> {
    pub(super) point_count: u64,
    /// The state, without the checksum.
    state: &'a [u8],
    /// All bytes.
    pub(super) bytes: &'a [u8],
}

/// Appends the sealed fold of an accumulator.
pub(super) fn seal(name: &RecordingName, accumulator: &PathAccumulator, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(VERSION);
    accumulator.point_count().write(out);
    accumulator.state().write(out);
    let checksum = checksum(name, &out[start..]);
    checksum.write(out);
}

/// Returns the CRC-32 of `bytes` followed by the ID of the recording.
pub(super) fn checksum(name: &RecordingName, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes);
    hasher.update(name.id().as_bytes());
    hasher.finalize()
}

impl<'a> SealedFold<'a> {
    /// Verifies version and checksum.
    pub(super) fn read(name: &RecordingName, bytes: &'a [u8]) -> Result<Self, RecordError> {
        let invalid = RecordError::Content("fold");
        let (mut input, stored) =
            bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(invalid.clone())?;
        super::compare_checksums(u32::from_le_bytes(*stored), checksum(name, input))?;
        if take(&mut input) != Some([VERSION]) {
            return Err(invalid);
        }
        let point_count = u64::read(&mut input).ok_or(invalid)?;
        Ok(Self { point_count, state: input, bytes })
    }

    /// Decodes the options and nothing else.
    pub(super) fn options(&self) -> Result<Options, RecordError> {
        Options::read(&mut &*self.state).ok_or(RecordError::Content("options"))
    }

    /// Decodes and validates the accumulator.
    pub(super) fn accumulator(&self) -> Result<PathAccumulator, RecordError> {
        let mut input = self.state;
        let state = State::read(&mut input).filter(|_| input.is_empty());
        restore(state.ok_or(RecordError::Content("fold"))?, self.point_count)
    }
}

/// Validates and restores a state that was stored together with a number of points.
pub(super) fn restore(state: State, point_count: u64) -> Result<PathAccumulator, RecordError> {
    if state.raw.point_count != point_count {
        return Err(RecordError::Content("number of points"));
    }
    Ok(PathAccumulator::try_from(state)?)
}

fields!(State { options, raw, filter, stats, last });

impl Field for Options {
    fn write(&self, out: &mut Vec<u8>) {
        self.metric().write(out);
        self.elevation().write(out);
        self.xy_resolution().write(out);
        self.z_resolution().write(out);
        self.max_gap_time_ns().write(out);
        self.max_gap().write(out);
        self.max_speed().write(out);
        self.reanchor_count().write(out);
        self.min_step().write(out);
        self.max_accuracy_m().write(out);
        self.reject_backward_time().write(out);
        self.stopped_speed().write(out);
    }

    /// Reads options. Their ranges are checked when they are built.
    fn read(input: &mut &[u8]) -> Option<Self> {
        let options = Options::builder(Field::read(input)?)
            .elevation(Field::read(input)?)
            .xy_resolution(Field::read(input)?)
            .z_resolution(Field::read(input)?)
            .max_gap_time_ns(<Option<u64>>::read(input)?)
            .max_gap(<Option<f64>>::read(input)?)
            .max_speed(<Option<f64>>::read(input)?)
            .reanchor_count(Field::read(input)?)
            .min_step(<Option<f64>>::read(input)?)
            .max_accuracy_m(<Option<f64>>::read(input)?)
            .reject_backward_time(Field::read(input)?)
            .stopped_speed(<Option<f64>>::read(input)?)
            .build();
        options.ok()
    }
}

fields!(PolylineState {
    length,
    point_count,
    segment_count,
    places,
    is_broken,
    is_broken_before_first,
});

fields!(PlacesState { first, last, min, max, x_around_zero });

fields!(FilterState { accepted, reference, candidate, rejections });

fields!(FixState { at, attributes });

fields!(AttributesState { z, unix_ns });

fields!(RejectionState { count, first_offset, length });

fields!(StatsState { times, moving_ns, max_speed, climb, length_3d });

impl Field for Metric {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Metric::Planar => 0,
            Metric::Haversine => 1,
            Metric::Geodesic => 2,
        });
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        metric(u8::read(input)?.into())
    }
}

impl Field for Elevation {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Elevation::Ignored => 0,
            Elevation::ThreeDimensional => 1,
        });
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        elevation(u8::read(input)?.into())
    }
}

/// Returns the metric with this number, in every version.
pub(super) fn metric(number: u32) -> Option<Metric> {
    match number {
        0 => Some(Metric::Planar),
        1 => Some(Metric::Haversine),
        2 => Some(Metric::Geodesic),
        _ => None,
    }
}

/// Returns the use of elevations with this number, in every version.
pub(super) fn elevation(number: u32) -> Option<Elevation> {
    match number {
        0 => Some(Elevation::Ignored),
        1 => Some(Elevation::ThreeDimensional),
        _ => None,
    }
}
