//! `PathSummary` of the contract to and from [`PathSummary`].
//!
//! Geographic paths use the fields with a unit, planar paths the fields without one.

use prost_types::Duration;

use super::options;
pub use super::summary_error::SummaryError;
use super::time::{duration, duration_ns};
use super::{trips, unused, windows};
use crate::measure::{
    Bounds, EstimatedLength, Options, PathSummary, Rejection, RejectionReason, Space,
    WindowSummary, WindowsSummary,
};
use crate::proto::waywiser_v1 as pb;

/// Converts a summary into a message.
pub(crate) fn to_message(options: &Options, summary: &PathSummary) -> pb::PathSummary {
    let space = options.metric().space();
    let is_planar = space == Space::Planar;
    let in_metres = |value: Option<f64>| value.filter(|_| !is_planar);
    let in_units = |value: Option<f64>| value.filter(|_| is_planar);
    let path_windows = summary.windows.as_ref();
    let undated_length = path_windows
        .filter(|windows| !windows.is_dropped)
        .map(|windows| windows.undated_length.to_f64());
    let rejection = |rejection: &Rejection| pb::Rejection {
        reason: reason_to_message(rejection.reason).into(),
        count: rejection.count,
        first_offset: rejection.first_offset,
        rejected_length_m: in_metres(Some(rejection.rejected_length)),
        rejected_length: in_units(Some(rejection.rejected_length)),
    };
    let window = |window: &WindowSummary| windows::to_message(window, space);
    let bounds =
        |Bounds { min_x, min_y, max_x, max_y }| pb::BoundingBox { min_x, min_y, max_x, max_y };
    pb::PathSummary {
        options: Some(options::to_message(options)),
        point_count: summary.point_count,
        accepted_count: summary.accepted_count,
        segment_count: summary.segment_count,
        length_m: in_metres(Some(summary.length)),
        raw_length_m: in_metres(Some(summary.raw_length)),
        length_3d_m: in_metres(summary.length_3d),
        displacement_m: in_metres(Some(summary.displacement)),
        length: in_units(Some(summary.length)),
        raw_length: in_units(Some(summary.raw_length)),
        length_3d: in_units(summary.length_3d),
        displacement: in_units(Some(summary.displacement)),
        rejections: summary.rejections.iter().map(rejection).collect(),
        elapsed_time: summary.elapsed_ns.map(long_duration),
        moving_time: summary.moving_ns.map(long_duration),
        max_speed_mps: in_metres(summary.max_speed),
        max_speed: in_units(summary.max_speed),
        ascent_m: in_metres(summary.ascent),
        descent_m: in_metres(summary.descent),
        ascent: in_units(summary.ascent),
        descent: in_units(summary.descent),
        bounds: summary.bounds.map(bounds),
        gap_length_m: in_metres(Some(summary.gap_length)),
        gap_length: in_units(Some(summary.gap_length)),
        climb_threshold_m: in_metres(summary.climb_threshold),
        climb_threshold: in_units(summary.climb_threshold),
        raw_ascent_m: in_metres(summary.raw_ascent),
        raw_descent_m: in_metres(summary.raw_descent),
        raw_ascent: in_units(summary.raw_ascent),
        raw_descent: in_units(summary.raw_descent),
        estimated_length_m: summary.estimate.map(|estimate| estimate.length_m),
        estimated_length_low_m: summary.estimate.map(|estimate| estimate.low_m),
        estimated_length_high_m: summary.estimate.map(|estimate| estimate.high_m),
        trips: summary.trips.as_ref().map(trips::to_message),
        unused_options: summary
            .unused_options
            .iter()
            .map(|o| unused::to_message(o, space))
            .collect(),
        windows: path_windows.iter().flat_map(|windows| &windows.windows).map(window).collect(),
        earlier_windows: path_windows.and_then(|windows| windows.earlier.as_ref()).map(window),
        undated_length_m: in_metres(undated_length),
        undated_length: in_units(undated_length),
        undated_point_count: path_windows.map_or(0, |windows| windows.undated_point_count),
        windows_dropped: path_windows.is_some_and(|windows| windows.is_dropped),
    }
}

/// Reads a summary.
///
/// # Errors
/// A required field is missing, or a value is unknown or out of range.
pub(crate) fn from_message(message: &pb::PathSummary) -> Result<PathSummary, SummaryError> {
    let model = message.options.as_ref().map_or(0, |options| options.model);
    let metric = options::metric(model).ok_or(SummaryError::Model(model))?;
    let is_planar = metric.space() == Space::Planar;
    let either = |metres: Option<f64>, units: Option<f64>| if is_planar { units } else { metres };
    let length = |metres, units, name| either(metres, units).ok_or(SummaryError::Missing(name));
    let time = |time: &Option<Duration>, name| match time {
        None => Ok(None),
        Some(time) => match duration_ns(time) {
            None => Err(SummaryError::Duration(name)),
            Some(ns) => Ok(Some(u128::from(ns))),
        },
    };
    let rejection = |message: &pb::Rejection| {
        Ok(Rejection {
            reason: reason_from_message(message.reason)?,
            count: message.count,
            first_offset: message.first_offset,
            rejected_length: either(message.rejected_length_m, message.rejected_length)
                .unwrap_or_default(),
        })
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
        rejections: message
            .rejections
            .iter()
            .map(rejection)
            .collect::<Result<_, SummaryError>>()?,
        elapsed_ns: time(&message.elapsed_time, "elapsed time")?,
        moving_ns: time(&message.moving_time, "moving time")?,
        max_speed: either(message.max_speed_mps, message.max_speed),
        ascent: either(message.ascent_m, message.ascent),
        descent: either(message.descent_m, message.descent),
        bounds: message.bounds.map(|bounds| Bounds {
            min_x: bounds.min_x,
            min_y: bounds.min_y,
            max_x: bounds.max_x,
            max_y: bounds.max_y,
        }),
        gap_length: either(message.gap_length_m, message.gap_length).unwrap_or_default(),
        climb_threshold: either(message.climb_threshold_m, message.climb_threshold),
        raw_ascent: either(message.raw_ascent_m, message.raw_ascent),
        raw_descent: either(message.raw_descent_m, message.raw_descent),
        estimate: estimate(message),
        trips: message.trips.as_ref().map(trips::from_message).transpose()?,
        windows: windows(message)?,
        unused_options: message.unused_options.iter().filter_map(unused::from_message).collect(),
    })
}

/// Reads the windows, if the options have windows.
fn windows(message: &pb::PathSummary) -> Result<Option<WindowsSummary>, SummaryError> {
    let options = message.options.as_ref().and_then(|options| options.windows.as_ref());
    let Some(options) = options else { return Ok(None) };
    let options =
        windows::options_from_message(options).map_err(|(field, _)| SummaryError::Option(field))?;
    windows::from_message(message, options).map(Some)
}

fn estimate(message: &pb::PathSummary) -> Option<EstimatedLength> {
    Some(EstimatedLength {
        length_m: message.estimated_length_m?,
        low_m: message.estimated_length_low_m?,
        high_m: message.estimated_length_high_m?,
    })
}

/// Converts the duration of one path. It is below 584 years, the range of the times of fixes.
fn long_duration(ns: u128) -> Duration {
    duration(u64::try_from(ns).unwrap_or(u64::MAX))
}

fn reason_to_message(reason: RejectionReason) -> pb::RejectionReason {
    match reason {
        RejectionReason::BackwardTime => pb::RejectionReason::BackwardTime,
        RejectionReason::Accuracy => pb::RejectionReason::Accuracy,
        RejectionReason::Speed => pb::RejectionReason::Speed,
        RejectionReason::Step => pb::RejectionReason::Step,
        RejectionReason::InvalidPosition => pb::RejectionReason::InvalidPosition,
        RejectionReason::Late => pb::RejectionReason::Late,
        RejectionReason::ZeroPosition => pb::RejectionReason::ZeroPosition,
        RejectionReason::Duplicate => pb::RejectionReason::Duplicate,
    }
}

fn reason_from_message(reason: i32) -> Result<RejectionReason, SummaryError> {
    match pb::RejectionReason::try_from(reason) {
        Ok(pb::RejectionReason::BackwardTime) => Ok(RejectionReason::BackwardTime),
        Ok(pb::RejectionReason::Accuracy) => Ok(RejectionReason::Accuracy),
        Ok(pb::RejectionReason::Speed) => Ok(RejectionReason::Speed),
        Ok(pb::RejectionReason::Step) => Ok(RejectionReason::Step),
        Ok(pb::RejectionReason::InvalidPosition) => Ok(RejectionReason::InvalidPosition),
        Ok(pb::RejectionReason::Late) => Ok(RejectionReason::Late),
        Ok(pb::RejectionReason::ZeroPosition) => Ok(RejectionReason::ZeroPosition),
        Ok(pb::RejectionReason::Duplicate) => Ok(RejectionReason::Duplicate),
        Ok(pb::RejectionReason::Unspecified) | Err(_) => Err(SummaryError::RejectionReason(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Metric, MissingData, UnusedOption};

    fn full(metric: Metric) -> PathSummary {
        let rejection = |(index, reason)| Rejection {
            reason,
            count: index,
            first_offset: 2 * index,
            rejected_length: index as f64 / 3.0,
        };
        let reasons = [
            RejectionReason::BackwardTime,
            RejectionReason::Accuracy,
            RejectionReason::Speed,
            RejectionReason::Step,
            RejectionReason::InvalidPosition,
            RejectionReason::Late,
            RejectionReason::ZeroPosition,
            RejectionReason::Duplicate,
        ];
        PathSummary {
            metric,
            point_count: 9,
            accepted_count: 8,
            segment_count: 7,
            length: 6.5,
            raw_length: 7.5,
            length_3d: Some(8.5),
            displacement: 3.25,
            rejections: (1..).zip(reasons).map(rejection).collect(),
            elapsed_ns: Some(u64::MAX.into()),
            moving_ns: Some(0),
            max_speed: Some(4.5),
            ascent: Some(1.5),
            descent: Some(2.5),
            bounds: Some(Bounds { min_x: 1.0, min_y: 2.0, max_x: 3.0, max_y: 4.0 }),
            gap_length: -0.5,
            climb_threshold: Some(3.5),
            raw_ascent: Some(10.5),
            raw_descent: Some(11.5),
            estimate: Some(EstimatedLength { length_m: 6.25, low_m: 6.0, high_m: 6.75 }),
            trips: Some(trips::tests::full()),
            windows: Some(windows::tests::full()),
            unused_options: vec![
                UnusedOption { option: "max_speed", missing: MissingData::Time },
                UnusedOption { option: "max_accuracy_m", missing: MissingData::Accuracy },
            ],
        }
    }

    #[test]
    fn a_summary_survives_a_round_trip() {
        for metric in [Metric::Geodesic, Metric::Haversine, Metric::Planar] {
            let least = PathSummary {
                length_3d: None,
                rejections: Vec::new(),
                elapsed_ns: None,
                moving_ns: None,
                max_speed: None,
                ascent: None,
                descent: None,
                bounds: None,
                climb_threshold: None,
                raw_ascent: None,
                raw_descent: None,
                estimate: None,
                trips: None,
                windows: None,
                unused_options: Vec::new(),
                ..full(metric)
            };
            for summary in [full(metric), least] {
                let windows = summary.windows.as_ref().map(|windows| windows.options);
                let options = Options::builder(metric).windows(windows).build().unwrap();
                let message = to_message(&options, &summary);
                assert_eq!(from_message(&message).unwrap(), summary);
                // Of each pair of fields, one is set.
                assert_eq!(message.length.is_some(), metric == Metric::Planar);
                assert_eq!(message.length_m.is_some(), metric != Metric::Planar);
            }
        }
    }

    #[test]
    fn an_invalid_summary_is_refused() {
        let good = || to_message(&Options::new(Metric::Planar), &full(Metric::Planar));
        let error = |edit: fn(&mut pb::PathSummary)| {
            let mut message = good();
            edit(&mut message);
            from_message(&message).unwrap_err().to_string()
        };
        insta::assert_snapshot!(error(|message| message.length = None), @"its summary has no length");
        insta::assert_snapshot!(
            error(|message| message.rejections[1].reason = 77),
            @"its summary has the unknown rejection reason 77"
        );
        insta::assert_snapshot!(
            error(|message| message.elapsed_time = Some(Duration { seconds: -1, nanos: 0 })),
            @"the elapsed time of its summary is not a duration from 0 s to 584 years"
        );
        insta::assert_snapshot!(
            error(|message| message.options = Some(pb::PathOptions { model: 9, ..Default::default() })),
            @"its summary has the unknown model 9"
        );
    }
}
