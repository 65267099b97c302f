//! Tests of load shedding.

use std::future::{Future as _, poll_fn};
use std::task::Poll;

use bytes::Bytes;
use futures::FutureExt as _;
use http::Request;
use http_body_util::Full;
use tonic::body::Body;

use super::*;
use crate::measure::Metric;
use crate::service::StreamLimits;
use crate::service::fold::{AxisOrder, fold_points};
use crate::service::work::TestBudget;

const MS: u64 = 1_000_000;

fn peer(index: u8) -> Owner {
    Owner::Peer(IpAddr::from([10, 0, 0, index]))
}

/// Returns a load of two threads after calls of these processing times.
fn load(processing_ms: &[u64]) -> Load {
    let load = Load::new(2);
    for ms in processing_ms {
        load.observe(ms * MS, true);
    }
    load
}

fn enter(load: &Load, owner: &Owner, count: usize) {
    (0..count).for_each(|_| load.enter(owner));
}

/// Returns whether another call is refused that must end within this time.
fn is_refused(load: &Load, owner: &Owner, ms: u64) -> bool {
    load.is_too_high(owner, Duration::from_millis(ms))
}

#[test]
fn a_call_is_refused_if_it_would_need_more_than_half_of_its_time() {
    let load = load(&[20; 10]);
    enter(&load, &peer(1), 99);
    // 100 calls of 20 ms on two threads.
    assert!(is_refused(&load, &peer(1), 1_990));
    assert!(!is_refused(&load, &peer(1), 2_010));
    assert!(is_refused(&load, &peer(1), 0));
}

#[test]
fn nothing_is_refused_while_few_calls_compete_or_nothing_is_known() {
    let known = load(&[1_000_000]);
    enter(&known, &peer(1), 3);
    assert!(!is_refused(&known, &peer(1), 0));
    enter(&known, &peer(1), 1);
    assert!(is_refused(&known, &peer(1), 0));
    let unknown = load(&[]);
    enter(&unknown, &peer(1), 1_000);
    assert!(!is_refused(&unknown, &peer(1), 0));
}

#[test]
fn an_owner_with_less_than_its_share_is_not_refused() {
    let load = load(&[20]);
    enter(&load, &peer(1), 100);
    assert!(is_refused(&load, &peer(1), 10));
    // Up to half of the calls.
    for _ in 0..99 {
        assert!(!is_refused(&load, &peer(2), 10));
        load.enter(&peer(2));
    }
    assert!(is_refused(&load, &peer(2), 10));
    // An owner without competing calls has no share.
    (0..100).for_each(|_| load.leave(&peer(1)));
    assert_eq!((load.competing(), load.state().owners.len()), (99, 1));
    (0..96).for_each(|_| load.leave(&peer(2)));
    assert!(!is_refused(&load, &peer(2), 0));
}

#[test]
fn few_very_long_calls_and_calls_that_were_cut_change_the_typical_time_little() {
    let typical_ms = |load: &Load| load.state().typical.unwrap().exp2() / MS as f64;
    let load = load(&[10; 20]);
    load.observe(600_000 * MS, true);
    assert!(typical_ms(&load) < 20.0, "{}", typical_ms(&load));
    (0..100).for_each(|_| load.observe(10 * MS, true));
    assert!((9.0..11.0).contains(&typical_ms(&load)));
    // A call that was cut early says nothing, and one that was cut late was longer than others.
    (0..100).for_each(|_| load.observe(MS, false));
    assert!((9.0..11.0).contains(&typical_ms(&load)));
    (0..100).for_each(|_| load.observe(40 * MS, false));
    assert!((38.0..41.0).contains(&typical_ms(&load)));
    // No value is invalid.
    load.observe(0, true);
    load.observe(u64::MAX, true);
    assert!(typical_ms(&load).is_finite());
}

/// A stream without a deadline has the same share of time slices as other calls, whatever its length. So it adds one call to those
/// that compete, and its work is not part of the typical processing time.
#[tokio::test(start_paused = true)]
async fn a_greedy_stream_without_a_deadline_counts_as_one_competing_call() {
    let load = Arc::new(load(&[10]));
    let typical = load.state().typical;
    let mut greedy = call(&load, None);
    for _ in 0..1000 {
        greedy.polls(1_000 * MS, 0, true);
    }
    assert_eq!(load.competing(), 1);
    // 3 other calls of 10 ms compete for two threads, so a call would need 25 ms.
    enter(&load, &peer(2), 3);
    assert!(!is_refused(&load, &peer(2), 51));
    assert!(is_refused(&load, &peer(2), 49));
    drop(greedy);
    assert_eq!(load.competing(), 3);
    assert_eq!(load.state().typical, typical);
    // Its owner may have many of them: the other owner has less than its share, and is not refused.
    enter(&load, &peer(1), 500);
    assert!(!is_refused(&load, &peer(2), 0));
}

struct Call {
    load: CallLoad,
    progress: Arc<Progress>,
}

/// Returns a call that has this time until its deadline.
fn call(load: &Arc<Load>, time: Option<Duration>) -> Call {
    let progress = Arc::<Progress>::default();
    let deadline = time.map(|time| Instant::now() + time);
    let load = CallLoad::new(Arc::clone(load), peer(1), deadline, Arc::clone(&progress));
    Call { load, progress }
}

impl Call {
    /// Polls the call once. It works for this time, and yields or waits for something else.
    fn polls(&mut self, work_ns: u64, ms: u64, has_yielded: bool) {
        let progress = Arc::clone(&self.progress);
        let result = self.load.poll(|| {
            progress.add_work(work_ns);
            if has_yielded {
                progress.yields();
            }
            pass(ms);
            Poll::<()>::Pending
        });
        assert!(result.is_pending());
    }

    fn yields(&mut self) {
        self.polls(100, 0, true);
    }

    fn waits(&mut self) {
        self.polls(100, 0, false);
    }
}

/// Advances the clock of the test.
fn pass(ms: u64) {
    let _ = tokio::time::advance(Duration::from_millis(ms)).now_or_never();
}

#[tokio::test(start_paused = true)]
async fn a_call_competes_only_between_a_yield_and_the_next_poll() {
    let load = Arc::new(Load::new(2));
    let mut one = call(&load, None);
    one.waits();
    assert_eq!(load.competing(), 0, "it has not yielded");
    for _ in 0..2 {
        one.yields();
        one.yields();
        assert_eq!(load.competing(), 1);
        // For input, a quota, or the store.
        one.waits();
        one.waits();
        assert_eq!(load.competing(), 0);
    }
    // An answer that its client has to read before the call is polled again.
    one.yields();
    let progress = Arc::clone(&one.progress);
    let answer = one.load.poll(|| {
        progress.yields();
        Poll::Ready(())
    });
    assert_eq!((answer, load.competing()), (Poll::Ready(()), 0));
    one.yields();
    let mut other = call(&load, None);
    other.yields();
    assert_eq!(load.competing(), 2);
    drop(one);
    drop(other);
    assert_eq!(load.competing(), 0);
    assert!(load.state().owners.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_processing_time_is_the_work_at_the_speed_that_was_measured() {
    let load = Arc::new(Load::new(2));
    let mut one = call(&load, Some(Duration::from_secs(3600)));
    // Polls after a yield are timed: here 3 ms for an estimated 1 ms of work. Waits take no time.
    one.polls(MS, 0, true);
    pass(50);
    one.polls(MS, 3, true);
    pass(50);
    one.polls(2 * MS, 6, false);
    pass(100_000);
    one.polls(4 * MS, 0, false);
    one.load.complete();
    assert_eq!(one.load.processing_ns(), 24 * MS);
    drop(one);
    assert!((load.state().typical.unwrap().exp2() / MS as f64 - 24.0).abs() < 1e-6);
    // Light calls, and calls without a deadline, are not compared with those that can be refused.
    let before = load.state().typical;
    let mut light = call(&load, Some(Duration::from_secs(1)));
    light.waits();
    drop(light);
    let mut endless = call(&load, None);
    endless.polls(1_000 * MS, 0, true);
    endless.waits();
    drop(endless);
    assert_eq!(load.state().typical, before);
}

#[tokio::test(start_paused = true)]
async fn only_a_young_call_without_effects_that_has_a_deadline_is_refused() {
    let load = Arc::new(Load::new(1));
    load.observe(100 * MS, true);
    enter(&load, &peer(1), 20);
    let second = Some(Duration::from_secs(1));
    let mut refused = call(&load, second);
    refused.yields();
    assert!(refused.load.is_refused());
    refused.yields();
    assert_eq!(load.competing(), 20);
    let before = load.state().typical;
    drop(refused);
    assert_eq!((load.competing(), load.state().typical), (20, before));

    let mut patient = call(&load, None);
    let mut kept = call(&load, second);
    kept.progress.keep();
    let mut old = call(&load, Some(Duration::from_secs(4)));
    pass(1_500);
    let mut large = call(&load, second);
    large.polls(2 * FIRST_WORK_MAX_NS, 0, false);
    for (index, call) in [&mut patient, &mut kept, &mut old, &mut large].into_iter().enumerate() {
        call.yields();
        assert!(!call.load.is_refused(), "{index}");
    }
    // A call that competes is not refused later.
    let mut early = call(&load, Some(Duration::from_secs(5)));
    early.yields();
    assert!(!early.load.is_refused());
    pass(4_990);
    early.yields();
    assert!(!early.load.is_refused());
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_call_is_refused_only_after_a_work_budget_of_its_own() {
    let load = Arc::new(Load::new(1));
    load.observe(100 * MS, true);
    enter(&load, &peer(1), 20);
    let before = load.state().typical;
    let part = || {
        let progress = Arc::<Progress>::default();
        let deadline = Some(Instant::now() + Duration::from_secs(1));
        let share = LoadShare::new(Arc::clone(&load), peer(1), deadline);
        Call { load: share.begin(Arc::clone(&progress)), progress }
    };
    // Other calls have used most of the time slice.
    let mut short = part();
    short.polls(WORK_MAX_NS - 1, 0, true);
    assert!(!short.load.is_refused());
    assert_eq!(load.competing(), 21);
    short.waits();
    short.load.complete();
    drop(short);
    assert_eq!((load.competing(), load.state().typical), (20, before));

    let mut long = part();
    long.polls(100, 0, true);
    assert!(!long.load.is_refused());
    long.polls(WORK_MAX_NS, 0, true);
    assert!(long.load.is_refused());
    assert_eq!(load.competing(), 20);
    // The decision is made once.
    let mut patient = part();
    patient.polls(100, 0, true);
    (0..20).for_each(|_| load.leave(&peer(1)));
    patient.polls(WORK_MAX_NS, 0, true);
    enter(&load, &peer(1), 20);
    patient.yields();
    assert!(!patient.load.is_refused());
    assert_eq!(load.competing(), 21);
}

#[tokio::test]
async fn a_call_reports_its_yields_and_its_work() {
    let load = Arc::new(Load::new(1));
    let points = [0, 0, 0, 0, 4, 0x08, 3, 0x10, 4].repeat(600);
    let mut request = Request::new(Body::new(Full::new(Bytes::from(points))));
    let Call { mut load, progress } = {
        let load = &load;
        call(load, None)
    };
    request.extensions_mut().insert(Arc::clone(&progress));
    request.extensions_mut().insert(TestBudget { max_ns: 1, most_ns: Arc::default() });
    let limits = StreamLimits::default();
    let mut call = Box::pin(fold_points(request, &limits, Metric::Planar, AxisOrder::XY));
    let mut polls = 0;
    poll_fn(|cx| {
        polls += 1;
        load.poll(|| call.as_mut().poll(cx))
    })
    .await
    .unwrap();
    assert!(polls > 2 && progress.work_ns() > 600, "{polls} {}", progress.work_ns());
    assert!(load.timed_work_ns > 0);
}
