//! Passes fixes to the method AppendPoints: the fixes of each device in the order of their times, in messages of limited size.

use std::collections::BTreeMap;

use http::StatusCode;
use prost::Message as _;
use tonic::Code;

use super::Ingest;
use crate::contract::frame;
use crate::contract::method::v1::APPEND_POINTS;
use crate::contract::points::{self, MESSAGE_POINTS_MAX};
use crate::http::call::Replies;
use crate::http::error::ApiError;
use crate::ingest::{self, DeviceFix, Protocol};
use crate::measure::{Fix, Zone};
use crate::proto::waywiser_v1 as pb;
use crate::server::OpenRequest;

/// Maximum number of devices in a request. An app is one device.
const DEVICES_MAX: usize = 16;
/// The fixes of a new recording that wait for earlier ones. An app that sends up to ten requests at the same time, or its
/// newest fix first, is within it.
const REORDER_COUNT: u32 = 64;
/// The most bytes around the bytes of a point: its tag and its length.
const POINT_OVERHEAD_BYTES: usize = 4;

/// Returns the options of new recordings.
pub(super) fn options(zone: Zone) -> pb::PathOptions {
    let windows = pb::WindowOptions {
        unit: pb::WindowUnit::Day.into(),
        time_zone: zone.to_string(),
        max_windows: 0,
        keep_latest: true,
    };
    pb::PathOptions {
        preset: pb::Preset::Phone.into(),
        reorder_count: REORDER_COUNT,
        drop_duplicates: true,
        windows: Some(windows),
        ..Default::default()
    }
}

/// Adds the fixes of each device to its recording. Returns after all of them are durable.
///
/// # Errors
/// The first error, after the other devices. The fixes that are durable then are duplicates when the app sends them again.
pub(super) async fn append(
    protocol: Protocol,
    ingest: &Ingest,
    open: &mut OpenRequest,
    fixes: &[DeviceFix],
) -> Result<(), ApiError> {
    let nameless = open.principal_name().unwrap_or(protocol.name()).to_owned();
    let mut result = Ok(());
    for (device, fixes) in by_device(&nameless, fixes)? {
        // A device that is refused does not block the others of its batch.
        result = result.and(append_to(protocol, ingest, open, device, fixes).await);
    }
    result
}

/// Adds the fixes of a device.
async fn append_to(
    protocol: Protocol,
    ingest: &Ingest,
    open: &mut OpenRequest,
    device: &str,
    mut fixes: Vec<Fix>,
) -> Result<(), ApiError> {
    let id = ingest::recording_id(device).map_err(ingest::Rejection::from)?;
    let mut request = pb::AppendPointsRequest {
        name: format!("paths/{id}"),
        options: Some(ingest.options.clone()),
        ..Default::default()
    };
    // Those of the same time keep their order.
    fixes.sort_by_key(|fix| fix.unix_ns());
    let max_bytes = open.max_message_bytes().saturating_sub(request.encoded_len());
    let mut rows = points::rows(&fixes).rows;
    while !rows.is_empty() {
        let rest = rows.split_off(count(&rows, max_bytes));
        request.points = std::mem::replace(&mut rows, rest);
        let count = request.points.len() as u64;
        open.measured(count).await?;
        let response = open.call(APPEND_POINTS, frame::encode(&request)).await?;
        Replies::of(response, ".waywiser.v1.AppendPointsResponse")?.only().await?;
        ingest.counters.accepted(protocol, count);
    }
    Ok(())
}

/// Returns the number of points at the start that fit into a message. It is at least 1.
fn count(rows: &[pb::Point], max_bytes: usize) -> usize {
    let mut bytes = 0;
    let fits = |row: &&pb::Point| {
        bytes += row.encoded_len() + POINT_OVERHEAD_BYTES;
        bytes <= max_bytes
    };
    rows.iter().take(MESSAGE_POINTS_MAX).take_while(fits).count().max(1)
}

/// Returns the fixes of each device. Those that name no device belong to `nameless`.
///
/// # Errors
/// If there are too many devices.
fn by_device<'a>(
    nameless: &'a str,
    fixes: &'a [DeviceFix],
) -> Result<BTreeMap<&'a str, Vec<Fix>>, ApiError> {
    let mut devices: BTreeMap<&str, Vec<Fix>> = BTreeMap::new();
    for DeviceFix { device, fix } in fixes {
        devices.entry(device.as_deref().unwrap_or(nameless)).or_default().push(*fix);
        if devices.len() > DEVICES_MAX {
            let message = format!("there are points of more than {DEVICES_MAX} devices");
            let (status, code) = (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted);
            let error = ApiError::new(status, code, "INGEST_TOO_LARGE", message);
            return Err(error.into_rejection());
        }
    }
    Ok(devices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::options::from_message;
    use crate::measure::{Point, WindowUnit};

    #[test]
    fn a_new_recording_repeats_nothing_and_has_days() {
        let zone = Zone::parse("europe/ljubljana").unwrap();
        let options = from_message(&options(zone)).unwrap();
        assert!(options.drop_duplicates() && options.estimate().is_some());
        assert_eq!(options.reorder().unwrap().count, 64);
        assert_eq!(options.max_speed(), Some(400.0));
        let windows = options.windows().unwrap();
        assert_eq!((windows.unit, windows.zone), (WindowUnit::Day, zone));
        assert!(windows.keep_latest);
    }

    fn fixes(count: usize, device: impl Fn(usize) -> Option<String>) -> Vec<DeviceFix> {
        let fix = |index: usize| {
            let fix = Fix::new(Point::geographic(46.0, 13.0 + index as f64 * 1e-3).unwrap());
            let fix = fix.at_unix_ns(1_716_200_000_000_000_000 + index as i64).unwrap();
            fix.with_accuracy_m(4.5).unwrap().with_z(-400.123).unwrap()
        };
        (0..count).map(|index| DeviceFix { device: device(index), fix: fix(index) }).collect()
    }

    #[test]
    fn messages_are_within_their_limits() {
        let fixes: Vec<Fix> = fixes(2500, |_| None).iter().map(|fix| fix.fix).collect();
        for (max_bytes, expected) in [(1 << 20, 1000), (64 << 10, 1000), (4096, 60), (0, 1)] {
            let rows = points::rows(&fixes).rows;
            let count = count(&rows, max_bytes);
            let points = rows[..count].to_vec();
            let request = pb::AppendPointsRequest { points, ..Default::default() };
            assert!(request.encoded_len() <= max_bytes || count == 1, "{max_bytes}");
            assert!(count >= expected, "{max_bytes} {count}");
        }
    }

    #[test]
    fn devices_are_separate_and_few() {
        let three = fixes(9, |index| (index % 3 > 0).then(|| format!("d{}", index % 3)));
        let devices = by_device("phone", &three).unwrap();
        let counts: Vec<_> = devices.iter().map(|(name, fixes)| (*name, fixes.len())).collect();
        assert_eq!(counts, [("d1", 3), ("d2", 3), ("phone", 3)]);
        let many = fixes(17, |index| Some(index.to_string()));
        assert!(by_device("phone", &many[..16]).is_ok());
        let error = by_device("phone", &many).unwrap_err();
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
