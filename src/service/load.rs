//! Load shedding: refuses calls that would probably miss their deadlines.
//!
//! Calls share the threads of the server equally. Under more load than the server can carry, more and more calls share
//! them, until all calls miss their deadlines and no work is useful. A call that has spent its first work budget is
//! therefore refused if it would probably not end in time. It has cost about a quarter of a millisecond then. Calls that
//! need less work, calls without a deadline, and calls of owners that have less than their share are never refused.
//!
//! ```text
//! expected time = typical processing time of a call * competing calls / threads
//! refused, if more than half of the time until the deadline
//! ```

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::progress::Progress;
use crate::auth::{Principal, PrincipalSource};

/// No call is refused while at most this many calls compete for each thread.
const COMPETING_PER_THREAD: u32 = 8;
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

    /// Adds the processing time of a call to the typical one. A call that was cut would have taken longer.
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

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has not spent a work budget yet.
    Light,
    /// It competes, and waits for a thread.
    Yielding,
    /// It competes, and has a thread since this time.
    Running(Instant),
    /// It does not compete: it waits for input, or processes input that came after a wait.
    Waiting,
    /// It is refused, and ends.
    Refused,
}

/// What the load of a server must know of a call. The server puts it into the extensions of a request.
#[derive(Clone, Debug)]
pub(crate) struct Participant {
    pub(crate) load: Arc<Load>,
    pub(crate) owner: Owner,
    pub(crate) deadline: Option<Instant>,
    /// Receives the refusal.
    pub(crate) progress: Arc<Progress>,
}

/// One call in the load of its server.
#[derive(Debug)]
pub(super) struct CallLoad {
    participant: Participant,
    stage: Stage,
    /// The work of the call, as [`super::work`] estimates it.
    work_ns: u64,
    /// The part of this work whose time was measured, and its time.
    timed_work_ns: u64,
    timed: Duration,
    /// Whether the whole request was received.
    is_complete: bool,
}

impl CallLoad {
    pub(super) fn new(participant: Participant) -> Self {
        Self {
            participant,
            stage: Stage::Light,
            work_ns: 0,
            timed_work_ns: 0,
            timed: Duration::ZERO,
            is_complete: false,
        }
    }

    /// The call has done this work since it last yielded or waited, and yields now. Its first yield may refuse it.
    pub(super) fn yields(&mut self, work_ns: u64) {
        self.work_ns = self.work_ns.saturating_add(work_ns);
        let Participant { load, owner, deadline, progress } = &self.participant;
        match self.stage {
            Stage::Light => {
                let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
                if left.is_some_and(|left| load.is_too_high(owner, left)) {
                    self.stage = Stage::Refused;
                    progress.refuse();
                    return;
                }
                load.enter(owner);
            }
            Stage::Waiting => load.enter(owner),
            Stage::Running(since) => {
                self.timed += since.elapsed();
                self.timed_work_ns = self.timed_work_ns.saturating_add(work_ns);
            }
            Stage::Yielding => {}
            Stage::Refused => return,
        }
        self.stage = Stage::Yielding;
    }

    /// The call continues after it has yielded.
    pub(super) fn resumes(&mut self) {
        if self.stage == Stage::Yielding {
            self.stage = Stage::Running(Instant::now());
        }
    }

    /// The call has done this work since it last yielded or waited, and waits for input now.
    pub(super) fn waits(&mut self, work_ns: u64) {
        self.work_ns = self.work_ns.saturating_add(work_ns);
        if matches!(self.stage, Stage::Yielding | Stage::Running(_)) {
            self.leave();
            self.stage = Stage::Waiting;
        }
    }

    /// The call has received its whole request.
    pub(super) fn completes(&mut self) {
        self.is_complete = true;
    }

    fn leave(&self) {
        self.participant.load.leave(&self.participant.owner);
    }

    /// Returns the processing time: the work at the speed that was measured.
    fn processing_ns(&self) -> u64 {
        if self.timed_work_ns == 0 {
            return self.work_ns;
        }
        let scale = self.timed.as_nanos() as f64 / self.timed_work_ns as f64;
        (self.work_ns as f64 * scale) as u64
    }
}

impl Drop for CallLoad {
    fn drop(&mut self) {
        if matches!(self.stage, Stage::Yielding | Stage::Running(_)) {
            self.leave();
        }
        if !matches!(self.stage, Stage::Light | Stage::Refused) {
            self.participant.load.observe(self.processing_ns(), self.is_complete);
        }
    }
}

#[cfg(test)]
mod tests;
