//! Slows streams down to the rates of points and bytes of their callers.
//!
//! A stream pays for what it has read: it charges the meters of its principal and its peer, and does not read on until
//! they are paid. HTTP/2 flow control then stops its client. The meters are those of the generic cell rate algorithm:
//! each holds the time at which everything charged so far is paid.

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
        let meter = || RateMeter { start: now, paid_ns: AtomicU64::new(0) };
        Self { streams: AtomicU32::new(0), points: meter(), bytes: meter() }
    }

    /// Returns the time until everything charged so far is paid.
    pub(crate) fn debt(&self, now: Instant) -> Duration {
        self.points.debt(now).max(self.bytes.debt(now))
    }
}

/// Measures the rate of points or bytes.
#[derive(Debug)]
struct RateMeter {
    start: Instant,
    /// The time since `start` at which everything charged so far is paid.
    paid_ns: AtomicU64,
}

impl RateMeter {
    fn elapsed_ns(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Charges units at a rate. Returns the time until everything charged so far is paid.
    fn charge(&self, now: Instant, units: u64, per_second: u64) -> Duration {
        const NS: u128 = 1_000_000_000;
        // Rounded up, so that no unit is free.
        let cost = match u128::from(per_second) {
            0 => DEBT_MAX_NS,
            per_second => u64::try_from((u128::from(units) * NS).div_ceil(per_second))
                .map_or(DEBT_MAX_NS, |cost| cost.min(DEBT_MAX_NS)),
        };
        let now_ns = self.elapsed_ns(now);
        let paid_after = |paid_ns: u64| {
            paid_ns.max(now_ns).saturating_add(cost).min(now_ns.saturating_add(DEBT_MAX_NS))
        };
        let before = self.paid_ns.fetch_update(Relaxed, Relaxed, |paid| Some(paid_after(paid)));
        let paid_ns = before.map_or(now_ns, paid_after);
        Duration::from_nanos(paid_ns - now_ns)
    }

    fn debt(&self, now: Instant) -> Duration {
        Duration::from_nanos(self.paid_ns.load(Relaxed).saturating_sub(self.elapsed_ns(now)))
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
pub(super) struct Pace {
    rates: Rates,
    /// Points and bytes that are charged.
    points: u64,
    bytes: u64,
    /// Runs until the stream may read on.
    wait: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    pub(super) fn new(rates: Rates) -> Self {
        Self { rates, points: 0, bytes: 0, wait: None }
    }

    /// Charges no points for this number: a recording already had them.
    pub(super) fn skip_points(&mut self, points: u64) {
        self.points = points;
    }

    /// Charges the points and bytes that the stream has read since the last call. The arguments are the totals.
    ///
    /// # Errors
    /// If the stream would have to wait too long.
    pub(super) fn charge(&mut self, points: u64, bytes: u64) -> Result<(), QuotaError> {
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
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.wait {
            // A timer that has completed must not be polled again.
            Some(timer) if !timer.is_elapsed() => timer.as_mut().poll(cx),
            _ => Poll::Ready(()),
        }
    }
}
