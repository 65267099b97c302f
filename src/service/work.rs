//! Counts the work of a stream, so that it yields to other streams of the thread when its budget is spent.
//!
//! Work is counted in nanoseconds of a current server processor, estimated from the input alone. No clock is read for it, so a
//! test counts the same on any machine. The constants were measured with a release build on an AMD EPYC of 2024, as the
//! minimum of many runs. Each is that of the worst input of its kind, unless its comment differs. The cost of folding
//! depends on the legs, see [`Cost`].
//!
//! A stream yields after about a quarter of a millisecond. It first finishes the current step: a block of 256 points
//! (0.2 ms with legs across the Earth, 0.7 ms with a filter in the worst case), a step of inflating (0.2 ms), or a message
//! that is decoded and encoded again (0.7 ms for 64 KiB). At each yield the future of the call returns `Poll::Pending`,
//! so that the server handles resets, deadlines and its own shutdown.

use std::sync::Arc;

use super::progress::Progress;
use crate::measure::Cost;
use crate::wire::InflateStep;

/// Work after which a stream yields.
pub(super) const WORK_MAX_NS: u64 = 250_000;

/// Cost to receive a DATA frame, and the number of its bytes that cost a nanosecond more.
const FRAME_NS: u64 = 100;
const FRAME_BYTES_PER_NS: u64 = 8;
/// Cost to find a message in a chunk and to decode its framing.
const MESSAGE_NS: u64 = 20;
/// Cost to read a message of a path in place, and to check it against the path.
const IN_PLACE_NS: u64 = 50;
/// Number of its bytes that are read per nanosecond: 0.6 to 40, and 2 for typical tracks.
const IN_PLACE_BYTES_PER_NS: u64 = 2;
/// Cost to decode a run of up to 256 points of one segment from columns.
const COLUMNS_NS: u64 = 150;
/// Cost to decode a point and check it. Its bytes are counted separately.
const POINT_NS: u64 = 3;
/// Cost to check a point again by itself, after an invalid position was found in its row or block. This one is an
/// estimate that exceeds the cost of the same steps for a valid point many times.
const INVALID_POINT_NS: u64 = 150;
/// Cost to reset the inflater, and to read the tables of the first block.
const INFLATE_NS: u64 = 1_000;
/// Cost to inflate, per compressed byte. A block without content costs 170 ns per byte, points cost 4 ns. With a value
/// in between, a normal stream does not yield every few microseconds, and a hostile one works for at most 1 ms.
const COMPRESSED_BYTE_NS: u64 = 40;
/// Cost to inflate, per inflated byte.
const INFLATED_BYTE_NS: u64 = 1;
/// Cost per byte to decode by prost, to encode again, and to parse the result.
const RECODED_BYTE_NS: u64 = 10;
/// Cost per byte to decode a message that is not read in place, such as a unary request or a point with unknown fields.
const DECODED_BYTE_NS: u64 = 4;
/// Cost to look up a feature at a point.
const LOOKUP_NS: u64 = 30;
/// Cost to begin a path of a batch, and to write its answer.
const ANSWER_NS: u64 = 2_000;

/// A message of at most this many bytes is read without a yield: its points fit into a block.
pub(super) const SMALL_MESSAGE_BYTES: usize = 512;

/// The result of a step of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is left to do.
    Done,
    /// The budget is spent. The same call continues the work after a yield.
    Spent,
}

/// The work of one stream since it last yielded or waited, and the number of its points.
#[derive(Debug)]
pub(super) struct Work {
    spent_ns: u64,
    /// Points of all messages that were decoded, also those that the path does not contain.
    point_count: u64,
    max_ns: u64,
    /// The part of `spent_ns` that `progress` contains.
    reported_ns: u64,
    progress: Arc<Progress>,
    #[cfg(test)]
    most_ns: Arc<std::sync::atomic::AtomicU64>,
}

impl Default for Work {
    fn default() -> Self {
        Self::with_max(WORK_MAX_NS)
    }
}

impl Work {
    /// Returns the counter of a call, which reports its work to `progress`.
    pub(super) fn of_call(progress: Arc<Progress>) -> Self {
        Self { progress, ..Self::default() }
    }

    /// Returns the counter of a request that begins.
    pub(super) fn of_request(extensions: &mut http::Extensions, progress: Arc<Progress>) -> Self {
        // A test sets its own maximum, and reads the counter.
        #[cfg(test)]
        if let Some(TestBudget { max_ns, most_ns }) = extensions.remove() {
            return Self { progress, most_ns, ..Self::with_max(max_ns) };
        }
        #[cfg(not(test))]
        let _ = extensions;
        Self::of_call(progress)
    }

    /// Returns a counter with this budget.
    fn with_max(max_ns: u64) -> Self {
        Self {
            spent_ns: 0,
            point_count: 0,
            max_ns,
            reported_ns: 0,
            progress: Arc::default(),
            #[cfg(test)]
            most_ns: Arc::default(),
        }
    }

    fn add(&mut self, ns: u64) {
        self.spent_ns = self.spent_ns.saturating_add(ns);
    }

    /// Counts points of messages that were decoded, whether or not they are valid and the path takes them. Adds no work.
    #[inline]
    pub(super) fn count_points(&mut self, count: u64) {
        self.point_count += count;
    }

    /// Returns the number of points that the stream has decoded since its start.
    pub(super) fn point_count(&self) -> u64 {
        self.point_count
    }

    /// Adds a received DATA frame of this many bytes.
    pub(super) fn add_frame(&mut self, bytes: usize) {
        self.add(FRAME_NS + bytes as u64 / FRAME_BYTES_PER_NS);
    }

    /// Adds a message of a path that was read in place.
    pub(super) fn add_in_place(&mut self, bytes: usize) {
        self.add(IN_PLACE_NS + bytes as u64 / IN_PLACE_BYTES_PER_NS);
    }

    /// Adds a message of this many bytes that was decoded, not in place.
    pub(super) fn add_decoded(&mut self, bytes: usize) {
        self.add(MESSAGE_NS + DECODED_BYTE_NS * bytes as u64);
    }

    /// Adds a message of this many bytes that was decoded by prost and encoded again.
    pub(super) fn add_recoded(&mut self, bytes: usize) {
        self.add(IN_PLACE_NS + RECODED_BYTE_NS * bytes as u64);
    }

    /// Adds points that were decoded and checked.
    pub(super) fn add_points(&mut self, count: usize) {
        self.add(POINT_NS * count as u64);
    }

    /// Adds points that were checked one by one, because one of them has no valid position.
    pub(super) fn add_invalid_points(&mut self, count: usize) {
        self.add(INVALID_POINT_NS * count as u64);
    }

    /// Adds a run of points that was decoded from columns.
    pub(super) fn add_columns(&mut self) {
        self.add(COLUMNS_NS);
    }

    /// Adds a step of inflating a message.
    pub(super) fn add_inflated(&mut self, step: InflateStep) {
        let bytes = COMPRESSED_BYTE_NS * step.compressed_bytes as u64
            + INFLATED_BYTE_NS * step.inflated_bytes as u64;
        self.add(bytes + if step.is_first { INFLATE_NS } else { 0 });
    }

    /// Adds a block that was folded.
    pub(super) fn add_fold(&mut self, cost: Cost) {
        self.add(cost.ns);
    }

    /// Adds features that were looked up or compared.
    pub(super) fn add_lookups(&mut self, count: usize) {
        self.add(LOOKUP_NS * count as u64);
    }

    /// Adds an answer to a path of a batch, or another message of a stream of answers.
    pub(super) fn add_answer(&mut self) {
        self.add(ANSWER_NS);
    }

    /// Returns whether the budget is spent.
    #[inline]
    pub(super) fn is_spent(&self) -> bool {
        self.spent_ns >= self.max_ns
    }

    /// Returns whether recoding a message of this many bytes, which cannot yield, would exceed the budget.
    pub(super) fn is_spent_by_recoding(&self, bytes: usize) -> bool {
        self.spent_ns.saturating_add(RECODED_BYTE_NS * bytes as u64) >= self.max_ns
    }

    /// Restarts the count, because the stream waits for input and other streams use the thread.
    pub(super) fn wait_for_input(&mut self) {
        self.report();
        self.reset();
    }

    /// Reports further work to the progress of another call, without a new budget.
    pub(super) fn continue_for(&mut self, progress: Arc<Progress>) {
        self.report();
        self.progress = progress;
    }

    /// Adds the work since the last report to the progress of the call.
    pub(super) fn report(&mut self) {
        self.progress.add_work(self.spent_ns - self.reported_ns);
        self.reported_ns = self.spent_ns;
    }

    fn reset(&mut self) {
        #[cfg(test)]
        self.most_ns.fetch_max(self.spent_ns, std::sync::atomic::Ordering::Relaxed);
        (self.spent_ns, self.reported_ns) = (0, 0);
    }

    /// Yields if the budget is spent.
    pub(super) async fn pause_if_spent(&mut self) {
        if self.is_spent() {
            self.pause().await;
        }
    }

    /// Yields to other tasks, sockets and timers, and restarts the count. If the caller drops this future, the budget
    /// stays spent, and the next call yields.
    pub(super) async fn pause(&mut self) {
        self.report();
        self.progress.yields();
        // The runtime polls this task again only after it has checked its sockets and timers.
        tokio::task::yield_now().await;
        self.reset();
    }
}

/// The budget of a call in a test.
#[cfg(test)]
#[derive(Clone, Debug)]
pub(super) struct TestBudget {
    pub(super) max_ns: u64,
    /// Receives the largest amount of work without a yield.
    pub(super) most_ns: Arc<std::sync::atomic::AtomicU64>,
}

#[cfg(test)]
mod tests;
