//! Encodes whole paths as messages of `RecordPath` in advance, and reads the replies.
//!
//! The first message has the name and no points, because the name belongs to one stream. All other messages are the
//! same for every stream.

use bytes::{Bytes, BytesMut};
use prost::Message as _;

use crate::client::ClientError;
use crate::client::method::only_message;
use crate::contract::{frame, options, points, summary};
use crate::measure::{Fix, Options};
use crate::proto::waywiser_v1 as pb;
use crate::recording::RecordingName;

/// The encoding of the points of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Rows,
    /// Whole multiples of the options' resolutions. A message with a point that is not such a multiple has rows.
    Columns,
}

/// The format of the messages of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Form {
    pub options: Options,
    pub layout: Layout,
    /// Must be at least 1.
    pub points_per_message: usize,
}

/// The reply of `RecordPath`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Answer {
    pub is_complete: bool,
    pub committed_points: u64,
    /// The number of points of the stream that were already durable.
    pub skipped_points: u64,
    /// The number of points in the summary.
    pub point_count: u64,
    pub length: f64,
}

impl Form {
    /// Encodes the first message: the options, and the name of a recording.
    pub(crate) fn opening(&self, name: Option<&RecordingName>) -> Bytes {
        let mut bytes = BytesMut::new();
        let message = pb::RecordPathRequest {
            name: name.map(RecordingName::to_string).unwrap_or_default(),
            options: Some(options::to_message(&self.options)),
            ..Default::default()
        };
        frame::append(&message, &mut bytes);
        bytes.freeze()
    }

    /// Encodes all other messages of a path without a name. They have no offsets, so that they can be sent repeatedly.
    pub(crate) fn anonymous(&self, fixes: &[Fix]) -> Bytes {
        let mut bytes = BytesMut::new();
        for fixes in fixes.chunks(self.points_per_message.max(1)) {
            frame::append(&self.message(fixes), &mut bytes);
        }
        bytes.freeze()
    }

    /// Encodes all other messages of a recording, with their offsets. The last one finishes it. Returns `None` if the
    /// messages have more than `bytes_max` bytes.
    pub(crate) fn recording(
        &self,
        fixes: impl IntoIterator<Item = Fix>,
        bytes_max: usize,
    ) -> Option<Bytes> {
        let mut bytes = BytesMut::new();
        let mut fixes = fixes.into_iter().peekable();
        let mut offset = 0;
        loop {
            let batch: Vec<_> = fixes.by_ref().take(self.points_per_message.max(1)).collect();
            let finish_write = fixes.peek().is_none();
            let message = self.message(&batch);
            let write_offset = Some(offset);
            frame::append(
                &pb::RecordPathRequest { write_offset, finish_write, ..message },
                &mut bytes,
            );
            if bytes.len() > bytes_max {
                return None;
            }
            if finish_write {
                return Some(bytes.freeze());
            }
            offset += batch.len() as u64;
        }
    }

    fn message(&self, fixes: &[Fix]) -> pb::RecordPathRequest {
        let points = match self.layout {
            Layout::Rows => points::rows(fixes),
            Layout::Columns => points::points(fixes, &self.options),
        };
        let points::MessagePoints { rows, columns } = points;
        pb::RecordPathRequest { points: rows, columns, ..Default::default() }
    }
}

/// Reads the reply of `RecordPath`.
///
/// # Errors
/// The reply is not one message of the method.
pub(crate) fn answer(frame: Bytes) -> Result<Answer, ClientError> {
    let message = pb::RecordPathResponse::decode(only_message(frame)?)?;
    let summary = message.summary.ok_or_else(|| ClientError::reply("it has no summary"))?;
    let summary = summary::from_message(&summary)?;
    Ok(Answer {
        is_complete: message.complete,
        committed_points: message.committed_points,
        skipped_points: message.skipped_points,
        point_count: summary.point_count,
        length: summary.length,
    })
}

/// Encodes a request of `DeletePath` for a recording that may not exist.
pub(crate) fn deletion(name: &RecordingName) -> Bytes {
    let mut bytes = BytesMut::new();
    frame::append(
        &pb::DeletePathRequest { name: name.to_string(), allow_missing: true },
        &mut bytes,
    );
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use bytes::Buf as _;

    use super::*;
    use crate::measure::{Metric, Point};

    fn fixes(count: i32) -> Vec<Fix> {
        let point = |i| Point::from_e7(460_000_000 + 700 * i, 130_000_000 - 1_000 * i).unwrap();
        let fix = |i| Fix::new(point(i)).at_unix_ns(i64::from(i) * 1_000_000_000).unwrap();
        (0..count).map(fix).collect()
    }

    fn form(layout: Layout) -> Form {
        Form { options: Options::new(Metric::Geodesic), layout, points_per_message: 4 }
    }

    fn messages(mut bytes: Bytes) -> Vec<pb::RecordPathRequest> {
        let mut messages = Vec::new();
        while bytes.has_remaining() {
            assert_eq!(bytes.get_u8(), 0);
            let len = bytes.get_u32() as usize;
            messages.push(pb::RecordPathRequest::decode(bytes.split_to(len)).unwrap());
        }
        messages
    }

    /// Returns the longitude, latitude and time of each point of a message, in 1e-7 degree and milliseconds.
    fn read(message: &pb::RecordPathRequest) -> Vec<(i64, i64, i64)> {
        if let Some(columns) = &message.columns {
            assert!(message.points.is_empty());
            let sums = |values: &[i64]| {
                let sums = values.iter().scan(0, |sum, value| {
                    *sum += value;
                    Some(*sum)
                });
                sums.collect::<Vec<_>>()
            };
            let (x, y, time) = (sums(&columns.x), sums(&columns.y), sums(&columns.time_ms));
            return x.into_iter().zip(y).zip(time).map(|((x, y), time)| (x, y, time)).collect();
        }
        let e7 = |degrees: f64| (degrees * 1e7).round() as i64;
        let row = |row: &pb::Point| (e7(row.x), e7(row.y), row.time.unwrap().seconds * 1000);
        message.points.iter().map(row).collect()
    }

    #[test]
    fn a_recording_has_each_point_once_and_its_last_message_finishes_it() {
        let expected: Vec<_> =
            (0..9).map(|i| (130_000_000 - 1_000 * i, 460_000_000 + 700 * i, 1000 * i)).collect();
        for layout in [Layout::Rows, Layout::Columns] {
            let messages = messages(form(layout).recording(fixes(9), usize::MAX).unwrap());
            assert_eq!(messages.iter().flat_map(read).collect::<Vec<_>>(), expected);
            let fields: Vec<_> =
                messages.iter().map(|m| (m.write_offset, m.finish_write)).collect();
            assert_eq!(fields, [(Some(0), false), (Some(4), false), (Some(8), true)]);
            for message in &messages {
                assert_eq!((&*message.name, &message.options), ("", &None));
                assert_eq!(message.columns.is_some(), layout == Layout::Columns);
            }
        }
        // The last full message finishes the recording. No message is empty.
        let messages = messages(form(Layout::Columns).recording(fixes(8), usize::MAX).unwrap());
        assert_eq!(messages.iter().map(|m| m.finish_write).collect::<Vec<_>>(), [false, true]);
        assert_eq!(form(Layout::Rows).recording(fixes(9), 100), None);
    }

    #[test]
    fn the_messages_of_an_anonymous_path_have_no_offsets() {
        for layout in [Layout::Rows, Layout::Columns] {
            let messages = messages(form(layout).anonymous(&fixes(9)));
            assert_eq!(messages.iter().map(|m| read(m).len()).collect::<Vec<_>>(), [4, 4, 1]);
            assert!(messages.iter().all(|m| m.write_offset.is_none() && !m.finish_write));
        }
    }

    #[test]
    fn the_first_message_has_the_name_and_the_options_and_no_points() {
        let name: RecordingName = "paths/bench-1".parse().unwrap();
        let [opening] = &messages(form(Layout::Rows).opening(Some(&name)))[..] else { panic!() };
        assert_eq!((&*opening.name, opening.points.len()), ("paths/bench-1", 0));
        assert_eq!(opening.options.as_ref().unwrap().model(), pb::Model::Wgs84Geodesic);
        let [opening] = &messages(form(Layout::Rows).opening(None))[..] else { panic!() };
        assert_eq!(opening.name, "");
    }

    #[test]
    fn a_reply_is_read_with_its_length() {
        let summary = pb::PathSummary {
            point_count: 3,
            length_m: Some(4.5),
            raw_length_m: Some(4.5),
            displacement_m: Some(1.0),
            ..Default::default()
        };
        let message = pb::RecordPathResponse {
            complete: true,
            committed_points: 3,
            skipped_points: 1,
            summary: Some(summary),
            ..Default::default()
        };
        let mut bytes = BytesMut::new();
        frame::append(&message, &mut bytes);
        let (committed_points, skipped_points, point_count) = (3, 1, 3);
        let expected = Answer {
            is_complete: true,
            committed_points,
            skipped_points,
            point_count,
            length: 4.5,
        };
        assert_eq!(answer(bytes.freeze()).unwrap(), expected);
        let nothing = answer(Bytes::from_static(&[0, 0, 0, 0, 0])).unwrap_err().to_string();
        insta::assert_snapshot!(nothing, @"the server's reply is invalid: it has no summary");
    }
}
