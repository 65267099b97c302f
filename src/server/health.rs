//! `grpc.health.v1.Health`: one status for the server and its services.
//!
//! Services that need no store stay SERVING while the store is not available.
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

use super::service_names::{AUXILIARY, MEASURING, WITHOUT_STORE};

/// What the status of a service depends on.
#[derive(Clone, Copy, Debug)]
struct State {
    is_serving: bool,
    is_store_available: bool,
}

impl State {
    fn is_serving(self, service: &str) -> bool {
        let needs_store = !WITHOUT_STORE.contains(&service) && !AUXILIARY.contains(&service);
        self.is_serving && (self.is_store_available || !needs_store)
    }
}

/// Sets the status that the service reports.
#[derive(Debug)]
pub(super) struct HealthReporter(watch::Sender<State>);

impl HealthReporter {
    /// Reports all services as serving or not, to later checks and to all watches.
    pub(super) fn set_serving(&self, is_serving: bool) {
        self.0.send_modify(|state| state.is_serving = is_serving);
    }

    /// Reports the server and the services that need the store as serving only while `available` has the value true.
    /// Never completes.
    pub(super) async fn follow_store(&self, available: Option<watch::Receiver<bool>>) {
        if let Some(mut available) = available {
            loop {
                let is_available = *available.borrow_and_update();
                self.0.send_if_modified(|state| {
                    std::mem::replace(&mut state.is_store_available, is_available) != is_available
                });
                if available.changed().await.is_err() {
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
    let state = State { is_serving: false, is_store_available: true };
    let (sender, receiver) = watch::channel(state);
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
        let is_serving = self.0.borrow().is_serving(&request.get_ref().service);
        Ok(Response::new(status(is_serving)))
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
                let is_serving = receiver.borrow_and_update().is_serving(&service);
                // Another service may have changed.
                if last != Some(is_serving) {
                    let next = (receiver, service, Some(is_serving));
                    return Some((Ok(status(is_serving)), next));
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
        reporter.set_serving(true);
        let watched = |service: &str| HealthCheckRequest { service: service.to_owned() };
        let watch = async |service| {
            let watch = health_server::Health::watch(&health, Request::new(watched(service)));
            watch.await.unwrap().into_inner()
        };
        let (mut server, mut routes) = (watch("").await, watch("routeguide.RouteGuide").await);
        assert_eq!(server.next().await.unwrap().unwrap().status, SERVING);
        assert_eq!(routes.next().await.unwrap().unwrap().status, SERVING);

        let (sender, available) = watch::channel(false);
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
            sender.send(true).unwrap();
            assert_eq!(server.next().await.unwrap().unwrap().status, SERVING);
            reporter.set_serving(false);
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
