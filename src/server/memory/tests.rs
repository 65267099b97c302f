//! The charges of connections and of services, and what is released when the budget is used up.

use bytes::Bytes;
use http_body_util::Full;
use prost::Message as _;
use tokio::task::yield_now;
use tonic::body::Body;
use tower_service::Service as _;

use super::*;
use crate::proto::waywiser_v1 as pb;
use crate::recording::CheckpointPolicy;
use crate::service::{PathService, StreamLimits};
use crate::store::MemoryStore;

const MIB: u64 = 1 << 20;

fn peer(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

#[test]
fn a_charge_ends_when_it_is_dropped() {
    let memory = Memory::new(MIB);
    let connection = memory.connection(peer(1));
    let mut charge = connection.charge(1000);
    let part = charge.split(400);
    connection.arrived(50);
    assert_eq!(memory.used(), CONNECTION_BYTES + 1050);
    drop(charge);
    assert_eq!(memory.used(), CONNECTION_BYTES + 450);
    connection.sample(&mut UnreadFrames::default(), 7);
    assert_eq!(memory.used(), CONNECTION_BYTES + 400, "no stream holds anything unread");
    drop(OpenConnection(connection));
    drop(part);
    assert_eq!(memory.used(), 0);
    assert_eq!(memory.take_peak(), CONNECTION_BYTES + 1050);
    assert_eq!(memory.take_peak(), 0);
}

#[test]
fn the_work_of_a_closed_connection_ends_no_other_connection() {
    let memory = Memory::new(100 * MIB);
    let (large, other) = (memory.connection(peer(1)), memory.connection(peer(2)));
    let work = large.charge(60 * MIB);
    drop(OpenConnection(large));
    let _held = other.charge(37 * MIB);
    assert_eq!(memory.relieve(), None, "the work stops soon");
    drop(work);
    let _more = other.charge(60 * MIB);
    assert_eq!(memory.relieve().map(|ended| ended.0), Some(peer(2)));
    assert!(memory.closed.lock().unwrap().is_empty());
}

#[derive(Debug)]
struct Windows;

impl UnreadInput for Windows {
    fn measure(&self) -> InputBytes {
        InputBytes { path: 50_000, ..InputBytes::default() }
    }
}

#[test]
fn an_open_path_is_charged_until_it_ends() {
    let memory = Memory::new(MIB);
    let connection = memory.connection(peer(1));
    let input: Arc<dyn UnreadInput> = Arc::new(Windows);
    connection.watch(Arc::downgrade(&input));
    let mut frames = UnreadFrames::default();
    connection.sample(&mut frames, 0);
    assert_eq!(memory.used(), CONNECTION_BYTES + 50_000);
    drop(input);
    connection.sample(&mut frames, 0);
    assert_eq!(memory.used(), CONNECTION_BYTES);
}

#[test]
fn a_small_client_is_served_while_large_ones_fill_the_budget() {
    let memory = Memory::new(100 * MIB);
    let (large, small) = (memory.connection(peer(1)), memory.connection(peer(2)));
    let _held = large.charge(79 * MIB);
    assert!(large.admits_stream());
    let _more = large.charge(5 * MIB);
    assert!(!large.admits_stream() && small.admits_stream());
    assert_eq!(memory.relieve(), None);
    let _too_much = large.charge(12 * MIB);
    assert!(!small.admits_stream());
    let (ended, held) = memory.relieve().unwrap();
    assert_eq!((ended, held), (peer(1), 96 * MIB + CONNECTION_BYTES));
    assert!(large.ended().is_cancelled() && !small.ended().is_cancelled());
    assert_eq!(memory.relieve(), None, "the ended connection releases its memory");
}

#[test]
fn dead_streams_are_removed_before_the_list_grows() {
    let mut list = Vec::new();
    let live: Vec<_> = (0..100).map(Arc::new).collect();
    for entry in &live {
        for short in 0..100 {
            push_live(&mut list, Arc::downgrade(&Arc::new(short)));
        }
        push_live(&mut list, Arc::downgrade(entry));
    }
    assert!(list.capacity() < 500, "{}", list.capacity());
    assert_eq!(list.iter().filter_map(Weak::upgrade).count(), live.len());
}

#[test]
fn many_connections_of_one_peer_count_together() {
    let memory = Memory::new(100 * MIB);
    let single = memory.connection(peer(1));
    let _single = single.charge(20 * MIB);
    let many: Vec<_> = (0..10).map(|_| memory.connection(peer(2))).collect();
    let _many: Vec<_> = many.iter().map(|usage| usage.charge(8 * MIB)).collect();
    assert_eq!(memory.relieve().map(|ended| ended.0), Some(peer(2)));
    assert!(!single.ended().is_cancelled());
}

#[test]
fn memory_of_services_is_within_the_budget_and_released_first() {
    let memory = Memory::new(100 * MIB);
    let budget: Arc<dyn MemoryBudget> = Arc::clone(&memory) as _;
    assert_eq!(budget.limit(), 100 * MIB);
    let connection = memory.connection(peer(1));
    let _held = connection.charge(60 * MIB);
    assert!(connection.admits_stream());
    assert!(budget.try_add(30 * MIB));
    assert!(!connection.admits_stream(), "it counts for all");
    // The last 5 % are for the streams that are open.
    assert!(!budget.try_add(5 * MIB));
    assert_eq!(memory.used(), 90 * MIB + CONNECTION_BYTES);
    budget.add(6 * MIB);
    let released = Arc::downgrade(&memory);
    memory.set_release(move || {
        released.upgrade().unwrap().subtract(36 * MIB);
        0
    });
    assert_eq!(memory.relieve(), None, "the connection stays");
    assert_eq!(memory.used(), 60 * MIB + CONNECTION_BYTES);
    assert!(connection.admits_stream() && !connection.ended().is_cancelled());
    assert!(!budget.try_add(u64::MAX));
}

#[test]
fn memory_that_services_release_soon_closes_no_connection() {
    let memory = Memory::new(100 * MIB);
    let connection = memory.connection(peer(1));
    let _held = connection.charge(60 * MIB);
    memory.add(36 * MIB);
    let leaving = Arc::new(AtomicU64::new(36 * MIB));
    let released = Arc::clone(&leaving);
    memory.set_release(move || released.load(Relaxed));
    for _ in 0..3 {
        assert_eq!(memory.relieve(), None);
    }
    // Not enough is released.
    leaving.store(MIB, Relaxed);
    let _more = connection.charge(MIB);
    assert_eq!(memory.relieve(), Some((peer(1), 61 * MIB + CONNECTION_BYTES)));
}

/// Returns a request that adds a point to a recording.
fn append_request() -> http::Request<Body> {
    let options = pb::PathOptions {
        preset: pb::Preset::Phone.into(),
        reorder_count: 8,
        drop_duplicates: true,
        ..Default::default()
    };
    let time = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
    let message = pb::AppendPointsRequest {
        name: "paths/phone".to_owned(),
        options: Some(options),
        points: vec![pb::Point { x: 13.7, y: 46.4, time, ..Default::default() }],
        columns: None,
    }
    .encode_to_vec();
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    http::Request::builder()
        .uri("/waywiser.v1.PathService/AppendPoints")
        .body(Body::new(Full::new(Bytes::from(frame))))
        .unwrap()
}

#[tokio::test]
async fn a_recording_without_requests_is_closed_and_no_connection() {
    const MOST: u64 = 100 * MIB / 100 * END_PERCENT;
    let memory = Memory::new(100 * MIB);
    let (limits, policy) = (StreamLimits::default(), CheckpointPolicy::default());
    let store = Arc::new(MemoryStore::default());
    let mut paths = PathService::with_memory(limits, store, policy, Arc::clone(&memory) as _);
    memory.set_release(paths.memory_release());
    let connection = memory.connection(peer(1));
    let reply = paths.call(append_request()).await.unwrap();
    assert_eq!(tonic::Status::from_header_map(reply.headers()).map(|status| status.code()), None);
    // The appender that has answered waits for requests.
    yield_now().await;
    // The recording holds 12 KiB and more.
    let _held = connection.charge(MOST + 8 * 1024 - memory.used());
    for _ in 0..3 {
        assert_eq!(memory.relieve(), None);
        assert!(memory.used() > MOST, "the recording is still open");
    }
    while memory.used() > MOST {
        yield_now().await;
    }
    assert!(!connection.ended().is_cancelled());
    // No other memory can be released.
    let _more = connection.charge(16 * 1024);
    assert_eq!(memory.relieve().map(|ended| ended.0), Some(peer(1)));
}
