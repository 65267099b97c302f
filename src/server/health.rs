//! `grpc.health.v1.Health`: one status for the server and all of its services.
//!
//! The module exists because the protocol specifies that a Watch of an unknown service answers SERVICE_UNKNOWN and stays
//! open. The service of tonic-health ends the call instead.

use std::pin::Pin;

use futures::stream::{self, Stream, StreamExt as _};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::service_names::{AUXILIARY, MEASURING};

/// Sets the status that the service reports.
#[derive(Debug)]
pub(super) struct HealthReporter(watch::Sender<bool>);

impl HealthReporter {
    /// Reports all services as serving or not, to later checks and to all watches.
    pub(super) fn set_serving(&self, is_serving: bool) {
        self.0.send_replace(is_serving);
    }
}

/// The health service.
#[derive(Clone, Debug)]
pub(super) struct HealthService(watch::Receiver<bool>);

/// Returns the service and its reporter. The service reports NOT_SERVING until the reporter changes that.
pub(super) fn health() -> (HealthReporter, HealthService) {
    let (sender, receiver) = watch::channel(false);
    (HealthReporter(sender), HealthService(receiver))
}

fn is_known(service: &str) -> bool {
    service.is_empty() || MEASURING.contains(&service) || AUXILIARY.contains(&service)
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

fn status(is_serving: bool) -> HealthCheckResponse {
    response(if is_serving { ServingStatus::Serving } else { ServingStatus::NotServing })
}

#[tonic::async_trait]
impl health_server::Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !is_known(&request.get_ref().service) {
            return Err(Status::not_found("unknown service; reflection lists all services"));
        }
        Ok(Response::new(status(*self.0.borrow())))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        if !is_known(&request.get_ref().service) {
            // The set of services is fixed, so no update follows. The watch stays open, as specified.
            let unknown = stream::once(async { Ok(response(ServingStatus::ServiceUnknown)) });
            return Ok(Response::new(Box::pin(unknown.chain(stream::pending()))));
        }
        let mut receiver = self.0.clone();
        receiver.mark_changed();
        let updates = stream::unfold(receiver, |mut receiver| async {
            receiver.changed().await.ok()?;
            let is_serving = *receiver.borrow_and_update();
            Some((Ok(status(is_serving)), receiver))
        });
        Ok(Response::new(Box::pin(updates)))
    }
}
