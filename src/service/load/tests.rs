//! Tests of load shedding.

use std::future::{Future as _, poll_fn};
use std::task::Poll;

use bytes::Bytes;
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
    enter(&known, &peer(1), 15);
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
    (0..90).for_each(|_| load.leave(&peer(2)));
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

struct Call {
    load: CallLoad,
    progress: Arc<Progress>,
}

fn call(load: &Arc<Load>, deadline: Option<Duration>) -> Call {
    let progress = Arc::<Progress>::default();
    let participant = Participant {
        load: Arc::clone(load),
        owner: peer(1),
        deadline: deadline.map(|time| Instant::now() + time),
        progress: Arc::clone(&progress),
    };
    Call { load: CallLoad::new(participant), progress }
}

async fn pass(ms: u64) {
    tokio::time::advance(Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_competes_from_its_first_yield_until_it_waits_or_ends() {
    let load = Arc::new(Load::new(2));
    let mut one = call(&load, None);
    one.load.waits(100);
    assert_eq!(load.competing(), 0, "it has not spent a budget");
    for _ in 0..2 {
        one.load.yields(100);
        one.load.resumes();
        one.load.yields(100);
        assert_eq!(load.competing(), 1);
        one.load.waits(100);
        one.load.waits(0);
        assert_eq!(load.competing(), 0);
    }
    one.load.yields(100);
    let mut other = call(&load, None);
    other.load.yields(100);
    assert_eq!(load.competing(), 2);
    drop(one);
    drop(other);
    assert_eq!(load.competing(), 0);
    assert!(load.state().owners.is_empty());
    let light = load.state().typical;
    drop(call(&load, None));
    assert_eq!(load.state().typical, light, "a light call is not typical");
}

#[tokio::test(start_paused = true)]
async fn the_processing_time_is_the_work_at_the_speed_that_was_measured() {
    let load = Arc::new(Load::new(2));
    let mut one = call(&load, None);
    // The first part is not timed. The second takes 3 ms for an estimated 1 ms. A wait for a thread takes no work.
    one.load.yields(MS);
    pass(50).await;
    one.load.resumes();
    pass(3).await;
    one.load.yields(MS);
    one.load.resumes();
    one.load.waits(2 * MS);
    pass(1_000).await;
    one.load.completes();
    assert_eq!(one.load.processing_ns(), 12 * MS);
    drop(one);
    assert!((load.state().typical.unwrap().exp2() / MS as f64 - 12.0).abs() < 1e-6);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_reported_once_and_does_not_compete() {
    let load = Arc::new(Load::new(1));
    load.observe(100 * MS, true);
    enter(&load, &peer(1), 20);
    let deadline = Some(Duration::from_secs(1));
    let mut refused = call(&load, deadline);
    refused.load.yields(MS);
    assert!(refused.progress.is_refused());
    refused.load.resumes();
    refused.load.yields(MS);
    assert_eq!(load.competing(), 20);
    let before = load.state().typical;
    drop(refused);
    assert_eq!((load.competing(), load.state().typical), (20, before));
    // Without a deadline a call is not refused, and neither is one that has begun to compete.
    let mut patient = call(&load, None);
    patient.load.yields(MS);
    assert!(!patient.progress.is_refused());
    let early = Some(Duration::from_secs(5));
    let mut early = call(&load, early);
    early.load.yields(MS);
    assert!(!early.progress.is_refused());
    pass(4_990).await;
    early.load.yields(MS);
    assert!(!early.progress.is_refused());
}

#[tokio::test]
async fn the_body_of_a_request_reports_its_yields_and_its_end() {
    let load = Arc::new(Load::new(1));
    let points = [0, 0, 0, 0, 4, 0x08, 3, 0x10, 4].repeat(600);
    let body = Body::new(Full::new(Bytes::from(points)));
    let mut request = Request::new(body);
    let progress = Arc::default();
    let participant = Participant { load: load.clone(), owner: peer(1), deadline: None, progress };
    request.extensions_mut().insert(participant);
    request.extensions_mut().insert(TestBudget { max_ns: 1, most_ns: Arc::default() });
    let limits = StreamLimits::default();
    let call = fold_points(request, &limits, Metric::Planar, AxisOrder::XY);
    let mut call = Box::pin(call);
    assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await);
    assert_eq!(load.competing(), 1);
    load.observe(u64::MAX, true);
    let before = load.state().typical.unwrap();
    call.await.unwrap();
    assert_eq!(load.competing(), 0);
    // Only a complete call can make the typical time shorter.
    assert!(load.state().typical.unwrap() < before);
}
