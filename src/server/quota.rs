//! Quotas of principals and peers: open streams, points per second and bytes per second.
//!
//! Each owner of a quota has an [`Account`], which its streams share. [`Quotas::admit`] counts a stream and refuses it
//! above a limit. `service/pace.rs` limits the rates of the stream.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::{Principal, PrincipalSource, Quota};
use crate::contract::points::MESSAGE_POINTS_MAX;
use crate::service::{
    Account, QuotaError, QuotaKind, QuotaScope, Rate, RateUnit, Rates, ends_stream,
};

/// Maximum number of accounts without open streams. Accounts with open streams are bounded by the streams.
const IDLE_ACCOUNTS_MAX: usize = 16 * 1024;

/// The delay after which a client may try again to open a stream.
const STREAM_RETRY: Duration = Duration::from_secs(1);

/// The names of the settings with the limits of principals, in the order of [`values`].
pub(super) const PRINCIPAL_SETTINGS: [&str; 4] = [
    "max_streams_per_principal",
    "max_points_per_second",
    "max_bytes_per_second",
    "max_recordings_per_principal",
];

/// The names of the settings with the limits of peers, in the order of [`values`].
pub(super) const PEER_SETTINGS: [&str; 4] = [
    "max_streams_per_peer",
    "max_points_per_second_per_peer",
    "max_bytes_per_second_per_peer",
    "max_recordings_per_peer",
];

/// Returns the limits of a quota, to check them.
pub(super) fn values(quota: &Quota) -> [Option<u64>; 4] {
    let Quota { max_streams, max_points_per_second, max_bytes_per_second, max_recordings } = *quota;
    [max_streams.map(u64::from), max_points_per_second, max_bytes_per_second, max_recordings]
}

/// A rate at which the stream of one message ends, because it would have to wait for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LowRate {
    /// The name of the field of [`Config`](super::Config).
    pub setting: &'static str,
    /// The rate.
    pub per_second: u64,
    /// Whether it is a rate of points or bytes.
    pub unit: RateUnit,
    /// The points or bytes of the message: the points of a message of the recorder, or the bytes of the largest part of
    /// a message that is charged at once.
    pub message: u64,
}

/// Returns the rates of a quota that are too low for one message of up to `message_bytes`.
pub(super) fn low_rates(
    quota: &Quota,
    settings: [&'static str; 4],
    message_bytes: u64,
) -> impl Iterator<Item = LowRate> {
    let [_, points, bytes, _] = settings;
    let rates = [
        (points, quota.max_points_per_second, RateUnit::Points, MESSAGE_POINTS_MAX as u64),
        (bytes, quota.max_bytes_per_second, RateUnit::Bytes, message_bytes),
    ];
    rates.into_iter().filter_map(|(setting, per_second, unit, message)| {
        let per_second = per_second.filter(|rate| ends_stream(message, *rate))?;
        Some(LowRate { setting, per_second, unit, message })
    })
}

/// Returns whether a quota limits no stream and no rate.
fn is_unlimited(quota: &Quota) -> bool {
    let Quota { max_streams, max_points_per_second, max_bytes_per_second, .. } = quota;
    max_streams.is_none() && max_points_per_second.is_none() && max_bytes_per_second.is_none()
}

/// Returns the rate limits of a quota.
fn rates(quota: &Quota, account: &Arc<Account>, scope: QuotaScope) -> impl Iterator<Item = Rate> {
    let rates = [
        (RateUnit::Points, quota.max_points_per_second),
        (RateUnit::Bytes, quota.max_bytes_per_second),
    ];
    rates.into_iter().filter_map(move |(unit, per_second)| {
        let (account, per_second) = (Arc::clone(account), per_second?);
        Some(Rate { account, unit, scope, per_second })
    })
}

/// The key of the account of a principal. Principals of different sources may have the same name.
type PrincipalKey = (PrincipalSource, Box<str>);

/// The quotas of a server, and the use of them.
#[derive(Debug)]
pub(super) struct Quotas {
    principals: Accounts<PrincipalKey>,
    of_principal: Quota,
    peers: Accounts<IpAddr>,
    of_peer: Quota,
    /// The connections of peers whose addresses the PROXY protocol reports.
    proxied: Accounts<IpAddr>,
    connections_of_peer: Quota,
}

impl Quotas {
    /// Returns quotas with these limits for each principal without its own, and for each peer.
    pub(super) fn new(
        of_principal: Quota,
        of_peer: Quota,
        max_connections_per_peer: usize,
    ) -> Self {
        let (principals, peers, proxied) = (Accounts::new(), Accounts::new(), Accounts::new());
        let max_streams = Some(u32::try_from(max_connections_per_peer).unwrap_or(u32::MAX));
        let connections_of_peer = Quota { max_streams, ..Quota::default() };
        Self { principals, of_principal, peers, of_peer, proxied, connections_of_peer }
    }

    /// Returns the principal with the default limits where it has none of its own.
    pub(super) fn with_defaults(&self, principal: Arc<Principal>) -> Arc<Principal> {
        let quota = principal.quota.or(self.of_principal);
        if quota == principal.quota {
            return principal;
        }
        Arc::new(Principal { quota, ..(*principal).clone() })
    }

    /// Counts a connection that a trusted proxy opened for this peer. Returns `None` at the limit of connections per
    /// peer.
    pub(super) fn admit_proxied(&self, peer: IpAddr) -> Option<OpenStream> {
        self.proxied.open(peer, &self.connections_of_peer, QuotaScope::Peer).ok()
    }

    /// Counts a stream of this peer and of this principal, if there is one.
    ///
    /// # Errors
    /// If one of them is above a limit.
    pub(super) fn admit(
        &self,
        principal: Option<&Principal>,
        peer: IpAddr,
    ) -> Result<Admission, QuotaError> {
        let mut admission = Admission::default();
        if let Some(Principal { name, source, quota, .. }) = principal
            && !is_unlimited(quota)
        {
            let scope = QuotaScope::Principal;
            let key = (*source, name.clone());
            admission.add(self.principals.open(key, quota, scope)?, quota, scope);
        }
        if !is_unlimited(&self.of_peer) {
            let (quota, scope) = (&self.of_peer, QuotaScope::Peer);
            admission.add(self.peers.open(peer, quota, scope)?, quota, scope);
        }
        Ok(admission)
    }

    /// Removes accounts that have no streams and no debt.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.principals.table().sweep(now);
        self.peers.table().sweep(now);
        self.proxied.table().sweep(now);
    }
}

/// A stream that counts against quotas until this is dropped.
#[derive(Debug, Default)]
pub(super) struct Admission {
    streams: Vec<OpenStream>,
    rates: Vec<Rate>,
}

impl Admission {
    fn add(&mut self, stream: OpenStream, quota: &Quota, scope: QuotaScope) {
        self.rates.extend(rates(quota, &stream.0, scope));
        self.streams.push(stream);
    }

    /// Returns the rate limits of the stream, if it has any.
    pub(super) fn rates(&mut self) -> Option<Rates> {
        let rates = std::mem::take(&mut self.rates);
        (!rates.is_empty()).then(|| Rates(rates.into()))
    }
}

/// Counts as an open stream of an account until it is dropped.
#[derive(Debug)]
pub(super) struct OpenStream(Arc<Account>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Relaxed);
    }
}

/// The accounts of all principals, or of all peers.
#[derive(Debug)]
struct Accounts<K>(Mutex<Table<K>>);

#[derive(Debug)]
struct Table<K> {
    accounts: HashMap<K, Arc<Account>>,
    /// The number of accounts above which idle accounts are removed.
    space_end: usize,
}

impl<K: Eq + Hash + Clone> Accounts<K> {
    fn new() -> Self {
        Self(Mutex::new(Table { accounts: HashMap::new(), space_end: IDLE_ACCOUNTS_MAX }))
    }

    fn table(&self) -> MutexGuard<'_, Table<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a stream of an owner.
    ///
    /// # Errors
    /// If the owner is above a limit.
    fn open(&self, owner: K, quota: &Quota, scope: QuotaScope) -> Result<OpenStream, QuotaError> {
        let now = Instant::now();
        let mut table = self.table();
        if table.accounts.len() >= table.space_end && !table.accounts.contains_key(&owner) {
            table.make_space(now);
        }
        let account = table.accounts.entry(owner).or_insert_with(|| Arc::new(Account::new(now)));
        let limit = quota.max_streams.unwrap_or(u32::MAX);
        if account.streams.load(Relaxed) >= limit {
            let (quota, limit, retry_after) = (QuotaKind::Streams, limit.into(), STREAM_RETRY);
            return Err(QuotaError { quota, scope, limit, retry_after });
        }
        rates(quota, account, scope).try_for_each(|rate| rate.admit(now))?;
        // Counted within the lock, so that a sweep does not remove the account.
        account.streams.fetch_add(1, Relaxed);
        Ok(OpenStream(Arc::clone(account)))
    }
}

impl<K: Eq + Hash + Clone> Table<K> {
    /// Removes accounts without streams and without debt: a new account is equal to them.
    fn sweep(&mut self, now: Instant) {
        self.accounts.retain(|_, account| is_open(account) || !account.debt(now).is_zero());
        if self.accounts.capacity() > 4 * self.accounts.len().max(IDLE_ACCOUNTS_MAX) {
            self.accounts.shrink_to(IDLE_ACCOUNTS_MAX);
        }
    }

    /// Makes space for [`IDLE_ACCOUNTS_MAX`] / 2 accounts. Removes accounts without streams that have the least debt.
    fn make_space(&mut self, now: Instant) {
        self.sweep(now);
        let idle = self.accounts.iter().filter(|(_, account)| !is_open(account));
        let mut idle: Vec<_> = idle.map(|(key, account)| (account.debt(now), key)).collect();
        let open_count = self.accounts.len() - idle.len();
        let excess = idle.len().saturating_sub(IDLE_ACCOUNTS_MAX / 2);
        if excess > 0 {
            idle.select_nth_unstable_by_key(excess, |(debt, _)| *debt);
            let removed: Vec<K> = idle[..excess].iter().map(|(_, key)| (*key).clone()).collect();
            for key in removed {
                self.accounts.remove(&key);
            }
        }
        self.space_end = open_count + IDLE_ACCOUNTS_MAX;
    }
}

/// Returns whether a stream uses the account. It may charge the account after it has ceased to count as open.
fn is_open(account: &Arc<Account>) -> bool {
    account.streams.load(Relaxed) > 0 || Arc::strong_count(account) > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;

    fn principal(name: &str, quota: Quota) -> Principal {
        let source = PrincipalSource::Configuration;
        Principal { name: name.into(), source, namespace: None, role: Role::Writer, quota }
    }

    fn peer(index: u32) -> IpAddr {
        IpAddr::from(index.to_be_bytes())
    }

    fn streams(max_streams: u32) -> Quota {
        Quota { max_streams: Some(max_streams), ..Quota::default() }
    }

    #[tokio::test]
    async fn streams_count_for_their_principal_and_their_peer_until_they_end() {
        let quotas = Quotas::new(Quota::default(), streams(3), 10);
        let (van, bus) = (principal("van", streams(2)), principal("bus", Quota::default()));
        let admit = |principal, index| quotas.admit(principal, peer(index));
        let first = admit(Some(&van), 1).unwrap();
        let _second = admit(Some(&van), 2).unwrap();
        let error = admit(Some(&van), 3).unwrap_err();
        insta::assert_snapshot!(error, @"this principal has reached its limit of 2 open streams; try again in 1 s");
        let _of_bus: Vec<_> = (0..2).map(|_| admit(Some(&bus), 1).unwrap()).collect();
        let error = admit(None, 1).unwrap_err();
        assert_eq!((error.scope, error.limit), (QuotaScope::Peer, 3));
        // A stream that its peer refuses does not count for its principal.
        drop(first);
        let _other = admit(Some(&bus), 1).unwrap();
        assert!(admit(Some(&van), 1).is_err());
        let _again = admit(Some(&van), 4).unwrap();
    }

    #[tokio::test]
    async fn principals_of_different_sources_with_the_same_name_have_different_accounts() {
        let quotas = Quotas::new(Quota::default(), Quota::default(), 10);
        let van = principal("van", streams(1));
        let other = Principal { source: PrincipalSource::JsonWebToken, ..van.clone() };
        let _van = quotas.admit(Some(&van), peer(1)).unwrap();
        let _other = quotas.admit(Some(&other), peer(1)).unwrap();
        assert!(quotas.admit(Some(&van), peer(1)).is_err());
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let quotas = Quotas::new(streams(1), Quota::default(), 10);
        let max_recordings = Some(1);
        let unlimited = principal("van", Quota { max_recordings, ..Quota::default() });
        for _ in 0..10 {
            let mut admission = quotas.admit(Some(&unlimited), peer(1)).unwrap();
            assert!(admission.rates().is_none());
        }
        assert!(quotas.principals.table().accounts.is_empty());
        assert!(quotas.peers.table().accounts.is_empty());
    }

    #[test]
    fn a_principal_gets_the_default_limits_where_it_has_none() {
        let defaults = Quota { max_points_per_second: Some(7), ..streams(5) };
        let quotas = Quotas::new(defaults, Quota::default(), 10);
        let own = quotas.with_defaults(Arc::new(principal("van", streams(9)))).quota;
        assert_eq!((own.max_streams, own.max_points_per_second), (Some(9), Some(7)));
    }

    #[tokio::test]
    async fn an_account_that_may_still_be_charged_stays() {
        let limits = Quota { max_bytes_per_second: Some(1), ..Quota::default() };
        let quotas = Quotas::new(Quota::default(), limits, 10);
        let mut admission = quotas.admit(None, peer(1)).unwrap();
        let rates = admission.rates().unwrap();
        drop(admission);
        quotas.sweep();
        rates.0[0].charge_for_test(100);
        drop(rates);
        assert!(quotas.admit(None, peer(1)).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_without_streams_are_bounded_and_those_with_most_debt_stay() {
        let max_bytes_per_second = Some(1);
        let limits = Quota { max_bytes_per_second, ..Quota::default() };
        let quotas = Quotas::new(Quota::default(), limits, 10);
        let debtor = quotas.admit(None, peer(0)).unwrap().rates().unwrap();
        debtor.0[0].charge_for_test(1_000_000);
        drop(debtor);
        let open: Vec<_> =
            (1..=100).map(|index| quotas.admit(None, peer(index)).unwrap()).collect();
        for index in 1000..1000 + 4 * IDLE_ACCOUNTS_MAX as u32 {
            let rates = quotas.admit(None, peer(index)).unwrap().rates().unwrap();
            rates.0[0].charge_for_test(3);
            assert!(quotas.peers.table().accounts.len() <= IDLE_ACCOUNTS_MAX + open.len());
        }
        assert!(quotas.admit(None, peer(0)).is_err(), "its debt is not forgotten");
        let has = |index| quotas.peers.table().accounts.contains_key(&peer(index));
        assert!((1..=100).all(has));
        drop(open);
        tokio::time::advance(Duration::from_secs(10)).await;
        quotas.sweep();
        assert_eq!(quotas.peers.table().accounts.len(), 1);
    }
}
