//! The measurement of a path of fixes: what all of them come to, what the accepted ones come to, and
//! what is known of time and elevation.

use serde::{Deserialize, Serialize};

use super::block::Block;
use super::bounds::Bounds;
use super::fix::Fix;
use super::metric::Metric;
use super::options::Options;
use super::path::{Path, PathError};

/// The running measurement of one path of fixes.
///
/// However its fixes are cut into blocks or calls, and however often it was serialised and read back
/// in between, the summary has the same bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    options: Options,
    /// All points.
    raw: Path,
}

/// A run of up to [`Block::CAPACITY`] fixes of one space, as columns.
#[derive(Clone, Debug)]
pub struct FixBlock {
    points: Block,
}

/// What is known of a path of fixes so far. Lengths are in metres or, for [`Metric::Planar`], in the
/// caller's unit.
#[derive(Clone, Debug, PartialEq)]
pub struct PathSummary {
    /// What a leg is.
    pub metric: Metric,
    /// All fixes.
    pub point_count: u64,
    /// Those that were not rejected.
    pub accepted_count: u64,
    /// Unbroken runs of accepted fixes.
    pub segment_count: u64,
    /// The correctly rounded sum of the accepted legs.
    pub length: f64,
    /// The correctly rounded sum of all legs but those across breaks that the fixes themselves tell.
    pub raw_length: f64,
    /// `length` in three dimensions, if asked for.
    pub length_3d: Option<f64>,
    /// From the first accepted fix to the last.
    pub displacement: f64,
    /// Why fixes were rejected, in the order in which the rules apply; none that never applied.
    pub rejections: Vec<Rejection>,
    /// From the earliest to the latest time of an accepted fix.
    pub elapsed_ns: Option<u64>,
    /// The time of the accepted legs that are not slower than [`Options::stopped_speed`].
    pub moving_ns: Option<u64>,
    /// The greatest speed of an accepted leg, a second.
    pub max_speed: Option<f64>,
    /// The sum of all rises along accepted legs.
    pub ascent: Option<f64>,
    /// The sum of all falls, not negative.
    pub descent: Option<f64>,
    /// The box around the accepted fixes.
    pub bounds: Option<Bounds>,
}

/// The fixes that were rejected for one reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rejection {
    /// The reason.
    pub reason: RejectionReason,
    /// How many there are.
    pub count: u64,
    /// The offset of the first one.
    pub first_offset: u64,
    /// The correctly rounded sum of the raw legs that end in one of them.
    pub kept_out: f64,
}

/// Why a fix was rejected, in the order in which the rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RejectionReason {
    /// It is earlier than the accepted fix before it.
    BackwardTime,
    /// It is not accurate enough.
    Accuracy,
    /// The way to it takes too great a speed.
    Speed,
    /// It is too near to the accepted fix before it.
    Step,
}

impl FixBlock {
    /// An empty block for fixes of the space of `metric`.
    pub fn new(metric: Metric) -> Self {
        Self { points: Block::new(metric.space()) }
    }

    /// How many fixes it holds.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether it holds no fix.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Whether it takes no further fix before it is folded.
    pub fn is_full(&self) -> bool {
        self.points.is_full()
    }

    /// How many more fixes fit.
    pub fn room(&self) -> usize {
        self.points.room()
    }
}

impl Measurement {
    /// A path without fixes. The options have to be checked.
    pub fn new(options: Options) -> Self {
        Self { options, raw: Path::new(options.metric) }
    }

    /// How it measures.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// How many fixes it has, rejected ones included: the offset of the next.
    pub fn point_count(&self) -> u64 {
        self.raw.point_count()
    }

    /// Folds a block in and empties it.
    ///
    /// # Errors
    /// When the fixes are of another space or a total is out of range; path and block are then as they
    /// were.
    pub fn fold(&mut self, block: &mut FixBlock) -> Result<(), PathError> {
        self.raw.fold(&mut block.points)
    }

    /// Adds fixes.
    ///
    /// # Errors
    /// As [`Measurement::fold`]; the fixes of whole blocks before the failing one are then part of the
    /// path.
    pub fn extend(&mut self, fixes: &[Fix]) -> Result<(), PathError> {
        for fix in fixes {
            self.raw.extend(&[fix.point()])?;
        }
        Ok(())
    }

    /// Ends the segment: no leg joins what came before to what comes next.
    pub fn start_segment(&mut self) {
        self.raw.start_segment();
    }

    /// What is known so far.
    pub fn summary(&self) -> PathSummary {
        let raw = self.raw.summary();
        PathSummary {
            metric: raw.metric,
            point_count: raw.point_count,
            accepted_count: raw.point_count,
            segment_count: raw.segment_count,
            length: raw.length,
            raw_length: raw.length,
            length_3d: None,
            displacement: raw.displacement,
            rejections: Vec::new(),
            elapsed_ns: None,
            moving_ns: None,
            max_speed: None,
            ascent: None,
            descent: None,
            bounds: raw.bounds,
        }
    }
}
