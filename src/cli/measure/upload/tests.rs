//! Tests of the parts and the expected answers of files, without a connection.

use std::path::PathBuf;

use super::*;
use crate::cli::input;
use crate::cli::track_queue::QUEUED_FIXES_MAX;
use crate::formats::{TrackColumn, TrackInfo};
use crate::measure::{Metric, Space};

fn upload(files: &[PathBuf], read_options: ReadOptions) -> Upload {
    let (options, progress) = (Options::new(Metric::Planar), Arc::new(Progress::hidden()));
    let stall_detector = Arc::default();
    let (inputs, stdin) = (input::expand(files), Stdin::new(std::io::empty()));
    Upload { inputs, stdin, options, read_options, progress, stall_detector }
}

/// Returns all parts and expected answers of files with these contents. The files are named 0, 1, ... in messages.
async fn send(
    contents: &[&str],
    read_options: ReadOptions,
) -> (Vec<PathPart>, Vec<ExpectedAnswer>) {
    let folder = tempfile::tempdir().unwrap();
    let file = |(number, content): (usize, &&str)| {
        let path = folder.path().join(number.to_string());
        std::fs::write(&path, content).unwrap();
        path
    };
    let upload = upload(&contents.iter().enumerate().map(file).collect::<Vec<_>>(), read_options);
    let detector = Arc::clone(&upload.stall_detector);
    let (parts, received) = mpsc::channel(1);
    let (expected, mut received_expected) = mpsc::channel(EXPECTED_MAX);
    let sent = tokio::spawn(async move { send_files(upload, &parts, &expected).await.unwrap() });
    let parts = count_taken(received, Arc::clone(&detector)).collect().await;
    sent.await.unwrap();
    assert_eq!(detector.waiting(), 0);
    let prefix = format!("{}/", folder.path().display());
    let without_folder = |answer| match answer {
        ExpectedAnswer::FileStart(name) => ExpectedAnswer::FileStart(name.replace(&prefix, "")),
        ExpectedAnswer::FileEnd(FileEnd::Failed(message)) => failed(&message.replace(&prefix, "")),
        answer => answer,
    };
    let expected = std::iter::from_fn(|| received_expected.try_recv().ok());
    (parts, expected.map(without_folder).collect())
}

fn failed(message: &str) -> ExpectedAnswer {
    ExpectedAnswer::FileEnd(FileEnd::Failed(message.to_owned()))
}

#[tokio::test]
async fn each_track_is_a_path_of_its_own() {
    let options = ReadOptions {
        space: Space::Planar,
        track_column: TrackColumn::Named("bus".to_owned()),
        ..Default::default()
    };
    let mixed = "bus,x,y\na,0,0\nb,1,0\na,0,1\nb,1,1\n";
    let (parts, answers) = send(&[mixed, "", mixed], options).await;
    let found: Vec<_> = parts
        .iter()
        .map(|part| {
            (&*part.path_id, part.is_last, part.fixes.iter().map(|fix| fix.point().unwrap().x()))
        })
        .map(|(id, is_last, x)| (id, is_last, x.collect::<Vec<_>>()))
        .collect();
    let path = |id, x| [(id, false, vec![x, x]), (id, true, vec![])];
    assert_eq!(found, [path("1", 0.0), path("2", 1.0), path("3", 0.0), path("4", 1.0)].concat());
    let track = |path_id: &str, number, name: &str| ExpectedAnswer::Track {
        path_id: path_id.to_owned(),
        number,
        info: Box::new(TrackInfo {
            name: Some(name.to_owned()),
            point_count: 2,
            ..TrackInfo::default()
        }),
        notes: Vec::new(),
    };
    let start = |name: &str| ExpectedAnswer::FileStart(name.to_owned());
    let end = || ExpectedAnswer::FileEnd(FileEnd::Complete);
    let expected = [
        start("0"),
        track("1", 1, "a"),
        track("2", 2, "b"),
        end(),
        ExpectedAnswer::InputEnd,
        start("1"),
        failed("1: the file is empty"),
        ExpectedAnswer::InputEnd,
        start("2"),
        track("3", 1, "a"),
        track("4", 2, "b"),
        end(),
        ExpectedAnswer::InputEnd,
    ];
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn a_started_track_in_a_broken_file_ends_as_incomplete() {
    let points = "<trkpt lat='1' lon='2'/>".repeat(PART_FIXES);
    let bad = format!("<gpx><trk><trkseg>{points}\n<trk");
    let (parts, answers) = send(&[&bad, "lat,lon\n1,2\n"], ReadOptions::default()).await;
    let ids: Vec<_> = parts.iter().map(|part| (&*part.path_id, part.fixes.len())).collect();
    assert_eq!(ids, [("1", PART_FIXES), ("1", 0), ("2", 1), ("2", 0)]);
    let ExpectedAnswer::Track { info, .. } = &answers[1] else { panic!("{answers:?}") };
    assert!(info.is_incomplete);
    assert!(
        matches!(&answers[2], ExpectedAnswer::FileEnd(FileEnd::Failed(why)) if why.starts_with("0:2:1: "))
    );
    assert_eq!((&answers[3], answers.len()), (&ExpectedAnswer::InputEnd, 8));
}

#[tokio::test]
async fn mixed_tracks_wait_up_to_a_limit() {
    // The second track waits for the end of the first.
    let rows = QUEUED_FIXES_MAX + 1500;
    let table = "id,x,y\na,0,0\n".to_owned() + &"b,1,1\n".repeat(rows);
    let options = ReadOptions {
        space: Space::Planar,
        track_column: TrackColumn::Named("id".to_owned()),
        ..Default::default()
    };
    let (parts, answers) = send(&[&table, "id,x,y\na,0,0\n"], options).await;
    let ExpectedAnswer::FileEnd(FileEnd::Failed(message)) = &answers[1] else {
        panic!("{answers:?}")
    };
    assert!(message.ends_with("or measure it without a server"), "{message}");
    // The next file is sent.
    assert_eq!(answers[2], ExpectedAnswer::InputEnd);
    assert!(matches!(&answers[4], ExpectedAnswer::Track { path_id, .. } if path_id == "1"));
    assert_eq!((parts.len(), answers.len()), (2, 7));
}

#[tokio::test]
async fn a_file_does_not_fail_because_the_call_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk.csv");
    std::fs::write(&path, "x,y\n0,0\n3,4\n").unwrap();
    let read_options = ReadOptions { space: Space::Planar, ..Default::default() };
    let upload = upload(&[path], read_options);
    let (parts, received) = mpsc::channel(1);
    drop(received);
    let (expected, mut received_expected) = mpsc::channel(EXPECTED_MAX);
    assert!(matches!(send_files(upload, &parts, &expected).await, Err(CallEnded)));
    let start = received_expected.try_recv().ok();
    assert!(matches!(start, Some(ExpectedAnswer::FileStart(_))), "{start:?}");
    assert_eq!(received_expected.try_recv().ok(), None);
}
