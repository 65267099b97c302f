//! When a call that failed is tried again, and how long to wait before: full jitter, within a budget.
//!
//! It knows no call. `recorder` asks it, and the command line where it watches.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::ClientError;
use crate::contract::reason;

/// How patient a client is with a server that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long nothing may become durable before it is given up.
    pub budget: Duration,
    /// The first wait is up to this, each further one up to twice as much as the one before.
    pub wait_min: Duration,
    /// No wait is longer than this.
    pub wait_max: Duration,
}

impl Default for Patience {
    /// Five minutes; waits of up to 100 ms, 200 ms and so on to 10 s.
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(300),
            wait_min: Duration::from_millis(100),
            wait_max: Duration::from_secs(10),
        }
    }
}

/// The waits since something last went well.
#[derive(Debug)]
pub(crate) struct Retry {
    patience: Patience,
    /// Since when something was to go well and did not.
    since: Option<Instant>,
    tries: u32,
}

impl Retry {
    pub(crate) fn new(patience: Patience) -> Self {
        Self { patience, since: None, tries: 0 }
    }

    /// Something went well.
    pub(crate) fn progress(&mut self) {
        *self = Self::new(self.patience);
    }

    /// The server is available and owes no answer: the whole budget is available again. Returns the time.
    pub(crate) fn rest(&mut self) -> Instant {
        self.since = None;
        Instant::now()
    }

    /// When it is to be given up if nothing goes well before. Something is waited for from now on, if it was
    /// not before.
    pub(crate) fn deadline(&mut self) -> Instant {
        *self.since.get_or_insert_with(Instant::now) + self.patience.budget
    }

    /// How long to wait before the next try; `None` if the budget does not allow one.
    pub(crate) fn next_wait(&mut self) -> Option<Duration> {
        let limit = self.patience.wait_min.saturating_mul(1 << self.tries.min(20));
        self.tries += 1;
        // Any time from nothing to the limit: clients that lost one server do not come back together.
        let wait = limit.min(self.patience.wait_max).mul_f64(fastrand::f64());
        let deadline = self.deadline();
        (Instant::now() + wait < deadline).then_some(wait)
    }
}

/// Whether trying again may help: the server or the way to it is away, or nobody knows what happened.
pub(crate) fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Connect { .. } | ClientError::Silent => true,
        ClientError::Status(status) => error.lost().is_some() || is_passing_status(status),
        _ => false,
    }
}

fn is_passing_status(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Internal | Code::Unknown => true,
        Code::ResourceExhausted => status.get_details_retry_info().is_some(),
        // The next try asks what is durable first, and starts there.
        Code::OutOfRange => has_reason(status, reason::OFFSET_GAP),
        // The next try creates the recording again, or finds that durable points are lost.
        Code::Aborted => has_reason(status, reason::PATH_DELETED),
        _ => false,
    }
}

/// Whether the `ErrorInfo` of a status has this reason.
pub(super) fn has_reason(status: &Status, reason: &str) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == reason)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn what_cannot_pass_is_not_tried_again() {
        let is_passing = |code| is_passing(&ClientError::from(Box::new(Status::new(code, ""))));
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Internal, Code::Unknown] {
            assert!(is_passing(code), "{code:?}");
        }
        for code in [
            Code::Aborted,
            Code::InvalidArgument,
            Code::PermissionDenied,
            Code::Unauthenticated,
            Code::FailedPrecondition,
            Code::DataLoss,
            Code::Cancelled,
            Code::ResourceExhausted,
            Code::OutOfRange,
            Code::Unimplemented,
            Code::NotFound,
        ] {
            assert!(!is_passing(code), "{code:?}");
        }
    }

    #[test]
    fn the_details_of_a_status_decide_whether_it_is_retried() {
        let is_passing = |code, details| {
            let status = Status::with_error_details(code, "", details);
            is_passing(&ClientError::from(Box::new(status)))
        };
        let reason = |reason| ErrorDetails::with_error_info(reason, "waywiser", HashMap::new());
        let mut full = reason("STORE_FULL");
        assert!(!is_passing(Code::ResourceExhausted, full.clone()));
        full.set_retry_info(Some(Duration::from_secs(1)));
        assert!(is_passing(Code::ResourceExhausted, full));
        assert!(!is_passing(Code::ResourceExhausted, reason("MESSAGE_TOO_LARGE")));
        assert!(is_passing(Code::OutOfRange, reason("OFFSET_GAP")));
        assert!(!is_passing(Code::OutOfRange, reason("LENGTH_OUT_OF_RANGE")));
        assert!(is_passing(Code::Aborted, reason("PATH_DELETED")));
        assert!(!is_passing(Code::Aborted, reason("WRITER_FENCED")));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_a_bound_and_end_with_the_budget() {
        let patience = Patience::default();
        let mut retry = Retry::new(patience);
        let mut limit = patience.wait_min;
        let started = Instant::now();
        while let Some(wait) = retry.next_wait() {
            assert!(wait <= limit.min(patience.wait_max));
            limit = (limit * 2).min(patience.wait_max);
            tokio::time::advance(wait).await;
            assert!(started.elapsed() < patience.budget);
        }
        retry.progress();
        assert!(retry.next_wait().unwrap() <= patience.wait_min);
        // What is long ago and went well spends nothing.
        retry.rest();
        tokio::time::advance(patience.budget * 2).await;
        assert!(retry.next_wait().is_some());
    }
}
