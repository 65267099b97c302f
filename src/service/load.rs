//! Load shedding: refuses calls that would probably miss their deadlines.
//!
//! Calls share the threads of the server equally. Under more load than the server can carry, more and more calls share
//! them, until all calls miss their deadlines and no work is useful. A call that has spent its first work budget is
//! therefore refused if it would probably not end in time. Calls that need less work, calls without a deadline, calls that
//! have had an effect, and calls of owners that have less than their share are never refused.
//!
//! ```text
//! expected time = typical processing time of a call with a deadline * competing calls / threads
//! refused, if more than half of the time until the deadline
//! ```
//!
//! A stream is one call, whatever its length: it has the same share of time slices as the others, so it makes each of them wait as one call
//! does. The processing time of a stream without a deadline is not part of the typical one.
//!
//! A call competes while it waits for a thread after a yield. A call that waits for anything else does not compete, so that
//! slow clients, quotas and the store cause no refusals.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::progress::Progress;
use super::work::WORK_MAX_NS;
use crate::auth::{Principal, PrincipalSource};

/// No call is refused while at most this many calls compete for each thread.
const COMPETING_PER_THREAD: u32 = 2;
/// A call that has done more work than this is not refused.
const FIRST_WORK_MAX_NS: u64 = 2_000_000;
/// The weight of a call in the typical processing time.
const WEIGHT: f64 = 1.0 / 16.0;

/// The owner of a call. Owners have equal shares of the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A principal, by its source and its name.
    Principal(PrincipalSource, Box<str>),
    /// The address of a client without authentication.
    Peer(IpAddr),
}

impl Owner {
    /// Returns the owner of a call of this principal, if there is one, and this peer.
    pub(crate) fn of(principal: Option<&Principal>, peer: IpAddr) -> Self {
        match principal {
            Some(Principal { source, name, .. }) => Self::Principal(*source, name.clone()),
            None => Self::Peer(peer),
        }
    }
}

/// The calls of a server that compete for its threads.
#[derive(Debug)]
pub(crate) struct Load {
    threads: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    competing: u32,
    /// The number of competing calls of each owner that has some.
    owners: HashMap<Owner, u32>,
    /// The mean of the binary logarithms of the processing times in nanoseconds. Few very long calls change it little.
    typical: Option<f64>,
}

impl Load {
    /// Returns the load of a server with this number of threads.
    pub(crate) fn new(threads: usize) -> Self {
        let threads = u32::try_from(threads).unwrap_or(u32::MAX).max(1);
        Self { threads, state: Mutex::default() }
    }

    /// Returns the number of calls that compete for the threads.
    pub(crate) fn competing(&self) -> u32 {
        self.state().competing
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether another call of an owner would probably not end within this time.
    fn is_too_high(&self, owner: &Owner, time: Duration) -> bool {
        let state = self.state();
        let competing = state.competing + 1;
        let Some(typical) = state.typical else { return false };
        if competing <= self.threads.saturating_mul(COMPETING_PER_THREAD) {
            return false;
        }
        let own = state.owners.get(owner).copied().unwrap_or(0) + 1;
        let owners = state.owners.len() as u64 + u64::from(own == 1);
        if u64::from(own) * owners < u64::from(competing) {
            return false;
        }
        let expected_ns = typical.exp2() * f64::from(competing) / f64::from(self.threads);
        2.0 * expected_ns > time.as_nanos() as f64
    }

    fn enter(&self, owner: &Owner) {
        let mut state = self.state();
        state.competing += 1;
        match state.owners.get_mut(owner) {
            Some(count) => *count += 1,
            None => drop(state.owners.insert(owner.clone(), 1)),
        }
    }

    fn leave(&self, owner: &Owner) {
        let mut state = self.state();
        state.competing -= 1;
        if let Some(count) = state.owners.get_mut(owner) {
            *count -= 1;
            if *count == 0 {
                state.owners.remove(owner);
            }
        }
    }

    /// Adds the processing time of a call to the typical one. A call that ended early would have taken longer.
    fn observe(&self, processing_ns: u64, is_complete: bool) {
        let logarithm = (processing_ns.max(1) as f64).log2();
        let mut state = self.state();
        state.typical = Some(match state.typical {
            Some(typical) if is_complete || logarithm > typical => {
                typical + WEIGHT * (logarithm - typical)
            }
            Some(typical) => typical,
            None => logarithm,
        });
    }
}

/// The stage of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has not yielded yet.
    Light,
    /// It has yielded with work left, and waits for a thread.
    Competing,
    /// It waits for something else, such as input, the store, or a client that reads its answers.
    Waiting,
    /// It is refused, and ends.
    Refused,
}

/// The part of a call in the load of its server, for work that another task does for it.
#[derive(Clone, Debug)]
pub(crate) struct LoadShare {
    load: Arc<Load>,
    owner: Owner,
    deadline: Option<Instant>,
}

impl LoadShare {
    pub(crate) fn new(load: Arc<Load>, owner: Owner, deadline: Option<Instant>) -> Self {
        Self { load, owner, deadline }
    }

    /// Returns a part of a call that begins now. It may share its first time slice with other calls, so that only a yield
    /// after a whole work budget of its own may refuse it.
    pub(crate) fn begin(&self, progress: Arc<Progress>) -> CallLoad {
        let Self { load, owner, deadline } = self.clone();
        let mut call = CallLoad::new(load, owner, deadline, progress);
        call.least_work_ns = WORK_MAX_NS;
        call
    }
}

/// One call in the load of its server. All polls of the call pass through [`CallLoad::poll`].
#[derive(Debug)]
pub(crate) struct CallLoad {
    load: Arc<Load>,
    owner: Owner,
    started: Instant,
    deadline: Option<Instant>,
    progress: Arc<Progress>,
    stage: Stage,
    /// A yield with less work does not refuse the call.
    least_work_ns: u64,
    /// Whether a yield has decided if the call is refused.
    is_decided: bool,
    /// The part of the work of the call whose time was measured, and this time.
    timed_work_ns: u64,
    timed: Duration,
    /// Whether the call has ended by itself.
    is_complete: bool,
}

impl CallLoad {
    /// Returns a call that begins now.
    pub(crate) fn new(
        load: Arc<Load>,
        owner: Owner,
        deadline: Option<Instant>,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            load,
            owner,
            started: Instant::now(),
            deadline,
            progress,
            stage: Stage::Light,
            least_work_ns: 0,
            is_decided: false,
            timed_work_ns: 0,
            timed: Duration::ZERO,
            is_complete: false,
        }
    }

    /// Polls the call. It competes afterwards if it has yielded, and only then. Its first yield with enough work
    /// may refuse it.
    pub(crate) fn poll<T>(&mut self, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        let timing =
            (self.stage == Stage::Competing).then(|| (Instant::now(), self.progress.work_ns()));
        let result = poll();
        let has_yielded = self.progress.take_yield() && result.is_pending();
        if let Some((since, work_ns)) = timing {
            self.timed += since.elapsed();
            self.timed_work_ns += self.progress.work_ns().saturating_sub(work_ns);
        }
        if has_yielded && !self.is_decided && self.progress.work_ns() >= self.least_work_ns {
            self.is_decided = true;
            // The call itself is not one of those that it competes with.
            if self.stage == Stage::Competing {
                self.leave();
            }
            if self.is_refusable() {
                self.stage = Stage::Refused;
            }
        }
        match (self.stage, has_yielded) {
            (Stage::Light | Stage::Waiting, true) => {
                self.load.enter(&self.owner);
                self.stage = Stage::Competing;
            }
            (Stage::Competing, false) => self.leave(),
            _ => {}
        }
        result
    }

    /// Returns whether load shedding may and should refuse the call.
    fn is_refusable(&self) -> bool {
        let Some(deadline) = self.deadline else { return false };
        let left = deadline.saturating_duration_since(Instant::now());
        !self.progress.is_kept()
            && self.progress.work_ns() <= FIRST_WORK_MAX_NS
            && self.started.elapsed() <= left / 2
            && self.load.is_too_high(&self.owner, left)
    }

    /// Returns whether the call is refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.stage == Stage::Refused
    }

    /// The call has ended by itself.
    pub(crate) fn complete(&mut self) {
        self.is_complete = true;
    }

    fn leave(&mut self) {
        self.load.leave(&self.owner);
        self.stage = Stage::Waiting;
    }

    /// Returns the processing time: the work at the speed that was measured.
    fn processing_ns(&self) -> u64 {
        let work_ns = self.progress.work_ns();
        if self.timed_work_ns == 0 {
            return work_ns;
        }
        let scale = self.timed.as_nanos() as f64 / self.timed_work_ns as f64;
        (work_ns as f64 * scale) as u64
    }
}

impl Drop for CallLoad {
    fn drop(&mut self) {
        if self.stage == Stage::Competing {
            self.leave();
        }
        // Only calls with deadlines and enough work are refused, so only they are compared.
        if self.stage == Stage::Waiting && self.is_decided && self.deadline.is_some() {
            self.load.observe(self.processing_ns(), self.is_complete);
        }
    }
}

#[cfg(test)]
mod tests;
