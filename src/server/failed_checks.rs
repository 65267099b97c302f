//! Limits the checks of credentials that fail, for each peer. A token with a wrong signature costs several checks of RSA
//! signatures, which a client could request without a valid credential.
//!
//! A valid credential is not refused because of others at the same address: only a connection that has sent an invalid
//! one is limited, and credentials that were accepted before need no check. So a client that shares its address with an
//! attacker is served on a connection of its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::FailureLimit;
use crate::service::{QuotaError, QuotaKind, QuotaScope};

/// Maximum number of failed checks of a peer per second. Each costs up to half a millisecond.
const FAILURES_PER_SECOND: u32 = 10;
/// Maximum number of failed checks of a peer at once.
const FAILURES_BURST: u32 = 50;
/// The share of a second that a failed check uses up.
const COST: Duration = Duration::from_nanos(1_000_000_000 / FAILURES_PER_SECOND as u64);
/// Maximum number of peers whose failures are remembered. Above it, the peers with the fewest failures are forgotten.
const PEERS_MAX: usize = 16 * 1024;

/// The failed checks of all peers.
#[derive(Debug, Default)]
pub(super) struct FailedChecks {
    /// The time at which the failures of each peer are paid for.
    peers: Mutex<HashMap<IpAddr, Instant>>,
}

impl FailedChecks {
    /// Returns the limit for a call of this peer. `has_failed` belongs to the connection of the call.
    pub(super) fn of_call<'a>(
        &'a self,
        peer: IpAddr,
        has_failed: &'a AtomicBool,
    ) -> CallFailures<'a> {
        CallFailures { checks: self, peer, has_failed }
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time until a peer may fail again.
    fn wait(&self, peer: IpAddr, now: Instant) -> Duration {
        let paid_at = self.peers().get(&peer).copied();
        let debt = paid_at.map_or(Duration::ZERO, |paid_at| paid_at.saturating_duration_since(now));
        (debt + COST).saturating_sub(COST * FAILURES_BURST)
    }

    fn add(&self, peer: IpAddr, now: Instant) {
        let mut peers = self.peers();
        if peers.len() >= PEERS_MAX && !peers.contains_key(&peer) {
            peers.retain(|_, paid_at| *paid_at > now);
            if peers.len() >= PEERS_MAX {
                let mut times: Vec<_> = peers.values().copied().collect();
                let (_, median, _) = times.select_nth_unstable(PEERS_MAX / 2);
                let median = *median;
                peers.retain(|_, paid_at| *paid_at > median);
            }
        }
        let paid_at = peers.entry(peer).or_insert(now);
        *paid_at = (*paid_at).max(now) + COST;
    }

    /// Forgets the peers whose failures are paid for.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut peers = self.peers();
        peers.retain(|_, paid_at| *paid_at > now);
        peers.shrink_to(PEERS_MAX / 16);
    }
}

/// The limit of one call.
pub(super) struct CallFailures<'a> {
    checks: &'a FailedChecks,
    peer: IpAddr,
    has_failed: &'a AtomicBool,
}

impl CallFailures<'_> {
    /// Returns the error of a call that was refused because of the limit.
    pub(super) fn error(&self) -> QuotaError {
        QuotaError {
            quota: QuotaKind::FailedChecks,
            scope: QuotaScope::Peer,
            limit: FAILURES_PER_SECOND.into(),
            retry_after: self.checks.wait(self.peer, Instant::now()).max(COST),
        }
    }
}

impl FailureLimit for CallFailures<'_> {
    fn is_reached(&self) -> bool {
        self.has_failed.load(Relaxed) && !self.checks.wait(self.peer, Instant::now()).is_zero()
    }

    fn add(&self) {
        self.has_failed.store(true, Relaxed);
        self.checks.add(self.peer, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(index: u32) -> IpAddr {
        IpAddr::from(index.to_be_bytes())
    }

    /// Fails until the limit is reached. Returns the number of failures.
    fn fail(call: &CallFailures<'_>) -> u32 {
        let mut count = 0;
        while !call.is_reached() {
            call.add();
            count += 1;
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_fails_a_burst_and_then_at_the_rate_of_the_limit() {
        let checks = FailedChecks::default();
        let (one, other) = (AtomicBool::new(false), AtomicBool::new(false));
        let attacker = checks.of_call(peer(1), &one);
        assert_eq!(fail(&attacker), FAILURES_BURST);
        insta::assert_snapshot!(
            attacker.error(),
            @"this client address has reached its limit of 10 failed authentications per second; try again in 1 s"
        );
        // Another connection of the same peer may be that of another client, until it fails, too.
        let neighbour = checks.of_call(peer(1), &other);
        assert!(!neighbour.is_reached());
        neighbour.add();
        assert!(neighbour.is_reached());
        // Another peer has a limit of its own.
        assert!(!checks.of_call(peer(2), &one).is_reached());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(fail(&attacker), 2 * FAILURES_PER_SECOND - 1);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(fail(&attacker), FAILURES_BURST);
        tokio::time::advance(Duration::from_secs(3600)).await;
        checks.sweep();
        assert!(checks.peers().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_peers_is_bounded_and_those_with_most_failures_stay() {
        let checks = FailedChecks::default();
        let has_failed = AtomicBool::new(false);
        fail(&checks.of_call(peer(0), &has_failed));
        for index in 1..3 * PEERS_MAX as u32 {
            checks.add(peer(index), Instant::now());
            assert!(checks.peers().len() <= PEERS_MAX);
        }
        assert!(checks.of_call(peer(0), &has_failed).is_reached());
    }
}
