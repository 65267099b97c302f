//! The errors of paths and of columns of values.

use super::fix::FixError;
use super::metric::Metric;
use super::point::{PointError, Space};
use super::sum::SumOverflow;

/// An input that a path does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The points are in another space than the metric measures.
    #[error("{points} points cannot be added to a path that is measured as {metric}")]
    Space {
        /// The metric of the path.
        metric: Metric,
        /// The space of the points.
        points: Space,
    },
    /// The other path was measured with another metric.
    #[error("a path measured as {other} cannot be added to one measured as {metric}")]
    Metric {
        /// The metric of this path.
        metric: Metric,
        /// The metric of the other path.
        other: Metric,
    },
    /// One of the paths has a filter, elevations or times, or their options differ.
    #[error(
        "only paths with equal options and without filters, elevations and times can be merged"
    )]
    NotMergeable,
    /// A fix has no valid position, and the options do not skip such fixes.
    #[error("a point has no valid position, and invalid_points is not set to skip it")]
    InvalidPoint,
    /// A total is out of range.
    #[error(transparent)]
    Overflow(#[from] SumOverflow),
}

/// A value in a column that is out of range. The index counts from the first value of the same call.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnError {
    /// A pair of x and y is not a valid point. The points before it were added.
    #[error("{source}")]
    Point {
        /// Index of the first invalid pair.
        index: usize,
        /// The error in the pair.
        #[source]
        source: PointError,
    },
    /// An elevation is out of range. No elevation was set.
    #[error("{source}")]
    Z {
        /// Index of the first elevation that is out of range.
        index: usize,
        /// The error in the value.
        #[source]
        source: FixError,
    },
    /// A time is out of range. No time was set.
    #[error("{source}")]
    Time {
        /// Index of the first time that is out of range.
        index: usize,
        /// The error in the value.
        #[source]
        source: FixError,
    },
    /// An accuracy radius is out of range. No radius was set.
    #[error("{source}")]
    Accuracy {
        /// Index of the first radius that is out of range.
        index: usize,
        /// The error in the value.
        #[source]
        source: FixError,
    },
}

impl ColumnError {
    /// Returns the index of the value, counted from the first value of the call.
    pub fn index(&self) -> usize {
        match *self {
            ColumnError::Point { index, .. }
            | ColumnError::Z { index, .. }
            | ColumnError::Time { index, .. }
            | ColumnError::Accuracy { index, .. } => index,
        }
    }
}
