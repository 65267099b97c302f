//! `waywiser.v1.PathService`: recordings that survive, batches of whole paths, and single distances.
//!
//! What a call goes through: `request` takes a message apart, `convert` reads options and writes
//! summaries, `fold` checks points and folds them; `record` is a stream into one path and `live` keeps a
//! recording durable meanwhile; `batch` is many paths down one stream; `watch` and `recordings` are the
//! rest. The rules of exactly-once are in [`crate::recording`], what is stored in [`crate::checkpoint`].

mod batch;
mod convert;
mod fold;
mod live;
mod options_diff;
mod record;
mod recordings;
mod request;
mod shared;
mod watch;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tonic::body::Body;
use tower_service::Service;

use super::StreamLimits;
use super::method::{self, ResponseFuture};
use crate::checkpoint::{CheckpointStore, StoreError};
use crate::proto::waywiser_v1 as pb;
use crate::recording::Pace;
use shared::{Shared, unix_ms};

/// The path of the method that lasts as long as its client likes.
pub(crate) const WATCH_PATH: &str = "/waywiser.v1.PathService/WatchPath";

/// Lengths of paths by every model, and recordings.
#[derive(Clone)]
pub struct PathService {
    limits: StreamLimits,
    shared: Arc<Shared>,
}

impl PathService {
    /// The service, with bounds on its streams, the store of its recordings and the pace of their
    /// checkpoints.
    pub fn new(limits: StreamLimits, store: Arc<dyn CheckpointStore>, pace: Pace) -> Self {
        Self { limits, shared: Arc::new(Shared::new(store, pace)) }
    }

    /// Completes when what cut streams left behind is committed or given up, which takes some seconds at
    /// the most. To be called when there are no more streams.
    pub async fn settled(&self) {
        self.shared.commits.close();
        self.shared.commits.wait().await;
        self.shared.commits.reopen();
    }

    /// Deletes recordings that have expired, every so often; never completes.
    pub async fn expire(&self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let expired = self.shared.store.expire(unix_ms());
            let late = |_| Err(StoreError::Unknown("it did not answer in time".to_owned()));
            match tokio::time::timeout(self.shared.store_time, expired).await.unwrap_or_else(late) {
                Ok(names) if names.is_empty() => {}
                Ok(names) => {
                    tracing::info!(recordings = names.len(), "deleted recordings that had expired");
                    names.iter().for_each(|name| self.shared.watchers.gone(name));
                }
                Err(error) => tracing::warn!(%error, "expired recordings could not be deleted"),
            }
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
            "/waywiser.v1.PathService/ComputeDisplacement" => method::respond(async move {
                let request = method::request(request, &limits).await?;
                recordings::compute_displacement(&request)
            }),
            "/waywiser.v1.PathService/RecordPath" => {
                method::respond(record::record_path(request, limits, shared))
            }
            "/waywiser.v1.PathService/GetPath" => method::respond(async move {
                recordings::path(shared, method::request(request, &limits).await?).await
            }),
            WATCH_PATH => method::respond_stream(async move {
                let request: pb::WatchPathRequest = method::request(request, &limits).await?;
                let name = record::path_name(&request.name)?;
                watch::watch_path(shared, name, request.allow_missing).await
            }),
            "/waywiser.v1.PathService/MeasurePaths" => {
                method::respond_stream(async move { batch::measure_paths(request, limits) })
            }
            "/waywiser.v1.PathService/DeletePath" => method::respond(async move {
                recordings::delete_path(shared, method::request(request, &limits).await?).await
            }),
            "/waywiser.v1.PathService/ListPaths" => method::respond(async move {
                recordings::list_paths(shared, method::request(request, &limits).await?).await
            }),
            path => method::unknown(path),
        }
    }
}
