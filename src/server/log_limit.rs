//! A rate limit on log lines that clients cause, separate for each kind.
//!
//! Valid requests can cause megabytes of log per second. Each kind of line has a token bucket. The next line that passes
//! contains the number of suppressed lines; [`LogLimit::flush`] logs that number if no line follows.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

/// The kind of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    /// A call that ended with this code.
    Call(Code),
    /// A connection that was closed because of an error or a flood of its client.
    Connection,
    /// A connection that did not become an HTTP/2 connection.
    Preface,
    /// A connection that was refused, or closed to free its place or its memory.
    Capacity,
}

const CODES: usize = 17;
const KINDS: usize = CODES + 3;

impl LineKind {
    fn index(self) -> usize {
        match self {
            Self::Call(code) => (code as usize).min(CODES - 1),
            Self::Connection => CODES,
            Self::Preface => CODES + 1,
            Self::Capacity => CODES + 2,
        }
    }

    fn name(index: usize) -> String {
        match index {
            CODES => "closed connections".to_owned(),
            index if index == CODES + 1 => "connections without HTTP/2".to_owned(),
            index if index == CODES + 2 => "connections refused or closed for capacity".to_owned(),
            index => format!("calls that ended with {:?}", Code::from(index as i32)),
        }
    }
}

/// The token buckets of all kinds.
#[derive(Debug)]
pub(super) struct LogLimit {
    lines_per_second: f64,
    buckets: [Mutex<Bucket>; KINDS],
    /// All lines that were suppressed.
    suppressed_total: AtomicU64,
}

#[derive(Debug, Default)]
struct Bucket {
    /// Number of lines that may be logged now.
    tokens: f64,
    filled_at: Option<Instant>,
    suppressed: u64,
}

impl LogLimit {
    /// Returns a limit that allows this rate for each kind, with bursts of five times as many lines.
    pub(super) fn new(lines_per_second: u32) -> Self {
        Self {
            lines_per_second: lines_per_second.into(),
            buckets: std::array::from_fn(|_| Mutex::default()),
            suppressed_total: AtomicU64::new(0),
        }
    }

    /// Returns how many lines of this kind were suppressed since the last one, or `None` if this one must be
    /// suppressed too.
    pub(super) fn admit(&self, kind: LineKind) -> Option<u64> {
        const BURST: Duration = Duration::from_secs(5);
        let mut bucket = self.buckets[kind.index()].lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let since = bucket.filled_at.map_or(BURST, |at| now.saturating_duration_since(at));
        let burst = self.lines_per_second * BURST.as_secs_f64();
        bucket.tokens = (bucket.tokens + self.lines_per_second * since.as_secs_f64()).min(burst);
        bucket.filled_at = Some(now);
        if bucket.tokens < 1.0 {
            bucket.suppressed += 1;
            self.suppressed_total.fetch_add(1, Relaxed);
            return None;
        }
        bucket.tokens -= 1.0;
        Some(std::mem::take(&mut bucket.suppressed))
    }

    /// Returns the number of lines that were suppressed since the start.
    pub(super) fn suppressed_total(&self) -> u64 {
        self.suppressed_total.load(Relaxed)
    }

    /// Logs the number of suppressed lines of each kind that was not reported yet.
    pub(super) fn flush(&self) {
        for (index, bucket) in self.buckets.iter().enumerate() {
            let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
            let suppressed = std::mem::take(&mut bucket.suppressed);
            drop(bucket);
            if suppressed > 0 {
                let about = LineKind::name(index);
                tracing::warn!(suppressed, about, "log lines were suppressed by the rate limit");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_kind_is_limited_and_other_kinds_pass() {
        let limit = LogLimit::new(10);
        let ok = LineKind::Call(Code::Ok);
        let passed = (0..1000).filter(|_| limit.admit(ok).is_some()).count();
        assert_eq!(passed, 50);
        assert_eq!(limit.admit(LineKind::Call(Code::Cancelled)), Some(0));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(limit.admit(ok), Some(950));
        let passed = (0..1000).filter(|_| limit.admit(ok).is_some()).count();
        assert_eq!(passed, 9);
        limit.flush();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(limit.admit(ok), Some(0), "flush has reported the suppressed lines");
    }
}
