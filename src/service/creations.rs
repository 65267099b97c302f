//! How fast one peer may create recordings, so that one client cannot fill the store with names.

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

/// How many peers are remembered. Beyond it the fullest buckets are forgotten, which forgives those peers least.
const PEERS_MAX: usize = 16 * 1024;

/// A bucket holds this many minutes' worth.
const BURST_MINUTES: f64 = 2.0;

impl CreationLimit {
    /// A limit of this many new recordings per minute and peer; a peer may create two minutes' worth at once.
    pub fn new(per_minute: u32) -> Arc<Self> {
        Arc::new(Self { per_minute, peers: Mutex::default() })
    }

    /// The share of a peer.
    pub fn of_peer(self: &Arc<Self>, peer: IpAddr) -> Creations {
        Creations { limit: Arc::clone(self), peer }
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<IpAddr, Bucket>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn burst(&self) -> f64 {
        f64::from(self.per_minute) * BURST_MINUTES
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
    /// Whether the peer may create a recording now.
    pub(super) fn may_create(&self) -> bool {
        let peers = self.limit.peers();
        let now = Instant::now();
        peers.get(&self.peer).is_none_or(|&bucket| self.limit.filled(bucket, now) >= 1.0)
    }

    /// Notes that it created one.
    pub(super) fn created(&self) {
        let limit = &self.limit;
        let mut peers = limit.peers();
        let now = Instant::now();
        if peers.len() >= PEERS_MAX && !peers.contains_key(&self.peer) {
            let burst = limit.burst();
            peers.retain(|_, bucket| limit.filled(*bucket, now) < burst);
            if peers.len() >= PEERS_MAX {
                let fullest = peers
                    .iter()
                    .max_by(|a, b| limit.filled(*a.1, now).total_cmp(&limit.filled(*b.1, now)))
                    .map(|(&peer, _)| peer);
                fullest.and_then(|peer| peers.remove(&peer));
            }
        }
        let full = Bucket { tokens: limit.burst(), filled_at: now };
        let bucket = peers.entry(self.peer).or_insert(full);
        bucket.tokens = (limit.filled(*bucket, now) - 1.0).max(0.0);
        bucket.filled_at = now;
    }

    /// The limit, for messages.
    pub(super) fn per_minute(&self) -> u32 {
        self.limit.per_minute
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
    async fn a_peer_creates_a_burst_and_then_at_its_rate() {
        let limit = CreationLimit::new(60);
        let (one, other) = (limit.of_peer(peer(1)), limit.of_peer(peer(2)));
        let create = |creations: &Creations| {
            let may = creations.may_create();
            if may {
                creations.created();
            }
            may
        };
        assert_eq!((0..1000).filter(|_| create(&one)).count(), 120);
        assert!(create(&other), "another peer has a bucket of its own");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!((0..1000).filter(|_| create(&one)).count(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_remembered_peers_is_bounded_and_a_busy_one_is_not_forgotten() {
        let limit = CreationLimit::new(10);
        let busy = limit.of_peer(peer(0));
        while busy.may_create() {
            busy.created();
        }
        for index in 1..=PEERS_MAX as u32 {
            limit.of_peer(peer(index)).created();
        }
        assert_eq!(limit.peers().len(), PEERS_MAX);
        assert!(!busy.may_create());
    }
}
