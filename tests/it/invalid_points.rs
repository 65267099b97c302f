//! Points without a valid position over a real connection: `PathOptions.invalid_points` in every method that takes it.

use futures::StreamExt as _;
use tokio_stream::iter;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use waywiser::client::{Client, PathPart, RecordError};
use waywiser::measure::{Fix, InvalidPoints, Metric, Options, PathSummary, Point, RejectionReason};
use waywiser::proto::waywiser_v1 as pb;

use crate::support::Server;

const NAME: &str = "paths/receiver";

fn options(invalid_points: pb::InvalidPoints) -> pb::PathOptions {
    pb::PathOptions {
        model: pb::Model::Planar.into(),
        invalid_points: invalid_points.into(),
        ..Default::default()
    }
}

fn row(x: f64) -> pb::Point {
    pb::Point { x, y: 0.0, ..Default::default() }
}

/// Points at 1, 2, 5 and 9, and five without a position. Their offsets are 0, 2, 3, 6 and 8.
fn points() -> Vec<pb::Point> {
    let far = 2_f64.powi(41);
    let x = [f64::NAN, 1.0, f64::INFINITY, -far, 2.0, 5.0, f64::NEG_INFINITY, 9.0, far];
    x.into_iter().map(row).collect()
}

fn message(mode: pb::InvalidPoints, from: usize, to: usize) -> pb::RecordPathRequest {
    pb::RecordPathRequest {
        name: NAME.to_owned(),
        options: Some(options(mode)),
        write_offset: Some(from as u64),
        points: points()[from..to].to_vec(),
        finish_write: to == points().len(),
        ..Default::default()
    }
}

async fn record(
    server: &Server,
    message: pb::RecordPathRequest,
) -> Result<pb::RecordPathResponse, Status> {
    Ok(server.paths().await.record_path(iter([message])).await?.into_inner())
}

async fn path(server: &Server) -> pb::Path {
    let request = pb::GetPathRequest { name: NAME.to_owned(), ..Default::default() };
    server.paths().await.get_path(request).await.unwrap().into_inner().path.unwrap()
}

fn ledger(summary: &pb::PathSummary) -> Vec<(pb::RejectionReason, u64, u64, Option<f64>)> {
    let row = |it: &pb::Rejection| (it.reason(), it.count, it.first_offset, it.rejected_length);
    summary.rejections.iter().map(row).collect()
}

const INVALID: pb::RejectionReason = pb::RejectionReason::InvalidPosition;

#[tokio::test]
async fn a_recording_counts_points_without_a_position_in_its_offsets() {
    for (mode, length, raw_length) in
        [(pb::InvalidPoints::Skip, 8.0, 8.0), (pb::InvalidPoints::Split, 3.0, 3.0)]
    {
        let server = Server::start().await;
        // Each stream but the last ends after a point without a position, and the next one resumes there.
        let first = record(&server, message(mode, 0, 3)).await.unwrap();
        assert_eq!((first.committed_points, first.complete), (3, false));
        let first = path(&server).await;
        assert_eq!(first.committed_points, 3);
        let summary = first.summary.unwrap();
        assert_eq!((summary.point_count, summary.accepted_count), (3, 1));
        assert_eq!(ledger(&summary), [(INVALID, 2, 0, Some(0.0))]);

        let second = record(&server, message(mode, 3, 7)).await.unwrap();
        assert_eq!((second.committed_points, second.skipped_points), (7, 0));
        // Durable points that are sent again are skipped, whether they have a position or not.
        let last = record(&server, message(mode, 1, 9)).await.unwrap();
        assert_eq!((last.committed_points, last.skipped_points, last.complete), (9, 6, true));
        let summary = last.summary.unwrap();
        assert_eq!((summary.point_count, summary.accepted_count), (9, 4));
        assert_eq!((summary.length, summary.raw_length), (Some(length), Some(raw_length)));
        assert_eq!(summary.options.clone().unwrap().invalid_points(), mode);
        assert_eq!(ledger(&summary), [(INVALID, 5, 0, Some(0.0))]);

        // All methods that return a recording return the same summary.
        assert_eq!(path(&server).await.summary.as_ref(), Some(&summary));
        let mut client = server.paths().await;
        let listed = client.list_paths(pb::ListPathsRequest::default()).await.unwrap();
        assert_eq!(listed.into_inner().paths[0].summary.as_ref(), Some(&summary));
        let request = pb::WatchPathRequest {
            name: NAME.to_owned(),
            allow_missing: false,
            ..Default::default()
        };
        let mut watch = client.watch_path(request).await.unwrap().into_inner();
        let update = watch.message().await.unwrap().unwrap();
        assert_eq!(update.path.unwrap().summary, Some(summary));
    }
}

#[tokio::test]
async fn a_point_without_a_position_is_an_error_by_default() {
    let server = Server::start().await;
    for mode in [pb::InvalidPoints::Unspecified, pb::InvalidPoints::RejectCall] {
        let status = record(&server, message(mode, 0, 9)).await.unwrap_err();
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), &*info.reason), (Code::InvalidArgument, "POINT_INVALID"));
        assert_eq!((&*info.metadata["offset"], &*info.metadata["field"]), ("0", "points[0].x"));
    }
    let request = pb::GetPathRequest { name: NAME.to_owned(), ..Default::default() };
    let status = server.paths().await.get_path(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn a_recording_keeps_its_mode() {
    let server = Server::start().await;
    record(&server, message(pb::InvalidPoints::Skip, 0, 3)).await.unwrap();
    let other = message(pb::InvalidPoints::Split, 3, 9);
    let status = record(&server, other.clone()).await.unwrap_err();
    insta::assert_snapshot!(
        status.message(),
        @"paths/receiver: the options differ from those of the recording: options.invalid_points: it is INVALID_POINTS_SPLIT in this message and INVALID_POINTS_SKIP in the recording; send the options of the recording, or none"
    );
    // A stream that resumes may leave out the options.
    let rest = pb::RecordPathRequest { options: None, ..other };
    assert_eq!(record(&server, rest).await.unwrap().summary.unwrap().length, Some(8.0));
}

#[tokio::test]
async fn each_path_of_a_batch_has_its_own_mode() {
    use pb::InvalidPoints::{RejectCall, Skip, Split};
    use pb::measure_paths_response::Result::{Failure, Summary};
    let server = Server::start().await;
    // As columns: 1, out of range, 2, 5, out of range, 9. The second point without a position starts a segment.
    let far = 1 << 41;
    let columns = pb::PointColumns {
        x: vec![1, far, 2 - far - 1, 3, far, 9 - far - 5],
        y: vec![0; 6],
        time_ms: vec![1000; 6],
        segment_starts: vec![4],
        ..Default::default()
    };
    let message = |mode| pb::MeasurePathsRequest {
        path_id: format!("{mode:?}"),
        options: Some(options(mode)),
        columns: Some(columns.clone()),
        end_path: true,
        ..Default::default()
    };
    let messages = [Skip, RejectCall, Split].map(message);
    let answers = server.paths().await.measure_paths(iter(messages)).await.unwrap().into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap().result.unwrap()).collect().await;
    let [Summary(skip), Failure(rejected), Summary(split)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!((skip.length, skip.segment_count), (Some(4.0), 2));
    assert_eq!((split.length, split.segment_count), (Some(3.0), 3));
    for summary in [skip, split] {
        assert_eq!(ledger(summary), [(INVALID, 2, 1, Some(0.0))]);
    }
    insta::assert_snapshot!(
        rejected.message,
        @"point 1: columns.x[1]: x 2199023255553 is not between -2^40 and 2^40"
    );
}

fn fixes() -> Vec<Fix> {
    let fix = |x| Fix::new(Point::planar(x, 0.0).unwrap()).at_unix_ns(1_000_000_000).unwrap();
    let none = Fix::without_position();
    [fix(0.0), none, fix(3.0), none.starting_segment(), fix(7.0), fix(8.0), none].to_vec()
}

fn of(mode: InvalidPoints) -> Options {
    Options::builder(Metric::Planar).invalid_points(mode).build().unwrap()
}

fn assert_skipped(summary: &PathSummary) {
    assert_eq!((summary.length, summary.point_count, summary.segment_count), (4.0, 7, 2));
    let [rejection] = &summary.rejections[..] else { panic!("{summary:?}") };
    assert_eq!(rejection.reason, RejectionReason::InvalidPosition);
    assert_eq!((rejection.count, rejection.first_offset), (3, 1));
}

#[tokio::test]
async fn the_client_sends_fixes_without_a_position_if_the_options_allow_them() {
    let server = Server::start().await;
    let client = Client::connect(&format!("http://{}", server.address)).await.unwrap();
    let recorder = |mode| client.recorder(NAME.parse().unwrap(), of(mode));
    let refused = recorder(InvalidPoints::RejectCall).record(iter(fixes())).await.unwrap_err();
    assert!(matches!(refused, RecordError::InvalidPosition { offset: 1 }), "{refused}");
    insta::assert_snapshot!(
        refused,
        @"fix 1 has no valid position; set invalid_points to skip such fixes or to start a segment after them"
    );
    client.delete_path(&NAME.parse().unwrap()).await.ok();
    assert_skipped(&recorder(InvalidPoints::Skip).record(iter(fixes())).await.unwrap().summary);
    // The recorder compares its source with the finished recording.
    assert_skipped(&recorder(InvalidPoints::Skip).record(iter(fixes())).await.unwrap().summary);
    let mut other = fixes();
    other[1] = other[0];
    let refused = recorder(InvalidPoints::Skip).record(iter(other)).await.unwrap_err();
    assert!(matches!(refused, RecordError::SourceDiffers { .. }), "{refused}");
}

#[tokio::test]
async fn a_batch_of_the_client_ends_before_a_fix_without_a_position_that_is_not_allowed() {
    let server = Server::start().await;
    let client = Client::connect(&format!("http://{}", server.address)).await.unwrap();
    let part = |path_id: &str, mode, fixes: &[Fix], is_last| PathPart {
        path_id: path_id.to_owned(),
        options: of(mode),
        fixes: fixes.to_vec(),
        is_last,
    };
    let all = fixes();
    // The part with the refused fix is the first or the second of its path.
    for cut in [0, 1] {
        let parts = vec![
            part("a", InvalidPoints::Skip, &all, true),
            part("b", InvalidPoints::RejectCall, &all[..cut], false),
            part("b", InvalidPoints::RejectCall, &all[cut..], true),
            part("c", InvalidPoints::Skip, &all, true),
        ];
        let answers = client.measure_paths(iter(parts)).await.unwrap();
        let mut answers: Vec<_> = answers.collect().await;
        assert_eq!(answers.len(), 2);
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                answers.pop().unwrap().unwrap_err(),
                @"point 1 of path b has no valid position; set invalid_points to skip such points or to start a segment after them"
            );
        }
        assert_skipped(answers[0].as_ref().unwrap().outcome.as_ref().unwrap());
    }
}
