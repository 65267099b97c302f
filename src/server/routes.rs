//! The services of the server: measuring, administration, health, and reflection.

use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;

use super::config::Config;
use super::health::{HealthReporter, health};
use crate::service::{AdminService, DisplacementService, PathService, RouteGuide};

/// Returns all services, and the reporter of their health.
pub(super) fn routes(
    config: &Config,
    paths: PathService,
    admin: AdminService,
    route_guide: RouteGuide,
) -> (Routes, HealthReporter) {
    let limits = config.stream_limits();
    let (reporter, health) = health();
    let mut builder = Routes::builder();
    builder
        .add_service(DisplacementService::new(limits))
        .add_service(route_guide)
        .add_service(paths)
        .add_service(admin)
        .add_service(HealthServer::new(health));
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(crate::proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // ErrorInfo, so that clients can decode the details of an error.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    // The descriptors are compiled in. A test checks that they are complete.
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => {
            builder.add_service(v1).add_service(v1alpha);
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "reflection is off: its descriptors are damaged");
        }
    }
    (builder.routes().prepare(), reporter)
}
