//! `grpc.health.v1.Health`: one status for the server and its services.
//!
//! Services that need no store stay SERVING while the store is not available.
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

use super::service_names::{AUXILIARY, MEASURING, WITHOUT_STORE};

/// The header of the answer to a check that has the reason why the server does not serve.
const REASON_HEADER: &str = "waywiser-not-serving";

/// Whether the server serves calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Serving,
    /// The server does not serve, for this reason. Anyone can read it, so it names no file and no address.
    NotServing(&'static str),
}

/// Whether the store of recordings is available, or the reason why it is not, now and from now on.
pub(super) type StoreAvailability = watch::Receiver<Result<(), String>>;

/// What the status of a service depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    server: Health,
    is_store_available: bool,
}

impl State {
    fn of(self, service: &str) -> Health {
        let needs_store = !WITHOUT_STORE.contains(&service) && !AUXILIARY.contains(&service);
        match self.server {
            Health::Serving if needs_store && !self.is_store_available => {
                Health::NotServing("the store of recordings is not available")
            }
            health => health,
        }
    }
}

/// Sets the status that the service reports.
#[derive(Debug)]
pub(super) struct HealthReporter(watch::Sender<State>);

impl HealthReporter {
    /// Reports the health of all services, to later checks and to all watches.
    pub(super) fn set(&self, health: Health) {
        self.0.send_if_modified(|state| std::mem::replace(&mut state.server, health) != health);
    }

    /// Reports the server and the services that need the store as serving only while the store is available. Never
    /// completes.
    pub(super) async fn follow_store(&self, availability: Option<StoreAvailability>) {
        if let Some(mut availability) = availability {
            loop {
                let is_available = availability.borrow_and_update().is_ok();
                self.0.send_if_modified(|state| {
                    std::mem::replace(&mut state.is_store_available, is_available) != is_available
                });
                if availability.changed().await.is_err() {
                    break;
                }
            }
        }
        std::future::pending::<()>().await;
    }
}

/// The health service.
#[derive(Clone, Debug)]
pub(super) struct HealthService(watch::Receiver<State>);

/// Returns the service and its reporter. The service reports NOT_SERVING until the reporter changes that.
pub(super) fn health() -> (HealthReporter, HealthService) {
    let server = Health::NotServing("the server starts");
    let (sender, receiver) = watch::channel(State { server, is_store_available: true });
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
        let health = self.0.borrow().of(&request.get_ref().service);
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
        let service = request.into_inner().service;
        let mut receiver = self.0.clone();
        receiver.mark_changed();
        let start = (receiver, service, None);
        let updates = stream::unfold(start, |(mut receiver, service, last)| async move {
            loop {
                receiver.changed().await.ok()?;
                let response = status(receiver.borrow_and_update().of(&service));
                // Another service, or only the reason, may have changed.
                if last != Some(response.status) {
                    let next = (receiver, service, Some(response.status));
                    return Some((Ok(response), next));
                }
            }
        });
        Ok(Response::new(Box::pin(updates)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(health: &HealthService, service: &str) -> i32 {
        let request = HealthCheckRequest { service: service.to_owned() };
        let checked = health_server::Health::check(health, Request::new(request)).await;
        checked.unwrap().into_inner().status
    }

    #[tokio::test]
    async fn only_services_that_need_the_store_depend_on_it() {
        const SERVING: i32 = ServingStatus::Serving as i32;
        const NOT_SERVING: i32 = ServingStatus::NotServing as i32;
        let (reporter, health) = health();
        reporter.set(Health::Serving);
        let watched = |service: &str| HealthCheckRequest { service: service.to_owned() };
        let watch = async |service| {
            let watch = health_server::Health::watch(&health, Request::new(watched(service)));
            watch.await.unwrap().into_inner()
        };
        let (mut server, mut routes) = (watch("").await, watch("routeguide.RouteGuide").await);
        assert_eq!(server.next().await.unwrap().unwrap().status, SERVING);
        assert_eq!(routes.next().await.unwrap().unwrap().status, SERVING);

        let (sender, available) = watch::channel(Err("the database is away".to_owned()));
        let follow = reporter.follow_store(Some(available));
        let checks = async {
            assert_eq!(server.next().await.unwrap().unwrap().status, NOT_SERVING);
            for (service, expected) in [
                ("", NOT_SERVING),
                ("waywiser.v1.PathService", NOT_SERVING),
                ("my_package.DisplacementService", SERVING),
                ("routeguide.RouteGuide", SERVING),
                ("grpc.health.v1.Health", SERVING),
            ] {
                assert_eq!(check(&health, service).await, expected, "{service}");
            }
            sender.send(Ok(())).unwrap();
            assert_eq!(server.next().await.unwrap().unwrap().status, SERVING);
            reporter.set(Health::NotServing("the server drains"));
            assert_eq!(server.next().await.unwrap().unwrap().status, NOT_SERVING);
            // The watch of the other service has no update for the outage of the store.
            assert_eq!(routes.next().await.unwrap().unwrap().status, NOT_SERVING);
        };
        tokio::select! {
            () = follow => unreachable!("it never completes"),
            () = checks => {}
        }
    }
}
