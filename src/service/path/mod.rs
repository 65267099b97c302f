//! `waywiser.v1.PathService`: recordings that survive, batches of whole paths, and single distances.
//!
//! What a call goes through: `request` takes a message apart, `convert` reads options and writes
//! summaries, `fold` checks points and folds them; `record` is a stream into one path and `live` keeps a
//! recording durable meanwhile; `batch` is many paths down one stream; `updates` orders what is known of
//! watched recordings for `watch`; `list` lists recordings; `sweep` removes expired and abandoned recordings; `recordings` has the other
//! unary methods. The rules of exactly-once are in [`crate::recording`], what is stored in [`crate::checkpoint`].

mod batch;
mod convert;
mod fold;
mod list;
mod live;
mod options_diff;
mod record;
mod recordings;
mod request;
mod shared;
mod sweep;
#[cfg(test)]
mod testing;
mod updates;
mod watch;
mod writers;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tonic::body::Body;
use tower_service::Service;

use super::StreamLimits;
use super::method::{self, ResponseFuture};
use crate::contract::method::v1;
use crate::proto::waywiser_v1 as pb;
use crate::recording::CheckpointPolicy;
use crate::recording::CheckpointStore;
use shared::{Shared, unix_ms};
use sweep::Expiry;

/// The path of the method that runs until its client ends it.
pub(crate) use crate::contract::method::v1::WATCH_PATH;

/// Streams end within this time of their connections.
const SETTLE_MARGIN: Duration = Duration::from_secs(1);

/// Lengths of paths by every model, and recordings.
#[derive(Clone)]
pub struct PathService {
    limits: StreamLimits,
    shared: Arc<Shared>,
}

impl PathService {
    /// The service, with bounds on its streams, the store of its recordings and the pace of their
    /// checkpoints.
    pub fn new(
        limits: StreamLimits,
        store: Arc<dyn CheckpointStore>,
        pace: CheckpointPolicy,
    ) -> Self {
        Self { limits, shared: Arc::new(Shared::new(store, pace)) }
    }

    /// Completes when no recording is open any more and the points of cut streams are committed or timed out. Takes
    /// little longer than the store has time to answer, 10 s. Call it when no more streams are accepted.
    pub async fn settled(&self) {
        let commits = &self.shared.commits;
        commits.close();
        if tokio::time::timeout(self.shared.store_time + SETTLE_MARGIN, commits.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                recordings = commits.len(),
                "the points of some recordings were not committed in time"
            );
        }
        commits.reopen();
    }

    /// Deletes expired recordings, once per `interval`; never completes.
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

impl tonic::server::NamedService for PathService {
    const NAME: &'static str = "waywiser.v1.PathService";
}

impl Service<Request<Body>> for PathService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        let limits = self.limits;
        let shared = Arc::clone(&self.shared);
        match request.uri().path() {
            v1::COMPUTE_DISPLACEMENT => method::respond(async move {
                let request = method::request(request, &limits).await?;
                recordings::compute_displacement(&request)
            }),
            v1::RECORD_PATH => method::respond(record::record_path(request, limits, shared)),
            v1::GET_PATH => method::respond(async move {
                recordings::path(shared, method::request(request, &limits).await?).await
            }),
            v1::WATCH_PATH => method::respond_stream(async move {
                let request: pb::WatchPathRequest = method::request(request, &limits).await?;
                let name = record::path_name(&request.name)?;
                watch::watch_path(shared, name, request.allow_missing).await
            }),
            v1::MEASURE_PATHS => {
                method::respond_stream(async move { batch::measure_paths(request, limits) })
            }
            v1::DELETE_PATH => method::respond(async move {
                recordings::delete_path(shared, method::request(request, &limits).await?).await
            }),
            v1::LIST_PATHS => method::respond(async move {
                list::list_paths(shared, method::request(request, &limits).await?).await
            }),
            path => method::unknown(path),
        }
    }
}
