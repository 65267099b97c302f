//! The measuring core: adds points and fixes to a path and returns its exact length.
//!
//! The module is sans-IO. It uses no bytes, protocol, clock, runtime or files. `wire` and the file
//! readers produce points; the services and the command line use the [`PathSummary`].
//!
//! The steps, in order:
//! 1. [`Point`] and [`Fix`] check their values once, in the constructors. Every later step relies on
//!    finite values in range.
//! 2. A [`FixBlock`] collects up to 256 fixes in columns.
//! 3. A [`Metric`] computes the legs of a block: one `f64` per leg, rounded once.
//! 4. An [`ExactSum`] adds the legs without rounding, so that order and grouping do not matter.
//! 5. A [`PathAccumulator`] applies the rules of the [`Options`], keeps the state that the next block
//!    needs, and returns the [`PathSummary`] at any time.
//!
//! The two published contracts have points without attributes and rules. Their services use the
//! smaller pair `PointBlock` and `Polyline`, which are private to the crate. The public types are
//! built on the same pair.

mod accumulator;
mod attribute_columns;
mod bounds;
mod climb;
mod cost;
mod derived;
mod error;
mod estimate;
mod fix;
mod fix_block;
#[cfg(feature = "server")]
mod fix_samples;
mod fix_sink;
mod index_set;
pub(crate) mod level;
mod line_meter;
mod metric;
mod options;
mod options_builder;
mod point;
pub(crate) mod point_block;
mod policy;
pub(crate) mod polyline;
mod preset;
mod rejection_reason;
mod reorder;
mod scale;
mod seen_attributes;
mod speed_runs;
mod state;
mod sum;
mod summary;
mod time_rejections;
mod totals;
mod track_fix;
mod track_stats;
mod unused_options;
mod windows;

pub use accumulator::PathAccumulator;
pub use bounds::Bounds;
pub use climb::{ClimbState, LegState, SmootherState};
#[cfg(feature = "server")]
pub(crate) use cost::Cost;
pub use error::{ColumnError, PathError};
pub use estimate::{
    EstimateSettings, EstimateState, EstimateSummary, EstimatedLength, OpenTripState, PieceState,
    PlaceState, SlowTimeState, Stop, Trip,
};
pub use fix::{Fix, FixError, unix_ns};
pub use fix_block::FixBlock;
pub use line_meter::LineMeter;
pub use metric::Metric;
pub use metric::haversine::MEAN_EARTH_RADIUS_M;
pub use options::{
    ClimbOptions, Elevation, EstimateOptions, InvalidPoints, Options, OptionsError, REANCHOR_COUNT,
    REANCHOR_COUNT_MAX, Reorder, STOPPED_SPEED_MPS,
};
pub use options_builder::OptionsBuilder;
pub use point::{PLANAR_MAX, Point, PointError, Space};
#[cfg(feature = "server")]
pub(crate) use point_block::PointBlock;
#[cfg(feature = "server")]
pub(crate) use polyline::Polyline;
pub use preset::{ExplicitOptions, Preset};
pub use rejection_reason::{RejectedFix, RejectionReason};
pub use seen_attributes::SeenAttributes;
pub use state::{
    AttributesState, BufferedFixState, CandidateState, ExtremesState, FilterState, FixState,
    PlacesState, PolylineState, RejectionState, ReorderState, SegmentState, SkippedFixesState,
    SpeedRunState, SpeedRunsState, State, StateError, StatsState, TentativeState, TimedPlaceState,
};
pub use sum::{ExactSum, SignedSum, SumOverflow};
pub use summary::{MissingData, PathSummary, Rejection, Trips, UnusedOption};
pub use time_rejections::TimeRejections;
pub use totals::Totals;
pub use windows::{
    EarlierWindowsState, WindowOptions, WindowState, WindowSummary, WindowUnit, WindowsState,
    WindowsSummary, Zone, ZoneError,
};
