//! `grpc.health.v1.Health`: one status for the server and all of its services.
//!
//! The module exists because the protocol specifies that a Watch of an unknown service answers SERVICE_UNKNOWN and stays
//! open. The service of tonic-health ends the call instead.

use std::pin::Pin;

use futures::stream::{self, Stream, StreamExt as _};
use tokio::sync::watch;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::service_names::{AUXILIARY, MEASURING};

/// The header of the answer to a check that has the reason why the server does not serve.
const REASON_HEADER: &str = "waywiser-not-serving";

/// Whether the server serves calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Serving,
    /// The server does not serve, for this reason. Anyone can read it, so it names no file and no address.
    NotServing(&'static str),
}

/// Sets the status that the service reports.
#[derive(Debug)]
pub(super) struct HealthReporter(watch::Sender<Health>);

impl HealthReporter {
    /// Reports the health of all services, to later checks and to all watches.
    pub(super) fn set(&self, health: Health) {
        self.0.send_if_modified(|current| std::mem::replace(current, health) != health);
    }
}

/// The health service.
#[derive(Clone, Debug)]
pub(super) struct HealthService(watch::Receiver<Health>);

/// Returns the service and its reporter. The service reports NOT_SERVING until the reporter changes that.
pub(super) fn health() -> (HealthReporter, HealthService) {
    let (sender, receiver) = watch::channel(Health::NotServing("the server starts"));
    (HealthReporter(sender), HealthService(receiver))
}

fn is_known(service: &str) -> bool {
    service.is_empty() || MEASURING.contains(&service) || AUXILIARY.contains(&service)
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

fn status(health: Health) -> HealthCheckResponse {
    response(match health {
        Health::Serving => ServingStatus::Serving,
        Health::NotServing(_) => ServingStatus::NotServing,
    })
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
        let health = *self.0.borrow();
        let mut response = Response::new(status(health));
        if let Health::NotServing(reason) = health {
            response.metadata_mut().insert(REASON_HEADER, MetadataValue::from_static(reason));
        }
        Ok(response)
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
            let health = *receiver.borrow_and_update();
            Some((Ok(status(health)), receiver))
        });
        Ok(Response::new(Box::pin(updates)))
    }
}
