//! Tests of the parts and the expected answers of files, without a connection.

use super::*;
use crate::formats::{TrackColumn, TrackInfo};
use crate::measure::{Metric, Point, Space};

fn upload(files: Vec<PathBuf>, read_options: ReadOptions) -> Upload {
    let (options, progress) = (Options::new(Metric::Planar), Arc::new(Progress::hidden()));
    let stall_detector = Arc::default();
    Upload { files, stdin: None, options, read_options, progress, stall_detector }
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
    let upload = upload(contents.iter().enumerate().map(file).collect(), read_options);
    let detector = Arc::clone(&upload.stall_detector);
    let (parts, received) = mpsc::channel(1);
    let (expected, mut received_expected) = mpsc::channel(EXPECTED_MAX);
    let sent = tokio::spawn(async move { send_files(upload, &parts, &expected).await.unwrap() });
    let parts = count_taken(received, Arc::clone(&detector)).collect().await;
    sent.await.unwrap();
    assert_eq!(detector.waiting(), 0);
    let prefix = format!("{}/", folder.path().display());
    let without_folder = |answer| match answer {
        ExpectedAnswer::FileFailed(message) => {
            ExpectedAnswer::FileFailed(message.replace(&prefix, ""))
        }
        answer => answer,
    };
    let expected = std::iter::from_fn(|| received_expected.try_recv().ok());
    (parts, expected.map(without_folder).collect())
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
            point_count: 2000,
            ..TrackInfo::default()
        }),
    };
    let expected = [
        track("1", 1, "a"),
        track("2", 2, "b"),
        ExpectedAnswer::FileEnd,
        ExpectedAnswer::FileFailed("1: the file is empty".to_owned()),
        ExpectedAnswer::FileEnd,
        track("3", 1, "a"),
        track("4", 2, "b"),
        ExpectedAnswer::FileEnd,
    ];
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn a_started_track_in_a_broken_file_is_unfinished() {
    let bad = "lat,lon,trip\n".to_owned() + &"1,2,3\n".repeat(PART_FIXES) + "x,0,3\n";
    let options = ReadOptions::default();
    let (parts, answers) = send(&[&bad, "lat,lon\n1,2\n"], options).await;
    let ids: Vec<_> = parts.iter().map(|part| (&*part.path_id, part.fixes.len())).collect();
    assert_eq!(ids, [("1", PART_FIXES), ("2", 1), ("2", 0)]);
    assert!(
        matches!(&answers[0], ExpectedAnswer::Remark(remark) if remark.contains("--track-column"))
    );
    assert!(
        matches!(&answers[1], ExpectedAnswer::FileFailed(why) if why.starts_with("0:1002:1: the latitude"))
    );
    assert_eq!(answers[2], ExpectedAnswer::Unfinished { path_id: "1".to_owned() });
    assert_eq!(answers.len(), 6, "{answers:?}");
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
    let ExpectedAnswer::FileFailed(message) = &answers[0] else { panic!("{answers:?}") };
    assert!(message.ends_with("or measure it without --server"), "{message}");
    // The next file is sent.
    assert_eq!(answers[1], ExpectedAnswer::FileEnd);
    assert!(matches!(&answers[2], ExpectedAnswer::Track { path_id, .. } if path_id == "1"));
    assert_eq!((parts.len(), answers.len()), (2, 4));
}

#[tokio::test]
async fn sent_fixes_do_not_wait() {
    let (parts, mut received) = mpsc::channel(PARTS_MAX);
    let (expected, _received_expected) = mpsc::channel(1);
    let options = Options::new(Metric::Planar);
    let stall_detector = Arc::default();
    let mut sender =
        Sender { parts: &parts, expected: &expected, options, stall_detector, path_count: 0 };
    let mut queue = TrackQueue::default();
    queue.tracks.push_back(QueuedTrack::default());
    let fixes = vec![Fix::new(Point::planar(1.0, 2.0).unwrap()); 2 * PART_FIXES + 1];
    queue.add(0, fixes);
    sender.send_ready(&mut queue).await.unwrap();
    assert_eq!((queue.fix_count, queue.tracks[0].fixes.len()), (1, 1));
    for _ in 0..2 {
        assert_eq!(received.try_recv().unwrap().fixes.len(), PART_FIXES);
    }
    assert!(received.try_recv().is_err());
}

#[tokio::test]
async fn a_file_does_not_fail_because_the_call_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk.csv");
    std::fs::write(&path, "x,y\n0,0\n3,4\n").unwrap();
    let read_options = ReadOptions { space: Space::Planar, ..Default::default() };
    let upload = upload(vec![path], read_options);
    let (parts, received) = mpsc::channel(1);
    drop(received);
    let (expected, mut received_expected) = mpsc::channel(EXPECTED_MAX);
    assert!(matches!(send_files(upload, &parts, &expected).await, Err(CallEnded)));
    assert_eq!(received_expected.try_recv().ok(), None);
}
