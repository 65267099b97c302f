//! The source of a recording: all fixes of the path, also those that the server already has.
//!
//! The module skips the fixes that the server has, after a comparison with the summary of the server. It knows no
//! connection; `session` reads fixes from it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures::StreamExt as _;
use tokio_stream::Stream;

use super::RecordError;
use crate::client::replay::ReplayBuffer;
use crate::contract::points::MESSAGE_POINTS_MAX;
use crate::measure::{
    Bounds, Fix, FixBlock, InvalidPoints, Options, PathAccumulator, PathSummary, Rejection,
    RejectionReason, Space,
};
use crate::recording::RecordingName;

/// The relative tolerance for equal lengths. Another platform may compute other last bits of long legs.
const LENGTH_TOLERANCE: f64 = 1e-9;

/// The fixes of a path.
pub(super) struct FixSource<'a, S> {
    fixes: Pin<&'a mut S>,
    /// The number of next fixes to skip, because the server has them.
    pub(super) skip: u64,
    /// Whether the source has ended.
    pub(super) is_exhausted: bool,
    prefix: Option<Prefix>,
}

/// The summary of the points that the server had before the first fix was read, and the same number of fixes measured
/// here.
struct Prefix {
    stored: PathSummary,
    accumulator: PathAccumulator,
    block: FixBlock,
}

impl<'a, S: Stream<Item = Fix>> FixSource<'a, S> {
    pub(super) fn new(fixes: Pin<&'a mut S>) -> Self {
        Self { fixes, skip: 0, is_exhausted: false, prefix: None }
    }

    /// Sets the expected summary of the first fixes. Must be called before the first fix is read.
    pub(super) fn expect_prefix(&mut self, stored: PathSummary, options: &Options) {
        if stored.point_count > 0 && stored.metric == options.metric() {
            let (accumulator, block) =
                (PathAccumulator::new(*options), FixBlock::new(options.metric()));
            self.prefix = Some(Prefix { stored, accumulator, block });
        }
    }

    /// Moves the fixes that are ready into the buffer, until the buffer is full or a message is. Waits for the first
    /// fix. Cancel-safe.
    ///
    /// # Errors
    /// A fix is in the other space or has no position that the options require, or the skipped fixes differ from
    /// those of the server.
    pub(super) async fn fill(
        &mut self,
        replay: &mut ReplayBuffer,
        name: &RecordingName,
        options: &Options,
    ) -> Result<(), RecordError> {
        let wanted = options.metric().space();
        let allows_invalid = options.invalid_points() != InvalidPoints::RejectCall;
        let mut count = 0;
        poll_fn(|cx| {
            while count < MESSAGE_POINTS_MAX && !replay.is_full() {
                match self.fixes.poll_next_unpin(cx) {
                    Poll::Ready(Some(fix))
                        if let Some(space) = fix.point().map(|point| point.space())
                            && space != wanted =>
                    {
                        let offset = replay.end() - self.skip;
                        return Poll::Ready(Err(RecordError::Space { offset, space, wanted }));
                    }
                    Poll::Ready(Some(fix)) if fix.point().is_none() && !allows_invalid => {
                        let offset = replay.end() - self.skip;
                        return Poll::Ready(Err(RecordError::InvalidPosition { offset }));
                    }
                    Poll::Ready(Some(fix)) if self.skip > 0 => {
                        self.skip -= 1;
                        self.skip_fix(fix, name)?;
                    }
                    // The buffer is not full.
                    Poll::Ready(Some(fix)) => drop(replay.push(fix)),
                    Poll::Ready(None) => {
                        self.is_exhausted = true;
                        return Poll::Ready(Ok(()));
                    }
                    Poll::Pending if count == 0 => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(Ok(())),
                }
                count += 1;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Measures a skipped fix. After the last one, compares the result with the summary of the server.
    fn skip_fix(&mut self, fix: Fix, name: &RecordingName) -> Result<(), RecordError> {
        let Some(Prefix { stored, accumulator, block }) = &mut self.prefix else { return Ok(()) };
        let differs =
            || RecordError::SourceDiffers { name: name.clone(), stored: stored.point_count };
        block.push(fix).map_err(|_| differs())?;
        let count = accumulator.point_count() + block.len() as u64;
        if block.is_full() || count == stored.point_count {
            accumulator.fold(block).map_err(|_| differs())?;
        }
        if count == stored.point_count {
            if !is_same(stored, &accumulator.summary(), accumulator.options()) {
                return Err(differs());
            }
            self.prefix = None;
        }
        Ok(())
    }
}

/// Returns whether two summaries can be of the same path. Coordinates are bit-identical on all platforms. Lengths
/// have a tolerance.
fn is_same(stored: &PathSummary, measured: &PathSummary, options: &Options) -> bool {
    let difference = (stored.raw_length - measured.raw_length).abs();
    // An older server accepts other fixes where times decrease, and the bounds are those of the accepted fixes.
    let has_same_filter = options.max_speed().is_none();
    stored.point_count == measured.point_count
        && invalid_count(stored) == invalid_count(measured)
        && (!has_same_filter || can_be_same_box(stored, measured))
        && difference <= LENGTH_TOLERANCE * measured.raw_length
}

/// Returns whether two boxes can be of the same path. They are bit-identical on all platforms, except that a box of an
/// older server contains the points without the legs. It can then be lower than the measured box, and it differs in
/// longitudes only if one of them is at least 180 degrees wide.
fn can_be_same_box(stored: &PathSummary, measured: &PathSummary) -> bool {
    let (Some(stored_box), Some(measured_box)) = (stored.bounds, measured.bounds) else {
        return stored.bounds.is_none();
    };
    if measured.metric.space() == Space::Planar {
        return stored_box == measured_box;
    }
    let ends = |bounds: Bounds| {
        // Both longitudes are the antimeridian.
        [bounds.min_x, bounds.max_x].map(|x| if x == -180.0 { 180.0 } else { x })
    };
    let ([west, east], is_full) =
        (ends(measured_box), measured_box.max_x - measured_box.min_x == 360.0);
    let width = if east < west { east + 360.0 - west } else { east - west };
    (is_full || width >= 180.0 || ends(stored_box) == [west, east])
        && measured_box.min_y <= stored_box.min_y
        && stored_box.max_y <= measured_box.max_y
}

/// Returns the number of fixes without a position.
fn invalid_count(summary: &PathSummary) -> u64 {
    let is_invalid = |rejection: &&Rejection| rejection.reason == RejectionReason::InvalidPosition;
    summary.rejections.iter().find(is_invalid).map_or(0, |rejection| rejection.count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Metric, Point};

    fn summary(metric: Metric, points: &[(f64, f64)]) -> PathSummary {
        let mut path = PathAccumulator::new(Options::new(metric));
        let fix = |&(x, y): &(f64, f64)| Fix::new(Point::new(metric.space(), x, y).unwrap());
        path.extend(&points.iter().map(fix).collect::<Vec<_>>()).unwrap();
        path.summary()
    }

    fn is_same_with(measured: &PathSummary, [west, south, east, north]: [f64; 4]) -> bool {
        let mut stored = measured.clone();
        let bounds = stored.bounds.as_mut().unwrap();
        (bounds.min_x, bounds.min_y, bounds.max_x, bounds.max_y) = (west, south, east, north);
        is_same(&stored, measured, &Options::new(measured.metric))
    }

    #[test]
    fn the_box_of_an_older_server_is_recognized() {
        let local = summary(Metric::Geodesic, &[(10.0, 50.0), (11.0, 50.0), (10.5, 49.0)]);
        assert!(is_same(&local, &local, &Options::new(Metric::Geodesic)));
        // The points alone.
        assert!(is_same_with(&local, [10.0, 49.0, 11.0, 50.0]));
        assert!(!is_same_with(&local, [10.0, 49.0, 11.1, 50.0]));
        assert!(!is_same_with(&local, [9.9, 49.0, 11.0, 50.0]));
        assert!(!is_same_with(&local, [10.0, 48.9, 11.0, 50.0]));
        assert!(!is_same_with(&local, [10.0, 49.0, 11.0, 50.1]));
        let mut none = local.clone();
        none.bounds = None;
        assert!(is_same(&none, &local, &Options::new(Metric::Geodesic)));
        assert!(!is_same(&local, &none, &Options::new(Metric::Geodesic)));
        // A box of points on the antimeridian, on its other side.
        let antimeridian = summary(Metric::Geodesic, &[(180.0, 1.0), (-170.0, 1.0)]);
        assert!(is_same_with(&antimeridian, [180.0, 1.0, -170.0, 1.0]));
        assert!(!is_same_with(&antimeridian, [-10.0, 1.0, -170.0, 1.0]));
        // Around the Earth, and over a pole.
        let wide = summary(Metric::Geodesic, &[(-85.0, 0.0), (85.0, 0.0), (110.0, 0.0)]);
        assert!(is_same_with(&wide, [85.0, 0.0, -85.0, 0.0]));
        let pole = summary(Metric::Haversine, &[(0.0, 80.0), (180.0, 80.0)]);
        assert!(is_same_with(&pole, [0.0, 80.0, 180.0, 80.0]));
        let planar = summary(Metric::Planar, &[(0.0, 0.0), (4.0, 3.0)]);
        assert!(is_same_with(&planar, [0.0, 0.0, 4.0, 3.0]));
        assert!(!is_same_with(&planar, [0.0, 0.0, 4.0, 2.0]));
    }
}
