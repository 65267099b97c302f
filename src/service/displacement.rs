//! `my_package.DisplacementService`: the published contract, and the streaming method in the same service.

use http::Request;
use tonic::body::Body;

use super::fold::{AxisOrder, fold_points};
use super::limits::StreamLimits;
use super::method::{self, ResponseFuture};
use super::status::RpcError;
use crate::contract::method as paths;
use crate::measure::{Metric, Point, Polyline};
use crate::proto::my_package as pb;

/// Measures lengths in the plane, in the unit of the caller.
#[derive(Clone, Debug, Default)]
pub struct DisplacementService {
    limits: StreamLimits,
}

impl DisplacementService {
    /// Returns the service with limits for its streams.
    pub fn new(limits: StreamLimits) -> Self {
        Self { limits }
    }
}

method::implement_service!(DisplacementService, "my_package.DisplacementService");

impl DisplacementService {
    fn answer(&self, request: Request<Body>) -> ResponseFuture {
        let limits = self.limits;
        match request.uri().path() {
            paths::COMPUTE_DISPLACEMENT => method::respond(compute_displacement(request, limits)),
            paths::COMPUTE_PATH_LENGTH => method::respond(compute_path_length(request, limits)),
            path => method::unknown(path),
        }
    }
}

async fn compute_displacement(
    request: Request<Body>,
    limits: StreamLimits,
) -> Result<pb::DisplacementResponse, RpcError> {
    let request: pb::Displacement = method::request(request, &limits).await?;
    // In proto3 a missing point has zeros for coordinates.
    let ends = [request.start.unwrap_or_default(), request.end.unwrap_or_default()];
    let mut path = Polyline::new(Metric::Planar);
    for (index, end) in (0..).zip(ends) {
        let point = Point::planar(end.x.into(), end.y.into())
            .map_err(|error| RpcError::Point { index, error })?;
        path.extend(&[point]).map_err(|error| RpcError::Path { index, error })?;
    }
    // The contract has a float, so the result is rounded here, and only here.
    Ok(pb::DisplacementResponse { distance: path.summary().displacement as f32 })
}

async fn compute_path_length(
    request: Request<Body>,
    limits: StreamLimits,
) -> Result<pb::PathLengthResponse, RpcError> {
    let path = fold_points(request, &limits, Metric::Planar, AxisOrder::XY).await?;
    let summary = path.summary();
    Ok(pb::PathLengthResponse {
        length: summary.length,
        point_count: summary.point_count,
        displacement: summary.displacement,
    })
}
