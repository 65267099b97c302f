//! A recorder against a fake server, over in-memory pipes and with a paused clock: lost replies, points that are sent
//! twice, and a server that is unavailable for a long time.

mod commits;
mod fake;
mod other_client;

use std::sync::{Arc, Mutex};

use futures::stream;
use h2::Reason;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;

use self::fake::{End, Fake, Kept, Plan, Refusal, Seen};
use super::*;
use crate::client::ClientError;
use crate::measure::Point;

fn fixes(count: u64) -> impl Iterator<Item = Fix> {
    (0..count).map(|x| Fix::new(Point::planar(x as f64, 0.0).unwrap()))
}

fn assert_complete(recorded: Result<Recorded, RecordError>, count: u64) {
    let recorded = recorded.unwrap();
    assert_eq!((recorded.point_count, recorded.summary.length), (count, count as f64 - 1.0));
}

#[tokio::test(start_paused = true)]
async fn a_finish_whose_reply_is_lost_is_applied_once_and_requested_again() {
    let fake = Fake::new([Plan::LoseReply, Plan::LoseReply]);
    assert_complete(fake.recorder().record(stream::iter(fixes(3_500))).await, 3_500);
    assert_eq!(fake.seen(), Seen { connections: 3, duplicates: 0, finishes: 1 });
}

#[tokio::test(start_paused = true)]
async fn points_that_are_sent_twice_count_once() {
    let fake = Fake::new([Plan::CutUnreported(2_000), Plan::Stale(1_500)]);
    assert_complete(fake.recorder().record(stream::iter(fixes(6_500))).await, 6_500);
    assert_eq!(fake.seen(), Seen { connections: 2, duplicates: 1_500, finishes: 1 });
}

#[tokio::test(start_paused = true)]
async fn points_that_an_earlier_stream_committed_are_not_sent() {
    // The earlier stream commits them after GetPath was answered.
    for late in [1, 500, 999, 1_000, 2_000] {
        let fake = Fake::new([Plan::CutUnreported(2_000), Plan::Late(late)]);
        assert_complete(fake.recorder().record(stream::iter(fixes(6_500))).await, 6_500);
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
    let is_kept = |kept: &Option<Kept>| kept.is_some_and(|kept| kept.points == 1_500);
    fake.kept.subscribe().wait_for(is_kept).await.unwrap();
    // The source ends when the recorder is dropped.
    record.abort();
    drop(sender);
    let mut ends = fake.ends.subscribe();
    let ends = ends.wait_for(|ends| !ends.is_empty()).await.unwrap().clone();
    assert_eq!(ends, [End::Reset(Reason::CANCEL)]);
    assert_eq!(fake.seen().finishes, 0);
}

/// Notes the waits of a recorder.
fn with_noted_waits(recorder: Recorder) -> (Recorder, Arc<Mutex<Vec<Duration>>>) {
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
async fn a_recording_resumes_after_a_long_outage_of_the_server() {
    let outage = [Plan::Unavailable; 12];
    let fake = Fake::new([Plan::Cut(2_000)].into_iter().chain(outage).chain([Plan::Cut(4_000)]));
    let (recorder, waits) = with_noted_waits(fake.recorder());
    assert_complete(recorder.record(stream::iter(fixes(9_500))).await, 9_500);
    assert_eq!(fake.seen(), Seen { connections: 15, duplicates: 0, finishes: 1 });
    let waits = waits.lock().unwrap();
    assert_eq!(waits.len(), 14);
    let policy = RetryPolicy::default();
    for (tries, &wait) in (0..13).zip(&*waits) {
        assert!(
            wait <= policy.max_backoff.min(policy.initial_backoff * 2_u32.pow(tries)),
            "{waits:?}"
        );
    }
    // There was progress in between.
    assert!(waits[13] <= policy.initial_backoff, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_recording_times_out_and_reports_the_durable_points() {
    let seen = [Plan::Cut(2_000), Plan::CutAtOnce];
    let fake = Fake::new(seen.into_iter().chain([Plan::Unavailable; 10_000]));
    let started = Instant::now();
    let error = fake.recorder().record(stream::iter(fixes(9_500))).await.unwrap_err();
    insta::assert_snapshot!(
        error,
        @"paths/x: no point became durable for 300 s after the first 2000 points: no connection to http://127.0.0.1:9: connection refused; is a server running there?"
    );
    let RetryPolicy { budget, max_backoff, .. } = RetryPolicy::default();
    // The budget starts after the two sessions.
    let elapsed = started.elapsed();
    assert!((budget - max_backoff..budget + max_backoff).contains(&elapsed), "{elapsed:?}");
    assert_eq!(fake.seen().finishes, 0);
}

#[tokio::test(start_paused = true)]
async fn with_a_budget_of_zero_a_server_has_time_to_answer_and_nothing_is_retried() {
    let recorder = |fake: &Arc<Fake>| {
        let policy = RetryPolicy { budget: Duration::ZERO, ..RetryPolicy::default() };
        fake.recorder().retry_policy(policy)
    };
    let fake = Fake::new([]);
    assert_complete(recorder(&fake).record(stream::iter(fixes(9_500))).await, 9_500);
    for plan in [Plan::Unavailable, Plan::CutAtOnce, Plan::Cut(2_000), Plan::MuteGet] {
        let fake = Fake::new([plan]);
        let error = recorder(&fake).record(stream::iter(fixes(9_500))).await.unwrap_err();
        // The last server had 5 s to answer.
        let text = if plan == Plan::MuteGet { "durable for 5 s" } else { "durable for 0 s" };
        assert!(error.to_string().contains(text), "{plan:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_times_out_if_the_server_answers_but_commits_nothing() {
    let fake = Fake::new([Plan::Forgetful; 1_000]);
    let started = Instant::now();
    let error = fake.recorder().record(stream::iter(fixes(9_500))).await.unwrap_err();
    insta::assert_snapshot!(
        error,
        @"paths/x: no point became durable for 300 s: the connection is open, but the points that were sent do not become durable; the server or its disk may hang"
    );
    assert_eq!(started.elapsed().as_secs(), RetryPolicy::default().budget.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_missing_reply_counts_as_a_lost_connection() {
    let mute = [Plan::MuteGet, Plan::Cut(2_000), Plan::MuteGet];
    let fake = Fake::new(mute);
    let (recorder, waits) = with_noted_waits(fake.recorder());
    let started = Instant::now();
    assert_complete(recorder.record(stream::iter(fixes(9_500))).await, 9_500);
    assert_eq!(fake.seen(), Seen { connections: 4, duplicates: 0, finishes: 1 });
    let waits = waits.lock().unwrap();
    assert_eq!(waits.len(), 3);
    let timeouts = started.elapsed() - waits.iter().sum::<Duration>();
    // Timers have a resolution of a millisecond.
    let expected = REPLY_TIMEOUT * 2..REPLY_TIMEOUT * 2 + Duration::from_millis(20);
    assert!(expected.contains(&timeouts), "{timeouts:?}");
}

/// A proxy may hold back the headers of a reply until its first message.
#[tokio::test(start_paused = true)]
async fn a_watch_that_does_not_start_delays_no_point() {
    let fake = Fake::new([Plan::MuteWatch]);
    let started = Instant::now();
    assert_complete(fake.recorder().record(stream::iter(fixes(700))).await, 700);
    assert_eq!(fake.seen(), Seen { connections: 1, duplicates: 0, finishes: 1 });
    assert!(started.elapsed() < Duration::from_millis(20), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_confirmation_of_a_finished_recording_is_retried() {
    let fake = Fake::new([Plan::MuteRecord]);
    fake.kept.send_replace(Some(Kept { points: 700, is_complete: true }));
    assert_complete(fake.recorder().record(stream::iter(fixes(700))).await, 700);
    assert_eq!(fake.seen().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn a_recording_times_out_if_the_server_never_answers() {
    let fake = Fake::new([Plan::MuteGet; 1_000]);
    let (recorder, waits) = with_noted_waits(fake.recorder());
    let started = Instant::now();
    let error = recorder.record(stream::iter(fixes(9_500))).await.unwrap_err();
    // The last try has 5 s, also if it begins just before the deadline.
    let budget = RetryPolicy::default().budget;
    let end = budget..budget + Duration::from_secs(6);
    assert!(end.contains(&started.elapsed()), "{:?}", started.elapsed());
    let RecordError::TimedOut { elapsed, source: ClientError::Timeout, .. } = error else {
        panic!("{error}")
    };
    assert!(end.contains(&elapsed), "{elapsed:?}");
    // An event reports each retry.
    assert!(waits.lock().unwrap().len() > 6);
}

#[tokio::test(start_paused = true)]
async fn a_call_to_a_server_that_never_answers_times_out() {
    let name = "paths/x".parse().unwrap();
    let client = Fake::new([Plan::MuteGet]).client().await;
    let started = Instant::now();
    let error = client.get_path(&name).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout), "{error}");
    assert_eq!(started.elapsed().as_secs(), REPLY_TIMEOUT.as_secs());
    let client = Fake::new([Plan::MuteWatch]).client().await;
    let error = client.watch_path(&name, true).await.map(drop).unwrap_err();
    assert!(matches!(error, ClientError::Timeout), "{error}");
    assert_eq!(started.elapsed().as_secs(), 2 * REPLY_TIMEOUT.as_secs());
    // A watch that has started has no timeout between its updates.
    let fake = Fake::new([]);
    let mut updates = Box::pin(fake.client().await.watch_path(&name, true).await.unwrap());
    let update = tokio::spawn(async move { futures::StreamExt::next(&mut updates).await });
    tokio::time::sleep(REPLY_TIMEOUT * 100).await;
    fake.kept.send_replace(Some(Kept { points: 7, is_complete: true }));
    assert_eq!(update.await.unwrap().unwrap().unwrap().committed_points, 7);
}

#[tokio::test(start_paused = true)]
async fn a_source_without_fixes_for_a_long_time_uses_no_budget() {
    let fake = Fake::new([Plan::Cut(1_500)]);
    let (sender, receiver) = mpsc::unbounded_channel();
    fixes(1_000).for_each(|fix| sender.send(fix).unwrap());
    let record = tokio::spawn(fake.recorder().record(UnboundedReceiverStream::new(receiver)));
    let is_kept = |kept: &Option<Kept>| kept.is_some_and(|kept| kept.points == 1_000);
    fake.kept.subscribe().wait_for(is_kept).await.unwrap();
    tokio::time::sleep(RetryPolicy::default().budget * 3).await;
    fixes(2_000).skip(1_000).for_each(|fix| sender.send(fix).unwrap());
    drop(sender);
    assert_complete(record.await.unwrap(), 2_000);
    assert_eq!(fake.seen().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_commit_of_an_earlier_stream_does_not_end_the_recording() {
    let fake = Fake::new([]);
    let (sender, receiver) = mpsc::unbounded_channel();
    fixes(100).for_each(|fix| sender.send(fix).unwrap());
    let record = tokio::spawn(fake.recorder().record(UnboundedReceiverStream::new(receiver)));
    let is_kept = |kept: &Option<Kept>| kept.is_some_and(|kept| kept.points == 100);
    fake.kept.subscribe().wait_for(is_kept).await.unwrap();
    // An earlier process had sent more points.
    fake.kept.send_replace(Some(Kept { points: 700, is_complete: false }));
    let mut ends = fake.ends.subscribe();
    let ends = ends.wait_for(|ends| !ends.is_empty()).await.unwrap().clone();
    // That does not finish the recording.
    assert_eq!((ends, fake.seen().finishes), (vec![End::Closed], 0));
    fixes(1_000).skip(100).for_each(|fix| sender.send(fix).unwrap());
    drop(sender);
    assert_complete(record.await.unwrap(), 1_000);
    assert_eq!(fake.seen(), Seen { connections: 2, duplicates: 0, finishes: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_closed_when_more_is_durable_than_it_has_sent() {
    // An earlier stream sent 20 000 points, and GetPath knows 1 000 of them.
    let fake = Fake::new([Plan::CutUnreported(20_000), Plan::Behind(19_000)]);
    let (reasons, noted) = mpsc::unbounded_channel();
    let recorder = fake.recorder().on_event(move |event| {
        if let RecordEvent::Retrying { reason, .. } = event {
            reasons.send(reason).unwrap();
        }
    });
    assert_complete(recorder.record(stream::iter(fixes(30_000))).await, 30_000);
    let reasons: Vec<_> = UnboundedReceiverStream::new(noted).collect().await;
    assert_eq!(reasons[1], "the stream was closed before the path was finished");
    // A stream cannot skip offsets: it is closed, and the next stream starts at the right offset.
    assert_eq!(*fake.ends.borrow(), [End::Lost, End::Closed, End::Closed]);
    assert_eq!((fake.seen().connections, fake.seen().finishes), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_flush_makes_points_durable_before_the_end() {
    let fake = Fake::new([Plan::Lazy]);
    let (sender, receiver) = mpsc::unbounded_channel();
    let (flush, flushes) = mpsc::unbounded_channel();
    let recorder = fake.recorder().flush_requests(UnboundedReceiverStream::new(flushes));
    let record = tokio::spawn(recorder.record(UnboundedReceiverStream::new(receiver)));
    let send = |range: std::ops::Range<u64>| {
        fixes(range.end).skip(range.start as usize).for_each(|fix| sender.send(fix).unwrap());
    };
    let kept = async |count| {
        let is_kept = |kept: &Option<Kept>| kept.is_some_and(|kept| kept.points == count);
        *fake.kept.subscribe().wait_for(is_kept).await.unwrap()
    };
    send(0..1_500);
    flush.send(1_500).unwrap();
    assert_eq!(kept(1_500).await, Some(Kept { points: 1_500, is_complete: false }));
    // The last points follow the request.
    flush.send(2_300).unwrap();
    send(1_500..2_200);
    send(2_200..2_300);
    kept(2_300).await;
    // All of these points are durable.
    flush.send(2_300).unwrap();
    flush.send(700).unwrap();
    // The second request arrives while the stream of the first one is closed.
    send(2_300..2_301);
    flush.send(2_301).unwrap();
    tokio::task::yield_now().await;
    for end in 2_302..2_400 {
        send(end - 1..end);
        flush.send(end).unwrap();
        tokio::task::yield_now().await;
    }
    kept(2_399).await;
    send(2_399..2_400);
    drop((sender, flush));
    assert_complete(record.await.unwrap(), 2_400);
    assert_eq!(fake.seen(), Seen { connections: 1, duplicates: 0, finishes: 1 });
    assert!(fake.ends.borrow().iter().all(|end| *end == End::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_flush_at_the_end_of_the_source_closes_no_stream_of_its_own() {
    for plan in [Plan::Lazy, Plan::Good, Plan::Cut(2_000)] {
        let fake = Fake::new([plan]);
        let recorder = fake.recorder().flush_requests(stream::iter([3_500]));
        assert_complete(recorder.record(stream::iter(fixes(3_500))).await, 3_500);
        assert_eq!(fake.ends.borrow().iter().filter(|end| **end == End::Closed).count(), 1);
        assert_eq!(fake.seen().finishes, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transient_refusal_is_retried() {
    for refusal in [Refusal::StoreFull, Refusal::OffsetGap] {
        let fake = Fake::new([Plan::Cut(2_000), Plan::Refused(refusal)]);
        assert_complete(fake.recorder().record(stream::iter(fixes(3_500))).await, 3_500);
        assert_eq!(fake.seen(), Seen { connections: 3, duplicates: 0, finishes: 1 });
    }
    let fake = Fake::new([Plan::Refused(Refusal::Fenced)]);
    let error = fake.recorder().record(stream::iter(fixes(3_500))).await.unwrap_err();
    assert!(matches!(error, RecordError::Fenced { .. }), "{error}");
    // The wait that the server asks for is longer than the budget.
    let fake = Fake::new([Plan::Cut(2_000), Plan::Refused(Refusal::PointRate(999))]);
    let error = fake.recorder().record(stream::iter(fixes(3_500))).await.unwrap_err();
    insta::assert_snapshot!(
        error,
        @"paths/x: the server asks to try again in 999 s, and the recorder retries for a shorter time after the first 2000 points: the server answered ResourceExhausted: POINT_RATE"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_server_asks_for_ends_the_recording_only_if_it_is_too_long() {
    let refused = |seconds| Plan::Refused(Refusal::PointRate(seconds));
    // The random parts of the waits differ.
    for _ in 0..50 {
        let fake = Fake::new([refused(280)]);
        assert_complete(fake.recorder().record(stream::iter(fixes(100))).await, 100);
        assert_eq!(fake.seen().connections, 2);

        let fake = Fake::new([refused(100), refused(250)]);
        let started = Instant::now();
        let error = fake.recorder().record(stream::iter(fixes(100))).await.unwrap_err();
        let RecordError::RetryTooLate { delay, .. } = error else { panic!("{error}") };
        assert_eq!(delay.as_secs(), 250);
        // The recorder does not wait the second time.
        assert!((100..=111).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_has_the_same_result_whether_the_reply_or_the_watch_reports_it() {
    for deletion in [Plan::Refused(Refusal::PathDeleted), Plan::Deleted] {
        // No point was known to be durable: the recording starts again.
        let fake = Fake::new([deletion]);
        assert_complete(fake.recorder().record(stream::iter(fixes(3_500))).await, 3_500);
        assert_eq!(fake.seen(), Seen { connections: 2, duplicates: 0, finishes: 1 });

        // Durable points are lost, and the source may not have them any more.
        let fake = Fake::new([Plan::Cut(2_000), deletion]);
        let error = fake.recorder().record(stream::iter(fixes(3_500))).await.unwrap_err();
        assert!(matches!(error, RecordError::PointsLost { durable: 2_000, got: 0, .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_differs_from_the_recording_is_refused() {
    for is_complete in [false, true] {
        let fake = Fake::new([]);
        fake.kept.send_replace(Some(Kept { points: 700, is_complete }));
        let other = fixes(700).map(|fix| match fix.point().unwrap().x() {
            699.0 => Fix::new(Point::planar(699.5, 0.0).unwrap()),
            _ => fix,
        });
        let error = fake.recorder().record(stream::iter(other)).await.unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                error,
                @"paths/x has 700 points already, and the first 700 points to record are different; record another path under another name"
            );
        }
        assert_complete(fake.recorder().record(stream::iter(fixes(700))).await, 700);
    }
}
