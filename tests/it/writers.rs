//! Writers of a recording that are fenced, cut or late, and recordings that are deleted or expire during a call.

use std::sync::Arc;

use futures::StreamExt as _;
use prost::Message as _;
use tokio_stream::iter;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;
use waywiser::proto::waywiser_v1 as pb;
use waywiser::recording::{CheckpointStore, OpenRequest};
use waywiser::store::MemoryStore;

use crate::support::{Call, Raw, Server, frame};

const RECORD_PATH: &str = "/waywiser.v1.PathService/RecordPath";
const NAME: &str = "paths/walk";

/// Returns a message with points of a path whose legs have the length 5.
fn piece(range: std::ops::Range<usize>, finish_write: bool) -> pb::RecordPathRequest {
    let row = |i: usize| pb::Point { x: 3.0 * i as f64, y: 4.0 * i as f64, ..Default::default() };
    pb::RecordPathRequest {
        name: NAME.to_owned(),
        options: Some(pb::PathOptions { model: pb::Model::Planar.into(), ..Default::default() }),
        write_offset: Some(range.start as u64),
        points: range.map(row).collect(),
        finish_write,
        ..Default::default()
    }
}

async fn server() -> Server {
    Server::with(|config| config.checkpoint_points = 1).await
}

async fn record(
    server: &Server,
    pieces: impl IntoIterator<Item = pb::RecordPathRequest, IntoIter: Send + 'static>,
) -> Result<pb::RecordPathResponse, Status> {
    Ok(server.paths().await.record_path(iter(pieces)).await?.into_inner())
}

async fn path(server: &Server) -> Result<pb::Path, Status> {
    let request = pb::GetPathRequest { name: NAME.to_owned(), ..Default::default() };
    Ok(server.paths().await.get_path(request).await?.into_inner().path.unwrap())
}

async fn watch(server: &Server) -> Streaming<pb::WatchPathResponse> {
    let request =
        pb::WatchPathRequest { name: NAME.to_owned(), allow_missing: true, ..Default::default() };
    server.paths().await.watch_path(request).await.unwrap().into_inner()
}

async fn next_state(watch: &mut Streaming<pb::WatchPathResponse>) -> Result<(u64, bool), Status> {
    let path = watch.next().await.unwrap()?.path.unwrap();
    Ok((path.committed_points, path.complete))
}

/// Opens a stream and sends some points. They are durable when it returns.
async fn writer(server: &Server, raw: &mut Raw, points: usize) -> Call {
    let mut watch = watch(server).await;
    let mut writer = raw.call(RECORD_PATH);
    writer.send(frame(&piece(0..points, false).encode_to_vec()));
    while next_state(&mut watch).await.unwrap().0 < points as u64 {}
    writer
}

#[tokio::test]
async fn an_idle_writer_that_was_fenced_gets_the_error_when_it_closes() {
    let server = server().await;
    let mut raw = Raw::connect(server.address).await;
    let mut idle = writer(&server, &mut raw, 2).await;
    assert!(record(&server, [piece(2..5, true)]).await.unwrap().complete);
    idle.close();
    let answer = idle.answer().await.unwrap();
    assert_eq!((answer.code, answer.reason.as_deref()), (Code::Aborted, Some("WRITER_FENCED")));
}

#[tokio::test]
async fn a_writer_of_a_deleted_recording_gets_an_error() {
    for is_idle in [true, false] {
        let server = server().await;
        let mut raw = Raw::connect(server.address).await;
        let mut writer = writer(&server, &mut raw, 2).await;
        let mut watch = watch(&server).await;
        assert_eq!(next_state(&mut watch).await.unwrap(), (2, false));
        let request = pb::DeletePathRequest { name: NAME.to_owned(), ..Default::default() };
        server.paths().await.delete_path(request).await.unwrap();
        assert_eq!(next_state(&mut watch).await.unwrap_err().code(), Code::NotFound);
        if !is_idle {
            writer.send(frame(&piece(2..3, false).encode_to_vec()));
        }
        writer.close();
        let answer = writer.answer().await.unwrap();
        assert_eq!((answer.code, answer.reason.as_deref()), (Code::Aborted, Some("PATH_DELETED")));
        assert_eq!(path(&server).await.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_after_finish_write_finishes_nothing() {
    let server = server().await;
    let mut raw = Raw::connect(server.address).await;
    let mut watch = watch(&server).await;
    let mut lost = raw.call(RECORD_PATH);
    lost.send(frame(&piece(0..3, true).encode_to_vec()));
    while next_state(&mut watch).await.unwrap().0 < 3 {}
    lost.body.send_reset(h2::Reason::CANCEL);

    // Another writer continues, which fences the one that was cut.
    let reply = record(&server, [piece(3..4, false)]).await.unwrap();
    assert_eq!((reply.committed_points, reply.complete), (4, false));
    let reply = record(&server, [piece(4..5, true)]).await.unwrap();
    assert_eq!((reply.committed_points, reply.complete), (5, true));
}

#[tokio::test]
async fn an_end_before_the_last_point_is_refused_with_the_right_offset() {
    let server = server().await;
    let only_end =
        |at| pb::RecordPathRequest { write_offset: Some(at), points: vec![], ..piece(0..0, true) };
    record(&server, [piece(0..3, false)]).await.unwrap();
    let status = record(&server, [only_end(0)]).await.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!((status.code(), info.reason.as_str()), (Code::FailedPrecondition, "PATH_LONGER"));
    insta::assert_snapshot!(
        status.message(),
        @"finish_write ends the path with 0 points, but it already has 3; set finish_write at write_offset 3"
    );
    assert_eq!(info.metadata["committed_points"], "3");
    assert!(record(&server, [only_end(3)]).await.unwrap().complete);
}

#[tokio::test]
async fn points_after_the_end_are_refused_with_the_number_of_durable_points() {
    let store = Arc::new(MemoryStore::default());
    // No commit is due while the stream is open.
    let server = Server::with_store(store, |config| {
        config.checkpoint_interval = std::time::Duration::from_secs(3600);
    })
    .await;
    // The client has set the end, but the stream fails, so the path is not finished.
    let status = record(&server, [piece(0..3, true), piece(3..4, false)]).await.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!((status.code(), info.reason.as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
    // The points before the error are committed first.
    assert_eq!(info.metadata["committed_points"], "3");
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "points");
    insta::assert_snapshot!(
        status.message(),
        @"the message ends at point 4, but an earlier message ended the path with 3 points by finish_write; set finish_write in the last message only"
    );
    assert!(!path(&server).await.unwrap().complete);

    assert!(record(&server, [piece(0..3, true)]).await.unwrap().complete);
    let status = record(&server, [piece(3..4, false)]).await.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!((status.code(), info.reason.as_str()), (Code::FailedPrecondition, "PATH_COMPLETE"));
    assert_eq!(info.metadata["committed_points"], "3");
}

#[tokio::test]
async fn deleting_a_missing_recording_does_not_end_the_wait_for_it() {
    let server = server().await;
    let mut watch = watch(&server).await;
    let request = pb::DeletePathRequest { name: NAME.to_owned(), allow_missing: true };
    server.paths().await.delete_path(request).await.unwrap();
    record(&server, [piece(0..2, true)]).await.unwrap();
    while next_state(&mut watch).await.unwrap() != (2, true) {}
}

#[tokio::test]
async fn an_expired_recording_counts_as_deleted_before_it_is_removed() {
    let store = Arc::new(MemoryStore::default());
    let opening =
        OpenRequest { options: None, now_unix_ms: 0, expire_unix_ms: 1, max_in_namespace: None };
    store.open(NAME.parse().unwrap(), opening).await.unwrap();
    let server = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    assert_eq!(path(&server).await.unwrap_err().code(), Code::NotFound);
    let page = server.paths().await.list_paths(pb::ListPathsRequest::default()).await.unwrap();
    assert!(page.into_inner().paths.is_empty());
    // The recording begins again, with other options.
    let reply = record(&server, [piece(0..2, true)]).await.unwrap();
    assert_eq!((reply.committed_points, reply.complete), (2, true));
}

#[tokio::test]
async fn a_watch_ends_when_its_recording_expires() {
    let server = Server::with(|config| {
        config.checkpoint_points = 1;
        config.retention = std::time::Duration::from_millis(300);
    })
    .await;
    let mut watch = loop {
        let watch = watch(&server).await;
        match record(&server, [piece(0..2, false)]).await {
            Ok(_) => break watch,
            // On a slow machine the recording expires before its points are committed.
            Err(status) => assert!(matches!(status.code(), Code::NotFound | Code::Aborted)),
        }
    };
    while next_state(&mut watch).await.is_ok() {}
    assert_eq!(path(&server).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_path_with_an_id_that_is_too_long_fails_once() {
    let server = server().await;
    let long = |end_path| pb::MeasurePathsRequest {
        path_id: "p".repeat(129),
        points: piece(0..2, false).points,
        end_path,
        ..Default::default()
    };
    let messages = [long(false), long(false), long(true)];
    let answers = server.paths().await.measure_paths(iter(messages)).await.unwrap().into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap().path_id).collect().await;
    assert_eq!(answers, ["p".repeat(128)]);
}

#[tokio::test]
async fn a_stream_that_is_refused_at_its_first_point_creates_no_recording() {
    let server = server().await;
    let status = record(&server, [piece(2..3, false)]).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert_eq!(path(&server).await.unwrap_err().code(), Code::NotFound);
    let mut bad = piece(0..2, false);
    bad.points[0].x = f64::NAN;
    let status = record(&server, [bad]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(path(&server).await.unwrap_err().code(), Code::NotFound);
    // A stream without options uses those of the recording.
    record(&server, [piece(0..2, false)]).await.unwrap();
    let mut far = pb::RecordPathRequest { options: None, ..piece(0..3, true) };
    far.points[0].y = 1e6;
    assert!(record(&server, [far]).await.unwrap().complete);
}
