//! The source of a recording: whole from its first fix on, however much the server has. It passes over that
//! part, after it has been compared with what the server says it comes to.
//!
//! It knows no connection; `session.rs` asks it for fixes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures::StreamExt as _;
use tokio_stream::Stream;

use super::super::replay::Replay;
use super::RecordError;
use crate::contract::points::MESSAGE_POINTS_MAX;
use crate::measure::{Fix, FixBlock, Options, PathAccumulator, PathSummary};
use crate::recording::RecordingName;

/// Another platform may measure long legs to other last bits.
const SAME_LENGTH: f64 = 1e-9;

/// The fixes of a path, and how much of them was taken.
pub(super) struct Source<'a, S> {
    fixes: Pin<&'a mut S>,
    /// Fixes that it has yet to give and the server has.
    pub(super) skip: u64,
    /// It has ended.
    pub(super) is_exhausted: bool,
    prefix: Option<Prefix>,
}

/// What the server had before anything was taken from the source, and as much of the source.
struct Prefix {
    stored: PathSummary,
    measurement: PathAccumulator,
    block: FixBlock,
}

impl<'a, S: Stream<Item = Fix>> Source<'a, S> {
    pub(super) fn new(fixes: Pin<&'a mut S>) -> Self {
        Self { fixes, skip: 0, is_exhausted: false, prefix: None }
    }

    /// What the first fixes are to come to. Before any was taken.
    pub(super) fn expect(&mut self, stored: PathSummary, options: &Options) {
        if stored.point_count > 0 && stored.metric == options.metric() {
            let (measurement, block) =
                (PathAccumulator::new(*options), FixBlock::new(options.metric()));
            self.prefix = Some(Prefix { stored, measurement, block });
        }
    }

    /// Takes what is ready, at least one fix, as far as there is room; no more at a time than goes into a
    /// message. Cancel-safe.
    ///
    /// # Errors
    /// When a fix is none of this path, or those that were passed over are not those that the server has.
    pub(super) async fn fill(
        &mut self,
        replay: &mut Replay,
        name: &RecordingName,
        options: &Options,
    ) -> Result<(), RecordError> {
        let wanted = options.metric().space();
        let mut count = 0;
        poll_fn(|cx| {
            while count < MESSAGE_POINTS_MAX && !replay.is_full() {
                match self.fixes.poll_next_unpin(cx) {
                    Poll::Ready(Some(fix)) if fix.point().space() != wanted => {
                        let (offset, space) = (replay.end() - self.skip, fix.point().space());
                        return Poll::Ready(Err(RecordError::Space { offset, space, wanted }));
                    }
                    Poll::Ready(Some(fix)) if self.skip > 0 => {
                        self.skip -= 1;
                        self.pass_over(fix, name)?;
                    }
                    // There is room.
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

    fn pass_over(&mut self, fix: Fix, name: &RecordingName) -> Result<(), RecordError> {
        let Some(Prefix { stored, measurement, block }) = &mut self.prefix else { return Ok(()) };
        let other = || RecordError::Other { name: name.clone(), stored: stored.point_count };
        block.push(fix).map_err(|_| other())?;
        let count = measurement.point_count() + block.len() as u64;
        if block.is_full() || count == stored.point_count {
            measurement.fold(block).map_err(|_| other())?;
        }
        if count == stored.point_count {
            if !is_same(stored, &measurement.summary()) {
                return Err(other());
            }
            self.prefix = None;
        }
        Ok(())
    }
}

/// Whether two paths are the same as far as their summaries tell. Coordinates are kept to the bit, and so are
/// the bounds; lengths are as good as the platform's functions.
fn is_same(stored: &PathSummary, measured: &PathSummary) -> bool {
    let difference = (stored.raw_length - measured.raw_length).abs();
    stored.point_count == measured.point_count
        && (stored.bounds.is_none() || stored.bounds == measured.bounds)
        && difference <= SAME_LENGTH * measured.raw_length
}
