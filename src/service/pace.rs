//! Slows streams down to the rates of points and bytes of their callers.
//!
//! A stream is charged for what it has read: it adds a debt to the meters of its principal and its peer, and reads
//! nothing until the debt is zero. HTTP/2 flow control then stops its client. The meters are those of the generic cell
//! rate algorithm: each holds the time at which its debt is zero.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::quota_error::{QuotaError, QuotaKind, QuotaScope, RateUnit};

/// A stream waits only for the debt above this one, so that clients may send in bursts.
pub(crate) const BURST: Duration = Duration::from_secs(1);
/// A call is refused while the debt of its caller exceeds [`BURST`] by more than this.
pub(crate) const CALL_WAIT_MAX: Duration = Duration::from_secs(5);
/// A stream ends if it would have to wait longer than this.
pub(crate) const STREAM_WAIT_MAX: Duration = Duration::from_secs(30);
/// Returns whether a stream that reads these units at once, after it was idle, ends at this rate.
pub(crate) fn ends_stream(units: u64, per_second: u64) -> bool {
    u128::from(units) > u128::from(per_second) * u128::from((BURST + STREAM_WAIT_MAX).as_secs())
}

/// The longest debt, which a rate of 0 also causes.
const DEBT_MAX_NS: u64 = 365 * 24 * 60 * 60 * 1_000_000_000;

/// The use of one quota owner, which all of its streams share.
#[derive(Debug)]
pub struct Account {
    /// Number of open streams. The owner of the accounts counts them.
    pub(crate) streams: AtomicU32,
    points: RateMeter,
    bytes: RateMeter,
}

impl Account {
    /// Returns the account of an owner that has used nothing.
    pub(crate) fn new(now: Instant) -> Self {
        let meter = || RateMeter { start: now, debt_free_ns: AtomicU64::new(0) };
        Self { streams: AtomicU32::new(0), points: meter(), bytes: meter() }
    }

    /// Returns the time until the debt is zero.
    pub(crate) fn debt(&self, now: Instant) -> Duration {
        self.points.debt(now).max(self.bytes.debt(now))
    }
}

/// Measures the rate of points or bytes.
#[derive(Debug)]
struct RateMeter {
    start: Instant,
    /// The time since `start` at which the debt is zero.
    debt_free_ns: AtomicU64,
}

impl RateMeter {
    fn elapsed_ns(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Charges units at a rate. Returns the time until the debt is zero.
    fn charge(&self, now: Instant, units: u64, per_second: u64) -> Duration {
        const NS: u128 = 1_000_000_000;
        // Rounded up, so that no unit is free.
        let cost = match u128::from(per_second) {
            0 => DEBT_MAX_NS,
            per_second => u64::try_from((u128::from(units) * NS).div_ceil(per_second))
                .map_or(DEBT_MAX_NS, |cost| cost.min(DEBT_MAX_NS)),
        };
        let now_ns = self.elapsed_ns(now);
        let debt_free_after = |debt_free_ns: u64| {
            debt_free_ns.max(now_ns).saturating_add(cost).min(now_ns.saturating_add(DEBT_MAX_NS))
        };
        let before =
            self.debt_free_ns.fetch_update(Relaxed, Relaxed, |time| Some(debt_free_after(time)));
        let debt_free_ns = before.map_or(now_ns, debt_free_after);
        Duration::from_nanos(debt_free_ns - now_ns)
    }

    fn debt(&self, now: Instant) -> Duration {
        Duration::from_nanos(self.debt_free_ns.load(Relaxed).saturating_sub(self.elapsed_ns(now)))
    }
}

/// One rate limit of a stream.
#[derive(Clone, Debug)]
pub struct Rate {
    pub(crate) account: Arc<Account>,
    pub(crate) unit: RateUnit,
    pub(crate) scope: QuotaScope,
    pub(crate) per_second: u64,
}

impl Rate {
    fn meter(&self) -> &RateMeter {
        match self.unit {
            RateUnit::Points => &self.account.points,
            RateUnit::Bytes => &self.account.bytes,
        }
    }

    fn error(&self, retry_after: Duration) -> QuotaError {
        let quota = QuotaKind::Rate(self.unit);
        QuotaError { quota, scope: self.scope, limit: self.per_second, retry_after }
    }

    /// Charges units now.
    #[cfg(test)]
    pub(crate) fn charge_for_test(&self, units: u64) {
        self.meter().charge(Instant::now(), units, self.per_second);
    }

    /// Checks that another stream would not have to wait long.
    ///
    /// # Errors
    /// If the debt is too large for a new call.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), QuotaError> {
        let wait = self.meter().debt(now).saturating_sub(BURST);
        if wait > CALL_WAIT_MAX { Err(self.error(wait)) } else { Ok(()) }
    }
}

/// The rate limits of a stream. The server puts them into the extensions of a request.
#[derive(Clone, Debug)]
pub struct Rates(pub(crate) Arc<[Rate]>);

/// Slows a stream down to its rate limits.
#[derive(Debug)]
pub(crate) struct Pace {
    rates: Rates,
    /// Points and bytes that are charged.
    points: u64,
    bytes: u64,
    /// Runs until the stream may read on.
    wait: Option<Pin<Box<Sleep>>>,
    /// The sum of all waits.
    throttled: Duration,
}

impl Pace {
    pub(crate) fn new(rates: Rates) -> Self {
        Self { rates, points: 0, bytes: 0, wait: None, throttled: Duration::ZERO }
    }

    /// Returns the sum of all waits, including one that has just begun.
    pub(super) fn throttled(&self) -> Duration {
        self.throttled
    }

    /// Charges the points and bytes that the stream has read since the last call. The arguments are the totals.
    ///
    /// # Errors
    /// If the stream would have to wait too long.
    pub(crate) fn charge(&mut self, points: u64, bytes: u64) -> Result<(), QuotaError> {
        let new_points = points.saturating_sub(self.points);
        let new_bytes = bytes.saturating_sub(self.bytes);
        if new_points == 0 && new_bytes == 0 {
            return Ok(());
        }
        (self.points, self.bytes) = (points, bytes);
        let now = Instant::now();
        let mut longest: Option<(Duration, &Rate)> = None;
        for rate in self.rates.0.iter() {
            let units = match rate.unit {
                RateUnit::Points => new_points,
                RateUnit::Bytes => new_bytes,
            };
            if units == 0 {
                continue;
            }
            let debt = rate.meter().charge(now, units, rate.per_second);
            let wait = debt.saturating_sub(BURST);
            if longest.is_none_or(|(longest, _)| wait > longest) {
                longest = Some((wait, rate));
            }
        }
        match longest {
            Some((wait, rate)) if wait > STREAM_WAIT_MAX => return Err(rate.error(wait)),
            Some((wait, _)) if !wait.is_zero() => {
                self.throttled += wait;
                let end = now + wait;
                match &mut self.wait {
                    Some(timer) => timer.as_mut().reset(end),
                    None => self.wait = Some(Box::pin(sleep_until(end))),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Completes when the stream may read on.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.wait {
            // A timer that has completed must not be polled again.
            Some(timer) if !timer.is_elapsed() => timer.as_mut().poll(cx),
            _ => Poll::Ready(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_lowest_rate_for_a_message_is_that_at_which_its_stream_continues() {
        for (per_second, is_ended) in [(1, true), (32, true), (33, false), (1_000, false)] {
            assert_eq!(ends_stream(1_000, per_second), is_ended, "{per_second}");
            let account = Arc::new(Account::new(Instant::now()));
            let rates = [rate(&account, RateUnit::Points, per_second)];
            let mut pace = Pace::new(Rates(rates.into()));
            assert_eq!(pace.charge(1_000, 0).is_err(), is_ended, "{per_second}");
        }
    }

    fn rate(account: &Arc<Account>, unit: RateUnit, per_second: u64) -> Rate {
        Rate { account: Arc::clone(account), unit, scope: QuotaScope::Peer, per_second }
    }

    fn pace<const N: usize>(rates: [Rate; N]) -> Pace {
        Pace::new(Rates(Arc::new(rates)))
    }

    /// Reads frames of this many points and bytes. Returns the time that it took.
    async fn read(pace: &mut Pace, frames: u64, points: u64, bytes: u64) -> Duration {
        let started = Instant::now();
        for frame in 1..=frames {
            pace.charge(frame * points, frame * bytes).unwrap();
            poll_fn(|cx| pace.poll(cx)).await;
        }
        started.elapsed()
    }

    /// The timer of tokio has a resolution of one millisecond.
    fn assert_close(time: Duration, seconds: f64) {
        assert!((time.as_secs_f64() - seconds).abs() < 0.002, "{time:?}, expected {seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_reads_at_its_rate_after_a_burst_of_a_second() {
        let account = Arc::new(Account::new(Instant::now()));
        let points = rate(&account, RateUnit::Points, 1000);
        assert_close(read(&mut pace([points.clone()]), 10, 100, 9).await, 0.0);
        assert_close(read(&mut pace([points.clone()]), 50, 100, 9).await, 5.0);
        // Silence permits one burst again, not more.
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_close(read(&mut pace([points]), 30, 100, 9).await, 2.0);
    }

    #[tokio::test(start_paused = true)]
    async fn streams_share_the_rate_of_their_account_and_the_slowest_rate_applies() {
        let (one, other) = (Account::new(Instant::now()), Account::new(Instant::now()));
        let (one, other) = (Arc::new(one), Arc::new(other));
        let points = rate(&one, RateUnit::Points, 1000);
        let bytes = rate(&other, RateUnit::Bytes, 100);
        let mut paces = [pace([points.clone()]), pace([points.clone()]), pace([points])];
        let streams = paces.iter_mut().map(|pace| read(pace, 20, 100, 1000));
        let times = futures::future::join_all(streams).await;
        assert_close(times.into_iter().max().unwrap(), 5.0);
        let both = [rate(&one, RateUnit::Points, 1000), bytes];
        // 20 s for the bytes, and the points need no longer.
        assert_close(read(&mut pace(both), 21, 100, 100).await, 20.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_far_above_the_rate_ends_the_stream_and_refuses_calls_until_the_debt_is_zero() {
        let account = Arc::new(Account::new(Instant::now()));
        let rate = rate(&account, RateUnit::Bytes, 1000);
        let error = pace([rate.clone()]).charge(0, 32_000).unwrap_err();
        assert_eq!(error.retry_after, Duration::from_secs(31));
        insta::assert_snapshot!(
            error,
            @"this client address has reached its limit of 1000 bytes per second; try again in 31 s"
        );
        assert!(rate.admit(Instant::now()).is_err());
        tokio::time::advance(Duration::from_secs(25)).await;
        assert_eq!(rate.admit(Instant::now()).unwrap_err().retry_after, Duration::from_secs(6));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(rate.admit(Instant::now()), Ok(()));
        assert_eq!(account.debt(Instant::now()), Duration::from_secs(6));
    }

    #[tokio::test(start_paused = true)]
    async fn no_rate_and_no_amount_overflows() {
        let account = Arc::new(Account::new(Instant::now()));
        let rates = [0, 1, u64::MAX];
        for per_second in rates {
            let rate = rate(&account, RateUnit::Points, per_second);
            for points in [1, u64::MAX] {
                let _ = pace([rate.clone()]).charge(points, 0);
            }
        }
        assert_eq!(account.debt(Instant::now()), Duration::from_nanos(DEBT_MAX_NS));
        // A fraction of a nanosecond is charged as a whole one.
        let account = Arc::new(Account::new(Instant::now()));
        let fast = rate(&account, RateUnit::Points, u64::MAX);
        assert_eq!(fast.meter().charge(Instant::now(), 1, u64::MAX), Duration::from_nanos(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_totals_are_charged_once() {
        let account = Arc::new(Account::new(Instant::now()));
        let mut pace = pace([rate(&account, RateUnit::Points, 10)]);
        for (points, bytes) in [(0, 5), (5, 50), (5, 50), (5, 60)] {
            pace.charge(points, bytes).unwrap();
        }
        assert_eq!(account.debt(Instant::now()), Duration::from_millis(500));
    }
}
