//! AppendPoints: requests that repeat, cross and compete give the total of one ordered stream, and share commits.

use std::sync::Arc;

use futures::future::join_all;
use prost_types::Timestamp;
use tokio_stream::iter;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use waywiser::proto::waywiser_v1 as pb;
use waywiser::store::MemoryStore;

use crate::support::Server;
use crate::support::faulty::{self, Faulty};
use crate::support::traced::Traced;

const NAME: &str = "paths/phone";
const POINTS: usize = 600;

fn options() -> Option<pb::PathOptions> {
    let windows = pb::WindowOptions { unit: pb::WindowUnit::Day.into(), ..Default::default() };
    Some(pb::PathOptions {
        preset: pb::Preset::Phone.into(),
        reorder_count: 64,
        windows: Some(windows),
        ..Default::default()
    })
}

/// A walk with noise over a midnight.
fn points(range: std::ops::Range<usize>) -> Vec<pb::Point> {
    let point = |index: usize| {
        let noise = (index as f64 * 12.9).sin() * 3e-5;
        // 2023-11-14T23:55:00Z is five minutes before midnight.
        let time = Some(Timestamp { seconds: 1_700_006_100 + index as i64, nanos: 0 });
        let x = 13.8 + index as f64 * 2e-5 + noise;
        pb::Point { x, y: 46.3 - noise, time, accuracy_m: Some(5.0), ..Default::default() }
    };
    range.map(point).collect()
}

fn request(points: Vec<pb::Point>) -> pb::AppendPointsRequest {
    pb::AppendPointsRequest { name: NAME.to_owned(), options: options(), points, columns: None }
}

async fn append(server: &Server, points: Vec<pb::Point>) -> Result<u64, Status> {
    let reply = server.paths().await.append_points(request(points)).await?.into_inner();
    assert_eq!(reply.name, NAME);
    Ok(reply.committed_points)
}

async fn path(server: &Server) -> pb::Path {
    let request = pb::GetPathRequest { name: NAME.to_owned(), ..Default::default() };
    server.paths().await.get_path(request).await.unwrap().into_inner().path.unwrap()
}

/// Returns the totals without the numbers of points and the offsets, which count repetitions.
fn totals(summary: pb::PathSummary) -> pb::PathSummary {
    pb::PathSummary { point_count: 0, rejections: Vec::new(), ..summary }
}

/// Returns the totals of all points in one stream.
async fn expected(server: &Server) -> pb::PathSummary {
    let message = pb::RecordPathRequest {
        options: options(),
        points: points(0..POINTS),
        finish_write: true,
        ..Default::default()
    };
    let reply = server.paths().await.record_path(iter([message])).await.unwrap().into_inner();
    let summary = totals(reply.summary.unwrap());
    assert!(summary.length_m.unwrap() > 500.0 && summary.windows.len() == 2);
    summary
}

fn reason(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().unwrap().reason)
}

/// Ten callers at a time send batches of up to six points. Each batch is sent twice, and batches cross.
#[tokio::test(flavor = "multi_thread")]
async fn repeated_and_crossing_requests_give_the_total_of_one_stream() {
    let server = Server::start().await;
    let mut batches: Vec<_> =
        (0..POINTS / 6).map(|batch| points(batch * 6..batch * 6 + 6)).collect();
    for group in batches.chunks_mut(5) {
        group.reverse();
        for batch in group {
            batch.reverse();
        }
    }
    for group in batches.chunks(5) {
        let repeated = group.iter().chain(group).map(|batch| append(&server, batch.clone()));
        for result in join_all(repeated).await {
            result.unwrap();
        }
    }
    let path = path(&server).await;
    let summary = path.summary.unwrap();
    assert_eq!((path.committed_points, summary.point_count), (1200, 1200));
    let rejected = |reason: pb::RejectionReason| {
        let of = summary.rejections.iter().find(|rejection| rejection.reason() == reason);
        of.map_or(0, |rejection| rejection.count)
    };
    assert_eq!(rejected(pb::RejectionReason::Duplicate), 600);
    assert_eq!(rejected(pb::RejectionReason::Late), 0);
    assert_eq!(totals(summary), expected(&server).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_an_open_recording_needs_one_commit_at_most() {
    let traced = Arc::new(Traced::new(Arc::new(MemoryStore::default())));
    let server = Server::with_store(Arc::clone(&traced) as _, |_| {}).await;
    append(&server, points(0..1)).await.unwrap();
    // The recording stays open, so a request needs one commit.
    traced.take();
    append(&server, points(1..2)).await.unwrap();
    assert_eq!(traced.take(), ["commit paths/phone"]);
    let mut client = server.paths().await;
    let requests: Vec<_> = (2..34)
        .map(|index| {
            let mut client = client.clone();
            async move { client.append_points(request(points(index..index + 1))).await }
        })
        .collect();
    for reply in join_all(requests).await {
        assert!(reply.unwrap().into_inner().committed_points > 2);
    }
    let calls = traced.take();
    assert!(
        calls.len() <= 32 && calls.iter().all(|call| call == "commit paths/phone"),
        "{calls:?}"
    );
    // Without points nothing is stored.
    let reply = client.append_points(request(Vec::new())).await.unwrap().into_inner();
    assert_eq!((reply.committed_points, traced.take()), (34, vec!["load paths/phone".to_owned()]));
}

#[tokio::test]
async fn requests_without_the_conditions_for_repetition_are_refused() {
    let server = Server::start().await;
    let mut client = server.paths().await;
    let without = pb::AppendPointsRequest { options: None, ..request(points(0..2)) };
    let status = client.append_points(without.clone()).await.unwrap_err();
    assert_eq!(reason(&status), (Code::InvalidArgument, "FIELD_INVALID".to_owned()));
    insta::assert_snapshot!(
        status.message(),
        @"options.drop_duplicates: it is not set: without it, a request that is sent again would count twice"
    );
    let unnamed = pb::AppendPointsRequest { name: String::new(), ..request(points(0..2)) };
    let status = client.append_points(unnamed).await.unwrap_err();
    assert_eq!(reason(&status), (Code::InvalidArgument, "FIELD_INVALID".to_owned()));
    let status = client.append_points(request(Vec::new())).await.unwrap_err();
    assert_eq!(reason(&status), (Code::NotFound, "PATH_NOT_FOUND".to_owned()));

    let plain = |finish_write, name: &str| pb::RecordPathRequest {
        name: name.to_owned(),
        points: points(0..2),
        finish_write,
        ..Default::default()
    };
    client.record_path(iter([plain(false, NAME)])).await.unwrap();
    let status = append(&server, points(0..2)).await.unwrap_err();
    assert_eq!(reason(&status), (Code::FailedPrecondition, "OPTIONS_DIFFER".to_owned()));
    let finished = pb::RecordPathRequest { options: options(), ..plain(true, "paths/done") };
    client.record_path(iter([finished])).await.unwrap();
    let request =
        pb::AppendPointsRequest { name: "paths/done".to_owned(), ..request(points(2..3)) };
    let status = client.append_points(request).await.unwrap_err();
    assert_eq!(reason(&status), (Code::FailedPrecondition, "PATH_COMPLETE".to_owned()));
}

#[tokio::test]
async fn a_request_with_an_invalid_point_adds_none() {
    let server = Server::start().await;
    append(&server, points(0..4)).await.unwrap();
    let mut invalid = points(4..8);
    invalid[2].accuracy_m = Some(-1.0);
    let status = append(&server, invalid).await.unwrap_err();
    insta::assert_snapshot!(
        status.message(),
        @"point 6: points[2].accuracy_m: accuracy_m -1 is not a number from 0 to 2^40"
    );
    assert_eq!(path(&server).await.committed_points, 4);
    // The preset skips points without a valid position.
    let mut skipped = points(4..8);
    skipped[2].y = 91.0;
    assert_eq!(append(&server, skipped).await.unwrap(), 8);
    let columns = pb::PointColumns { x: vec![1, 2], y: vec![1], ..Default::default() };
    let uneven = pb::AppendPointsRequest { columns: Some(columns), ..request(Vec::new()) };
    let status = server.paths().await.append_points(uneven).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_recording_keeps_its_options() {
    let server = Server::start().await;
    append(&server, points(0..300)).await.unwrap();
    let mut other = request(points(300..POINTS));
    other.options.as_mut().unwrap().windows = None;
    server.paths().await.append_points(other).await.unwrap();
    assert_eq!(totals(path(&server).await.summary.unwrap()), expected(&server).await);
}

#[tokio::test]
async fn streams_and_requests_take_turns() {
    let server = Server::start().await;
    append(&server, points(0..200)).await.unwrap();
    let rest = pb::RecordPathRequest {
        name: NAME.to_owned(),
        write_offset: Some(200),
        points: points(200..400),
        ..Default::default()
    };
    server.paths().await.record_path(iter([rest])).await.unwrap();
    // The first attempt of this request is fenced, because the stream has opened the recording.
    assert_eq!(append(&server, points(400..POINTS)).await.unwrap(), 600);
    assert_eq!(totals(path(&server).await.summary.unwrap()), expected(&server).await);

    let delete = pb::DeletePathRequest { name: NAME.to_owned(), allow_missing: false };
    server.paths().await.delete_path(delete).await.unwrap();
    assert_eq!(append(&server, points(0..7)).await.unwrap(), 7, "it is created again");
}

/// Two servers with one store answer in turn and at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_take_a_recording_from_each_other() {
    let store = Arc::new(MemoryStore::default());
    let first = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    let second = Server::with_store(store, |_| {}).await;
    for from in (0..300).step_by(10) {
        let server = if from % 20 == 0 { &first } else { &second };
        append(server, points(from..from + 10)).await.unwrap();
    }
    let mut retries = 0;
    for from in (300..POINTS).step_by(20) {
        let send = async |server: &Server, from: usize| {
            let mut retries = 0;
            while let Err(status) = append(server, points(from..from + 10)).await {
                assert_eq!(reason(&status).1, "WRITER_FENCED");
                retries += 1;
            }
            retries
        };
        let both = tokio::join!(send(&first, from + 10), send(&second, from));
        retries += both.0 + both.1;
    }
    assert!(retries < 30, "{retries} requests were fenced for all their attempts");
    assert_eq!(totals(path(&first).await.summary.unwrap()), expected(&first).await);
}

/// A commit that fails, or whose result is unknown, is settled before the answer.
#[tokio::test]
async fn faults_of_the_store_lose_and_double_nothing() {
    use faulty::{Call, Fault};
    let store = Arc::new(Faulty::new(Arc::new(MemoryStore::default())));
    let server = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    store.on(Call::Open, 1, Fault::Before(faulty::unavailable()));
    let status = append(&server, points(0..100)).await.unwrap_err();
    assert_eq!(reason(&status), (Code::Unavailable, "STORE_UNAVAILABLE".to_owned()));
    // The recording is open from now on, and has the next commits.
    let faults = [
        Fault::Before(faulty::unavailable()),
        Fault::After(faulty::unknown()),
        Fault::Before(faulty::unknown()),
        Fault::Late,
    ];
    for (number, fault) in (0..).zip(faults) {
        let from = number * 100;
        store.on(Call::Commit, store.calls(Call::Commit) + 1, fault);
        append(&server, points(from..from + 100)).await.unwrap();
        store.deliver().await;
    }
    assert!(store.is_spent());
    // An opening that was carried out without an answer.
    let delete = pb::DeletePathRequest { name: NAME.to_owned(), allow_missing: false };
    server.paths().await.delete_path(delete).await.unwrap();
    store.on(Call::Open, store.calls(Call::Open) + 1, Fault::After(faulty::unknown()));
    append(&server, points(0..400)).await.unwrap_err();
    append(&server, points(0..400)).await.unwrap();
    append(&server, points(400..POINTS)).await.unwrap();
    assert_eq!(path(&server).await.committed_points, 600);
    assert_eq!(totals(path(&server).await.summary.unwrap()), expected(&server).await);
}

#[tokio::test]
async fn a_recording_has_its_last_and_its_recent_points() {
    let server = Server::start().await;
    append(&server, points(0..3)).await.unwrap();
    append(&server, points(3..6)).await.unwrap();
    let request = pb::GetPathRequest { name: NAME.to_owned(), include_recent_points: true };
    let reply = server.paths().await.get_path(request).await.unwrap().into_inner();
    let last = reply.path.unwrap().last_point.unwrap();
    let expected = points(5..6).remove(0);
    assert_eq!(
        (last.time, reply.recent_points.last().unwrap().time),
        (expected.time, expected.time)
    );
}
