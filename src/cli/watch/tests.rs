//! Tests of watching and showing recordings.

use super::*;
use crate::cli::recording_row::{state, write as row};
use crate::cli::report::Report;
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
        last_fix: None,
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

fn screen(out: &mut Vec<u8>, json: bool) -> Screen<'_, Vec<u8>> {
    static NAME: std::sync::LazyLock<RecordingName> =
        std::sync::LazyLock::new(|| "paths/walk".parse().unwrap());
    Screen { out, name: &NAME, json, names: Names::Truncated, is_line: false, is_open: false }
}

#[tokio::test(start_paused = true)]
async fn a_watch_survives_any_number_of_lost_connections() {
    let budget = RetryPolicy::default().budget;
    let mut connections = 0;
    let open = async |_| {
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
    let end = follow(open, screen(&mut out, true), Reauthentication::new(None)).await;
    assert_eq!(end.unwrap().unwrap(), End::Finished);
    assert_eq!(connections, 9);
    assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_when_the_server_stays_unavailable() {
    let open = async |_| {
        let status = Box::new(tonic::Status::unavailable("away"));
        Err::<(futures::stream::Empty<_>, ()), _>(ClientError::from(status))
    };
    let started = tokio::time::Instant::now();
    let (mut out, token) = (Vec::new(), Reauthentication::new(None));
    assert!(follow(open, screen(&mut out, true), token).await.is_err());
    assert!(started.elapsed() <= RetryPolicy::default().budget);
}

#[test]
fn a_recording_without_a_summary_is_damaged() {
    let path = stored(None);
    let text = printed(|out| row(out, &path, false, Names::Truncated));
    insta::assert_snapshot!(text, @"paths/walk                                                              damaged");
    let json = printed(|out| row(out, &path, true, Names::Truncated));
    insta::assert_snapshot!(json, @r#"{"name":"paths/walk","damaged":true,"state":"damaged"}"#);
}

#[test]
fn a_recording_is_shown_with_its_details_as_text_and_json() {
    let path = stored(Some(walk()));
    let summary = path.summary.as_ref().unwrap();
    let text =
        printed(|out| Report::recording(out, state(&path), &path, summary, Names::Truncated));
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
    let json = printed(|out| row(out, &path, true, Names::Truncated));
    insta::assert_snapshot!(json, @r#"{"name":"paths/walk","complete":false,"committed_points":3,"length_m":1111.5141618393973,"model":"geodesic","segments":1,"displacement_m":1111.5141618393973,"bbox":[14.0,46.0,14.0,46.01],"accepted":2,"raw_length_m":1111.5141618393973,"elapsed_s":60.0,"moving_s":60.0,"max_speed_mps":18.52523603065662,"ascent_m":0.0,"descent_m":0.0,"rejections":[{"reason":"step","count":1,"first_offset":1,"rejected_length_m":0.0}],"create_time":"2023-11-14T22:13:20.000Z","update_time":"2023-11-14T22:14:20.123Z","gap_length_m":0.0,"raw_ascent_m":2.0,"raw_descent_m":0.0,"unused_options":[],"state":"growing"}"#);
}

/// A step of a server: what it answers to the next watch, with the updates before its end.
type Step = Result<Vec<StoredPath>, tonic::Status>;

/// Watches a server that answers in these steps.
async fn watched(
    steps: Vec<Step>,
    json: bool,
    token: Reauthentication,
) -> (Result<End, String>, String) {
    let mut steps = steps.into_iter();
    let open = async |_| match steps.next().unwrap() {
        Ok(updates) => {
            let deleted = Err(ClientError::from(Box::new(tonic::Status::not_found("no"))));
            let updates = updates.into_iter().map(Ok).chain([deleted]);
            Ok((futures::stream::iter(updates.collect::<Vec<_>>()), ()))
        }
        Err(status) => Err(ClientError::from(Box::new(status))),
    };
    let mut out = Vec::new();
    let end = follow(open, screen(&mut out, json), token).await.map(|written| written.unwrap());
    (end.map_err(|error| error.to_string()), String::from_utf8(out).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_watch_reports_that_it_waits_and_that_the_recording_was_deleted() {
    let missing = || Err(tonic::Status::not_found("no"));
    let steps = || vec![missing(), Ok(vec![stored(Some(walk()))])];
    let (end, out) = watched(steps(), true, Reauthentication::new(None)).await;
    assert_eq!(end, Ok(End::Deleted));
    let states = out.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {}", line["name"].as_str().unwrap(), line["state"].as_str().unwrap())
    });
    let states: Vec<_> = states.collect();
    assert_eq!(states, ["paths/walk waiting", "paths/walk growing", "paths/walk deleted"]);
    let (end, out) = watched(steps(), false, Reauthentication::new(None)).await;
    assert_eq!((end, out.lines().count()), (Ok(End::Deleted), 1), "{out}");
}

#[tokio::test(start_paused = true)]
async fn a_line_of_a_terminal_is_updated_and_ended() {
    let mut out = Vec::new();
    let mut line = Screen { is_line: true, ..screen(&mut out, false) };
    line.missing("waiting").unwrap();
    line.update(&stored(Some(walk()))).unwrap();
    line.update(&StoredPath { is_complete: true, ..stored(Some(walk())) }).unwrap();
    line.end_line().unwrap();
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out.matches("\r\x1b[K").count(), 3);
    assert!(out.ends_with("finished\n"), "{out:?}");
    assert!(out.split("\r\x1b[K").all(|line| line.trim_end().len() <= 80), "{out:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_waits_for_another_token_after_its_token_has_expired() {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use crate::client::TokenSource;

    let token = Arc::new(Mutex::new("first"));
    let source = Arc::clone(&token);
    let source = TokenSource::callback(move || Ok(source.lock().unwrap().to_string()));
    let mut calls = Vec::new();
    let open = async |_| {
        let current = *token.lock().unwrap();
        calls.push(current);
        let renewed = Arc::clone(&token);
        let updates = async_stream(current, renewed);
        Ok((Box::pin(updates), ()))
    };
    /// The first token expires, and is renewed a minute later.
    fn async_stream(
        current: &'static str,
        token: Arc<Mutex<&'static str>>,
    ) -> impl Stream<Item = Result<StoredPath, ClientError>> {
        futures::stream::once(async move {
            if current == "second" {
                return Ok(StoredPath { is_complete: true, ..stored(Some(walk())) });
            }
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(60)).await;
                *token.lock().unwrap() = "second";
            });
            Err(ClientError::from(Box::new(tonic::Status::unauthenticated("expired"))))
        })
    }
    let mut out = Vec::new();
    let end = follow(open, screen(&mut out, true), Reauthentication::new(Some(source))).await;
    assert_eq!(end.unwrap().unwrap(), End::Finished);
    assert_eq!(calls, ["first", "second"]);

    let wrong = vec![Err(tonic::Status::unauthenticated("unknown"))];
    let token = Reauthentication::new(Some(TokenSource::callback(|| Ok("wrong".to_owned()))));
    let (end, _) = watched(wrong, true, token).await;
    assert!(end.unwrap_err().contains("Unauthenticated"));
}
