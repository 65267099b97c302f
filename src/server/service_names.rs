//! The names of the services, by kind.

use tonic::server::NamedService as _;

use crate::service::{AdminService, DisplacementService, PathService, RouteGuide};

/// The services that measure paths, and the one that backs them up. The drain waits for their calls, except watches.
pub(super) const MEASURING: [&str; 4] =
    [DisplacementService::NAME, RouteGuide::NAME, PathService::NAME, AdminService::NAME];

/// The services that never use the store.
pub(super) const WITHOUT_STORE: [&str; 2] = [DisplacementService::NAME, RouteGuide::NAME];

/// The services for operators: short calls, or watches that last as long as the server.
pub(super) const AUXILIARY: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The path of the health method that lasts as long as its client wants.
pub(super) const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

/// The start of the paths of all health methods. They need no credentials, so that probes work without a secret.
pub(super) const HEALTH_PREFIX: &str = "/grpc.health.v1.Health/";
