//! Offsets of RecordPath over a real connection: a missing or wrong offset never loses a point without an error.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;
use tokio_stream::iter;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use waywiser::measure::{Fix, Metric, Options, PathAccumulator, Point};
use waywiser::proto::waywiser_v1 as pb;

use crate::support::Server;

/// Returns the position of the point with this number. Each number has another position, so that a point that is lost,
/// doubled or moved changes the length.
fn position(number: u64) -> (f64, f64) {
    let number = number as f64;
    ((number * 0.7).sin() * (number + 1.0), (number * 1.3).cos() * 40.0)
}

fn message(name: &str, offset: Option<u64>, numbers: &[u64]) -> pb::RecordPathRequest {
    let row = |&number: &u64| {
        let (x, y) = position(number);
        pb::Point { x, y, ..Default::default() }
    };
    pb::RecordPathRequest {
        name: name.to_owned(),
        options: Some(pb::PathOptions { model: pb::Model::Planar.into(), ..Default::default() }),
        write_offset: offset,
        points: numbers.iter().map(row).collect(),
        ..Default::default()
    }
}

fn finishing(message: pb::RecordPathRequest) -> pb::RecordPathRequest {
    pb::RecordPathRequest { finish_write: true, ..message }
}

/// The values of a summary that depend on its points and their order.
type Trace = (u64, Option<f64>, Option<f64>, Option<(f64, f64, f64, f64)>);

/// Returns the trace of points with these numbers.
fn expected(numbers: &[u64]) -> Trace {
    let mut accumulator = PathAccumulator::new(Options::new(Metric::Planar));
    let fix = |&number: &u64| {
        let (x, y) = position(number);
        Fix::new(Point::planar(x, y).unwrap())
    };
    accumulator.extend(&numbers.iter().map(fix).collect::<Vec<_>>()).unwrap();
    let summary = accumulator.summary();
    let positions = || numbers.iter().map(|&number| position(number));
    let bounds = (!numbers.is_empty()).then(|| {
        let (x, y) = (positions().map(|at| at.0), positions().map(|at| at.1));
        (
            x.clone().fold(f64::INFINITY, f64::min),
            y.clone().fold(f64::INFINITY, f64::min),
            x.fold(f64::NEG_INFINITY, f64::max),
            y.fold(f64::NEG_INFINITY, f64::max),
        )
    });
    (summary.point_count, Some(summary.length), Some(summary.displacement), bounds)
}

fn trace(summary: Option<pb::PathSummary>) -> Trace {
    let summary = summary.unwrap();
    let bounds =
        summary.bounds.map(|bounds| (bounds.min_x, bounds.min_y, bounds.max_x, bounds.max_y));
    (summary.point_count, summary.length, summary.displacement, bounds)
}

async fn record(
    server: &Server,
    messages: Vec<pb::RecordPathRequest>,
) -> Result<pb::RecordPathResponse, Status> {
    Ok(server.paths().await.record_path(iter(messages)).await?.into_inner())
}

async fn path(server: &Server, name: &str) -> Result<pb::Path, Status> {
    let request = pb::GetPathRequest { name: name.to_owned(), ..Default::default() };
    Ok(server.paths().await.get_path(request).await?.into_inner().path.unwrap())
}

/// Returns the code, the reason and the number of durable points of an error.
fn refusal(status: &Status) -> (Code, String, Option<u64>) {
    let info = status.get_details_error_info().unwrap();
    let points = info.metadata.get("committed_points").map(|points| points.parse().unwrap());
    (status.code(), info.reason, points)
}

#[tokio::test]
async fn ten_messages_without_offsets_are_ten_points() {
    let server = Server::start().await;
    for name in ["", "paths/forgotten"] {
        let mut messages: Vec<_> = (0..10).map(|number| message(name, None, &[number])).collect();
        messages[9].finish_write = true;
        let reply = record(&server, messages).await.unwrap();
        assert_eq!((reply.complete, reply.committed_points, reply.skipped_points), (true, 10, 0));
        assert_eq!(trace(reply.summary), expected(&(0..10).collect::<Vec<_>>()));
    }
}

#[tokio::test]
async fn a_new_stream_of_a_recording_with_points_needs_an_offset() {
    let server = Server::start().await;
    let name = "paths/required";
    record(&server, vec![message(name, None, &[0, 1, 2])]).await.unwrap();
    let last = finishing(message(name, None, &[3]));
    let end = finishing(message(name, None, &[]));
    for forgotten in [message(name, None, &[]), last.clone(), end] {
        let status = record(&server, vec![forgotten]).await.unwrap_err();
        let reason = "OFFSET_REQUIRED".to_owned();
        assert_eq!(refusal(&status), (Code::FailedPrecondition, reason, Some(3)));
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (&*info.metadata["field"], &*info.metadata["message_index"]),
            ("write_offset", "0")
        );
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "write_offset");
    }
    // The finished recording needs one, too.
    let resumed = pb::RecordPathRequest { write_offset: Some(3), ..last.clone() };
    assert!(record(&server, vec![resumed]).await.unwrap().complete);
    let status = record(&server, vec![last]).await.unwrap_err();
    assert_eq!(refusal(&status).2, Some(4));
}

#[tokio::test]
async fn a_refused_stream_does_not_end_the_stream_of_another_writer() {
    let server = Server::with(|config| config.checkpoint_points = 1).await;
    let name = "paths/writers";
    let (sender, messages) = tokio::sync::mpsc::channel(1);
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    let mut client = server.paths().await;
    let writer = tokio::spawn(async move { client.record_path(messages).await });
    sender.send(message(name, None, &[0, 1])).await.unwrap();
    let request =
        pb::WatchPathRequest { name: name.to_owned(), allow_missing: true, ..Default::default() };
    let mut watch = server.paths().await.watch_path(request).await.unwrap().into_inner();
    while watch.message().await.unwrap().unwrap().path.unwrap().committed_points < 2 {}

    let status = record(&server, vec![message(name, None, &[2])]).await.unwrap_err();
    assert_eq!(refusal(&status).1, "OFFSET_REQUIRED");
    sender.send(finishing(message(name, None, &[2]))).await.unwrap();
    drop(sender);
    let reply = writer.await.unwrap().unwrap().into_inner();
    assert_eq!((reply.complete, reply.committed_points), (true, 3));
}

#[tokio::test]
async fn a_message_that_does_not_continue_its_stream_is_refused() {
    let server = Server::start().await;
    for (name, durable) in [("", 0), ("paths/mismatch", 2)] {
        let messages = vec![message(name, Some(0), &[0, 1]), message(name, Some(1), &[2])];
        let status = record(&server, messages).await.unwrap_err();
        // The points before the refused message are committed first.
        let reason = "OFFSET_MISMATCH".to_owned();
        assert_eq!(refusal(&status), (Code::InvalidArgument, reason, Some(durable)));
        let info = status.get_details_error_info().unwrap();
        assert_eq!((&*info.metadata["field"], &*info.metadata["offset"]), ("write_offset", "2"));
        assert_eq!(
            status.get_details_bad_request().unwrap().field_violations[0].field,
            "write_offset"
        );
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                status.message(),
                @"write_offset is 1, but the stream continues at point 2; leave write_offset unset or set it to 2"
            );
        }
    }
    let status = record(&server, vec![message("", Some(1), &[0])]).await.unwrap_err();
    assert_eq!(refusal(&status).1, "OFFSET_MISMATCH");
}

#[tokio::test]
async fn a_recording_that_is_sent_again_is_skipped_and_answered() {
    let server = Server::start().await;
    let name = "paths/again";
    let messages =
        vec![message(name, Some(0), &[0, 1, 2]), finishing(message(name, None, &[3, 4]))];
    let reply = record(&server, messages.clone()).await.unwrap();
    assert_eq!((reply.complete, reply.skipped_points), (true, 0));
    let again = record(&server, messages.clone()).await.unwrap();
    assert_eq!(again, pb::RecordPathResponse { skipped_points: 5, ..reply });
    let status = record(&server, vec![finishing(messages[0].clone())]).await.unwrap_err();
    let longer = (Code::FailedPrecondition, "PATH_LONGER".to_owned(), Some(5));
    assert_eq!(refusal(&status), longer);
    let status = record(&server, vec![message(name, Some(5), &[5])]).await.unwrap_err();
    let complete = (Code::FailedPrecondition, "PATH_COMPLETE".to_owned(), Some(5));
    assert_eq!(refusal(&status), complete);
}

/// The offset that a client sends, correct or not.
#[derive(Clone, Debug)]
enum Offset {
    Unset,
    At(u64),
    /// At this distance from the number of durable points.
    Durable(i64),
    /// At this distance from the end of the previous message.
    Next(i64),
}

fn stream() -> impl Strategy<Value = Vec<(Offset, u64)>> {
    let offset = prop_oneof![
        3 => Just(Offset::Unset),
        1 => (0..12_u64).prop_map(Offset::At),
        2 => prop_oneof![2 => Just(0_i64), 1 => -4..3_i64].prop_map(Offset::Durable),
        3 => prop_oneof![4 => Just(0_i64), 1 => -2..3_i64].prop_map(Offset::Next),
    ];
    prop::collection::vec((offset, 0..5_u64), 1..6)
}

/// Sends one stream. Updates `durable`, the numbers of the points that are durable.
async fn send(
    server: &Server,
    name: &str,
    durable: &mut Vec<u64>,
    number: &mut std::ops::RangeFrom<u64>,
    stream: Vec<(Offset, u64)>,
) -> Result<(), TestCaseError> {
    let before = durable.len() as u64;
    let (mut messages, mut sent, mut start) = (Vec::new(), Vec::new(), None);
    for (offset, count) in stream {
        let next = start.unwrap_or(0) + sent.len() as u64;
        let offset = match offset {
            Offset::Unset => None,
            Offset::At(offset) => Some(offset),
            Offset::Durable(by) => Some(before.saturating_add_signed(by)),
            Offset::Next(by) => Some(next.saturating_add_signed(by)),
        };
        let numbers: Vec<u64> = number.by_ref().take(count as usize).collect();
        messages.push(message(name, offset, &numbers));
        start.get_or_insert(offset.unwrap_or(0));
        sent.extend(numbers);
    }
    let start = start.unwrap_or(0);
    match record(server, messages).await {
        Ok(reply) => {
            let skipped = reply.skipped_points;
            prop_assert!(
                skipped <= before.saturating_sub(start),
                "a skipped point was not durable"
            );
            durable.extend(&sent[skipped as usize..]);
            prop_assert_eq!(reply.committed_points, durable.len() as u64);
            prop_assert_eq!(trace(reply.summary), expected(durable));
        }
        Err(status) => {
            // A prefix of the new points may be durable.
            let (code, reason, points) = refusal(&status);
            prop_assert!(reason.starts_with("OFFSET_"), "{:?} {}", code, reason);
            let stored = path(server, name).await.map_or(0, |path| path.committed_points);
            prop_assert_eq!(points, Some(stored));
            let new = sent.iter().skip(before.saturating_sub(start) as usize);
            durable.extend(new.take((stored - before) as usize));
            prop_assert_eq!(durable.len() as u64, stored);
        }
    }
    if let Ok(path) = path(server, name).await {
        prop_assert_eq!(trace(path.summary), expected(durable));
    }
    Ok(())
}

#[test]
fn every_point_is_in_the_total_or_skipped_as_durable_or_the_call_fails() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let case = std::cell::Cell::new(0);
    let streams = prop::collection::vec(stream(), 1..6);
    let result = runner.run(&streams, |streams| {
        case.set(case.get() + 1);
        let name = format!("paths/case-{}", case.get());
        runtime.block_on(async {
            let (mut durable, mut number) = (Vec::new(), 0..);
            for stream in streams {
                send(&server, &name, &mut durable, &mut number, stream).await?;
            }
            Ok(())
        })
    });
    result.unwrap();
}
