//! Tests of watching and showing recordings.

use super::*;
use crate::measure::{Fix, Metric, Options, PathAccumulator, PathSummary, Point};

fn stored(summary: Option<PathSummary>) -> StoredPath {
    StoredPath {
        name: "paths/walk".to_owned(),
        is_complete: false,
        committed_points: summary.as_ref().map_or(0, |summary| summary.point_count),
        summary,
        options: None,
        create_unix_ms: Some(1_700_000_000_000),
        update_unix_ms: Some(1_700_000_060_123),
        expire_unix_ms: None,
    }
}

fn walk() -> PathSummary {
    let options = Options::builder(Metric::Geodesic).min_step(1.0).build().unwrap();
    let mut accumulator = PathAccumulator::new(options);
    let fix = |(i, latitude): (i64, f64)| {
        let fix = Fix::new(Point::geographic(latitude, 14.0).unwrap());
        fix.at_unix_ns(i * 30_000_000_000).unwrap().with_z(i as f64).unwrap()
    };
    let fixes: Vec<_> = (0..).zip([46.0, 46.0, 46.01]).map(fix).collect();
    accumulator.extend(&fixes).unwrap();
    accumulator.summary()
}

fn printed(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_watch_survives_any_number_of_lost_connections() {
    let budget = RetryPolicy::default().budget;
    let mut connections = 0;
    let open = async || {
        connections += 1;
        let number = connections;
        // The server is unavailable for a moment, or loses a connection that had no updates for a long time.
        let lost = || ClientError::from(Box::new(tonic::Status::unavailable("lost")));
        if number % 2 == 0 {
            return Err(lost());
        }
        let updates = async move {
            tokio::time::sleep(budget * 2).await;
            match number {
                9 => Ok(StoredPath { is_complete: true, ..stored(Some(walk())) }),
                _ => Err(lost()),
            }
        };
        Ok((Box::pin(futures::stream::once(updates)), ()))
    };
    let mut out = Vec::new();
    print_updates(open, &mut out, false, true).await.unwrap().unwrap();
    assert_eq!(connections, 9);
    assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_when_the_server_stays_unavailable() {
    let open = async || {
        let status = Box::new(tonic::Status::unavailable("away"));
        Err::<(futures::stream::Empty<_>, ()), _>(ClientError::from(status))
    };
    let started = tokio::time::Instant::now();
    assert!(print_updates(open, &mut Vec::new(), false, true).await.is_err());
    assert!(started.elapsed() <= RetryPolicy::default().budget);
}

#[test]
fn a_recording_without_a_summary_is_damaged() {
    let path = stored(None);
    let text = printed(|out| row(out, &path, false));
    insta::assert_snapshot!(text, @"paths/walk                                                                 damaged");
    let json = printed(|out| row(out, &path, true));
    insta::assert_snapshot!(json, @r#"{"name":"paths/walk","damaged":true}"#);
}

#[test]
fn a_recording_is_shown_with_its_details_as_text_and_json() {
    let path = stored(Some(walk()));
    let summary = path.summary.as_ref().unwrap();
    let text = printed(|out| Report::recording(out, state(&path), &path, summary));
    insta::assert_snapshot!(text, @r"
    state    recording                              points segments           length
    growing  paths/walk                                  2        1      1 111.514 m
        all points, unfiltered                           3               1 111.514 m
        - too near, first at 1                           1                   0.000 m
        = accepted points                                2               1 111.514 m
        from first to last                                               1 111.514 m
        ascent (mean of 45s, climbs from 3 m)                                0.000 m
        descent                                                              0.000 m
        raw ascent                                                           2.000 m
        raw descent                                                          0.000 m
        elapsed time                                                              1m
        moving time, at least 0.3 m/s                                             1m
        highest speed over 5 s                                            18.525 m/s
        created                                             2023-11-14T22:13:20.000Z
        last changed                                        2023-11-14T22:14:20.123Z
    ");
    let json = printed(|out| row(out, &path, true));
    insta::assert_snapshot!(json, @r#"{"name":"paths/walk","complete":false,"committed_points":3,"length_m":1111.5141618393973,"model":"geodesic","segments":1,"displacement_m":1111.5141618393973,"bbox":[14.0,46.0,14.0,46.01],"accepted":2,"raw_length_m":1111.5141618393973,"elapsed_s":60.0,"moving_s":60.0,"max_speed_mps":18.52523603065662,"ascent_m":0.0,"descent_m":0.0,"rejections":[{"reason":"step","count":1,"first_offset":1,"rejected_length_m":0.0}],"create_time":"2023-11-14T22:13:20.000Z","update_time":"2023-11-14T22:14:20.123Z","gap_length_m":0.0,"raw_ascent_m":2.0,"raw_descent_m":0.0,"unused_options":[]}"#);
}
