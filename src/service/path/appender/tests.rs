//! The life of an appender: requests without a caller, idle appenders, and the end of the service.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use futures::FutureExt as _;
use prost::Message as _;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::*;
use crate::auth::{Principal, PrincipalSource, Quota, Role};
use crate::measure::{Metric, Reorder};
use crate::proto::waywiser_v1 as pb;
use crate::recording::{CheckpointPolicy, CheckpointStore as _, RecordingName};
use crate::service::path::{PathService, append};
use crate::service::{Load, LoadShare, MemoryBudget, Owner, PermissionError, StreamLimits};
use crate::store::MemoryStore;

fn name() -> PathName {
    "paths/phone".parse::<RecordingName>().unwrap().into()
}

fn service() -> (Arc<MemoryStore>, PathService) {
    let store = Arc::new(MemoryStore::default());
    let service =
        PathService::new(StreamLimits::default(), store.clone(), CheckpointPolicy::default());
    (store, service)
}

fn message_of(seconds: std::ops::Range<i64>) -> Arc<AppendMessage> {
    let point = |seconds| {
        let time = Some(prost_types::Timestamp { seconds, nanos: 0 });
        pb::Point { x: seconds as f64, y: 1.0, time, ..Default::default() }
    };
    let request =
        pb::AppendPointsRequest { points: seconds.map(point).collect(), ..Default::default() };
    Arc::new(AppendMessage::new(request.encode_to_vec()))
}

fn message(second: i64) -> Arc<AppendMessage> {
    message_of(second..second + 1)
}

type Answer = oneshot::Receiver<Result<u64, RpcError>>;

fn send(service: &PathService, message: &Arc<AppendMessage>) -> Result<Answer, RpcError> {
    send_to(service, &name(), message, None)
}

fn send_to(
    service: &PathService,
    name: &PathName,
    message: &Arc<AppendMessage>,
    load: Option<LoadShare>,
) -> Result<Answer, RpcError> {
    let options = Options::builder(Metric::Planar)
        .reorder(Some(Reorder { count: 8, time_ns: None }))
        .drop_duplicates(true)
        .build()
        .unwrap();
    let opening = Opening { options, max_recordings: None, creations: None };
    let (answer, answered) = oneshot::channel();
    let append = Append { message: Arc::downgrade(message), opening, load, answer };
    super::append(&service.shared, name, append).map(|()| answered)
}

#[tokio::test]
async fn a_request_whose_call_has_ended_adds_nothing() {
    let (store, service) = service();
    let (kept, dropped) = (message(1), message(2));
    let answers = [&kept, &dropped].map(|message| send(&service, message).unwrap());
    drop(dropped);
    for answer in answers {
        let _ = answer.await;
    }
    assert_eq!(store.load(name().stored).await.unwrap().unwrap().committed_points(), 1);
    // A recording is not created for calls that have all ended.
    store.delete(name().stored).await.unwrap();
    service.flushed().await;
    drop(send(&service, &message(1)).unwrap());
    service.flushed().await;
    assert_eq!(store.load(name().stored).await, Ok(None));
}

#[tokio::test]
async fn requests_that_wait_share_a_commit() {
    let (_, service) = service();
    let messages: Vec<_> = (1..=10).map(message).collect();
    // The appender does not run before this test waits.
    let answers: Vec<_> = messages.iter().map(|message| send(&service, message).unwrap()).collect();
    for answer in answers {
        // Each answer follows a commit that has the points of all requests.
        assert_eq!(answer.await.unwrap(), Ok(10));
    }
}

#[tokio::test]
async fn the_queue_of_a_recording_is_bounded() {
    let (_, service) = service();
    let message = message(1);
    // The first one starts the appender, which does not run before this test waits.
    let answers: Vec<_> = (0..=QUEUE_MAX).map(|_| send(&service, &message).unwrap()).collect();
    let refused = send(&service, &message).unwrap_err();
    assert_eq!(refused, RpcError::QueueFull { name: "paths/phone".to_owned() });
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_appender_ends() {
    let (_, service) = service();
    send(&service, &message(1)).unwrap().await.unwrap().unwrap();
    assert_eq!(service.activity()().open_recordings, 1);
    sleep(IDLE_TIME / 2).await;
    assert_eq!(service.activity()().open_recordings, 1);
    sleep(IDLE_TIME).await;
    assert_eq!(service.activity()().open_recordings, 0);
    assert!(service.shared.appenders.queues().is_empty());
    assert_eq!(send(&service, &message(2)).unwrap().await.unwrap(), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_service_does_not_wait_for_idle_appenders() {
    let (_, service) = service();
    send(&service, &message(1)).unwrap().await.unwrap().unwrap();
    let started = tokio::time::Instant::now();
    service.flushed().await;
    assert_eq!(started.elapsed(), Duration::ZERO);
    // It waits for a request that has no answer yet.
    let message = message(2);
    let answer = send(&service, &message).unwrap();
    service.flushed().await;
    assert_eq!(answer.now_or_never(), Some(Ok(Ok(2))));
}

#[tokio::test]
async fn the_request_of_a_reader_is_refused_before_it_is_read() {
    let (_, service) = service();
    // A body whose bytes never arrive.
    let frames =
        futures::stream::pending::<Result<http_body::Frame<bytes::Bytes>, tonic::Status>>();
    let body = http_body_util::StreamBody::new(frames);
    let mut request = http::Request::new(tonic::body::Body::new(body));
    request.extensions_mut().insert(Arc::new(Principal {
        source: PrincipalSource::Configuration,
        name: "reader".into(),
        namespace: None,
        role: Role::Reader,
        quota: Quota::default(),
    }));
    let limits = StreamLimits::default();
    let answer = append::append_points(request, limits, Arc::clone(&service.shared));
    let refusal = PermissionError::Role { required: Role::Writer, role: Role::Reader };
    let answer = answer.now_or_never().map(Result::unwrap_err);
    assert_eq!(answer, Some(RpcError::PermissionDenied(refusal)));
}

#[derive(Debug, Default)]
struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl MemoryBudget for Budget {
    fn limit(&self) -> u64 {
        self.limit
    }

    fn add(&self, bytes: u64) {
        self.used.fetch_add(bytes, Relaxed);
    }

    fn subtract(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    fn try_add(&self, bytes: u64) -> bool {
        let fits = self.used.load(Relaxed) + bytes <= self.limit;
        if fits {
            self.add(bytes);
        }
        fits
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_recording_is_charged_until_it_ends() {
    let limit = APPENDER_BYTES * IDLE_BUDGET_PART * 2;
    let budget = Arc::new(Budget { limit, ..Budget::default() });
    let store = Arc::new(MemoryStore::default());
    let (limits, policy) = (StreamLimits::default(), CheckpointPolicy::default());
    let service = PathService::with_memory(limits, store, policy, Arc::clone(&budget) as _);
    let names = ["paths/a", "paths/b", "paths/c"];
    let [a, b, c] = names.map(|name| PathName::from(name.parse::<RecordingName>().unwrap()));
    let used = || budget.used.load(Relaxed);
    let message = message(1);
    for name in [&a, &b] {
        assert_eq!(send_to(&service, name, &message, None).unwrap().await.unwrap(), Ok(1));
    }
    assert!(used() >= 2 * APPENDER_BYTES, "{}", used());
    // More than the part of the budget for recordings without requests.
    assert_eq!(send_to(&service, &c, &message, None).unwrap().await.unwrap(), Ok(1));
    yield_now().await;
    assert_eq!(service.activity()().open_recordings, 2);
    // No other recording is opened while the budget is used up. An open one accepts requests.
    let rest = budget.limit - used();
    budget.add(rest);
    assert_eq!(send_to(&service, &c, &message, None).unwrap_err(), RpcError::Overloaded);
    assert_eq!(send_to(&service, &a, &message, None).unwrap().await.unwrap(), Ok(2));
    // The recent points and the recordings without requests are released, the latter when their tasks run.
    let released = service.memory_release()();
    assert_eq!(used() - rest, released);
    assert_eq!(service.memory_release()(), released, "they have not ended yet");
    sleep(Duration::from_millis(1)).await;
    assert_eq!((service.activity()().open_recordings, used()), (0, rest));
    assert_eq!(service.memory_release()(), 0);
    budget.subtract(rest);
    assert_eq!(send_to(&service, &c, &message, None).unwrap().await.unwrap(), Ok(2));
}

/// A load whose typical call takes a second, and 8 calls of an owner that compete.
fn busy() -> (Arc<Load>, Owner, Vec<CallLoad>) {
    let load = Arc::new(Load::new(1));
    let owner = Owner::Peer([127, 0, 0, 1].into());
    let deadline = Some(Instant::now() + Duration::from_secs(100));
    let share = LoadShare::new(Arc::clone(&load), owner.clone(), deadline);
    let yields = || {
        let progress: Arc<Progress> = Arc::default();
        let mut call = share.begin(Arc::clone(&progress));
        progress.add_work(1_000_000_000);
        progress.yields();
        let _ = call.poll(|| Poll::<()>::Pending);
        call
    };
    let mut ended = yields();
    let _ = ended.poll(|| Poll::Ready(()));
    ended.complete();
    drop(ended);
    (load, owner, (0..8).map(|_| yields()).collect())
}

#[tokio::test(start_paused = true)]
async fn the_work_of_a_request_is_in_the_load_of_the_server() {
    let (store, service) = service();
    let large = message_of(0..20_000);
    let load = Arc::new(Load::new(1));
    let share = LoadShare::new(Arc::clone(&load), Owner::Peer([127, 0, 0, 1].into()), None);
    let mut answer = send_to(&service, &name(), &large, Some(share)).unwrap();
    let mut most = 0;
    let result = loop {
        if let Some(result) = (&mut answer).now_or_never() {
            break result;
        }
        most = most.max(load.competing());
        yield_now().await;
    };
    assert_eq!((result, most, load.competing()), (Ok(Ok(20_000)), 1, 0));

    let (load, owner, others) = busy();
    assert_eq!(load.competing(), 8);
    let share = |seconds: Option<u64>| {
        let deadline = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        Some(LoadShare::new(Arc::clone(&load), owner.clone(), deadline))
    };
    let (large, small) = (message_of(20_000..40_000), message(20_000));
    let send = |message, seconds| send_to(&service, &name(), message, share(seconds)).unwrap();
    // It would probably end after 9 s.
    assert_eq!(send(&large, Some(10)).await.unwrap(), Err(RpcError::Busy));
    let stored = store.load(name().stored).await.unwrap().unwrap();
    assert_eq!(stored.committed_points(), 20_000, "a refused request adds nothing");
    assert_eq!(send(&small, Some(10)).await.unwrap(), Ok(20_001), "a small request");
    assert_eq!(send(&large, Some(60)).await.unwrap(), Ok(40_001));
    assert_eq!(send(&large, None).await.unwrap(), Ok(60_001), "without a deadline");
    assert_eq!(load.competing(), 8);
    drop(others);
}

/// The requests of a batch share a time slice, so that a short one may be the one that exceeds it.
#[tokio::test(start_paused = true)]
async fn a_short_request_of_a_large_batch_is_not_refused() {
    let (_, service) = service();
    let (load, owner, others) = busy();
    let share = || {
        let deadline = Some(Instant::now() + Duration::from_secs(10));
        Some(LoadShare::new(Arc::clone(&load), owner.clone(), deadline))
    };
    let mut messages: Vec<_> =
        (0..32).map(|part| message_of(part * 500..(part + 1) * 500)).collect();
    // This one is refused, whichever part of its first time slice is its own.
    let large = messages.len();
    messages.push(message_of(16_000..36_000));
    let answers: Vec<_> = messages
        .iter()
        .map(|message| send_to(&service, &name(), message, share()).unwrap())
        .collect();
    for (index, answer) in answers.into_iter().enumerate() {
        let expected = if index == large { Err(RpcError::Busy) } else { Ok(16_000) };
        assert_eq!(answer.await.unwrap(), expected, "{index}");
    }
    assert_eq!(load.competing(), 8);
    drop(others);
}

#[tokio::test]
async fn the_requests_of_a_batch_share_a_time_slice() {
    // Each of 64 requests is within the budget, and all together are not.
    let (_, service) = service();
    let messages: Vec<_> = (0..64).map(|part| message_of(part * 500..(part + 1) * 500)).collect();
    let answers: Vec<_> = messages.iter().map(|message| send(&service, message).unwrap()).collect();
    let mut polls = 0;
    while answers.iter().all(|answer| answer.is_empty()) {
        polls += 1;
        yield_now().await;
    }
    assert!(polls > 8, "{polls}");
    for answer in answers {
        assert_eq!(answer.await.unwrap(), Ok(32_000));
    }
}
