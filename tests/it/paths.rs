//! `waywiser.v1` through a generated client: recordings, batches, watches, lists and deletions.

use std::sync::Arc;

use futures::StreamExt as _;
use prost::Message as _;
use tokio_stream::iter;
use tonic::Code;
use tonic_types::StatusExt as _;
use waywiser::proto::waywiser_v1 as pb;
use waywiser::store::MemoryStore;

use crate::support::{Raw, Server, frame};

const RECORD_PATH: &str = "/waywiser.v1.PathService/RecordPath";

fn planar() -> Option<pb::PathOptions> {
    Some(pb::PathOptions { model: pb::Model::Planar.into(), ..Default::default() })
}

fn row(x: f64, y: f64) -> pb::Point {
    pb::Point { x, y, ..Default::default() }
}

/// Returns points of a path whose legs have length 5.
fn points(range: std::ops::Range<usize>) -> Vec<pb::Point> {
    range.map(|i| row(3.0 * i as f64, 4.0 * i as f64)).collect()
}

fn message(name: &str, range: std::ops::Range<usize>) -> pb::RecordPathRequest {
    pb::RecordPathRequest {
        name: name.to_owned(),
        options: planar(),
        write_offset: Some(range.start as u64),
        points: points(range),
        ..Default::default()
    }
}

/// Returns a message that finishes the path.
fn last(message: pb::RecordPathRequest) -> pb::RecordPathRequest {
    pb::RecordPathRequest { finish_write: true, ..message }
}

async fn record(
    server: &Server,
    messages: Vec<pb::RecordPathRequest>,
) -> Result<pb::RecordPathResponse, tonic::Status> {
    Ok(server.paths().await.record_path(iter(messages)).await?.into_inner())
}

async fn path(server: &Server, name: &str) -> Result<pb::Path, tonic::Status> {
    let request = pb::GetPathRequest { name: name.to_owned(), ..Default::default() };
    Ok(server.paths().await.get_path(request).await?.into_inner().path.unwrap())
}

fn code_and_reason(status: &tonic::Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().unwrap().reason)
}

#[tokio::test]
async fn a_path_without_a_name_is_measured_and_not_stored() {
    let server = Server::start().await;
    let reply = record(
        &server,
        vec![
            message("", 0..2),
            pb::RecordPathRequest { options: None, write_offset: None, ..message("", 2..5) },
        ],
    );
    let reply = reply.await.unwrap();
    assert!(reply.complete && reply.name.is_empty());
    assert_eq!((reply.committed_points, reply.summary.unwrap().length), (5, Some(20.0)));
    let page = server.paths().await.list_paths(pb::ListPathsRequest::default()).await.unwrap();
    assert!(page.into_inner().paths.is_empty());
}

#[tokio::test]
async fn a_recording_is_resumed_and_finished_once() {
    let server = Server::start().await;
    let name = "paths/walk";
    let reply = record(&server, vec![message(name, 0..2)]).await.unwrap();
    assert!(!reply.complete);
    assert_eq!(reply.committed_points, 2);

    // One durable point again, and the remaining points.
    let reply =
        record(&server, vec![message(name, 1..3), last(message(name, 3..5))]).await.unwrap();
    assert!(reply.complete);
    assert_eq!(reply.skipped_points, 1);
    assert_eq!((reply.committed_points, reply.summary.clone().unwrap().length), (5, Some(20.0)));

    // A client that lost the reply sends the end again.
    let again = record(&server, vec![last(message(name, 3..5))]).await.unwrap();
    assert_eq!(again, pb::RecordPathResponse { skipped_points: 2, ..reply.clone() });
    let status = record(&server, vec![message(name, 4..6)]).await.unwrap_err();
    assert_eq!(code_and_reason(&status), (Code::FailedPrecondition, "PATH_COMPLETE".to_owned()));
    let stored = path(&server, name).await.unwrap();
    assert!(stored.complete);
    assert_eq!(stored.summary, reply.summary);
}

#[tokio::test]
async fn a_gap_is_refused_with_the_offset_to_resume_from() {
    let server = Server::start().await;
    let name = "paths/gap";
    record(&server, vec![message(name, 0..2)]).await.unwrap();
    let status = record(&server, vec![message(name, 3..5)]).await.unwrap_err();
    assert_eq!(code_and_reason(&status), (Code::OutOfRange, "OFFSET_GAP".to_owned()));
    assert_eq!(status.get_details_error_info().unwrap().metadata["committed_points"], "2");
    let other = pb::RecordPathRequest { options: None, ..message(name, 2..3) };
    record(&server, vec![other]).await.unwrap();
    let mut other = message(name, 3..4);
    other.options.as_mut().unwrap().min_step = 1.0;
    let status = record(&server, vec![other]).await.unwrap_err();
    assert_eq!(code_and_reason(&status), (Code::FailedPrecondition, "OPTIONS_DIFFER".to_owned()));
    insta::assert_snapshot!(
        status.message(),
        @"paths/gap: the options differ from those of the recording: options.min_step: it is 1 in this message and unset in the recording; send the options of the recording, or none"
    );
    let info = status.get_details_error_info().unwrap();
    assert_eq!((&*info.metadata["name"], &*info.metadata["field"]), (name, "options.min_step"));
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "options.min_step");
}

#[tokio::test]
async fn other_options_in_a_later_message_are_reported() {
    let server = Server::start().await;
    for name in ["", "paths/options"] {
        let mut other = message(name, 2..3);
        other.options.as_mut().unwrap().min_step = 1.0;
        let status = record(&server, vec![message(name, 0..2), other]).await.unwrap_err();
        assert_eq!(code_and_reason(&status), (Code::InvalidArgument, "FIELD_INVALID".to_owned()));
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                status.message(),
                @"message 1: options.min_step: it is 1 in this message and unset in the stream"
            );
        }
    }
}

#[tokio::test]
async fn the_valid_points_of_a_cut_stream_are_committed() {
    let server = Server::start().await;
    for (name, cut) in [("paths/reset", true), ("paths/aborted", false)] {
        let mut raw = Raw::connect(server.address).await;
        let mut call = raw.call(RECORD_PATH);
        call.send(frame(&message(name, 0..4).encode_to_vec()));
        // It exists once a watcher receives it.
        let request = pb::WatchPathRequest {
            name: name.to_owned(),
            allow_missing: true,
            ..Default::default()
        };
        let mut watch = server.paths().await.watch_path(request).await.unwrap().into_inner();
        if cut {
            watch.next().await.unwrap().unwrap();
            call.body.send_reset(h2::Reason::CANCEL);
        } else {
            watch.next().await.unwrap().unwrap();
            raw.abort().await;
        }
        loop {
            let path = watch.next().await.unwrap().unwrap().path.unwrap();
            if path.committed_points == 4 {
                assert!(!path.complete);
                assert_eq!(path.summary.unwrap().length, Some(15.0));
                break;
            }
        }
        let reply = record(&server, vec![last(message(name, 4..5))]).await.unwrap();
        assert_eq!(reply.summary.unwrap().length, Some(20.0));
    }
}

#[tokio::test]
async fn the_newest_writer_wins() {
    let server = Server::with(|config| config.checkpoint_points = 1).await;
    let name = "paths/two";
    let mut raw = Raw::connect(server.address).await;
    let mut stale = raw.call(RECORD_PATH);
    stale.send(frame(&message(name, 0..2).encode_to_vec()));
    let request =
        pb::WatchPathRequest { name: name.to_owned(), allow_missing: true, ..Default::default() };
    let mut watch = server.paths().await.watch_path(request).await.unwrap().into_inner();
    while watch.next().await.unwrap().unwrap().path.unwrap().committed_points < 2 {}

    let reply = record(&server, vec![message(name, 2..4)]).await.unwrap();
    assert_eq!(reply.committed_points, 4);
    stale.send(frame(
        &pb::RecordPathRequest { options: None, ..message(name, 2..3) }.encode_to_vec(),
    ));
    let answer = stale.answer().await.unwrap();
    assert_eq!((answer.code, answer.reason.as_deref()), (Code::Aborted, Some("WRITER_FENCED")));
    assert_eq!(path(&server, name).await.unwrap().committed_points, 4);
}

#[tokio::test]
async fn recordings_are_listed_watched_and_deleted() {
    let store = Arc::new(MemoryStore::default());
    let server = Server::with_store(store, |_| {}).await;
    for id in 0..5 {
        record(&server, vec![last(message(&format!("paths/p{id}"), 0..3))]).await.unwrap();
    }
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListPathsRequest { page_size: 2, page_token, ..Default::default() };
        let page = server.paths().await.list_paths(request).await.unwrap().into_inner();
        names.extend(page.paths.into_iter().map(|path| path.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["paths/p0", "paths/p1", "paths/p2", "paths/p3", "paths/p4"]);

    // A watch of a finished recording sends one update and ends.
    let request =
        pb::WatchPathRequest { name: names[0].clone(), allow_missing: false, ..Default::default() };
    let watch = server.paths().await.watch_path(request).await.unwrap().into_inner();
    let updates: Vec<_> =
        watch.map(|update| update.unwrap().path.unwrap().complete).collect().await;
    assert_eq!(updates, [true]);

    let request = pb::DeletePathRequest { name: names[0].clone(), allow_missing: false };
    server.paths().await.delete_path(request.clone()).await.unwrap();
    let status = server.paths().await.delete_path(request).await.unwrap_err();
    assert_eq!(code_and_reason(&status), (Code::NotFound, "PATH_NOT_FOUND".to_owned()));
    assert_eq!(path(&server, &names[0]).await.unwrap_err().code(), Code::NotFound);
    let request =
        pb::WatchPathRequest { name: names[0].clone(), allow_missing: false, ..Default::default() };
    let status = server.paths().await.watch_path(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(path(&server, "nonsense").await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn an_invalid_path_of_a_batch_fails_alone() {
    let server = Server::start().await;
    let columns = |x: Vec<i64>, y: Vec<i64>| Some(pb::PointColumns { x, y, ..Default::default() });
    let begin = |path_id: &str| pb::MeasurePathsRequest {
        path_id: path_id.to_owned(),
        options: planar(),
        ..Default::default()
    };
    let messages = vec![
        pb::MeasurePathsRequest { points: points(0..3), ..begin("a") },
        pb::MeasurePathsRequest { points: points(3..5), end_path: true, ..Default::default() },
        pb::MeasurePathsRequest { points: vec![row(f64::NAN, 0.0)], ..begin("bad") },
        pb::MeasurePathsRequest { points: points(0..2), end_path: true, ..begin("bad") },
        pb::MeasurePathsRequest {
            columns: columns(vec![0, 3], vec![0, 4]),
            end_path: true,
            ..begin("c")
        },
        pb::MeasurePathsRequest { points: points(0..2), ..begin("uneven") },
        pb::MeasurePathsRequest {
            columns: columns(vec![0, 3], vec![0]),
            end_path: true,
            ..Default::default()
        },
        pb::MeasurePathsRequest { points: points(0..2), ..begin("left") },
        pb::MeasurePathsRequest { points: points(0..2), end_path: true, ..begin("e") },
        pb::MeasurePathsRequest { points: points(0..2), ..begin("last") },
    ];
    let answers = server.paths().await.measure_paths(iter(messages)).await.unwrap().into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap()).collect().await;
    use pb::measure_paths_response::Result::{Failure, Summary};
    let answers: Vec<_> = answers
        .iter()
        .map(|answer| match answer.result.as_ref().unwrap() {
            Summary(summary) => format!("{} {}", answer.path_id, summary.length.unwrap()),
            Failure(failure) => {
                let mut metadata: Vec<_> = failure.metadata.iter().collect();
                metadata.sort();
                format!("{} {} {} {metadata:?}", answer.path_id, failure.reason, failure.message)
            }
        })
        .collect();
    insta::assert_snapshot!(answers.join("\n"), @r#"
    a 20
    bad POINT_INVALID point 0: points[0].x: x NaN is not a finite number [("field", "points[0].x"), ("offset", "0"), ("point_index", "0")]
    c 5
    uneven FIELD_INVALID the message from point 2 on: columns.y: it has 1 entries, and x has 2; every column is empty or as long as x [("field", "columns.y"), ("offset", "2")]
    left PATH_NOT_ENDED the path was not ended: set end_path in its last message []
    e 5
    last PATH_NOT_ENDED the path was not ended: set end_path in its last message []
    "#);
}

#[tokio::test]
async fn a_violation_is_reported_with_the_position_of_its_message() {
    let server = Server::start().await;
    let columns = pb::PointColumns { x: vec![9], y: vec![12], ..Default::default() };
    let sent = |columns| pb::RecordPathRequest { columns: Some(columns), ..Default::default() };
    let uneven = sent(pb::PointColumns { y: vec![], ..columns.clone() });
    let stray = sent(pb::PointColumns { segment_starts: vec![4], ..columns });
    let mut narrow = message("", 3..4);
    narrow.options.as_mut().unwrap().max_gap = 1e13;
    let named = pb::RecordPathRequest { name: "paths/b".to_owned(), ..message("", 3..4) };
    let mut messages = Vec::new();
    for bad in [uneven, stray, narrow, named] {
        for name in ["", "paths/a"] {
            // Without an offset the message continues where the previous one ended.
            let bad = pb::RecordPathRequest { write_offset: None, ..bad.clone() };
            let status = record(&server, vec![message(name, 0..3), bad]).await.unwrap_err();
            let info = status.get_details_error_info().unwrap();
            assert_eq!((status.code(), &*info.reason), (Code::InvalidArgument, "FIELD_INVALID"));
            let violations = status.get_details_bad_request().unwrap().field_violations;
            assert_eq!(info.metadata["field"], violations[0].field);
            let at = ["offset", "message_index"].map(|key| info.metadata.get(key).cloned());
            messages.push(format!("{at:?} {}", status.message()));
        }
    }
    insta::assert_snapshot!(messages.join("\n"), @r#"
    [Some("3"), None] the message from point 3 on: columns.y: it has 0 entries, and x has 1; every column is empty or as long as x
    [Some("3"), None] the message from point 3 on: columns.y: it has 0 entries, and x has 1; every column is empty or as long as x
    [Some("3"), None] the message from point 3 on: columns.segment_starts[0]: it is 4; the entries ascend and are below 1
    [Some("3"), None] the message from point 3 on: columns.segment_starts[0]: it is 4; the entries ascend and are below 1
    [None, Some("1")] message 1: options.max_gap: it is 10000000000000, and must be a number above 0, at most 2^40
    [None, Some("1")] message 1: options.max_gap: it is 10000000000000, and must be a number above 0, at most 2^40
    [None, Some("1")] message 1: name: the stream began without a name; name it in the first message
    [None, Some("1")] message 1: name: this stream writes paths/a; open another stream for another recording
    "#);
}

#[tokio::test]
async fn an_invalid_message_of_a_stream_is_reported_with_its_index() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    for path in [RECORD_PATH, "/waywiser.v1.PathService/MeasurePaths"] {
        let mut call = raw.call(path);
        call.send(frame(&[]));
        // A string that is longer than its message.
        call.send(frame(&[0x0a, 9]));
        call.close();
        let answer = call.answer().await.unwrap();
        assert_eq!(
            (answer.code, answer.reason.as_deref()),
            (Code::InvalidArgument, Some("MESSAGE_MALFORMED"))
        );
        let ends = ("message 1: the request is not", "buffer underflow); see the proto file");
        let message = &answer.message;
        assert!(message.starts_with(ends.0) && message.ends_with(ends.1), "{message}");
    }
}

#[tokio::test]
async fn every_violation_is_reported_with_its_field() {
    let server = Server::start().await;
    let violations = |status: tonic::Status| {
        assert_eq!(status.code(), Code::InvalidArgument);
        let violations = status.get_details_bad_request().unwrap().field_violations;
        violations.into_iter().map(|violation| violation.field).collect::<Vec<_>>()
    };
    let mut bad = message("", 0..1);
    bad.options =
        Some(pb::PathOptions { max_speed: 1.0, stopped_speed_mps: -1.0, ..Default::default() });
    let status = record(&server, vec![bad]).await.unwrap_err();
    assert_eq!(violations(status), ["options.max_speed", "options.stopped_speed_mps"]);
    let status = record(&server, vec![message("paths/ü", 0..1)]).await.unwrap_err();
    assert_eq!(violations(status), ["name"]);
    let mut bad = message("paths/bad", 0..3);
    bad.points[2].z = Some(f64::INFINITY);
    let status = record(&server, vec![bad]).await.unwrap_err();
    assert_eq!(violations(status), ["points[2].z"]);
    // The valid points before it are committed.
    let request = pb::WatchPathRequest {
        name: "paths/bad".to_owned(),
        allow_missing: true,
        ..Default::default()
    };
    let mut watch = server.paths().await.watch_path(request).await.unwrap().into_inner();
    while watch.next().await.unwrap().unwrap().path.unwrap().committed_points < 2 {}
}
