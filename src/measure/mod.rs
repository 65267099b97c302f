//! Measuring: points in, an exact length out.
//!
//! The room is pure. It knows no bytes, no protocol, no clock and no files; [`crate::wire`] and the
//! file readers bring it points, the services and the command line take its [`PolylineSummary`] away.
//!
//! What happens here, in the order in which it happens:
//! 1. a [`Point`] is checked once, when it is made, and is finite and in range ever after;
//! 2. points gather in a [`PointBlock`] of columns;
//! 3. a [`Metric`] turns the block into legs, one `f64` each, rounded once;
//! 4. an [`ExactSum`] adds the legs without rounding, so that order and grouping cannot matter;
//! 5. the [`Polyline`] keeps what a continuation needs and tells the [`PolylineSummary`] at any time;
//! 6. where more is known than places, fixes gather in a [`FixBlock`], and a [`PathAccumulator`] tells which
//!    of them a policy accepts, and what time and elevation add ([`PathSummary`]).

mod accumulator;
mod bounds;
mod cost;
mod fix;
mod fix_block;
pub(crate) mod level;
mod metric;
mod options;
mod point;
mod point_block;
mod policy;
mod polyline;
mod scale;
mod starts;
mod state;
mod sum;
mod summary;
mod totals;
mod track_stats;

pub use accumulator::PathAccumulator;
pub use bounds::Bounds;
pub use cost::Cost;
pub use fix::{Fix, FixError, unix_ns};
pub use fix_block::{ColumnError, FixBlock};
pub use metric::Metric;
pub use metric::haversine::MEAN_EARTH_RADIUS_M;
pub use options::{Elevation, Options, OptionsError, REANCHOR_COUNT};
pub use point::{PLANAR_MAX, Point, PointError, Space};
pub use point_block::PointBlock;
pub use polyline::{PathError, Polyline, PolylineSummary};
pub use state::{
    AttributesState, FilterState, FixState, PlacesState, PolylineState, RejectionState, State,
    StateError, StatsState,
};
pub use sum::{ExactSum, SumOverflow};
pub use summary::{PathSummary, Rejection, RejectionReason};
pub use totals::Totals;
