//! A recorder compares the points of its source with those that the server has.

use std::net::SocketAddr;
use std::time::Duration;

use futures::stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use waywiser::client::{Client, RecordError, RecordEvent, Recorded, Recorder, RetryPolicy};
use waywiser::measure::{
    Fix, Metric, Options, OptionsBuilder, Point, WindowOptions, WindowUnit, Zone,
};
use waywiser::recording::RecordingName;

use crate::support::Server;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// What the receiver reports for one fix.
#[derive(Clone, Copy)]
struct Report {
    x: f64,
    y: f64,
    z: Option<f64>,
    unix_ns: Option<i64>,
    accuracy_m: f64,
}

/// Returns the reports of a walk.
fn walk(count: usize) -> Vec<Report> {
    let report = |i: usize| Report {
        x: 14.0 + i as f64 * 1.7e-5,
        y: 46.0 + (i as f64 / 70.0).sin() / 500.0,
        z: Some(700.0 + (i as f64 / 9.0).cos() * 30.0),
        unix_ns: Some(1_700_000_000 * SECOND + i as i64 * SECOND),
        accuracy_m: if i % 7 == 3 { 40.0 } else { 5.0 },
    };
    (0..count).map(report).collect()
}

fn fix(report: &Report) -> Fix {
    let fix = Fix::new(Point::geographic(report.y, report.x).unwrap());
    let fix = report.z.map_or(fix, |z| fix.with_z(z).unwrap());
    let fix = report.unix_ns.map_or(fix, |unix_ns| fix.at_unix_ns(unix_ns).unwrap());
    fix.with_accuracy_m(report.accuracy_m).unwrap()
}

fn recorder(address: SocketAddr, id: &str, options: Options) -> Recorder {
    let client = Client::connect_lazy(&format!("http://{address}")).unwrap();
    let name: RecordingName = format!("paths/{id}").parse().unwrap();
    let policy =
        RetryPolicy { initial_backoff: Duration::from_millis(1), ..RetryPolicy::default() };
    client.recorder(name, options).retry_policy(policy)
}

/// Records fixes and ends without finishing the path, when they are durable.
async fn record_and_leave(address: SocketAddr, id: &str, options: Options, reports: &[Report]) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (events, mut received) = mpsc::unbounded_channel();
    let recorder = recorder(address, id, options).on_event(move |event| drop(events.send(event)));
    let call = tokio::spawn(recorder.record(UnboundedReceiverStream::new(receiver)));
    reports.iter().for_each(|report| sender.send(fix(report)).unwrap());
    let committed_points = reports.len() as u64;
    loop {
        match received.recv().await {
            Some(RecordEvent::Committed { committed_points: points })
                if points == committed_points =>
            {
                break;
            }
            Some(_) => {}
            None => panic!("{id}: {:?}", call.await),
        }
    }
    call.abort();
    let _ = call.await;
}

async fn record(
    address: SocketAddr,
    id: &str,
    options: Options,
    reports: &[Report],
) -> Result<Recorded, RecordError> {
    let fixes: Vec<Fix> = reports.iter().map(fix).collect();
    recorder(address, id, options).record(stream::iter(fixes)).await
}

fn options(set: impl Fn(OptionsBuilder) -> OptionsBuilder) -> Options {
    set(Options::builder(Metric::Geodesic)).build().unwrap()
}

/// The positions are the same, and the fixes differ in another way.
#[tokio::test]
async fn other_times_elevations_and_accuracies_are_other_points() {
    type Change = fn(usize, &mut Report);
    let server = Server::with(|config| config.checkpoint_points = 10).await;
    let plain = options(|builder| builder);
    let accurate = options(|builder| builder.max_accuracy_m(20.0));
    let by_day =
        WindowOptions { max_windows: 100, ..WindowOptions::new(WindowUnit::Day, Zone::UTC) };
    let by_day = options(|builder| builder.windows(by_day));
    let slow = options(|builder| builder.max_speed(30.0).min_step(1.5));
    let changes: [(&str, Options, bool, Change); 11] = [
        ("same", slow, true, |_, _| {}),
        ("rounding", plain, true, |_, report| report.x += 0.0),
        ("days", plain, false, |_, report| report.unix_ns = report.unix_ns.map(|ns| ns + DAY)),
        ("days-slow", slow, false, |_, report| report.unix_ns = report.unix_ns.map(|ns| ns + DAY)),
        ("no-times", plain, false, |_, report| report.unix_ns = None),
        ("slower", slow, false, |i, report| {
            report.unix_ns = report.unix_ns.map(|ns| ns + i as i64 * SECOND);
        }),
        ("elevations", plain, false, |i, report| report.z = Some(i as f64)),
        ("no-elevations", plain, false, |_, report| report.z = None),
        ("accuracies", accurate, false, |i, report| {
            report.accuracy_m = if i % 7 == 4 { 40.0 } else { 5.0 };
        }),
        // The last fix keeps its time.
        ("windows", by_day, false, |i, report| {
            if i == 0 {
                report.unix_ns = report.unix_ns.map(|ns| ns - DAY);
            }
        }),
        // Back and forth: the same length and the same box.
        ("mirrored", plain, false, |i, report| {
            report.z = None;
            report.x = if i % 2 == 0 { 14.0 } else { 14.1 };
            report.y = 46.0;
        }),
    ];
    for (id, options, is_same, change) in changes {
        for count in [100, 150] {
            let id = format!("{id}-{count}");
            let mut first = walk(100);
            let mut second = walk(count);
            if id.starts_with("mirrored") {
                for (i, report) in first.iter_mut().enumerate() {
                    change(i + 1, report);
                }
            }
            second.iter_mut().enumerate().for_each(|(i, report)| change(i, report));
            record_and_leave(server.address, &id, options, &first).await;
            match record(server.address, &id, options, &second).await {
                Ok(recorded) if is_same => assert_eq!(recorded.point_count, count as u64),
                Err(RecordError::SourceDiffers { stored: 100, .. }) if !is_same => {}
                other => panic!("{id}: {other:?}"),
            }
        }
    }
}
