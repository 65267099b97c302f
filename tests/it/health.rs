//! Health checks, as the protocol specifies them.

use std::time::Duration;

use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::support::{PATH_LENGTH, Raw, Server};

#[tokio::test]
async fn watches_answer_for_unknown_services_and_last_until_the_server_stops() {
    let mut server =
        Server::with(|config| config.stream_idle_timeout = Duration::from_millis(50)).await;
    let mut health = HealthClient::new(server.channel().await);
    let of = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let error = health.check(of("no.Such")).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let mut unknown = health.watch(of("no.Such")).await.unwrap().into_inner();
    assert_eq!(unknown.message().await.unwrap().unwrap().status, 3, "SERVICE_UNKNOWN");
    let mut known = health.watch(of("waywiser.v1.PathService")).await.unwrap().into_inner();
    assert_eq!(known.message().await.unwrap().unwrap().status, 1);
    // The idle timeout ends streams, but not watches.
    let mut raw = Raw::connect(server.address).await;
    for _ in 0..3 {
        let answer = raw.call(PATH_LENGTH).answer().await.unwrap();
        assert_eq!(answer.reason.as_deref(), Some("STREAM_IDLE"));
    }
    server.stop();
    assert_eq!(known.message().await.unwrap().unwrap().status, 2);
    for watch in [&mut known, &mut unknown] {
        let status = watch.message().await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "the server is shutting down; call again");
    }
    drop((raw, health, known, unknown));
    server.stopped().await;
}
