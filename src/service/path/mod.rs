//! `waywiser.v1.PathService`: recordings that survive, batches of whole paths, and single distances.
//!
//! - `scope` converts the names of a caller to those in the store, and back.
//! - `request` parses messages, and `convert` converts options and summaries.
//! - `point_buffer`, `fix` and `column_fill` check points and fold them.
//! - `record` reads a stream of one path. `target` is that path, and `recording_writer` commits its points.
//! - `append` reads a request with points. `append_queue` has those that wait, and
//!   `appender` adds the points of all requests for one recording.
//! - `batch` measures many paths in one stream.
//! - `updates` orders the reports about watched recordings for `watch`; `follow` adds the changes of other servers.
//! - `recent` has the last points of the recordings that this server writes, in memory.
//! - `list` lists recordings, `sweep` removes expired and abandoned ones, and `recordings` has the other unary methods.
//!
//! All calls of the store have the time limit of `super::store_timeout`. [`crate::recording`] defines the rules of
//! exactly-once commits.

mod append;
mod append_queue;
mod appender;
mod batch;
mod column_fill;
mod convert;
mod fix;
mod follow;
mod list;
mod options_diff;
mod point_buffer;
mod recent;
mod reclaim_state;
mod record;
mod recording_writer;
mod recordings;
mod request;
mod scope;
mod shared;
mod sweep;
mod target;
#[cfg(test)]
mod testing;
mod updates;
mod watch;
mod writers;

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tonic::body::Body;

use super::limits::StreamLimits;
use super::memory_budget::{MemoryBudget, Unlimited};
use super::method::{self, ResponseFuture};
use super::violation::MessageRef;
use crate::contract::method::v1;
use crate::proto::waywiser_v1 as pb;
use crate::recording::CheckpointPolicy;
use crate::recording::CheckpointStore;
use scope::Scope;
use shared::Shared;
pub(super) use shared::unix_ms;
use sweep::Expiry;

/// The path of the method that runs until its client ends it.
pub(crate) use crate::contract::method::v1::WATCH_PATH;

/// Streams end within this time after their connections.
const FLUSH_MARGIN: Duration = Duration::from_secs(1);

/// What a [`PathService`] does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathActivity {
    /// Recordings that streams write to.
    pub(crate) open_recordings: u64,
    /// Streams that wait for updates of a recording.
    pub(crate) watchers: u64,
    /// Recordings that are open or whose last commit has not ended.
    pub(crate) unfinished_commits: u64,
}

/// Measures paths by every model, and keeps recordings.
#[derive(Clone)]
pub struct PathService {
    limits: StreamLimits,
    shared: Arc<Shared>,
}

impl PathService {
    /// Returns the service, with limits for its streams, the store of its recordings, and the policy for their
    /// checkpoints.
    pub fn new(
        limits: StreamLimits,
        store: Arc<dyn CheckpointStore>,
        policy: CheckpointPolicy,
    ) -> Self {
        Self::with_memory(limits, store, policy, Arc::new(Unlimited))
    }

    /// Returns the service of a server with a memory budget.
    pub(crate) fn with_memory(
        limits: StreamLimits,
        store: Arc<dyn CheckpointStore>,
        policy: CheckpointPolicy,
        memory: Arc<dyn MemoryBudget>,
    ) -> Self {
        Self { limits, shared: Arc::new(Shared::new(store, policy, memory)) }
    }

    /// Returns a function that releases the memory that no call needs: the recent points, and the recordings that are open
    /// without requests. It returns the bytes of these recordings, which are charged until their tasks have ended.
    pub(crate) fn memory_release(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let shared = Arc::downgrade(&self.shared);
        move || {
            shared.upgrade().map_or(0, |shared| {
                shared.recent.clear();
                shared.appenders.end_idle()
            })
        }
    }

    /// Completes when no recording is open any more, and the points of cut streams are committed or their commits have
    /// timed out. Takes little longer than the time limit of the store, 10 s. Call it when no more streams are accepted.
    pub async fn flushed(&self) {
        let commits = &self.shared.commits;
        commits.close();
        self.shared.appenders.end_idle();
        let timeout = self.shared.store_timeout.plus(FLUSH_MARGIN);
        if timeout.limit(commits.wait()).await.is_err() {
            tracing::warn!(
                recordings = commits.len(),
                "the points of some recordings were not committed in time"
            );
        }
        commits.reopen();
    }

    /// Returns a function that counts what the service does now. It does not keep the store open.
    pub(crate) fn activity(&self) -> impl Fn() -> PathActivity + Send + Sync + 'static {
        let shared = Arc::downgrade(&self.shared);
        move || {
            shared.upgrade().map_or_else(PathActivity::default, |shared| PathActivity {
                open_recordings: shared.writers.len() as u64,
                watchers: shared.watchers.watcher_count() as u64,
                unfinished_commits: shared.commits.len() as u64,
            })
        }
    }

    /// Reports the changes that other servers make in the same store, so that watchers receive them. Never completes.
    pub async fn follow_store(&self) {
        follow::follow(&self.shared).await;
    }

    /// Deletes expired recordings, once per `interval`. Never completes.
    pub async fn expire(&self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut expiry = Expiry::default();
        loop {
            ticks.tick().await;
            expiry.run(&self.shared, unix_ms()).await;
        }
    }
}

method::implement_service!(PathService, "waywiser.v1.PathService");

impl PathService {
    fn answer(&self, request: Request<Body>) -> ResponseFuture {
        let limits = self.limits;
        let shared = Arc::clone(&self.shared);
        let scope = Scope::of(request.extensions());
        match request.uri().path() {
            v1::COMPUTE_DISPLACEMENT => method::respond(async move {
                let request = method::request(request, &limits).await?;
                recordings::compute_displacement(&request)
            }),
            v1::RECORD_PATH => method::respond(record::record_path(request, limits, shared)),
            v1::APPEND_POINTS => method::respond(append::append_points(request, limits, shared)),
            v1::GET_PATH => method::respond(async move {
                recordings::path(shared, &scope, method::request(request, &limits).await?).await
            }),
            v1::WATCH_PATH => method::respond_stream(async move {
                let request: pb::WatchPathRequest = method::request(request, &limits).await?;
                let name = scope.name(&request.name, MessageRef::Request)?;
                watch::watch_path(shared, name, &request).await
            }),
            v1::MEASURE_PATHS => {
                method::respond_stream(async move { batch::measure_paths(request, limits) })
            }
            v1::DELETE_PATH => method::respond(async move {
                recordings::delete_path(shared, &scope, method::request(request, &limits).await?)
                    .await
            }),
            v1::LIST_PATHS => method::respond(async move {
                list::list_paths(shared, &scope, method::request(request, &limits).await?).await
            }),
            path => method::unknown(path),
        }
    }
}
