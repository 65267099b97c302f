//! The unary methods about one distance or one recording.

use std::sync::Arc;

use super::convert::{metric, path_message};
use super::fix::fix;
use super::scope::Scope;
use super::shared::Shared;
use super::watch::not_found;
use crate::measure::Space;
use crate::proto::waywiser_v1 as pb;
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, MessageRef};
use crate::wire::Row;

pub(super) fn compute_displacement(
    request: &pb::ComputeDisplacementRequest,
) -> Result<pb::ComputeDisplacementResponse, RpcError> {
    let metric = metric(request.model, "model")?;
    let point = |point: &Option<pb::Point>, at: &str| {
        let row = point.as_ref().map_or_else(Row::default, |point| Row {
            x: point.x,
            y: point.y,
            z: point.z,
            time: point.time.as_ref().map(|time| (time.seconds, time.nanos)),
            accuracy_m: point.accuracy_m,
            starts_segment: point.starts_segment,
        });
        Ok::<_, FieldViolation>(fix(metric.space(), &row, false, &at)?.point())
    };
    let ends = (point(&request.start, "start")?, point(&request.end, "end")?);
    // Both points are in the space of the metric, so there is a distance.
    let distance = ends.0.zip(ends.1).and_then(|(start, end)| metric.distance(start, end));
    let is_planar = metric.space() == Space::Planar;
    Ok(pb::ComputeDisplacementResponse {
        displacement_m: distance.filter(|_| !is_planar),
        displacement: distance.filter(|_| is_planar),
    })
}

pub(super) async fn path(
    shared: Arc<Shared>,
    scope: &Scope,
    request: pb::GetPathRequest,
) -> Result<pb::GetPathResponse, RpcError> {
    let name = scope.name(&request.name, MessageRef::Request)?;
    let checkpoint = shared.stored(&name).await?.ok_or_else(|| not_found(&name))?;
    let recent_points = match request.include_recent_points {
        true => shared.recent.rows(&name.stored, &checkpoint, 0),
        false => Vec::new(),
    };
    Ok(pb::GetPathResponse { path: Some(path_message(&name, &checkpoint)), recent_points })
}

pub(super) async fn delete_path(
    shared: Arc<Shared>,
    scope: &Scope,
    request: pb::DeletePathRequest,
) -> Result<pb::DeletePathResponse, RpcError> {
    scope.check_writer()?;
    let name = scope.name(&request.name, MessageRef::Request)?;
    let was_there = shared.delete(&name).await?;
    match was_there || request.allow_missing {
        true => Ok(pb::DeletePathResponse {}),
        false => Err(not_found(&name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Metric;

    #[test]
    fn a_distance_is_in_the_unit_of_its_model() {
        let point = |x, y| Some(pb::Point { x, y, ..Default::default() });
        let mut request = pb::ComputeDisplacementRequest {
            start: point(1.0, 1.0),
            end: point(4.0, 5.0),
            model: 3,
        };
        let reply = compute_displacement(&request).unwrap();
        assert_eq!((reply.displacement, reply.displacement_m), (Some(5.0), None));
        request.model = 0;
        let reply = compute_displacement(&request).unwrap();
        assert_eq!(reply.displacement, None);
        let expected = Metric::Geodesic
            .distance(
                crate::measure::Point::geographic(1.0, 1.0).unwrap(),
                crate::measure::Point::geographic(5.0, 4.0).unwrap(),
            )
            .unwrap();
        assert_eq!(reply.displacement_m.map(f64::to_bits), Some(expected.to_bits()));
        request.end = point(0.0, f64::NAN);
        insta::assert_snapshot!(
            compute_displacement(&request).unwrap_err(),
            @"end.y: latitude NaN is not a finite number"
        );
    }
}
