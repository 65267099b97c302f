//! Recordings over connections that fail: the summary is bit-identical to that of one uninterrupted fold, or the
//! recorder reports the reason for its failure.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use waywiser::client::{
    Client, PathPart, RecordError, RecordEvent, Recorded, Recorder, RetryPolicy, StoredPath,
};
use waywiser::measure::{Fix, Metric, Options, PathAccumulator, PathSummary, Point};
use waywiser::proto::waywiser_v1 as pb;
use waywiser::recording::RecordingName;
use waywiser::store::MemoryStore;

use crate::proxy::{Fault, Proxy};
use crate::support::{Server, reserved_address};

/// Returns a walk of fixes with time, elevation and segments. Some coordinates are whole multiples of 1e-7 degree, and
/// some are not.
fn walk(count: usize) -> Vec<Fix> {
    let fix = |i: usize| {
        let t = i as f64;
        let (latitude, longitude) = (46.0 + (t / 700.0).sin() / 50.0, 14.0 + t * 1.7e-5);
        let is_whole = (i / 3000).is_multiple_of(2);
        let round = |value: f64| if is_whole { (value * 1e7).round() / 1e7 } else { value };
        let point = Point::geographic(round(latitude), round(longitude)).unwrap();
        let unix_ns = 1_700_000_000_000_000_000 + i as i64 * 1_000_000_000;
        let fix = Fix::new(point).at_unix_ns(unix_ns).unwrap();
        let fix = fix.with_z((t / 90.0).cos().mul_add(300.0, 700.0)).unwrap();
        if i % 4001 == 4000 { fix.starting_segment() } else { fix }
    };
    (0..count).map(fix).collect()
}

fn options() -> Options {
    Options::builder(Metric::Geodesic).max_speed(30.0).min_step(1.5).build().unwrap()
}

fn measured(fixes: &[Fix]) -> PathSummary {
    let mut accumulator = PathAccumulator::new(options());
    accumulator.extend(fixes).unwrap();
    accumulator.summary()
}

fn name(id: &str) -> RecordingName {
    format!("paths/{id}").parse().unwrap()
}

fn recorder(address: SocketAddr, id: &str) -> Recorder {
    let client = Client::connect_lazy(&format!("http://{address}")).unwrap();
    let initial_backoff = Duration::from_millis(1);
    let max_backoff = initial_backoff * 20;
    let policy = RetryPolicy { initial_backoff, max_backoff, ..RetryPolicy::default() };
    client.recorder(name(id), options()).retry_policy(policy)
}

async fn stored(server: &Server, id: &str) -> StoredPath {
    let client = Client::connect(&format!("http://{}", server.address)).await.unwrap();
    client.get_path(&name(id)).await.unwrap()
}

fn assert_same(recorded: &Recorded, fixes: &[Fix]) {
    assert_eq!(recorded.point_count, fixes.len() as u64);
    assert_eq!(recorded.summary, measured(fixes));
    assert_eq!(recorded.summary.length.to_bits(), measured(fixes).length.to_bits());
}

/// Starts a server that commits often, so that recordings can be resumed in the middle.
async fn server_with_frequent_commits() -> Server {
    Server::with(|config| config.checkpoint_points = 2_000).await
}

#[tokio::test]
async fn a_recorded_path_is_bit_identical_to_a_fold() {
    let server = server_with_frequent_commits().await;
    let fixes = walk(20_000);
    let recorded = recorder(server.address, "plain").record(stream::iter(fixes.clone())).await;
    assert_same(&recorded.unwrap(), &fixes);
    // A client that lost the reply records the path again.
    let recorded = recorder(server.address, "plain").record(stream::iter(fixes.clone())).await;
    assert_same(&recorded.unwrap(), &fixes);
    // A path with another number of points.
    for count in [19_999, 20_001] {
        let other = stream::iter(walk(count));
        let error = recorder(server.address, "plain").record(other).await.unwrap_err();
        assert!(matches!(error, RecordError::SourceLength { stored: 20_000, .. }), "{error}");
    }
    let empty = recorder(server.address, "empty").record(stream::empty()).await.unwrap();
    assert_same(&empty, &[]);
}

#[tokio::test]
async fn lost_connections_do_not_change_a_bit() {
    let fixes = walk(20_000);
    let kinds: [fn(usize) -> Fault; 3] = [Fault::Fin, Fault::Rst, Fault::Mute];
    for (round, kind) in kinds.into_iter().enumerate() {
        let server = server_with_frequent_commits().await;
        // Faults from the preface to the last messages. The last connection has no fault.
        let faults: Vec<_> = (0..24).map(|i| kind(1 + i * i * 700 + i * 13)).collect();
        let proxy = Proxy::start(server.address, faults).await;
        let id = format!("cut-{round}");
        let retries = Arc::new(AtomicUsize::new(0));
        let (count, reported) = (Arc::clone(&retries), Mutex::new(0));
        let recorder = recorder(proxy.address, &id).window_points(6_000).on_event(move |event| {
            let mut reported = reported.lock().unwrap();
            match event {
                RecordEvent::Retrying { .. } => {
                    count.fetch_add(1, SeqCst);
                }
                RecordEvent::Connected { committed_points }
                | RecordEvent::Committed { committed_points } => {
                    assert!(committed_points >= *reported);
                    *reported = committed_points;
                }
                _ => {}
            }
        });
        let recorded = recorder.record(stream::iter(fixes.clone())).await.unwrap();
        assert_same(&recorded, &fixes);
        assert!(proxy.connections() > 5, "{} connections", proxy.connections());
        assert_eq!(retries.load(SeqCst) + 1, proxy.connections());
        assert_eq!(stored(&server, &id).await.summary, Some(recorded.summary));
    }
}

#[tokio::test]
async fn a_silent_connection_is_replaced() {
    let server = server_with_frequent_commits().await;
    let fixes = walk(20_000);
    let proxy = Proxy::start(server.address, vec![Fault::Stall(60_000), Fault::Stall(300)]).await;
    let recorder = recorder(proxy.address, "stall").stall_timeout(Duration::from_millis(800));
    let recorded = recorder.record(stream::iter(fixes.clone())).await.unwrap();
    assert_same(&recorded, &fixes);
    // A slow machine may also replace a live connection.
    assert!(proxy.connections() >= 3);
}

#[tokio::test]
async fn a_recording_resumes_after_a_restart_of_the_server() {
    let fixes = walk(20_000);
    let store = Arc::new(MemoryStore::default());
    let (_reserved, address) = reserved_address();
    let listener = TcpListener::bind(address).await.unwrap();
    let mut first = Server::on(listener, store.clone(), |config| {
        config.checkpoint_points = 1_000;
        config.drain_timeout = Duration::from_millis(100);
    });
    let (sender, receiver) = mpsc::unbounded_channel();
    let (sender_of_events, mut events) = mpsc::unbounded_channel();
    let recorder =
        recorder(address, "restart").on_event(move |event| drop(sender_of_events.send(event)));
    let call = tokio::spawn(recorder.record(UnboundedReceiverStream::new(receiver)));
    fixes[..9_000].iter().for_each(|&fix| sender.send(fix).unwrap());
    while !matches!(
        events.recv().await.unwrap(),
        RecordEvent::Committed { committed_points } if committed_points > 5_000
    ) {}
    first.stop();
    first.stopped().await;
    // No server is running.
    while !matches!(events.recv().await.unwrap(), RecordEvent::Retrying { .. }) {}
    fixes[9_000..].iter().for_each(|&fix| sender.send(fix).unwrap());
    drop(sender);
    let listener = TcpListener::bind(address).await.unwrap();
    let _second = Server::on(listener, store, |_| {});
    assert_same(&call.await.unwrap().unwrap(), &fixes);
}

#[tokio::test]
async fn another_recorder_resumes_a_recording_after_the_first_one_has_stopped() {
    let server = server_with_frequent_commits().await;
    let fixes = walk(20_000);
    let (sender, receiver) = mpsc::unbounded_channel();
    let (sender_of_events, mut events) = mpsc::unbounded_channel();
    let first = recorder(server.address, "resumed")
        .on_event(move |event| drop(sender_of_events.send(event)));
    let call = tokio::spawn(first.record(UnboundedReceiverStream::new(receiver)));
    fixes[..7_000].iter().for_each(|&fix| sender.send(fix).unwrap());
    while !matches!(events.recv().await.unwrap(), RecordEvent::Committed { .. }) {}
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    let path = stored(&server, "resumed").await;
    assert!(!path.is_complete && path.committed_points >= 2_000);

    let recorded = recorder(server.address, "resumed").record(stream::iter(fixes.clone())).await;
    assert_same(&recorded.unwrap(), &fixes);
}

#[tokio::test]
async fn a_recording_that_is_resumed_with_other_options_names_them_and_not_the_source() {
    let server = server_with_frequent_commits().await;
    let row = |i: u32| pb::Point { x: f64::from(i) * 3.0, ..Default::default() };
    let planar = pb::PathOptions { model: pb::Model::Planar.into(), ..Default::default() };
    for finish_write in [false, true] {
        let id = format!("options-{finish_write}");
        let half = pb::RecordPathRequest {
            name: format!("paths/{id}"),
            options: Some(planar.clone()),
            points: (0..1_000).map(row).collect(),
            finish_write,
            ..Default::default()
        };
        server.paths().await.record_path(stream::iter([half])).await.unwrap();
        let fixes = |count: u32| {
            let fix = |i| Fix::new(Point::planar(f64::from(i) * 3.0, 0.0).unwrap());
            stream::iter((0..count).map(fix).collect::<Vec<_>>())
        };
        let client = Client::connect_lazy(&format!("http://{}", server.address)).unwrap();
        let planar = Options::new(Metric::Planar);
        for options in [planar.to_builder().min_step(3_000.0).build().unwrap(), options()] {
            let source = match options.metric() {
                Metric::Planar => fixes(2_000).left_stream(),
                _ => stream::iter(walk(2_000)).right_stream(),
            };
            let error = client.recorder(name(&id), options).record(source).await.unwrap_err();
            let RecordError::Refused { source: error, .. } = error else { panic!("{error}") };
            let field = if options.metric() == Metric::Planar { "min_step" } else { "model" };
            let text =
                format!("the options differ from those of the recording: options.{field}: it is");
            assert!(error.to_string().contains(&text), "{error}");
        }
        // The same options are accepted.
        let count = if finish_write { 1_000 } else { 2_000 };
        let recorded = client.recorder(name(&id), planar).record(fixes(count)).await.unwrap();
        assert_eq!(recorded.point_count, u64::from(count));
    }
}

#[tokio::test]
async fn of_two_recorders_the_older_one_fails() {
    let server = server_with_frequent_commits().await;
    let fixes = walk(8_000);
    let (sender, receiver) = mpsc::unbounded_channel();
    let (sender_of_events, mut events) = mpsc::unbounded_channel();
    let older =
        recorder(server.address, "two").on_event(move |event| drop(sender_of_events.send(event)));
    let call = tokio::spawn(older.record(UnboundedReceiverStream::new(receiver)));
    fixes[..3_000].iter().for_each(|&fix| sender.send(fix).unwrap());
    while !matches!(events.recv().await.unwrap(), RecordEvent::Committed { .. }) {}

    let newer = recorder(server.address, "two").record(stream::iter(fixes.clone())).await;
    assert_same(&newer.unwrap(), &fixes);
    // The server refuses the next points of the older one.
    let _ = sender.send(fixes[3_000]);
    let error = call.await.unwrap().unwrap_err();
    insta::assert_snapshot!(error, @"paths/two is now written by another client, which continues after the points that were sent so far");
}

/// The first recorder is connected, and its source has no fix yet. Its watch reports the points of the other one.
#[tokio::test]
async fn points_that_another_client_records_before_the_first_fix_are_compared() {
    for (from, is_same) in [(1, false), (0, true)] {
        let server = server_with_frequent_commits().await;
        let fixes = walk(500);
        let (sender, receiver) = mpsc::unbounded_channel();
        let (sender_of_events, mut events) = mpsc::unbounded_channel();
        let waiting = recorder(server.address, "waiting")
            .on_event(move |event| drop(sender_of_events.send(event)));
        let call = tokio::spawn(waiting.record(UnboundedReceiverStream::new(receiver)));
        assert!(matches!(events.recv().await.unwrap(), RecordEvent::Connected { .. }));

        let other = recorder(server.address, "waiting");
        let other_fixes = fixes[from..from + 100].to_vec();
        let (more, rest) = mpsc::unbounded_channel();
        let other = tokio::spawn(other.record(UnboundedReceiverStream::new(rest)));
        other_fixes.iter().for_each(|&fix| more.send(fix).unwrap());
        while events.recv().await.unwrap() != (RecordEvent::Committed { committed_points: 100 }) {}
        other.abort();
        let _ = other.await;

        fixes.iter().for_each(|&fix| sender.send(fix).unwrap());
        drop(sender);
        match call.await.unwrap() {
            Ok(recorded) if is_same => assert_same(&recorded, &fixes),
            Err(RecordError::SourceDiffers { stored: 100, .. }) if !is_same => {}
            other => panic!("{is_same}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_older_recorder_without_points_to_send_fails_too() {
    // The source of the older one has no more fixes ready, or ends.
    for (id, is_ended) in [("silent", false), ("ended", true)] {
        let server = server_with_frequent_commits().await;
        let fixes = walk(8_000);
        let (sender, receiver) = mpsc::unbounded_channel();
        let (sender_of_events, mut events) = mpsc::unbounded_channel();
        let older =
            recorder(server.address, id).on_event(move |event| drop(sender_of_events.send(event)));
        let call = tokio::spawn(older.record(UnboundedReceiverStream::new(receiver)));
        fixes[..199].iter().for_each(|&fix| sender.send(fix).unwrap());
        while events.recv().await.unwrap() != (RecordEvent::Committed { committed_points: 199 }) {}

        let (sender_of_events, mut events) = mpsc::unbounded_channel();
        let newer =
            recorder(server.address, id).on_event(move |event| drop(sender_of_events.send(event)));
        let (more, rest) = mpsc::unbounded_channel();
        let newer = tokio::spawn(newer.record(UnboundedReceiverStream::new(rest)));
        fixes[..7_000].iter().for_each(|&fix| more.send(fix).unwrap());
        while !matches!(events.recv().await.unwrap(), RecordEvent::Committed { .. }) {}
        let sender = if is_ended {
            drop(sender);
            None
        } else {
            Some(sender)
        };
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error, RecordError::Fenced { .. }), "{error}");
        drop(sender);
        // The newer one is not disturbed.
        fixes[7_000..].iter().for_each(|&fix| more.send(fix).unwrap());
        drop(more);
        assert_same(&newer.await.unwrap().unwrap(), &fixes);
    }
}

#[tokio::test]
async fn a_full_window_stops_the_source_until_the_recorder_asks_for_a_commit() {
    let server = Server::with(|config| {
        config.checkpoint_points = 1_000_000;
        config.checkpoint_interval = Duration::from_secs(3600);
    })
    .await;
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let fixes = walk(2_500);
    let source = stream::iter(fixes.clone()).inspect(move |_| {
        count.fetch_add(1, SeqCst);
    });
    let count = Arc::clone(&taken);
    let (sender_of_events, mut events) = mpsc::unbounded_channel();
    // Half of the minimum of 5 s is the shortest wait.
    let policy = RetryPolicy { budget: Duration::ZERO, ..RetryPolicy::default() };
    let recorder = recorder(server.address, "full").window_points(1_500).retry_policy(policy);
    let recorder = recorder.on_event(move |event| {
        sender_of_events.send((event, count.load(SeqCst))).unwrap();
    });
    assert_same(&recorder.record(source).await.unwrap(), &fixes);
    assert_eq!(events.recv().await.unwrap(), (RecordEvent::Connected { committed_points: 0 }, 0));
    let committed = RecordEvent::Committed { committed_points: 1_500 };
    assert_eq!(events.recv().await.unwrap(), (committed, 1_500));
}

#[tokio::test]
async fn a_fix_of_the_other_space_is_refused_and_recordings_are_listed_and_deleted() {
    let server = server_with_frequent_commits().await;
    let fixes = walk(100);
    let planar = Fix::new(Point::planar(0.0, 0.0).unwrap());
    let source = stream::iter(fixes.clone().into_iter().chain([planar]));
    let error = recorder(server.address, "space").record(source).await.unwrap_err();
    insta::assert_snapshot!(error, @"fix 100 is planar, and the metric takes geographic fixes");

    recorder(server.address, "done").record(stream::iter(fixes.clone())).await.unwrap();
    let client = Client::connect(&format!("http://{}", server.address)).await.unwrap();
    let page = client.list_paths("", None).await.unwrap();
    let names: Vec<_> =
        page.paths.iter().map(|path| (path.name.as_str(), path.is_complete)).collect();
    assert!(names.contains(&("paths/done", true)), "{names:?}");
    client.delete_path(&name("done")).await.unwrap();
    assert!(client.get_path(&name("done")).await.is_err());
}

#[tokio::test]
async fn other_options_than_those_of_the_first_stream_are_refused() {
    let server = server_with_frequent_commits().await;
    let fixes = walk(3_000);
    let client = Client::connect(&format!("http://{}", server.address)).await.unwrap();
    let other = || {
        let other = options().to_builder().min_step(2.5).build().unwrap();
        client.recorder(name("options"), other).record(stream::iter(fixes.clone()))
    };
    // The recording is not finished.
    let (sender, receiver) = mpsc::unbounded_channel();
    let (sender_of_events, mut events) = mpsc::unbounded_channel();
    let first = recorder(server.address, "options")
        .on_event(move |event| drop(sender_of_events.send(event)));
    let call = tokio::spawn(first.record(UnboundedReceiverStream::new(receiver)));
    fixes.iter().for_each(|&fix| sender.send(fix).unwrap());
    while !matches!(events.recv().await.unwrap(), RecordEvent::Committed { .. }) {}
    let refused = "paths/options: the server answered FailedPrecondition: ";
    let error = other().await.unwrap_err();
    assert!(matches!(error, RecordError::Refused { .. }), "{error:?}");
    assert!(error.to_string().starts_with(refused), "{error}");
    // The recording is finished.
    drop(sender);
    assert_same(&call.await.unwrap().unwrap(), &fixes);
    assert_eq!(other().await.unwrap_err().to_string(), error.to_string());
    // The recorder does not wait for the source.
    let other = options().to_builder().min_step(None).build().unwrap();
    let endless = client.recorder(name("options"), other).record(stream::pending()).await;
    insta::assert_snapshot!(
        endless.unwrap_err(),
        @"paths/options: the server answered FailedPrecondition: paths/options: the options differ from those of the recording: options.min_step_m: it is unset in this message and 1.5 in the recording; send the options of the recording, or none"
    );
}

#[tokio::test]
async fn a_recording_is_watched_until_it_is_finished() {
    let server = server_with_frequent_commits().await;
    let client = Client::connect(&format!("http://{}", server.address)).await.unwrap();
    let watch = client.watch_path(&name("watched"), true).await.unwrap();
    let fixes = walk(9_000);
    let record = recorder(server.address, "watched").record(stream::iter(fixes.clone()));
    let (updates, recorded) = tokio::join!(watch.collect::<Vec<_>>(), record);
    let last = updates.last().unwrap().as_ref().unwrap();
    assert!(last.is_complete);
    assert_eq!(last.summary, Some(recorded.unwrap().summary));
}

#[tokio::test]
async fn whole_paths_are_measured_in_a_batch() {
    let server = server_with_frequent_commits().await;
    let client = Client::connect(&format!("http://{}", server.address)).await.unwrap();
    let fixes = walk(6_000);
    let part = |path_id: &str, fixes: &[Fix], is_last| PathPart {
        path_id: path_id.to_owned(),
        options: options(),
        fixes: fixes.to_vec(),
        is_last,
    };
    let parts = vec![
        part("a", &fixes[..2_500], false),
        part("a", &fixes[2_500..], true),
        part("none", &[], true),
        part("b", &fixes[..1_000], true),
    ];
    let answers = client.measure_paths(stream::iter(parts)).await.unwrap();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap()).collect().await;
    let ids: Vec<_> = answers.iter().map(|answer| answer.path_id.as_str()).collect();
    assert_eq!(ids, ["a", "none", "b"]);
    assert_eq!(answers[0].outcome, Ok(measured(&fixes)));
    assert_eq!(answers[1].outcome, Ok(measured(&[])));
    assert_eq!(answers[2].outcome, Ok(measured(&fixes[..1_000])));
}
