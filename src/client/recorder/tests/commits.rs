//! The recorder closes streams so that a server with long intervals between its commits makes the points durable. It
//! does so only if the time for retries or the buffer is too short for the interval.

use super::*;

/// Yields one fix per second.
fn live_fixes(count: u64) -> impl Stream<Item = Fix> + Send {
    stream::iter(fixes(count)).then(|fix| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fix
    })
}

fn with_budget(fake: &Arc<Fake>, seconds: u64) -> Recorder {
    let budget = Duration::from_secs(seconds);
    fake.recorder().retry_policy(RetryPolicy { budget, ..RetryPolicy::default() })
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_shorter_than_the_interval_of_commits_is_no_failure() {
    // Half of the budget, or of the 5 s in which a server must answer, and up to a second until the next fix.
    for (budget, wait) in [(300, 150), (10, 5), (1, 3), (0, 3)] {
        let fake = Fake::new([Plan::Interval(3_600)]);
        assert_complete(with_budget(&fake, budget).record(live_fixes(1_000)).await, 1_000);
        assert_eq!(fake.seen(), Seen { connections: 1, duplicates: 0, finishes: 1 });
        let ends = fake.ends.borrow();
        assert!(ends.iter().all(|end| *end == End::Closed), "{ends:?}");
        let count = ends.len() as u64;
        assert!((1_000 / (wait + 1)..=1_000 / wait + 1).contains(&count), "{budget}: {count}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_stream_is_closed_if_the_interval_of_commits_is_shorter_than_half_of_the_budget() {
    for (budget, interval) in [(300, 1), (300, 140), (60, 25), (1, 2), (0, 2)] {
        let fake = Fake::new([Plan::Interval(interval)]);
        assert_complete(with_budget(&fake, budget).record(live_fixes(1_000)).await, 1_000);
        assert_eq!(*fake.ends.borrow(), [End::Closed], "{budget}, {interval}");
    }
    // A stream after a long outage has half of the time that is left.
    let refused = Plan::Refused(Refusal::PointRate(200));
    let fake = Fake::new([refused, Plan::Interval(30)]);
    assert_complete(with_budget(&fake, 300).record(live_fixes(1_000)).await, 1_000);
    assert_eq!((fake.seen().connections, &**fake.ends.borrow()), (2, &[End::Closed][..]));
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_waits_for_seconds_and_not_for_the_interval_of_commits() {
    for (interval, closed) in [(3_600, 7), (4, 1)] {
        let fake = Fake::new([Plan::Interval(interval)]);
        let recorder = fake.recorder().window_points(1_500);
        let started = Instant::now();
        assert_complete(recorder.record(stream::iter(fixes(10_000))).await, 10_000);
        assert_eq!(fake.ends.borrow().len(), closed, "{interval}");
        // The last of seven buffers ends with the source.
        assert_eq!(started.elapsed().as_secs(), 6 * interval.min(5), "{interval}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_for_points_that_follow_does_not_prevent_commits() {
    let fake = Fake::new([Plan::Interval(3_600)]);
    let recorder = with_budget(&fake, 0).flush_requests(stream::iter([90]));
    assert_complete(recorder.record(live_fixes(100)).await, 100);
    assert_eq!(fake.seen(), Seen { connections: 1, duplicates: 0, finishes: 1 });
}
