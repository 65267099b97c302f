//! The sealed fold of versions 3 to 7: the bytes of an accumulator with its number of points and a checksum.
//!
//! A store can keep these bytes next to epoch, times and completeness, and change those without reading the fold.
//!
//! | bytes | content, little endian |
//! |---|---|
//! | 0 | the version: 7 if the options keep the latest windows, else 6 if they drop duplicates, else 5; 3 or 4 in older records |
//! | 1..9 | the number of points |
//! | 9..n-4 | the state: the options, then the fields of [`State`] in the order of the list in this file |
//! | n-4..n | CRC-32 of all bytes before it, followed by the ID of the recording |
//!
//! Version 3 has no `invalid_points`, neither in the options nor in the state. Versions 3 and 4 have the filter of
//! `old_filter.rs`, the statistics of `old_stats.rs`, [`ExtremesState`] instead of `PlacesState`, and fewer options.
//! Versions 5 to 7 have the same layout, except for the bytes of these options and of what they add. So programs that do
//! not know duplicates or the latest windows read all other records.
//! `field.rs` defines the bytes of single values. `track.rs` and `derived.rs` define those of the parts of versions 5 to 7.

use super::RecordError;
use super::field::{Field, fields, take};
use super::old_filter::{self, OldFilter, OldRejection};
use super::old_stats::{self, OldStats};
use crate::measure::{
    AttributesState, ClimbOptions, Elevation, EstimateOptions, ExtremesState, FixState,
    InvalidPoints, Metric, Options, OptionsBuilder, PathAccumulator, PolylineState,
    RejectionReason, Reorder, SeenAttributes, SkippedFixesState, Space, State, WindowOptions,
};
use crate::recording::RecordingName;

/// The format version. Raise it when a list in this file changes, and keep reading the old version.
pub(super) const VERSION: u8 = 7;
/// The version of paths that drop duplicates, and do not keep the latest windows.
const VERSION_WITH_DUPLICATES: u8 = 6;
/// The version of paths that do neither.
pub(super) const VERSION_WITH_NEITHER: u8 = 5;
/// The first version of this layout.
pub(super) const VERSION_MIN: u8 = 3;
/// The last version without `invalid_points`.
const VERSION_WITHOUT_INVALID_POINTS: u8 = 3;
/// The last version with the filter of [`OldFilter`] and [`ExtremesState`] and without the options that came with the
/// current one.
const VERSION_WITH_OLD_FILTER: u8 = 4;
const CHECKSUM_BYTES: usize = 4;

/// Returns the version in which a path with these options is written.
pub(super) fn version(options: &Options) -> u8 {
    match options.windows().is_some_and(|windows| windows.keep_latest) {
        true => VERSION,
        false if options.drop_duplicates() => VERSION_WITH_DUPLICATES,
        false => VERSION_WITH_NEITHER,
    }
}

/// A sealed fold whose checksum was verified.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SealedFold<'a> {
    pub(super) version: u8,
    pub(super) point_count: u64,
    /// The state, without the checksum.
    state: &'a [u8],
    /// All bytes.
    pub(super) bytes: &'a [u8],
}

/// Appends the sealed fold of an accumulator. The checksum covers the name, if the path has one.
pub(super) fn seal(name: Option<&RecordingName>, accumulator: &PathAccumulator, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(version(accumulator.options()));
    accumulator.point_count().write(out);
    accumulator.state().write(out);
    let checksum = checksum(name, &out[start..]);
    checksum.write(out);
}

/// Returns the CRC-32 of `bytes` followed by the name of the recording, if it has one. In the default namespace the name
/// is the ID.
pub(super) fn checksum(name: Option<&RecordingName>, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes);
    if let Some(name) = name {
        let text = if name.namespace().is_some() { name.as_str() } else { name.id() };
        hasher.update(text.as_bytes());
    }
    hasher.finalize()
}

impl<'a> SealedFold<'a> {
    /// Verifies version and checksum.
    pub(super) fn read(
        name: Option<&RecordingName>,
        version: u8,
        bytes: &'a [u8],
    ) -> Result<Self, RecordError> {
        let invalid = RecordError::Content("fold");
        let (mut input, stored) =
            bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(invalid.clone())?;
        super::compare_checksums(u32::from_le_bytes(*stored), checksum(name, input))?;
        if take(&mut input) != Some([version]) {
            return Err(invalid);
        }
        let point_count = u64::read(&mut input).ok_or(invalid)?;
        Ok(Self { version, point_count, state: input, bytes })
    }

    /// Returns whether the fold has the bytes that this program writes for the same path.
    pub(super) fn is_current(&self) -> bool {
        self.version > VERSION_WITH_OLD_FILTER
    }

    /// Decodes the options and nothing else.
    #[cfg(feature = "redb")]
    pub(super) fn options(&self) -> Result<Options, RecordError> {
        read_options(self.version, &mut &*self.state).ok_or(RecordError::Content("options"))
    }

    /// Decodes and validates the accumulator.
    pub(super) fn accumulator(&self) -> Result<PathAccumulator, RecordError> {
        let mut input = self.state;
        let state = read_state(self.version, &mut input).filter(|_| input.is_empty());
        restore(state.ok_or(RecordError::Content("fold"))?, self.point_count)
    }
}

/// Validates and restores a state that was stored together with a number of points.
pub(super) fn restore(state: State, point_count: u64) -> Result<PathAccumulator, RecordError> {
    let accumulator = PathAccumulator::try_from(state)?;
    match accumulator.point_count() == point_count {
        true => Ok(accumulator),
        false => Err(RecordError::Content("number of points")),
    }
}

fields!(State {
    options,
    raw,
    filter,
    stats,
    last,
    invalid_points,
    seen,
    reorder,
    climb,
    windows,
    estimate
});

/// Reads a state of this version.
fn read_state(version: u8, input: &mut &[u8]) -> Option<State> {
    if version > VERSION_WITH_OLD_FILTER {
        let state: State = Field::read(input)?;
        return (self::version(&state.options) == version).then_some(state);
    }
    let options = read_options(version, input)?;
    let space = options.metric().space();
    let raw = read_polyline(space, input)?;
    let filter = match bool::read(input)? {
        true => Some(read_filter(space, input)?.into_state(&raw)?),
        false => None,
    };
    let stats = OldStats::read(input)?.into_state(&options)?;
    Some(State {
        options,
        raw,
        filter,
        climb: old_stats::climb(&stats),
        stats,
        last: Field::read(input)?,
        invalid_points: match version {
            ..=VERSION_WITHOUT_INVALID_POINTS => SkippedFixesState::default(),
            _ => Field::read(input)?,
        },
        seen: old_filter::seen(&raw),
        reorder: None,
        windows: None,
        estimate: None,
    })
}

/// Reads a polyline with extremes.
fn read_polyline(space: Space, input: &mut &[u8]) -> Option<PolylineState> {
    let (length, point_count, segment_count) =
        (Field::read(input)?, Field::read(input)?, Field::read(input)?);
    let places = match <Option<ExtremesState>>::read(input)? {
        Some(extremes) => Some(extremes.places(space).ok()?),
        None => None,
    };
    Some(PolylineState {
        length,
        point_count,
        segment_count,
        places,
        is_broken: Field::read(input)?,
        is_broken_before_first: Field::read(input)?,
    })
}

/// Reads a filter whose polyline has extremes.
fn read_filter(space: Space, input: &mut &[u8]) -> Option<OldFilter> {
    let (accepted, reference) = (read_polyline(space, input)?, Field::read(input)?);
    // The last fix that was rejected for time or speed, and the number of consistent ones up to it.
    let _candidate: Option<(FixState, u32)> = Field::read(input)?;
    Some(OldFilter { accepted, reference, rejections: Field::read(input)? })
}

/// Reads options of this version.
pub(super) fn read_options(version: u8, input: &mut &[u8]) -> Option<Options> {
    if version > VERSION_WITH_OLD_FILTER {
        let options = Field::read(input)?;
        return (self::version(&options) == version).then_some(options);
    }
    let options = read_first_options(input, old_filter::reanchor_count, old_filter::stopped_speed)?;
    let options = match version {
        ..=VERSION_WITHOUT_INVALID_POINTS => options,
        _ => options.invalid_points(Field::read(input)?),
    };
    options.build().ok()
}

/// Reads the options that all versions of this layout have. Two of them are converted.
fn read_first_options(
    input: &mut &[u8],
    reanchor_count: impl Fn(u32) -> u32,
    stopped_speed: impl Fn(Option<f64>, Metric) -> Option<f64>,
) -> Option<OptionsBuilder> {
    let metric = Field::read(input)?;
    let options = Options::builder(metric)
        .elevation(Field::read(input)?)
        .xy_resolution(Field::read(input)?)
        .z_resolution(Field::read(input)?)
        .max_gap_time_ns(<Option<u64>>::read(input)?)
        .max_gap(<Option<f64>>::read(input)?)
        .max_speed(<Option<f64>>::read(input)?)
        .reanchor_count(reanchor_count(Field::read(input)?))
        .min_step(<Option<f64>>::read(input)?)
        .max_accuracy_m(<Option<f64>>::read(input)?)
        .reject_backward_time(Field::read(input)?)
        .stopped_speed(stopped_speed(Field::read(input)?, metric));
    Some(options)
}

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
        self.invalid_points().write(out);
        self.reject_zero_position().write(out);
        let reorder = self.reorder();
        reorder.map(|limits| StoredReorder::new(limits, self.drop_duplicates())).write(out);
        self.climb().write(out);
        self.estimate().write(out);
        self.windows().write(out);
    }

    /// Reads options. Their ranges are checked when they are built.
    fn read(input: &mut &[u8]) -> Option<Self> {
        let options = read_first_options(input, |count| count, |speed, _| speed)?
            .invalid_points(Field::read(input)?)
            .reject_zero_position(Field::read(input)?);
        let reorder = <Option<StoredReorder>>::read(input)?;
        let options = options
            .drop_duplicates(reorder.as_ref().is_some_and(|stored| stored.drops_duplicates))
            .reorder(reorder.map(|stored| stored.limits()))
            .climb(Field::read(input)?)
            .estimate(<Option<EstimateOptions>>::read(input)?)
            .windows(<Option<WindowOptions>>::read(input)?);
        options.build().ok()
    }
}

/// The options of the buffer.
struct StoredReorder {
    count: u16,
    drops_duplicates: bool,
    /// Always 0. The count once had 4 bytes.
    reserved: u8,
    time_ns: Option<u64>,
}

impl StoredReorder {
    fn new(limits: Reorder, drops_duplicates: bool) -> Self {
        let Reorder { count, time_ns } = limits;
        // The options were checked: the count is at most 256.
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        Self { count, drops_duplicates, reserved: 0, time_ns }
    }

    fn limits(&self) -> Reorder {
        // A wrong reserved byte makes the count invalid.
        let count = u32::from(self.reserved) << 16 | u32::from(self.count);
        Reorder { count, time_ns: self.time_ns }
    }
}

fields!(StoredReorder { count, drops_duplicates, reserved, time_ns });

fields!(ClimbOptions { threshold, smoothing_ns });

fields!(EstimateOptions { min_stop_ns, max_trips });

fields!(SeenAttributes { time, z, accuracy });

fields!(SkippedFixesState { count, first_offset });

fields!(ExtremesState { first, last, min, max, x_around_zero });

fields!(FixState { at, attributes });

fields!(AttributesState { z, unix_ns });

fields!(OldRejection { count, first_offset, length });

fields!(OldStats { times, moving_ns, max_speed, climb, length_3d });

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

impl Field for InvalidPoints {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            InvalidPoints::RejectCall => 0,
            InvalidPoints::Skip => 1,
            InvalidPoints::Split => 2,
        });
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        match u8::read(input)? {
            0 => Some(InvalidPoints::RejectCall),
            1 => Some(InvalidPoints::Skip),
            2 => Some(InvalidPoints::Split),
            _ => None,
        }
    }
}

/// The reasons that a filter keeps, with their numbers.
const REASONS: [(RejectionReason, u8); 7] = [
    (RejectionReason::BackwardTime, 0),
    (RejectionReason::Accuracy, 1),
    (RejectionReason::Speed, 2),
    (RejectionReason::Step, 3),
    (RejectionReason::InvalidPosition, 4),
    (RejectionReason::Late, 5),
    (RejectionReason::ZeroPosition, 6),
];

impl Field for RejectionReason {
    fn write(&self, out: &mut Vec<u8>) {
        let numbers = REASONS.into_iter().filter(|(reason, _)| reason == self);
        out.extend(numbers.map(|(_, number)| number));
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let number = u8::read(input)?;
        REASONS.into_iter().find(|entry| entry.1 == number).map(|(reason, _)| reason)
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
