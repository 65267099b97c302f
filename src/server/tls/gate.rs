//! Limits the number of handshakes that compute at the same time.
//!
//! The cryptography of a handshake takes 0.2 to 1 ms, without a point at which other tasks can run. A flood of clients
//! could put a thousand of these computations before the next poll of an open connection. A handshake is therefore
//! polled only with a permit, and there are as many permits as threads, so that an open connection waits for about one
//! computation. The permit is returned after each poll: a client that sends slowly holds none.
//!
//! One peer has at most half of the permits, and waits for its own share first. The queue for permits therefore
//! contains few handshakes of each peer, and a flood from one address delays another peer by few computations.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::server::peer::peer_key;

/// The permits of a server.
#[derive(Debug)]
pub(super) struct Gate {
    all: Semaphore,
    per_peer: usize,
    /// The peers with handshakes. The number of handshakes is that of connections at most.
    peers: Mutex<HashMap<IpAddr, Share>>,
}

/// The permits of a peer.
#[derive(Debug)]
struct Share {
    permits: Arc<Semaphore>,
    handshakes: usize,
}

impl Gate {
    /// Returns a gate for a runtime with this number of threads.
    pub(super) fn new(threads: usize) -> Self {
        let permits = threads.max(1);
        Self {
            all: Semaphore::new(permits),
            per_peer: permits.div_ceil(2),
            peers: Mutex::default(),
        }
    }

    /// Registers a handshake of a peer until the returned value is dropped.
    pub(super) fn enter(&self, peer: IpAddr) -> Entered<'_> {
        let key = peer_key(peer);
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let share = peers.entry(key).or_insert_with(|| Share {
            permits: Arc::new(Semaphore::new(self.per_peer)),
            handshakes: 0,
        });
        share.handshakes += 1;
        Entered { gate: self, key, permits: Arc::clone(&share.permits) }
    }

    fn leave(&self, key: IpAddr) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut share) = peers.entry(key) {
            share.get_mut().handshakes -= 1;
            if share.get().handshakes == 0 {
                share.remove();
            }
        }
    }
}

/// A handshake that may wait for permits.
#[derive(Debug)]
pub(super) struct Entered<'a> {
    gate: &'a Gate,
    key: IpAddr,
    permits: Arc<Semaphore>,
}

impl Entered<'_> {
    /// Waits for permission to compute.
    pub(super) async fn permit(&self) -> Permit<'_> {
        // The semaphores are never closed. An error would only lift the limit.
        let of_peer = self.permits.acquire().await.ok();
        let of_all = self.gate.all.acquire().await.ok();
        // The runtime would run a task that was just woken before all others.
        tokio::task::yield_now().await;
        Permit { _of_all: of_all, _of_peer: of_peer }
    }

    /// Completes a future, which is polled only with a permit.
    pub(super) async fn run<F: Future + Unpin>(&self, mut future: F) -> F::Output {
        loop {
            let permit = self.permit().await;
            let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await;
            drop(permit);
            if let Poll::Ready(output) = polled {
                return output;
            }
            // The poll above has registered the task. It is woken when the future can progress.
            next_wake().await;
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.gate.leave(self.key);
    }
}

/// Permission for one computation.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    _of_all: Option<SemaphorePermit<'a>>,
    _of_peer: Option<SemaphorePermit<'a>>,
}

/// Completes when the task is polled again.
async fn next_wake() {
    let mut is_woken = false;
    poll_fn(
        |_| if std::mem::replace(&mut is_woken, true) { Poll::Ready(()) } else { Poll::Pending },
    )
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use futures::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test]
    async fn a_future_that_waits_holds_no_permit() {
        let gate = Gate::new(1);
        let slow = gate.enter(address(1));
        let (send, receive) = oneshot::channel();
        let slow = slow.run(receive);
        tokio::pin!(slow);
        for _ in 0..10 {
            assert!(slow.as_mut().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        let other = gate.enter(address(1));
        other.run(Box::pin(async {})).await;
        send.send(7).unwrap();
        assert_eq!(slow.await, Ok(7));
    }

    #[tokio::test]
    async fn a_peer_that_waits_for_its_own_permits_does_not_delay_others() {
        let gate = Gate::new(2);
        let flood: Vec<_> = (0..100).map(|_| gate.enter(address(1))).collect();
        let held = flood[0].permit().await;
        let mut waiting: Vec<_> =
            flood[1..].iter().map(|entered| Box::pin(entered.permit())).collect();
        for wait in &mut waiting {
            assert!(wait.as_mut().now_or_never().is_none());
        }
        // The only permit that is left is available at once.
        gate.enter(address(2)).permit().await;
        drop(held);
        drop(waiting);
        drop(flood);
        assert!(gate.peers.lock().unwrap().is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn computations_at_the_same_time_are_limited() {
        let gate = Arc::new(Gate::new(2));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..200).map(|index| {
            let (gate, now, most) = (Arc::clone(&gate), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let entered = gate.enter(address(index % 5));
                let mut polls = 0;
                let computation = poll_fn(|cx| {
                    most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(1, SeqCst);
                    polls += 1;
                    cx.waker().wake_by_ref();
                    if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
                });
                entered.run(computation).await;
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert!(most.load(SeqCst) <= 2, "{most:?}");
        assert!(gate.peers.lock().unwrap().is_empty());
    }
}
