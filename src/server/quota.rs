//! Quotas of principals and peers: open streams, points per second and bytes per second.
//!
//! Each owner of a quota has an [`Account`], which its streams share. [`Quotas::admit`] counts a stream and refuses it
//! above a limit. The stream itself keeps to the rates, see `service/pace.rs`.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::{Principal, Quota};
use crate::service::{Account, QuotaError, QuotaKind, QuotaScope, Rate, RateUnit, Rates};

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

/// The quotas of a server, and the use of them.
#[derive(Debug)]
pub(super) struct Quotas {
    principals: Accounts<Box<str>>,
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
        if let Some(Principal { name, quota, .. }) = principal
            && !is_unlimited(quota)
        {
            let scope = QuotaScope::Principal;
            admission.add(self.principals.open(name.clone(), quota, scope)?, quota, scope);
        }
        if !is_unlimited(&self.of_peer) {
            let (quota, scope) = (&self.of_peer, QuotaScope::Peer);
            admission.add(self.peers.open(peer, quota, scope)?, quota, scope);
        }
        Ok(admission)
    }

    /// Removes accounts that make no difference.
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
    /// The number of accounts at which the next sweep is due.
    sweep_at: usize,
}

impl<K: Eq + Hash + Clone> Accounts<K> {
    fn new() -> Self {
        Self(Mutex::new(Table { accounts: HashMap::new(), sweep_at: IDLE_ACCOUNTS_MAX }))
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
        if table.accounts.len() >= table.sweep_at && !table.accounts.contains_key(&owner) {
            table.sweep(now);
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
    /// Removes accounts without streams and without debt: a new account is equal to them. If too many are left, removes
    /// those without streams that have the least debt.
    fn sweep(&mut self, now: Instant) {
        let is_open = |account: &Account| account.streams.load(Relaxed) > 0;
        self.accounts.retain(|_, account| is_open(account) || !account.debt(now).is_zero());
        let idle = self.accounts.iter().filter(|(_, account)| !is_open(account));
        let mut idle: Vec<_> = idle.map(|(key, account)| (account.debt(now), key)).collect();
        // Half of the space becomes free, so that the next owners do not cause a sweep each.
        let kept = IDLE_ACCOUNTS_MAX / 2;
        if idle.len() >= IDLE_ACCOUNTS_MAX {
            let excess = idle.len() - kept;
            idle.select_nth_unstable_by_key(excess, |(debt, _)| *debt);
            let removed: Vec<K> = idle[..excess].iter().map(|(_, key)| (*key).clone()).collect();
            for key in removed {
                self.accounts.remove(&key);
            }
        }
        self.sweep_at = (2 * self.accounts.len()).max(IDLE_ACCOUNTS_MAX);
        if self.accounts.capacity() > 4 * self.sweep_at {
            self.accounts.shrink_to(self.sweep_at);
        }
    }
}
