//! The life of an appender: requests without a caller, idle appenders, and the end of the service.

use futures::FutureExt as _;
use prost::Message as _;
use tokio::sync::oneshot;

use super::*;
use crate::auth::{Principal, PrincipalSource, Quota, Role};
use crate::measure::{Metric, Reorder};
use crate::proto::waywiser_v1 as pb;
use crate::recording::{CheckpointPolicy, CheckpointStore as _, RecordingName};
use crate::service::path::{PathService, append};
use crate::service::{PermissionError, StreamLimits};
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

fn message(second: i64) -> Arc<AppendMessage> {
    let time = Some(prost_types::Timestamp { seconds: second, nanos: 0 });
    let point = pb::Point { x: second as f64, y: 1.0, time, ..Default::default() };
    let request = pb::AppendPointsRequest { points: vec![point], ..Default::default() };
    Arc::new(AppendMessage::new(request.encode_to_vec()))
}

type Answer = oneshot::Receiver<Result<u64, RpcError>>;

fn send(service: &PathService, message: &Arc<AppendMessage>) -> Result<Answer, RpcError> {
    let options = Options::builder(Metric::Planar)
        .reorder(Some(Reorder { count: 8, time_ns: None }))
        .drop_duplicates(true)
        .build()
        .unwrap();
    let opening = Opening { options, max_recordings: None, creations: None };
    let (answer, answered) = oneshot::channel();
    let append = Append { message: Arc::downgrade(message), opening, answer };
    super::append(&service.shared, &name(), append).map(|()| answered)
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
