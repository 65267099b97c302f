//! How long a stream works before other streams have the thread: a count of the work, and a yield when it is spent.
//!
//! Work is counted in nanoseconds of a current server processor, estimated from the input alone: no clock is read,
//! and a test counts the same on any machine. The constants were measured with a release build on an AMD EPYC of 2024,
//! as the least time of many runs. Each is that of the worst input of its kind, unless its comment says otherwise; what
//! folding costs is counted by what was done, see [`Cost`].
//!
//! A stream yields after about a quarter of a millisecond. It finishes the piece that it works on: a block of 256
//! points (0.2 ms of legs across the Earth, 0.7 ms with a filter in the worst case), a step of inflating (0.2 ms), or a
//! message that has to be decoded and encoded again (0.7 ms for 64 KiB). Each time the future of its call returns
//! `Poll::Pending`, so that the server sees resets, deadlines and its own end.

use crate::measure::Cost;
use crate::wire::InflateStep;

/// Work after which a stream yields.
const WORK_MAX_NS: u64 = 250_000;

/// To receive a DATA frame, and eight of its bytes.
const FRAME_NS: u64 = 100;
const FRAME_BYTES_PER_NS: u64 = 8;
/// To find a message in a chunk and to decode what is around its fields.
const MESSAGE_NS: u64 = 20;
/// To read a message with a piece of a path in place, and to check it against the path.
const PIECE_NS: u64 = 50;
/// Bytes of it that are read in a nanosecond: 0.6 to 40, and 2 of the numbers and rows that tracks have.
const PIECE_BYTES_PER_NS: u64 = 2;
/// To decode a run of up to 256 points of one segment from columns.
const COLUMNS_NS: u64 = 150;
/// To decode a point and check it. Its bytes are counted apart.
const POINT_NS: u64 = 3;
/// To reset the inflater, and for the tables of a first block.
const INFLATE_NS: u64 = 1_000;
/// To inflate, per byte before. A block without content costs 170 ns per byte, points cost 4 ns: this is between, so that
/// an honest stream does not yield every few microseconds and a hostile one works for 1 ms.
const COMPRESSED_BYTE_NS: u64 = 40;
/// To inflate, per byte after.
const INFLATED_BYTE_NS: u64 = 1;
/// To decode a byte by prost, to encode it again, and to parse that.
const RECODED_BYTE_NS: u64 = 10;
/// To decode a byte of a message that is not read in place, such as a unary request or a point with unknown fields.
const DECODED_BYTE_NS: u64 = 4;
/// To begin a path of a batch, and to write its answer.
const ANSWER_NS: u64 = 2_000;

/// A message of at most this many bytes is one piece of work: its points fit into a block.
pub(super) const SMALL_MESSAGE_BYTES: usize = 512;

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is left to do.
    Done,
    /// It is time to yield; the same call continues the work.
    Spent,
}

/// The work of one stream since it last yielded or waited.
#[derive(Clone, Debug)]
pub(super) struct Work {
    spent_ns: u64,
    max_ns: u64,
    #[cfg(test)]
    most_ns: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Default for Work {
    fn default() -> Self {
        Self::with_max(WORK_MAX_NS)
    }
}

impl Work {
    /// The work of a request that begins.
    pub(super) fn of_request(extensions: &mut http::Extensions) -> Self {
        // A test sets its own maximum, and sees what was counted.
        let set_by_test = if cfg!(test) { extensions.remove() } else { None };
        set_by_test.unwrap_or_default()
    }

    fn with_max(max_ns: u64) -> Self {
        Self {
            spent_ns: 0,
            max_ns,
            #[cfg(test)]
            most_ns: std::sync::Arc::default(),
        }
    }

    fn add(&mut self, ns: u64) {
        self.spent_ns = self.spent_ns.saturating_add(ns);
    }

    /// A DATA frame of this many bytes was received.
    pub(super) fn add_frame(&mut self, bytes: usize) {
        self.add(FRAME_NS + bytes as u64 / FRAME_BYTES_PER_NS);
    }

    /// A message of this many bytes, with a piece of a path, was read in place.
    pub(super) fn add_piece(&mut self, bytes: usize) {
        self.add(PIECE_NS + bytes as u64 / PIECE_BYTES_PER_NS);
    }

    /// A message of this many bytes was decoded, and not in place.
    pub(super) fn add_decoded(&mut self, bytes: usize) {
        self.add(MESSAGE_NS + DECODED_BYTE_NS * bytes as u64);
    }

    /// A message of this many bytes was decoded by prost and encoded again.
    pub(super) fn add_recoded(&mut self, bytes: usize) {
        self.add(PIECE_NS + RECODED_BYTE_NS * bytes as u64);
    }

    /// Points were decoded and checked.
    pub(super) fn add_points(&mut self, count: usize) {
        self.add(POINT_NS * count as u64);
    }

    /// A run of points was decoded from columns.
    pub(super) fn add_columns(&mut self) {
        self.add(COLUMNS_NS);
    }

    /// A part of a message was inflated.
    pub(super) fn add_inflated(&mut self, step: InflateStep) {
        let bytes = COMPRESSED_BYTE_NS * step.compressed_bytes as u64
            + INFLATED_BYTE_NS * step.inflated_bytes as u64;
        self.add(bytes + if step.is_first { INFLATE_NS } else { 0 });
    }

    /// A block was folded.
    pub(super) fn add_fold(&mut self, cost: Cost) {
        self.add(cost.ns);
    }

    /// An answer to a path of a batch was made.
    pub(super) fn add_answer(&mut self) {
        self.add(ANSWER_NS);
    }

    /// Whether it is time to yield.
    #[inline]
    pub(super) fn is_spent(&self) -> bool {
        self.spent_ns >= self.max_ns
    }

    /// Whether to yield before a message of this many bytes is recoded, which is one piece of work.
    pub(super) fn is_spent_by_recoding(&self, bytes: usize) -> bool {
        self.spent_ns.saturating_add(RECODED_BYTE_NS * bytes as u64) >= self.max_ns
    }

    /// The stream waits, so that other streams have the thread.
    pub(super) fn reset(&mut self) {
        #[cfg(test)]
        self.most_ns.fetch_max(self.spent_ns, std::sync::atomic::Ordering::Relaxed);
        self.spent_ns = 0;
    }

    /// Yields if it is time to.
    pub(super) async fn pause_if_spent(&mut self) {
        if self.is_spent() {
            self.pause().await;
        }
    }

    /// Lets other tasks, sockets and timers have the thread once, and begins anew. A caller that drops this future
    /// has not yielded, and yields the next time.
    pub(super) async fn pause(&mut self) {
        // The runtime wakes this task only after it has looked at its sockets and timers.
        tokio::task::yield_now().await;
        self.reset();
    }
}

#[cfg(test)]
mod tests;
