//! Limits the rate at which one caller creates recordings, so that one client cannot fill the store with names. A caller
//! is a principal, or a peer if the server has no authentication.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::auth::Principal;

/// A token bucket for each caller.
#[derive(Debug)]
pub struct CreationLimit {
    per_minute: u32,
    callers: Mutex<HashMap<Caller, Bucket>>,
    /// Hashes the sources and names of principals, so that buckets have a bounded size.
    hasher: RandomState,
}

/// The owner of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Caller {
    Peer(IpAddr),
    Principal(u64),
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

/// Maximum number of buckets. Above it the fuller half of the buckets is removed: they lose the fewest limits. So each
/// removal, which reads all buckets, is followed by at least half as many new callers.
const CALLERS_MAX: usize = 16 * 1024;

/// A bucket holds the tokens of this many minutes.
const BURST_MINUTES: f64 = 2.0;

impl CreationLimit {
    /// Returns a limit of this many new recordings per minute and caller. A caller may create twice as many at once.
    pub fn new(per_minute: u32) -> Arc<Self> {
        Arc::new(Self { per_minute, callers: Mutex::default(), hasher: RandomState::new() })
    }

    /// Returns the limit of a peer.
    pub fn of_peer(self: &Arc<Self>, peer: IpAddr) -> Creations {
        Creations { limit: Arc::clone(self), caller: Caller::Peer(peer) }
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<Caller, Bucket>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn burst(&self) -> f64 {
        f64::from(self.per_minute) * BURST_MINUTES
    }

    /// Removes buckets if there is no space for another one.
    fn make_space(&self, callers: &mut HashMap<Caller, Bucket>, caller: Caller, now: Instant) {
        if callers.len() < CALLERS_MAX || callers.contains_key(&caller) {
            return;
        }
        let mut buckets: Vec<_> =
            callers.iter().map(|(&caller, bucket)| (self.filled(*bucket, now), caller)).collect();
        let kept = CALLERS_MAX / 2;
        buckets.select_nth_unstable_by(kept, |(one, _), (other, _)| one.total_cmp(other));
        let burst = self.burst();
        for (index, (filled, caller)) in buckets.iter().enumerate() {
            // A full bucket is equal to a new one.
            if index >= kept || *filled >= burst {
                callers.remove(caller);
            }
        }
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let minutes = now.saturating_duration_since(bucket.filled_at).as_secs_f64() / 60.0;
        (bucket.tokens + f64::from(self.per_minute) * minutes).min(self.burst())
    }
}

/// The recordings that one caller may create. The server puts it into the extensions of a request.
#[derive(Clone, Debug)]
pub struct Creations {
    limit: Arc<CreationLimit>,
    caller: Caller,
}

impl Creations {
    /// Takes the limit of the caller from the extensions of a request. Without it there is no limit.
    pub(super) fn of_request(extensions: &mut http::Extensions) -> Option<Self> {
        let creations = extensions.remove::<Self>()?;
        Some(match extensions.get::<Arc<Principal>>() {
            Some(principal) => creations.of_principal(principal),
            None => creations,
        })
    }

    /// Returns the limit of a principal, whose peers and connections share it.
    pub(super) fn of_principal(self, principal: &Principal) -> Self {
        let key = (principal.source, &principal.name);
        let caller = Caller::Principal(self.limit.hasher.hash_one(key));
        Self { caller, ..self }
    }

    /// Reserves a token for one recording, or returns `None` if the bucket is empty. Dropping the reservation returns
    /// the token, unless [`Reservation::keep`] was called.
    pub(super) fn reserve(&self) -> Option<Reservation> {
        let limit = &self.limit;
        let mut callers = limit.callers();
        let now = Instant::now();
        limit.make_space(&mut callers, self.caller, now);
        let full = Bucket { tokens: limit.burst(), filled_at: now };
        let bucket = callers.entry(self.caller).or_insert(full);
        let tokens = limit.filled(*bucket, now);
        *bucket =
            Bucket { tokens: if tokens < 1.0 { tokens } else { tokens - 1.0 }, filled_at: now };
        (tokens >= 1.0).then(|| Reservation { creations: self.clone(), is_kept: false })
    }

    /// Returns the limit, for error messages.
    pub(super) fn per_minute(&self) -> u32 {
        self.limit.per_minute
    }
}

/// A token for one new recording.
#[derive(Debug)]
pub(super) struct Reservation {
    creations: Creations,
    is_kept: bool,
}

impl Reservation {
    /// Uses up the token, because the recording was created.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let limit = &self.creations.limit;
        // If the bucket of a caller was removed, its next bucket is full.
        if let Some(bucket) = limit.callers().get_mut(&self.creations.caller) {
            bucket.tokens = (bucket.tokens + 1.0).min(limit.burst());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::{PrincipalSource, Quota, Role};

    fn peer(index: u32) -> IpAddr {
        IpAddr::from(index.to_be_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_creates_a_burst_and_then_at_the_rate_of_the_limit() {
        let limit = CreationLimit::new(60);
        let (one, other) = (limit.of_peer(peer(1)), limit.of_peer(peer(2)));
        let create = |creations: &Creations| creations.reserve().map(Reservation::keep).is_some();
        assert_eq!((0..1000).filter(|_| create(&one)).count(), 120);
        assert!(create(&other), "another peer has a bucket of its own");
        // A principal has a bucket of its own, too, whatever the address of its peers is.
        let named = |name: &str, source| Principal {
            name: name.into(),
            source,
            namespace: None,
            role: Role::Writer,
            quota: Quota::default(),
        };
        let van = named("van-7", PrincipalSource::Configuration);
        let principal = one.clone().of_principal(&van);
        assert_eq!((0..1000).filter(|_| create(&principal)).count(), 120);
        assert!(!create(&other.clone().of_principal(&van)));
        for (name, source) in
            [("van-8", PrincipalSource::Configuration), ("van-7", PrincipalSource::CertificateDns)]
        {
            assert!(create(&other.clone().of_principal(&named(name, source))));
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!((0..1000).filter(|_| create(&one)).count(), 10);
        // Reservations count while they exist, and return their token when they are dropped.
        tokio::time::advance(Duration::from_secs(3)).await;
        let held: Vec<_> = (0..5).map(|_| one.reserve()).collect();
        assert_eq!(held.iter().filter(|held| held.is_some()).count(), 3);
        drop(held);
        assert_eq!((0..1000).filter(|_| create(&one)).count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_buckets_is_bounded_and_that_of_a_busy_peer_stays() {
        let limit = CreationLimit::new(10);
        let busy = limit.of_peer(peer(0));
        while let Some(reservation) = busy.reserve() {
            reservation.keep();
        }
        let (mut len, mut removals) = (1, 0);
        for index in 1..=4 * CALLERS_MAX as u32 {
            limit.of_peer(peer(index)).reserve().unwrap().keep();
            let new_len = limit.callers().len();
            assert!(new_len <= CALLERS_MAX);
            // Only a removal reads all buckets.
            removals += usize::from(new_len <= len);
            len = new_len;
        }
        assert!((1..=8).contains(&removals), "{removals} removals for 4 times as many callers");
        assert!(busy.reserve().is_none());
    }
}
