//! CPU time of the load generator and of the server.

use std::thread;
use std::time::Duration;

use crate::load::process::{CpuTimes, Watched};
use crate::load::target::{CLIENT_THREADS, Target};

/// The kernel accounts the CPU time of a thread when the thread leaves its core. An idle thread needs about a
/// hundredth of this time for that.
const ACCOUNTING_TIME: Duration = Duration::from_millis(5);

/// The CPU times of both sides at one moment.
pub(super) struct Meter {
    client: Option<CpuTimes>,
    server: Option<CpuTimes>,
}

/// CPU time since the start of a [`Meter`]; `None` if it is unknown.
pub(super) struct Used {
    pub(super) client: Option<Duration>,
    pub(super) server: Option<Duration>,
}

impl Meter {
    /// Reads the CPU times.
    pub(super) fn start(target: &Target) -> Self {
        thread::sleep(ACCOUNTING_TIME);
        Self {
            client: Watched::Threads(&[CLIENT_THREADS]).cpu(),
            server: target.watched.as_ref().and_then(Watched::cpu),
        }
    }

    /// Returns the CPU time used since the start.
    pub(super) fn used(&self, target: &Target) -> Used {
        let now = Self::start(target);
        let since = |now: Option<CpuTimes>, then: &Option<CpuTimes>| {
            now.zip(then.as_ref()).map(|(now, then)| now.since(then))
        };
        Used { client: since(now.client, &self.client), server: since(now.server, &self.server) }
    }
}
