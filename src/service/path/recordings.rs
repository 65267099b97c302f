//! The unary methods: a distance, and the housekeeping of recordings.

use std::sync::Arc;

use super::convert::{metric, path_message};
use super::fold::fix;
use super::record::path_name;
use super::shared::{Shared, has_expired};
use super::watch::not_found;
use crate::checkpoint::StoreError;
use crate::measure::Space;
use crate::proto::waywiser_v1 as pb;
use crate::service::status::RpcError;
use crate::service::violation::FieldViolation;
use crate::wire::Row;

const PAGE_SIZE: usize = 50;
const PAGE_SIZE_MAX: usize = 1000;

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
        Ok::<_, FieldViolation>(fix(metric.space(), &row, &at)?.point())
    };
    let ends = (point(&request.start, "start")?, point(&request.end, "end")?);
    // Both are of the metric's space.
    let distance = metric.between(ends.0, ends.1);
    let is_planar = metric.space() == Space::Planar;
    Ok(pb::ComputeDisplacementResponse {
        displacement_m: distance.filter(|_| !is_planar),
        displacement: distance.filter(|_| is_planar),
    })
}

pub(super) async fn path(
    shared: Arc<Shared>,
    request: pb::GetPathRequest,
) -> Result<pb::GetPathResponse, RpcError> {
    let name = path_name(&request.name)?;
    let checkpoint = shared.stored(&name).await?.ok_or_else(|| not_found(&name))?;
    Ok(pb::GetPathResponse { path: Some(path_message(&name, &checkpoint)) })
}

pub(super) async fn delete_path(
    shared: Arc<Shared>,
    request: pb::DeletePathRequest,
) -> Result<pb::DeletePathResponse, RpcError> {
    let name = path_name(&request.name)?;
    let was_there = shared.delete(&name).await?;
    match was_there || request.allow_missing {
        true => Ok(pb::DeletePathResponse {}),
        false => Err(not_found(&name)),
    }
}

pub(super) async fn list_paths(
    shared: Arc<Shared>,
    request: pb::ListPathsRequest,
) -> Result<pb::ListPathsResponse, RpcError> {
    let page_size = match usize::try_from(request.page_size) {
        Ok(0) => PAGE_SIZE,
        Ok(size) => size.min(PAGE_SIZE_MAX),
        Err(_) => {
            let text = format!("{} is negative; 0 is {PAGE_SIZE}", request.page_size);
            return Err(FieldViolation::new("page_size", text).into());
        }
    };
    // The token is the last name of the page before: it stays right whatever is added and deleted.
    let after = match request.page_token.as_str() {
        "" => None,
        token => Some(token.parse().map_err(|_| {
            let text = "it is none of ours; send the next_page_token of the page before as it is";
            FieldViolation::new("page_token", text)
        })?),
    };
    // One more, which tells whether there is another page.
    let page = shared.store.list(after, page_size + 1);
    let late = || Err(StoreError::Unknown("it did not answer in time".to_owned()));
    let page = tokio::time::timeout(shared.store_time, page).await.unwrap_or_else(|_| late());
    let mut page = page.map_err(|error| RpcError::Store {
        name: "paths".to_owned(),
        error,
        committed_points: None,
    })?;
    let has_more = page.len() > page_size;
    page.truncate(page_size);
    let last = page.last().filter(|_| has_more);
    let next_page_token = last.map(|(name, _)| name.to_string()).unwrap_or_default();
    let paths = page.iter().filter_map(|(name, stored)| match stored {
        Ok(checkpoint) => (!has_expired(checkpoint)).then(|| path_message(name, checkpoint)),
        // It does not hide the others; GetPath says what is the matter with it.
        Err(error) => {
            tracing::warn!(%name, %error, "a recording cannot be read");
            Some(pb::Path { name: name.to_string(), ..Default::default() })
        }
    });
    Ok(pb::ListPathsResponse { paths: paths.collect(), next_page_token })
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
            .between(
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
