//! What is served: the measuring services, health, and reflection.

use tonic::server::NamedService;
use tonic::service::Routes;
pub(super) use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::Config;
use crate::service::{DisplacementService, PathService, RouteGuide};

/// The services whose calls the drain waits for, and whose health is reported.
pub(super) const MEASURING: [&str; 3] =
    [DisplacementService::NAME, RouteGuide::NAME, PathService::NAME];

/// The services beside them: short questions, or watches that last as long as the server.
pub(super) const AUXILIARY: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The switch of the health service.
pub(super) struct Health {
    reporter: HealthReporter,
}

impl Health {
    /// Tells everybody who asks or watches.
    pub(super) async fn set(&self, status: ServingStatus) {
        for name in [""].into_iter().chain(MEASURING).chain(AUXILIARY) {
            self.reporter.set_service_status(name, status).await;
        }
    }
}

/// All services, and the switch of their health. Until it is set, a service is not known to it.
pub(super) fn routes(config: &Config, paths: PathService) -> (Routes, Health) {
    let limits = config.stream_limits();
    let reporter = HealthReporter::new();
    let health = tonic_health::server::HealthService::from_health_reporter(reporter.clone());
    let message_bytes_max = config.message_bytes_max;
    let health = tonic_health::pb::health_server::HealthServer::new(health)
        .max_decoding_message_size(message_bytes_max);
    let mut builder = Routes::builder();
    builder
        .add_service(DisplacementService::new(limits))
        .add_service(RouteGuide::new(limits))
        .add_service(paths)
        .add_service(health);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(crate::proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // ErrorInfo, so that clients can show what an error carries.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    // The descriptors are compiled in; a test holds that they are whole.
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => {
            builder
                .add_service(v1.max_decoding_message_size(message_bytes_max))
                .add_service(v1alpha.max_decoding_message_size(message_bytes_max));
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "reflection is off: its descriptors are damaged");
        }
    }
    (builder.routes().prepare(), Health { reporter })
}
