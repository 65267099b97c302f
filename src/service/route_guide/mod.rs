//! `routeguide.RouteGuide`: the service of the RouteGuide tutorial of gRPC.
//!
//! `features` has the named places, `notes` the notes of RouteChat, and `chat` that method. `place` is their key.

mod chat;
mod features;
mod notes;
mod place;

use std::sync::Arc;

use futures::stream::{self, Stream};
use http::Request;
use tokio::time::Instant;
use tonic::body::Body;

use self::features::Area;
use self::notes::Notes;
use self::place::Place;
use super::fold::{AxisOrder, PointObserver, fold_observed_points, fold_points};
use super::limits::StreamLimits;
use super::method::{self, ResponseFuture};
use super::progress::Progress;
use super::status::RpcError;
use super::work::Work;
use crate::contract::method::route_guide as methods;
use crate::measure::Metric;
use crate::proto::routeguide as pb;

pub use self::features::{Feature, FeatureError, Features};

/// Measures routes on the mean sphere, in metres, and looks up named places.
#[derive(Clone, Debug, Default)]
pub struct RouteGuide {
    limits: StreamLimits,
    features: Arc<Features>,
    notes: Arc<Notes>,
}

impl RouteGuide {
    /// Returns the service with limits for its streams, without features and notes.
    pub fn new(limits: StreamLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Sets the features.
    #[must_use]
    pub fn with_features(self, features: Arc<Features>) -> Self {
        Self { features, ..self }
    }
}

method::implement_service!(RouteGuide, "routeguide.RouteGuide");

impl RouteGuide {
    fn answer(&self, request: Request<Body>) -> ResponseFuture {
        let limits = self.limits;
        let features = Arc::clone(&self.features);
        match request.uri().path() {
            methods::GET_FEATURE => method::respond(async move {
                feature_at(&features, method::request(request, &limits).await?)
            }),
            methods::LIST_FEATURES => method::respond_stream(async move {
                let progress = request.extensions().get::<Arc<Progress>>().cloned();
                let work = Work::of_call(progress.unwrap_or_default());
                let area = Area::new(method::request(request, &limits).await?);
                Ok(features_in(features, area, work))
            }),
            methods::RECORD_ROUTE => method::respond(record_route(request, limits, features)),
            methods::ROUTE_CHAT => {
                let notes = Arc::clone(&self.notes);
                method::respond_stream(async move { chat::chat(request, limits, notes) })
            }
            path => method::unknown(path),
        }
    }
}

/// Returns the feature at a point. Without one, returns the point with an empty name.
fn feature_at(features: &Features, point: pb::Point) -> Result<pb::Feature, RpcError> {
    let place =
        Place::of_message(Some(point)).map_err(|error| RpcError::Point { index: 0, error })?;
    let unnamed = || pb::Feature { name: String::new(), location: Some(point) };
    Ok(features.at(place).cloned().unwrap_or_else(unnamed))
}

/// Returns the features of an area, one after another.
fn features_in(
    features: Arc<Features>,
    area: Area,
    work: Work,
) -> impl Stream<Item = Result<pb::Feature, RpcError>> + Send {
    stream::unfold((features, 0, work), move |(features, next, mut work)| async move {
        work.pause_if_spent().await;
        let (feature, after) = features.next_in(&area, next)?;
        let feature = feature.clone();
        work.add_answer();
        work.add_lookups(after - next);
        Some((Ok(feature), (features, after, work)))
    })
}

/// Counts the points of a route that have a feature.
struct FeatureCount {
    features: Arc<Features>,
    count: u64,
}

impl PointObserver for FeatureCount {
    fn observe(&mut self, latitudes: &[i32], longitudes: &[i32], work: &mut Work) {
        work.add_lookups(latitudes.len());
        self.count += self.features.count(latitudes, longitudes);
    }
}

async fn record_route(
    request: Request<Body>,
    limits: StreamLimits,
    features: Arc<Features>,
) -> Result<pb::RouteSummary, RpcError> {
    let started = Instant::now();
    let axes = AxisOrder::LatitudeLongitude;
    let (path, feature_count) = if features.is_empty() {
        (fold_points(request, &limits, Metric::Haversine, axes).await?, 0)
    } else {
        let count = FeatureCount { features, count: 0 };
        let folded = fold_observed_points(request, &limits, Metric::Haversine, axes, count).await;
        let (path, FeatureCount { count, .. }) = folded?;
        (path, count)
    };
    let summary = path.summary();
    Ok(pb::RouteSummary {
        point_count: to_int32("point count", summary.point_count as f64)?,
        feature_count: to_int32("feature count", feature_count as f64)?,
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
