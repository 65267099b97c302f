//! `routeguide.RouteGuide`: the client-streaming method of the gRPC quick start.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::{Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tower_service::Service;

use super::fold::{AxisOrder, fold_points};
use super::limits::StreamLimits;
use super::method::{self, ResponseFuture};
use super::status::RpcError;
use crate::contract::method::RECORD_ROUTE;
use crate::measure::Metric;
use crate::proto::routeguide as pb;

/// Measures routes on the mean sphere, in metres.
#[derive(Clone, Debug, Default)]
pub struct RouteGuide {
    limits: StreamLimits,
}

impl RouteGuide {
    /// Returns the service with limits for its streams.
    pub fn new(limits: StreamLimits) -> Self {
        Self { limits }
    }
}

impl tonic::server::NamedService for RouteGuide {
    const NAME: &'static str = "routeguide.RouteGuide";
}

impl Service<Request<Body>> for RouteGuide {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        let limits = self.limits;
        match request.uri().path() {
            RECORD_ROUTE => method::respond(record_route(request, limits)),
            path => method::unknown(path),
        }
    }
}

async fn record_route(
    request: Request<Body>,
    limits: StreamLimits,
) -> Result<pb::RouteSummary, RpcError> {
    let started = Instant::now();
    let axes = AxisOrder::LatitudeLongitude;
    let path = fold_points(request, &limits, Metric::Haversine, axes).await?;
    let summary = path.summary();
    Ok(pb::RouteSummary {
        point_count: to_int32("point count", summary.point_count as f64)?,
        feature_count: 0,
        distance: to_int32("distance in metres", summary.length.round())?,
        elapsed_time: to_int32("elapsed time in seconds", started.elapsed().as_secs() as f64)?,
    })
}

/// Converts a whole number to the `int32` of the reply.
///
/// # Errors
/// If it is out of range.
fn to_int32(what: &'static str, value: f64) -> Result<i32, RpcError> {
    if value <= f64::from(i32::MAX) {
        Ok(value as i32) // The value is whole and not negative.
    } else {
        Err(RpcError::ReplyRange { what, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_above_the_range_of_int32_is_an_error() {
        assert_eq!(to_int32("distance in metres", 2_147_483_647.0), Ok(i32::MAX));
        insta::assert_snapshot!(
            to_int32("distance in metres", 2_147_483_648.0).unwrap_err(),
            @"the distance in metres 2147483648 does not fit the int32 of the reply"
        );
    }
}
