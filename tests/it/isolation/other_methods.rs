//! Calls of the methods that store no recordings.

use futures::StreamExt as _;
use tokio_stream::iter;
use tonic::{Code, Response, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};
use waywiser::proto::my_package::{self, displacement_service_client::DisplacementServiceClient};
use waywiser::proto::routeguide::{self, route_guide_client::RouteGuideClient};
use waywiser::proto::waywiser_admin_v1::BackupStoreRequest;
use waywiser::proto::waywiser_admin_v1::admin_service_client::AdminServiceClient;

use super::transcript::Transcript;
use crate::support::Server;
use crate::support::callers::token;

async fn rest<T>(answer: Result<Response<Streaming<T>>, Status>) -> Result<Vec<T>, Status> {
    let messages = answer?.into_inner().collect::<Vec<_>>().await;
    messages.into_iter().collect()
}

/// Leaves a note as this caller, at the place of all tests. Returns the answers.
pub async fn chat(server: &Server, name: &str) -> Result<Vec<routeguide::RouteNote>, Status> {
    let mut client = RouteGuideClient::with_interceptor(server.channel().await, token(name));
    let location = Some(routeguide::Point { latitude: 1, longitude: 2 });
    let note = routeguide::RouteNote { location, message: format!("a note of {name}") };
    rest(client.route_chat(iter([note.clone(), note])).await).await
}

/// Calls the methods that are not those of `PathService`, as the caller `a`.
pub async fn call(server: &Server, transcript: &mut Transcript) {
    let mut planar =
        DisplacementServiceClient::with_interceptor(server.channel().await, token("a"));
    let points = [(0, 0), (3, 4)].map(|(x, y)| my_package::Point { x, y });
    let [start, end] = points.map(Some);
    let answer = planar.compute_displacement(my_package::Displacement { start, end }).await;
    transcript.add("computeDisplacement", answer.map(Response::into_inner));
    let answer = planar.compute_path_length(iter(points)).await;
    transcript.add("computePathLength", answer.map(Response::into_inner));

    let mut routes = RouteGuideClient::with_interceptor(server.channel().await, token("a"));
    let place = |latitude, longitude| routeguide::Point { latitude, longitude };
    let answer = routes.get_feature(place(1, 2)).await;
    transcript.add("GetFeature", answer.map(Response::into_inner));
    let area = routeguide::Rectangle { lo: Some(place(0, 0)), hi: Some(place(9, 9)) };
    let answer = rest(routes.list_features(area).await).await;
    transcript.add("ListFeatures", answer);
    let answer = routes.record_route(iter([place(0, 0), place(1, 2)])).await;
    let answer = answer.map(|reply| reply.into_inner().distance);
    transcript.add("RecordRoute", answer);
    for _ in 0..2 {
        transcript.add("RouteChat", chat(server, "a").await);
    }

    let mut admin = AdminServiceClient::with_interceptor(server.channel().await, token("a"));
    let refused = admin.backup_store(BackupStoreRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    transcript.add("BackupStore", Err::<(), _>(refused));

    macro_rules! reflect {
        ($version:ident) => {{
            use $version::server_reflection_client::ServerReflectionClient;
            use $version::server_reflection_request::MessageRequest;
            let mut client =
                ServerReflectionClient::with_interceptor(server.channel().await, token("a"));
            let message_request = Some(MessageRequest::ListServices(String::new()));
            let request =
                $version::ServerReflectionRequest { message_request, ..Default::default() };
            let answer = rest(client.server_reflection_info(iter([request])).await).await;
            transcript.add("ServerReflectionInfo", answer);
        }};
    }
    reflect!(v1);
    reflect!(v1alpha);

    let mut health = HealthClient::with_interceptor(server.channel().await, token("a"));
    let answer = health.check(HealthCheckRequest::default()).await;
    transcript.add("Check", answer.map(Response::into_inner));
    let mut states = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    transcript.add("Watch", states.message().await);
}
