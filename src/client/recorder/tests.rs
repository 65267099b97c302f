//! A recorder against a server of the test's own, over pipes in memory and under a paused clock: what it does
//! when an answer is lost, when points come twice, and when nobody is there for a long time.

mod fake;

use std::sync::{Arc, Mutex};

use futures::stream;
use h2::Reason;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;

use self::fake::{End, Fake, Kept, Plan, Refusal, Seen};
use super::*;
use crate::measure::Point;

fn fixes(count: u64) -> impl Iterator<Item = Fix> {
    (0..count).map(|x| Fix::new(Point::planar(x as f64, 0.0).unwrap()))
}

fn assert_whole(recorded: Result<Recorded, RecordError>, count: u64) {
    let recorded = recorded.unwrap();
    assert_eq!((recorded.point_count, recorded.summary.length), (count, count as f64 - 1.0));
}

#[tokio::test(start_paused = true)]
async fn a_finish_whose_answer_is_lost_is_done_once_and_asked_for_again() {
    let fake = Fake::new([Plan::LoseReply, Plan::LoseReply]);
    assert_whole(fake.recorder().record(stream::iter(fixes(3_500))).await, 3_500);
    assert_eq!(fake.seen(), Seen { connections: 3, duplicates: 0, finishes: 1 });
}

#[tokio::test(start_paused = true)]
async fn points_that_come_twice_do_no_harm() {
    let fake = Fake::new([Plan::CutUntold(2_000), Plan::Stale(1_500)]);
    assert_whole(fake.recorder().record(stream::iter(fixes(6_500))).await, 6_500);
    assert_eq!(fake.seen(), Seen { connections: 2, duplicates: 1_500, finishes: 1 });
}

#[tokio::test(start_paused = true)]
async fn points_that_turn_out_to_be_there_are_not_sent() {
    // Durable once GetPath has answered, by the stream of before.
    for late in [1, 500, 999, 1_000, 2_000] {
        let fake = Fake::new([Plan::CutUntold(2_000), Plan::Late(late)]);
        assert_whole(fake.recorder().record(stream::iter(fixes(6_500))).await, 6_500);
        assert_eq!(fake.seen().finishes, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_is_dropped_resets_the_stream_and_does_not_close_it() {
    let fake = Fake::new([]);
    let (sender, receiver) = mpsc::unbounded_channel();
    fixes(1_500).for_each(|fix| sender.send(fix).unwrap());
    let record = fake.recorder().record(UnboundedReceiverStream::new(receiver));
    let record = tokio::spawn(record);
    let is_there = |kept: &Option<Kept>| kept.is_some_and(|kept| kept.points == 1_500);
    fake.kept.subscribe().wait_for(is_there).await.unwrap();
    // The source ends with it.
    record.abort();
    drop(sender);
    let mut ends = fake.ends.subscribe();
    let ends = ends.wait_for(|ends| !ends.is_empty()).await.unwrap().clone();
    assert_eq!(ends, [End::Reset(Reason::CANCEL)]);
    assert_eq!(fake.seen().finishes, 0);
}

/// Counts the retries of a recorder.
fn with_counted_waits(recorder: Recorder) -> (Recorder, Arc<Mutex<Vec<Duration>>>) {
    let waits = Arc::<Mutex<Vec<Duration>>>::default();
    let noted = Arc::clone(&waits);
    let recorder = recorder.on_event(move |event| {
        if let RecordEvent::Retrying { wait, .. } = event {
            noted.lock().unwrap().push(wait);
        }
    });
    (recorder, waits)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_for_long_and_comes_back_is_gone_on_with() {
    let away = [Plan::Away; 12];
    let fake = Fake::new([Plan::Cut(2_000)].into_iter().chain(away).chain([Plan::Cut(4_000)]));
    let (recorder, waits) = with_counted_waits(fake.recorder());
    assert_whole(recorder.record(stream::iter(fixes(9_500))).await, 9_500);
    assert_eq!(fake.seen(), Seen { connections: 15, duplicates: 0, finishes: 1 });
    let waits = waits.lock().unwrap();
    assert_eq!(waits.len(), 14);
    let patience = Patience::default();
    for (tries, &wait) in (0..13).zip(&*waits) {
        assert!(wait <= patience.wait_max.min(patience.wait_min * 2_u32.pow(tries)), "{waits:?}");
    }
    // Something went well in between.
    assert!(waits[13] <= patience.wait_min, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_away_is_given_up_with_what_is_durable() {
    let seen = [Plan::Cut(2_000), Plan::Glimpse];
    let fake = Fake::new(seen.into_iter().chain([Plan::Away; 10_000]));
    let started = Instant::now();
    let error = fake.recorder().record(stream::iter(fixes(9_500))).await.unwrap_err();
    insta::assert_snapshot!(
        error,
        @"paths/x: nothing became durable for 300 s behind the first 2000 points: no connection to http://127.0.0.1:9: connection refused; is a server running there?"
    );
    let Patience { budget, wait_max, .. } = Patience::default();
    assert!((budget - wait_max..=budget).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(fake.seen().finishes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_and_keeps_nothing_is_given_up_too() {
    let fake = Fake::new([Plan::Forgetful; 1_000]);
    let started = Instant::now();
    let error = fake.recorder().record(stream::iter(fixes(9_500))).await.unwrap_err();
    insta::assert_snapshot!(
        error,
        @"paths/x: nothing became durable for 300 s behind the first 0 points: the server's reply makes no sense: the server answers, but what was sent does not become durable"
    );
    assert_eq!(started.elapsed().as_secs(), Patience::default().budget.as_secs());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_counts_as_a_lost_connection() {
    let mute = [Plan::MuteGet, Plan::Cut(2_000), Plan::MuteWatch, Plan::MuteGet];
    let fake = Fake::new(mute);
    let (recorder, waits) = with_counted_waits(fake.recorder());
    let started = Instant::now();
    assert_whole(recorder.record(stream::iter(fixes(9_500))).await, 9_500);
    assert_eq!(fake.seen(), Seen { connections: 5, duplicates: 0, finishes: 1 });
    let waits = waits.lock().unwrap();
    assert_eq!(waits.len(), 4);
    let silent = started.elapsed() - waits.iter().sum::<Duration>();
    // Timers have steps of a millisecond.
    let stalls = ANSWER_TIME * 3..ANSWER_TIME * 3 + Duration::from_millis(20);
    assert!(stalls.contains(&silent), "{silent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_finished_recording_that_is_not_answered_again_is_asked_for_again() {
    let fake = Fake::new([Plan::MuteRecord]);
    fake.kept.send_replace(Some(Kept { points: 700, is_complete: true }));
    assert_whole(fake.recorder().record(stream::iter(fixes(700))).await, 700);
    assert_eq!(fake.seen().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up_when_the_budget_is_spent() {
    for mute in [Plan::MuteGet, Plan::MuteWatch] {
        let fake = Fake::new([mute; 1_000]);
        let (recorder, waits) = with_counted_waits(fake.recorder());
        let started = Instant::now();
        let error = recorder.record(stream::iter(fixes(9_500))).await.unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                error,
                @"paths/x: nothing became durable for 300 s behind the first 0 points: the connection is open, and the server does not answer; it may hang, or a proxy may have lost it"
            );
        }
        let Patience { budget, wait_max, .. } = Patience::default();
        let elapsed = started.elapsed();
        assert!((budget - wait_max..budget + wait_max).contains(&elapsed), "{elapsed:?}");
        // Every one of them was told.
        assert!(waits.lock().unwrap().len() > 6);
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_a_server_that_never_answers_is_told_so() {
    let name = "paths/x".parse().unwrap();
    let client = Fake::new([Plan::MuteGet]).client().await;
    let started = Instant::now();
    let error = client.path(&name).await.unwrap_err();
    assert!(matches!(error, ClientError::Silent), "{error}");
    assert_eq!(started.elapsed().as_secs(), ANSWER_TIME.as_secs());
    let client = Fake::new([Plan::MuteWatch]).client().await;
    let error = client.watch_path(&name, true).await.map(drop).unwrap_err();
    assert!(matches!(error, ClientError::Silent), "{error}");
    assert_eq!(started.elapsed().as_secs(), 2 * ANSWER_TIME.as_secs());
    // One that has begun to answer may have no news for as long as it likes.
    let fake = Fake::new([]);
    let mut told = Box::pin(fake.client().await.watch_path(&name, true).await.unwrap());
    let news = tokio::spawn(async move { futures::StreamExt::next(&mut told).await });
    tokio::time::sleep(ANSWER_TIME * 100).await;
    fake.kept.send_replace(Some(Kept { points: 7, is_complete: true }));
    assert_eq!(news.await.unwrap().unwrap().unwrap().committed_points, 7);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_silent_spends_no_budget() {
    let fake = Fake::new([Plan::Cut(1_500)]);
    let (sender, receiver) = mpsc::unbounded_channel();
    fixes(1_000).for_each(|fix| sender.send(fix).unwrap());
    let record = tokio::spawn(fake.recorder().record(UnboundedReceiverStream::new(receiver)));
    let is_there = |kept: &Option<Kept>| kept.is_some_and(|kept| kept.points == 1_000);
    fake.kept.subscribe().wait_for(is_there).await.unwrap();
    tokio::time::sleep(Patience::default().budget * 3).await;
    fixes(2_000).skip(1_000).for_each(|fix| sender.send(fix).unwrap());
    drop(sender);
    assert_whole(record.await.unwrap(), 2_000);
    assert_eq!(fake.seen().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_word_of_a_stream_of_before_is_no_rival() {
    let fake = Fake::new([]);
    let (sender, receiver) = mpsc::unbounded_channel();
    fixes(100).for_each(|fix| sender.send(fix).unwrap());
    let record = tokio::spawn(fake.recorder().record(UnboundedReceiverStream::new(receiver)));
    let is_there = |kept: &Option<Kept>| kept.is_some_and(|kept| kept.points == 100);
    fake.kept.subscribe().wait_for(is_there).await.unwrap();
    // A process before this one had sent more.
    fake.kept.send_replace(Some(Kept { points: 700, is_complete: false }));
    let mut ends = fake.ends.subscribe();
    let ends = ends.wait_for(|ends| !ends.is_empty()).await.unwrap().clone();
    // Nothing is finished by that.
    assert_eq!((ends, fake.seen().finishes), (vec![End::Closed], 0));
    fixes(1_000).skip(100).for_each(|fix| sender.send(fix).unwrap());
    drop(sender);
    assert_whole(record.await.unwrap(), 1_000);
    assert_eq!(fake.seen(), Seen { connections: 2, duplicates: 0, finishes: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_closed_when_more_is_durable_than_it_has_sent() {
    // An earlier stream sent 20 000 points, and GetPath knows 1 000 of them.
    let fake = Fake::new([Plan::CutUntold(20_000), Plan::Behind(19_000)]);
    assert_whole(fake.recorder().record(stream::iter(fixes(30_000))).await, 30_000);
    // It does not leave out offsets: it is closed, and the next stream starts at the right one.
    assert_eq!(*fake.ends.borrow(), [End::Lost, End::Closed, End::Closed]);
    assert_eq!((fake.seen().connections, fake.seen().finishes), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_may_pass_is_retried() {
    for refusal in [Refusal::StoreFull, Refusal::OffsetGap] {
        let fake = Fake::new([Plan::Cut(2_000), Plan::Refused(refusal)]);
        assert_whole(fake.recorder().record(stream::iter(fixes(3_500))).await, 3_500);
        assert_eq!(fake.seen(), Seen { connections: 3, duplicates: 0, finishes: 1 });
    }
    let fake = Fake::new([Plan::Refused(Refusal::Fenced)]);
    let error = fake.recorder().record(stream::iter(fixes(3_500))).await.unwrap_err();
    assert!(matches!(error, RecordError::Fenced { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_has_the_same_result_whether_the_reply_or_the_watch_reports_it() {
    for deletion in [Plan::Refused(Refusal::PathDeleted), Plan::Deleted] {
        // No point was known to be durable: the recording starts again.
        let fake = Fake::new([deletion]);
        assert_whole(fake.recorder().record(stream::iter(fixes(3_500))).await, 3_500);
        assert_eq!(fake.seen(), Seen { connections: 2, duplicates: 0, finishes: 1 });

        // Durable points are lost, and the source may not have them any more.
        let fake = Fake::new([Plan::Cut(2_000), deletion]);
        let error = fake.recorder().record(stream::iter(fixes(3_500))).await.unwrap_err();
        assert!(matches!(error, RecordError::Lost { durable: 2_000, got: 0, .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_source_is_told_from_the_one_that_was_begun_with() {
    for is_complete in [false, true] {
        let fake = Fake::new([]);
        fake.kept.send_replace(Some(Kept { points: 700, is_complete }));
        let longer = fixes(700).map(|fix| match fix.point().x() {
            699.0 => Fix::new(Point::planar(699.5, 0.0).unwrap()),
            _ => fix,
        });
        let error = fake.recorder().record(stream::iter(longer)).await.unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                error,
                @"paths/x has 700 points already, and the first 700 of the source are others; record another path under another name"
            );
        }
        assert_whole(fake.recorder().record(stream::iter(fixes(700))).await, 700);
    }
}
