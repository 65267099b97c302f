//! Limits the rate at which one peer creates recordings, so that one client cannot fill the store with names.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// A token bucket for each peer.
#[derive(Debug)]
pub struct CreationLimit {
    per_minute: u32,
    peers: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

/// Maximum number of buckets. Above it the fullest buckets are removed, because their peers gain least by that.
const PEERS_MAX: usize = 16 * 1024;

/// A bucket holds the tokens of this many minutes.
const BURST_MINUTES: f64 = 2.0;

impl CreationLimit {
    /// Returns a limit of this many new recordings per minute and peer. A peer may create twice as many at once.
    pub fn new(per_minute: u32) -> Arc<Self> {
        Arc::new(Self { per_minute, peers: Mutex::default() })
    }

    /// Returns the limit of a peer.
    pub fn of_peer(self: &Arc<Self>, peer: IpAddr) -> Creations {
        Creations { limit: Arc::clone(self), peer }
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<IpAddr, Bucket>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn burst(&self) -> f64 {
        f64::from(self.per_minute) * BURST_MINUTES
    }

    /// Removes buckets if there is no space for another one.
    fn make_space(&self, peers: &mut HashMap<IpAddr, Bucket>, peer: IpAddr, now: Instant) {
        if peers.len() < PEERS_MAX || peers.contains_key(&peer) {
            return;
        }
        let burst = self.burst();
        peers.retain(|_, bucket| self.filled(*bucket, now) < burst);
        if peers.len() >= PEERS_MAX {
            let fullest = peers
                .iter()
                .max_by(|a, b| self.filled(*a.1, now).total_cmp(&self.filled(*b.1, now)))
                .map(|(&peer, _)| peer);
            fullest.and_then(|peer| peers.remove(&peer));
        }
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let minutes = now.saturating_duration_since(bucket.filled_at).as_secs_f64() / 60.0;
        (bucket.tokens + f64::from(self.per_minute) * minutes).min(self.burst())
    }
}

/// The recordings that one peer may create. The server puts it into the extensions of a request.
#[derive(Clone, Debug)]
pub struct Creations {
    limit: Arc<CreationLimit>,
    peer: IpAddr,
}

impl Creations {
    /// Reserves a token for one recording, or returns `None` if the bucket is empty. Dropping the reservation returns
    /// the token, unless [`Reservation::keep`] was called.
    pub(super) fn reserve(&self) -> Option<Reservation> {
        let limit = &self.limit;
        let mut peers = limit.peers();
        let now = Instant::now();
        limit.make_space(&mut peers, self.peer, now);
        let full = Bucket { tokens: limit.burst(), filled_at: now };
        let bucket = peers.entry(self.peer).or_insert(full);
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
        // If the bucket of a peer was removed, its next bucket is full.
        if let Some(bucket) = limit.peers().get_mut(&self.creations.peer) {
            bucket.tokens = (bucket.tokens + 1.0).min(limit.burst());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
        for index in 1..=PEERS_MAX as u32 {
            limit.of_peer(peer(index)).reserve().unwrap().keep();
        }
        assert_eq!(limit.peers().len(), PEERS_MAX);
        assert!(busy.reserve().is_none());
    }
}
