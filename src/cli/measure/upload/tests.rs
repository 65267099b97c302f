//! The parts and tickets of files, without a connection.

use std::thread;

use super::*;
use crate::measure::{Metric, Point, Space};

fn fix() -> Fix {
    Fix::new(Point::planar(1.0, 2.0).unwrap())
}

/// All parts and tickets of files with these contents. The flow counts each part as offered and as taken.
async fn sent(contents: &[&str], read_options: ReadOptions) -> (Vec<PathPart>, Vec<Ticket>) {
    let folder = tempfile::tempdir().unwrap();
    let file = |(number, content): (usize, &&str)| {
        let path = folder.path().join(number.to_string());
        std::fs::write(&path, content).unwrap();
        (path, number.to_string())
    };
    let files = contents.iter().enumerate().map(file).collect();
    let (options, progress) = (Options::new(Metric::Planar), Arc::new(Progress::hidden()));
    let flow = Arc::<Flow>::default();
    let files = Files { files, options, read_options, progress, flow: Arc::clone(&flow) };
    let (parts, received) = mpsc::channel(1);
    let (tickets, mut received_tickets) = mpsc::channel(TICKETS_MAX);
    let reader = thread::spawn(move || read(&files, &parts, &tickets, io::empty()).unwrap());
    let parts = count_taken(received, Arc::clone(&flow)).collect().await;
    reader.join().unwrap();
    assert_eq!(flow.waiting(), 0);
    let tickets = std::iter::from_fn(|| received_tickets.try_recv().ok()).collect();
    (parts, tickets)
}

#[tokio::test]
async fn each_track_is_a_path_of_its_own() {
    let options = ReadOptions {
        space: Space::Planar,
        track_column: Some("bus".to_owned()),
        ..Default::default()
    };
    let mixed = "bus,x,y\na,0,0\nb,1,0\na,0,1\nb,1,1\n";
    let (parts, tickets) = sent(&[mixed, "", mixed], options).await;
    let found: Vec<_> = parts
        .iter()
        .map(|part| (&*part.path_id, part.is_last, part.fixes.iter().map(|fix| fix.point().x())))
        .map(|(id, is_last, x)| (id, is_last, x.collect::<Vec<_>>()))
        .collect();
    let path = |id, x| [(id, false, vec![x, x]), (id, true, vec![])];
    assert_eq!(found, [path("1", 0.0), path("2", 1.0), path("3", 0.0), path("4", 1.0)].concat());
    let track = |path_id: &str, number, name: &str| Ticket::Track {
        path_id: path_id.to_owned(),
        number,
        name: Some(name.to_owned()),
    };
    let expected = [
        track("1", 1, "a"),
        track("2", 2, "b"),
        Ticket::EndOfFile,
        Ticket::Broken("1: the file is empty".to_owned()),
        Ticket::EndOfFile,
        track("3", 1, "a"),
        track("4", 2, "b"),
        Ticket::EndOfFile,
    ];
    assert_eq!(tickets, expected);
}

#[tokio::test]
async fn a_track_that_was_begun_and_is_broken_is_left() {
    let bad = "lat,lon,trip\n".to_owned() + &"1,2,3\n".repeat(PART_FIXES) + "x,0,3\n";
    let options = ReadOptions::default();
    let (parts, tickets) = sent(&[&bad, "lat,lon\n1,2\n"], options).await;
    let ids: Vec<_> = parts.iter().map(|part| (&*part.path_id, part.fixes.len())).collect();
    assert_eq!(ids, [("1", PART_FIXES), ("2", 1), ("2", 0)]);
    assert!(matches!(&tickets[0], Ticket::Remark(remark) if remark.contains("--track-column")));
    assert!(
        matches!(&tickets[1], Ticket::Broken(why) if why.starts_with("0:1002:1: the latitude"))
    );
    assert_eq!(tickets[2], Ticket::Left { path_id: "1".to_owned() });
    assert_eq!(tickets.len(), 6, "{tickets:?}");
}

/// Runs `test` with the tracks of a file whose parts are received.
fn with_tracks(test: impl FnOnce(&mut Tracks<'_, '_>)) {
    let (parts, mut received) = mpsc::channel(PARTS_MAX);
    let (tickets, _tickets) = mpsc::channel(TICKETS_MAX);
    let receiver = thread::spawn(move || while received.blocking_recv().is_some() {});
    let options = Options::new(Metric::Planar);
    let flow = Flow::default();
    let mut sender =
        Sender { parts: &parts, tickets: &tickets, options, flow: &flow, path_count: 0 };
    test(&mut Tracks::new(&mut sender));
    drop(parts);
    receiver.join().unwrap();
}

#[test]
fn mixed_tracks_are_held_up_to_a_bound() {
    with_tracks(|tracks| {
        tracks.start_track().unwrap();
        tracks.start_track().unwrap();
        for _ in 0..HELD_MAX {
            tracks.fix(fix()).unwrap();
        }
        assert!(matches!(tracks.fix(fix()), Err(SinkError::Stop)));
        let refusal = tracks.refusal.take().unwrap();
        assert!(refusal.ends_with("or measure it without --server"), "{refusal}");
    });
}

#[test]
fn fixes_that_were_sent_are_not_held() {
    with_tracks(|tracks| {
        tracks.start_track().unwrap();
        for _ in 0..=HELD_MAX {
            tracks.fix(fix()).unwrap();
        }
        assert!(tracks.held < PART_FIXES && tracks.tracks[0].fixes.len() < PART_FIXES);
    });
}

#[tokio::test]
async fn a_file_is_not_broken_because_the_call_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk.csv");
    std::fs::write(&path, "x,y\n0,0\n3,4\n").unwrap();
    let (options, progress) = (Options::new(Metric::Planar), Arc::new(Progress::hidden()));
    let read_options = ReadOptions { space: Space::Planar, ..Default::default() };
    let files = vec![(path, "walk.csv".to_owned())];
    let files = Files { files, options, read_options, progress, flow: Arc::default() };
    let (parts, received) = mpsc::channel(1);
    drop(received);
    let (tickets, mut received_tickets) = mpsc::channel(TICKETS_MAX);
    let reader = thread::spawn(move || read(&files, &parts, &tickets, io::empty()));
    assert!(matches!(reader.join().unwrap(), Err(SinkError::Stop)));
    assert_eq!(received_tickets.try_recv().ok(), None);
}
