//! Decides whether and when a failed call is repeated: exponential backoff with full jitter, within a budget.
//!
//! `recorder` uses it, and the command line for watches.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::ClientError;
use crate::contract::reason;

/// The limits of retries, as exponential backoff.
///
/// ```
/// # use std::time::Duration;
/// use waywiser::client::RetryPolicy;
///
/// let policy = RetryPolicy { budget: Duration::from_secs(60), ..RetryPolicy::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Maximum time without progress before the client stops retrying. With zero, it does not retry. A server that can be
    /// reached has at least 5 s to answer each try.
    pub budget: Duration,
    /// Maximum of the first wait. The maximum doubles with each retry.
    pub initial_backoff: Duration,
    /// Maximum of every wait.
    pub max_backoff: Duration,
}

impl Default for RetryPolicy {
    /// Returns a budget of five minutes, and waits of up to 100 ms, 200 ms and so on to 10 s.
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(300),
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
        }
    }
}

/// The retries since the last progress.
#[derive(Debug)]
pub(crate) struct Retry {
    policy: RetryPolicy,
    /// The time at which the client began to wait for progress.
    since: Option<Instant>,
    /// The time at which the server was reached last.
    reached: Option<Instant>,
    tries: u32,
}

impl Retry {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self { policy, since: None, reached: None, tries: 0 }
    }

    /// Starts again after progress, with the whole budget and the shortest wait.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.policy);
    }

    /// Makes the whole budget available again, because the client does not wait for the server. Returns the current
    /// time.
    pub(crate) fn pause(&mut self) -> Instant {
        self.since = None;
        Instant::now()
    }

    /// Returns the time at which the budget is spent without progress. Starts to use the budget.
    fn deadline(&mut self) -> Instant {
        /// Longer budgets are the same as this one.
        const BUDGET_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);
        *self.since.get_or_insert_with(Instant::now) + self.policy.budget.min(BUDGET_MAX)
    }

    /// Notes that a connection is open, so that the server can answer.
    pub(crate) fn set_reached(&mut self) {
        self.reached = Some(Instant::now());
    }

    /// Returns the time at which a server must have answered: the deadline, or later if less than 5 s are left when the
    /// server is reached, because its answer needs some time too. Starts to use the budget.
    pub(crate) fn answer_deadline(&mut self) -> Instant {
        const ANSWER_MIN: Duration = Duration::from_secs(5);
        let deadline = self.deadline();
        [self.since, self.reached]
            .into_iter()
            .flatten()
            .fold(deadline, |deadline, start| deadline.max(start + ANSWER_MIN))
    }

    /// Returns the middle of the time from `start` to the answer deadline, but at most `limit` after the start. Starts to
    /// use the budget. If the client began to wait after `start`, the time begins there.
    pub(crate) fn half_time(&mut self, start: Instant, limit: Duration) -> Instant {
        let deadline = self.answer_deadline();
        let start = self.since.map_or(start, |since| since.max(start));
        start + (deadline.saturating_duration_since(start) / 2).min(limit)
    }

    /// Returns the time since the client began to wait for progress.
    pub(crate) fn elapsed(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Returns the rest of the budget. Starts to use the budget.
    pub(crate) fn left(&mut self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }

    /// Returns the wait before the next try after an error. The wait is at least the one that the server asks for. Returns
    /// `None` if the budget is spent, or the server asks for a wait until the deadline or longer.
    pub(crate) fn next_wait_after(&mut self, error: &ClientError) -> Option<Duration> {
        let first = self.policy.initial_backoff;
        let limit = first.saturating_mul(1 << self.tries.min(20));
        self.tries += 1;
        // Random from 0 to the limit, so that the clients of one server do not all reconnect at the same time.
        let wait = limit.min(self.policy.max_backoff).mul_f64(fastrand::f64());
        let delay = server_delay(error).unwrap_or_default();
        // The time for a wait that is longer than the server asks for.
        let left = self.left().checked_sub(delay).filter(|left| !left.is_zero())?;
        // Later than asked for, so that the clients of one server do not all return at the same time.
        let extra = wait.saturating_sub(delay).max((delay / 10).mul_f64(fastrand::f64()));
        match extra < left {
            true => Some(delay + extra),
            // A long wait leaves time for another try before the deadline. The last try is at the deadline.
            false if left >= first => Some(delay + left / 2),
            false => Some(delay + left),
        }
    }
}

/// Returns the wait that the server asks for, as RetryInfo of a refused call.
pub(super) fn server_delay(error: &ClientError) -> Option<Duration> {
    let ClientError::Status(status) = error else { return None };
    if !matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) {
        return None;
    }
    status.get_details_retry_info()?.retry_delay
}

/// Returns whether a retry may succeed: the server is unavailable, the connection was lost, or the result is unknown.
pub(crate) fn is_transient(error: &ClientError) -> bool {
    match error {
        ClientError::Connect { .. }
        | ClientError::Timeout
        | ClientError::NotDurable
        | ClientError::Unfinished => true,
        ClientError::Connection { source, .. } => source.is_transient(),
        ClientError::Status(status) => {
            error.transport_failure().is_some() || is_transient_status(status)
        }
        _ => false,
    }
}

fn is_transient_status(status: &Status) -> bool {
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

/// Returns whether the `ErrorInfo` of a status has this reason.
pub(super) fn has_reason(status: &Status, reason: &str) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == reason)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn the_code_of_a_status_decides_whether_it_is_retried() {
        let is_transient = |code| is_transient(&ClientError::from(Box::new(Status::new(code, ""))));
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Internal, Code::Unknown] {
            assert!(is_transient(code), "{code:?}");
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
            assert!(!is_transient(code), "{code:?}");
        }
    }

    #[test]
    fn the_details_of_a_status_decide_whether_it_is_retried() {
        let is_transient = |code, details| {
            let status = Status::with_error_details(code, "", details);
            is_transient(&ClientError::from(Box::new(status)))
        };
        let reason = |reason| ErrorDetails::with_error_info(reason, "waywiser", HashMap::new());
        let mut full = reason("STORE_FULL");
        assert!(!is_transient(Code::ResourceExhausted, full.clone()));
        full.set_retry_info(Some(Duration::from_secs(1)));
        assert!(is_transient(Code::ResourceExhausted, full));
        assert!(!is_transient(Code::ResourceExhausted, reason("MESSAGE_TOO_LARGE")));
        assert!(is_transient(Code::OutOfRange, reason("OFFSET_GAP")));
        assert!(!is_transient(Code::OutOfRange, reason("LENGTH_OUT_OF_RANGE")));
        assert!(is_transient(Code::Aborted, reason("PATH_DELETED")));
        assert!(!is_transient(Code::Aborted, reason("WRITER_FENCED")));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_a_maximum_and_end_with_the_budget() {
        let policy = RetryPolicy::default();
        let mut retry = Retry::new(policy);
        let mut limit = policy.initial_backoff;
        let started = Instant::now();
        let error = ClientError::Timeout;
        while let Some(wait) = retry.next_wait_after(&error) {
            assert!(wait <= limit.min(policy.max_backoff));
            limit = (limit * 2).min(policy.max_backoff);
            tokio::time::advance(wait).await;
            assert!(started.elapsed() <= policy.budget);
        }
        // The whole budget is used.
        assert_eq!((started.elapsed(), retry.elapsed()), (policy.budget, policy.budget));
        retry.reset();
        assert!(retry.next_wait_after(&error).unwrap() <= policy.initial_backoff);
        // Time in which the client does not wait for the server does not count.
        retry.pause();
        tokio::time::advance(policy.budget * 2).await;
        assert!(retry.next_wait_after(&error).is_some());
    }

    fn refusal(code: Code, seconds: u64) -> ClientError {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds)));
        ClientError::from(Box::new(Status::with_error_details(code, "", details)))
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_is_at_least_that_which_the_server_asks_for() {
        let wait = |error| Retry::new(RetryPolicy::default()).next_wait_after(&error);
        for code in [Code::Unavailable, Code::ResourceExhausted] {
            let wait = wait(refusal(code, 20)).unwrap().as_secs_f64();
            assert!((20.0..=22.0).contains(&wait), "{wait}");
        }
        // No budget is too long.
        let policy = RetryPolicy { budget: Duration::MAX, ..RetryPolicy::default() };
        assert!(Retry::new(policy).next_wait_after(&ClientError::Timeout).is_some());
        // A try after the deadline is not worth the wait.
        assert_eq!(wait(refusal(Code::ResourceExhausted, 100_000)), None);
        assert_eq!(wait(refusal(Code::ResourceExhausted, u64::MAX / 2_000_000_000)), None);
        // Only refusals that ask for a later try count.
        assert!(
            wait(refusal(Code::Internal, 20)).unwrap() <= RetryPolicy::default().initial_backoff
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_ends_before_the_deadline_is_never_refused() {
        let policy = RetryPolicy::default();
        let seconds = Duration::from_secs;
        // The random parts of the waits differ.
        for _ in 0..200 {
            for delay in [1, 280, 299] {
                let mut retry = Retry::new(policy);
                let wait = retry.next_wait_after(&refusal(Code::Unavailable, delay)).unwrap();
                assert!((seconds(delay)..=policy.budget).contains(&wait), "{delay}: {wait:?}");
                // The server has time to answer, however late the next try begins.
                tokio::time::advance(wait).await;
                retry.set_reached();
                assert!(retry.answer_deadline() >= Instant::now() + seconds(5));
            }
            // Neither a short wait that the server asks for nor a long backoff ends after the deadline.
            let mut retry = Retry::new(policy);
            retry.tries = 20;
            retry.left();
            tokio::time::advance(seconds(297)).await;
            let wait = retry.next_wait_after(&refusal(Code::Unavailable, 2)).unwrap();
            assert!((seconds(2)..seconds(3)).contains(&wait), "{wait:?}");
        }
        let mut retry = Retry::new(policy);
        retry.left();
        tokio::time::advance(seconds(100)).await;
        assert_eq!(retry.next_wait_after(&refusal(Code::Unavailable, 200)), None);
        assert_eq!((retry.elapsed(), retry.left()), (seconds(100), seconds(200)));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_of_no_time_that_the_server_asks_for_end_with_the_budget() {
        let mut retry = Retry::new(RetryPolicy::default());
        let mut tries = 0;
        while let Some(wait) = retry.next_wait_after(&refusal(Code::Unavailable, 0)) {
            tokio::time::advance(wait).await;
            tries += 1;
        }
        // About 5 s on average, and at most ten halves of the rest.
        assert!((30..200).contains(&tries), "{tries}");
    }
}
