//! The source of a recording: all fixes of the path, also those that the server already has.
//!
//! The module skips the fixes that the server has, and adds them to the `prefix`, which compares them. It knows no
//! connection; `session` reads fixes from it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures::StreamExt as _;
use tokio_stream::Stream;

use super::RecordError;
use super::prefix::DurablePrefix;
use crate::client::replay::ReplayBuffer;
use crate::contract::points::MESSAGE_POINTS_MAX;
use crate::measure::{Fix, InvalidPoints, Options};

/// The fixes of a path.
pub(super) struct FixSource<'a, S> {
    fixes: Pin<&'a mut S>,
    /// The number of next fixes to skip, because the server has them.
    pub(super) skip: u64,
    /// Whether the source has ended.
    pub(super) is_exhausted: bool,
    /// The fixes before those of the buffer.
    pub(super) prefix: DurablePrefix,
}

impl<'a, S: Stream<Item = Fix>> FixSource<'a, S> {
    pub(super) fn new(fixes: Pin<&'a mut S>, prefix: DurablePrefix) -> Self {
        Self { fixes, skip: 0, is_exhausted: false, prefix }
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
                        self.prefix.push(fix)?;
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
}
