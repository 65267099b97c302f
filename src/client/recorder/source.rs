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
    Fix, FixBlock, InvalidPoints, Options, PathAccumulator, PathSummary, Rejection, RejectionReason,
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
    /// A fix is in the other space or has no position that the options require, or the skipped fixes differ from those of the server.
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

/// Returns whether two summaries can be of the same path. Coordinates, and so the bounds, are bit-identical on all
/// platforms. Lengths have a tolerance.
fn is_same(stored: &PathSummary, measured: &PathSummary, options: &Options) -> bool {
    let difference = (stored.raw_length - measured.raw_length).abs();
    // An older server accepts other fixes where times decrease, and the bounds are those of the accepted fixes.
    let has_same_filter = options.max_speed().is_none();
    stored.point_count == measured.point_count
        && invalid_count(stored) == invalid_count(measured)
        && (stored.bounds.is_none() || !has_same_filter || stored.bounds == measured.bounds)
        && difference <= LENGTH_TOLERANCE * measured.raw_length
}

/// Returns the number of fixes without a position.
fn invalid_count(summary: &PathSummary) -> u64 {
    let is_invalid = |rejection: &&Rejection| rejection.reason == RejectionReason::InvalidPosition;
    summary.rejections.iter().find(is_invalid).map_or(0, |rejection| rejection.count)
}
