//! Between the messages of `waywiser.v1` and what a program has: options out, recordings in.
//!
//! The server has its own side of this; the two meet in the contract alone. It calls nobody.

use prost_types::{Duration, Timestamp};

use super::ClientError;
use super::paths::StoredPath;
use crate::measure::{
    Bounds, Elevation, Metric, Options, PathSummary, Rejection, RejectionReason, Space,
};
use crate::proto::waywiser_v1 as pb;

const NS_PER_S: u64 = 1_000_000_000;

/// Options as the contract has them, defaults filled in.
pub(super) fn options_message(options: &Options) -> pb::PathOptions {
    let is_planar = options.metric().space() == Space::Planar;
    let pair = |value: Option<f64>| match (is_planar, value.unwrap_or_default()) {
        (false, value) => (value, 0.0),
        (true, value) => (0.0, value),
    };
    let model = match options.metric() {
        Metric::Geodesic => pb::Model::Wgs84Geodesic,
        Metric::Haversine => pb::Model::SphereHaversine,
        Metric::Planar => pb::Model::Planar,
    };
    let elevation_mode = match options.elevation() {
        Elevation::Ignored => pb::ElevationMode::Ignored,
        Elevation::ThreeDimensional => pb::ElevationMode::ThreeDimensional,
    };
    let (max_gap_m, max_gap) = pair(options.max_gap());
    let (max_speed_mps, max_speed) = pair(options.max_speed());
    let (min_step_m, min_step) = pair(options.min_step());
    let (stopped_speed_mps, stopped_speed) = pair(options.stopped_speed());
    pb::PathOptions {
        model: model.into(),
        elevation_mode: elevation_mode.into(),
        xy_resolution: options.xy_resolution(),
        z_resolution: options.z_resolution(),
        max_gap_time: options.max_gap_time_ns().map(|ns| Duration {
            // Both fit: 2^64 ns are 584 years, and a rest is below 10^9.
            seconds: (ns / NS_PER_S) as i64,
            nanos: (ns % NS_PER_S) as i32,
        }),
        max_gap_m,
        max_gap,
        max_speed_mps,
        max_speed,
        reanchor_count: options.reanchor_count(),
        min_step_m,
        min_step,
        max_accuracy_m: options.max_accuracy_m().unwrap_or_default(),
        reject_backward_time: options.reject_backward_time(),
        stopped_speed_mps,
        stopped_speed,
    }
}

/// A recording.
pub(super) fn stored_path(path: pb::Path) -> Result<StoredPath, ClientError> {
    Ok(StoredPath {
        name: path.name,
        is_complete: path.complete,
        committed_points: path.committed_points,
        options: path.summary.as_ref().and_then(|summary| summary.options),
        summary: path.summary.map(summary).transpose()?,
        create_unix_ms: path.create_time.map(unix_ms),
        update_unix_ms: path.update_time.map(unix_ms),
        expire_unix_ms: path.expire_time.map(unix_ms),
    })
}

/// A summary of either space.
pub(super) fn summary(message: pb::PathSummary) -> Result<PathSummary, ClientError> {
    let model = message.options.as_ref().map_or(0, |options| options.model);
    let metric = match pb::Model::try_from(model) {
        Ok(pb::Model::Unspecified) => Options::default().metric(),
        Ok(pb::Model::Wgs84Geodesic) => Metric::Geodesic,
        Ok(pb::Model::SphereHaversine) => Metric::Haversine,
        Ok(pb::Model::Planar) => Metric::Planar,
        Err(_) => return Err(reply(format!("it has the unknown model {model}"))),
    };
    let is_planar = metric.space() == Space::Planar;
    let either = |metres: Option<f64>, units: Option<f64>| if is_planar { units } else { metres };
    let length = |metres, units, name: &str| {
        either(metres, units).ok_or_else(|| reply(format!("its summary has no {name}")))
    };
    let rejection = |message: &pb::Rejection| {
        let reason = match pb::RejectionReason::try_from(message.reason) {
            Ok(pb::RejectionReason::BackwardTime) => RejectionReason::BackwardTime,
            Ok(pb::RejectionReason::Accuracy) => RejectionReason::Accuracy,
            Ok(pb::RejectionReason::Speed) => RejectionReason::Speed,
            Ok(pb::RejectionReason::Step) => RejectionReason::Step,
            _ => {
                return Err(reply(format!("it rejects for the unknown reason {}", message.reason)));
            }
        };
        let rejected_length =
            either(message.rejected_length_m, message.rejected_length).unwrap_or_default();
        let (count, first_offset) = (message.count, message.first_offset);
        Ok(Rejection { reason, count, first_offset, rejected_length })
    };
    Ok(PathSummary {
        metric,
        point_count: message.point_count,
        accepted_count: message.accepted_count,
        segment_count: message.segment_count,
        length: length(message.length_m, message.length, "length")?,
        raw_length: length(message.raw_length_m, message.raw_length, "raw length")?,
        length_3d: either(message.length_3d_m, message.length_3d),
        displacement: length(message.displacement_m, message.displacement, "displacement")?,
        rejections: message.rejections.iter().map(rejection).collect::<Result<_, _>>()?,
        elapsed_ns: message.elapsed_time.map(ns),
        moving_ns: message.moving_time.map(ns),
        max_speed: either(message.max_speed_mps, message.max_speed),
        ascent: either(message.ascent_m, message.ascent),
        descent: either(message.descent_m, message.descent),
        bounds: message.bounds.map(|bounds| Bounds {
            min_x: bounds.min_x,
            min_y: bounds.min_y,
            max_x: bounds.max_x,
            max_y: bounds.max_y,
        }),
    })
}

pub(super) fn reply(what: String) -> ClientError {
    ClientError::Reply(what)
}

fn ns(time: Duration) -> u64 {
    let seconds = u64::try_from(time.seconds).unwrap_or_default();
    seconds.saturating_mul(NS_PER_S).saturating_add(u64::try_from(time.nanos).unwrap_or_default())
}

fn unix_ms(time: Timestamp) -> i64 {
    time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos) / 1_000_000)
}
