//! Quotas of principals and peers: streams, points per second, and bytes per second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::{Code, Request, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;
use waywiser::Config;
use waywiser::auth::{
    AuthError, Authenticator, Credentials, Principal, PrincipalSource, Quota, Revocation, Role,
    Session,
};
use waywiser::client::{Client, RecordEvent};
use waywiser::measure::{Fix, Metric, Options, Point};
use waywiser::proto::waywiser_v1 as pb;
use waywiser::store::MemoryStore;

use crate::support::faulty::{Call, Fault, Faulty};
use crate::support::{Answer, PATH_LENGTH, Raw, Server, frame, frames};

const RECORD_PATH: &str = "/waywiser.v1.PathService/RecordPath";

/// Accepts every token as the name of a principal. `small` has a quota of its own.
struct Names;

impl Authenticator for Names {
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Session, AuthError> {
        let value = credentials.authorization.ok_or(AuthError::Missing)?;
        let name = str::from_utf8(value).unwrap().strip_prefix("Bearer ").unwrap();
        let max_streams = (name == "small").then_some(1);
        let principal = Principal {
            source: PrincipalSource::Configuration,
            name: name.into(),
            namespace: None,
            role: Role::Writer,
            quota: Quota { max_streams, ..Quota::default() },
        };
        let revoked = Revocation::new();
        Ok(Session { principal: Arc::new(principal), expires_at: None, revoked })
    }
}

async fn server(configure: impl FnOnce(&mut Config)) -> Server {
    Server::in_memory(configure, |server| server.with_authenticator(Arc::new(Names))).await
}

fn bearer(name: &str) -> [(&'static str, String); 1] {
    [("authorization", format!("Bearer {name}"))]
}

/// Begins a stream of this principal, and sends a point.
fn begin(raw: &mut Raw, name: &str) -> crate::support::Call {
    let [(header, value)] = bearer(name);
    let mut call = raw.call_with(PATH_LENGTH, &[(header, &value)]);
    // A refused stream may have ended.
    let _ = call.body.send_data(frames(&[(0, 0)]), false);
    call
}

async fn complete(mut call: crate::support::Call) -> Answer {
    let _ = call.body.send_data(Bytes::new(), true);
    call.answer().await.unwrap()
}

#[tokio::test]
async fn the_streams_of_a_principal_are_limited_on_all_its_connections() {
    let server = server(|config| config.principal_quota.max_streams = Some(2)).await;
    let (mut one, mut other) =
        (Raw::connect(server.address).await, Raw::connect(server.address).await);
    let open = [begin(&mut one, "van"), begin(&mut one, "small")];
    // The first stream of each connection has reached the server once a later one is answered.
    assert_eq!(complete(begin(&mut one, "bus")).await.code, Code::Ok);
    let second = begin(&mut other, "van");
    assert_eq!(complete(begin(&mut other, "bus")).await.code, Code::Ok);
    let refused = complete(begin(&mut other, "van")).await;
    assert_eq!(
        (refused.code, refused.reason.as_deref()),
        (Code::ResourceExhausted, Some("STREAM_QUOTA"))
    );
    insta::assert_snapshot!(refused.message, @"this principal has reached its limit of 2 open streams; try again in 1 s");
    // A principal with a quota of its own, and health checks, which count for no principal.
    let refused = complete(begin(&mut other, "small")).await;
    insta::assert_snapshot!(refused.message, @"this principal has reached its limit of 1 open stream; try again in 1 s");
    let mut health = HealthClient::new(server.channel().await);
    health.check(HealthCheckRequest::default()).await.unwrap();
    // Every end of a stream frees its place.
    let [first, _small] = open;
    assert_eq!(complete(first).await.code, Code::Ok);
    let third = begin(&mut one, "van");
    assert_eq!(complete(third).await.code, Code::Ok);
    drop(second);
    let peer = other.peer;
    other.abort().await;
    server.ended_calls(peer, 4).await;
    let (third, fourth) = (begin(&mut one, "van"), begin(&mut one, "van"));
    assert_eq!((complete(third).await.code, complete(fourth).await.code), (Code::Ok, Code::Ok));
}

#[tokio::test]
async fn the_streams_of_a_peer_are_limited_and_the_status_has_details() {
    let server = Server::with(|config| config.peer_quota.max_streams = Some(1)).await;
    let mut raw = Raw::connect(server.address).await;
    let mut open = raw.call(PATH_LENGTH);
    open.send(frames(&[(0, 0)]));
    let refused = raw.try_call(PATH_LENGTH).await.unwrap();
    assert_eq!(
        (refused.code, refused.reason.as_deref()),
        (Code::ResourceExhausted, Some("STREAM_QUOTA"))
    );
    let status = server.paths().await.get_path(pb::GetPathRequest::default()).await.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!((&*info.metadata["limit"], &*info.metadata["scope"]), ("1", "peer"));
    assert_eq!(retry_delay(&status), Duration::from_secs(1));
    open.close();
    assert_eq!(open.answer().await.unwrap().code, Code::Ok);
    server.assert_works().await;
}

fn retry_delay(status: &Status) -> Duration {
    status.get_details_retry_info().unwrap().retry_delay.unwrap()
}

/// Returns a message of a named path with points on a line, from this index on.
fn message(first: u32, count: u32) -> pb::RecordPathRequest {
    let point = |index: u32| pb::Point { x: index.into(), ..pb::Point::default() };
    pb::RecordPathRequest {
        name: "paths/a".to_owned(),
        options: Some(pb::PathOptions { model: pb::Model::Planar.into(), ..Default::default() }),
        points: (first..first + count).map(point).collect(),
        write_offset: Some(first.into()),
        ..pb::RecordPathRequest::default()
    }
}

#[tokio::test]
async fn a_recording_far_above_its_rate_keeps_its_points_and_resumes() {
    let store = Arc::new(MemoryStore::default());
    let limited = Server::with_store(Arc::clone(&store) as _, |config| {
        config.peer_quota.max_points_per_second = Some(1);
    })
    .await;
    let other = Server::with_store(store, |_| {}).await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let mut paths = limited.paths().await;
    let call = tokio::spawn(async move {
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        paths.record_path(stream).await
    });
    let mut first = 0;
    // The server ends the stream although the client sends on.
    while sender.send(message(first, 100)).await.is_ok() {
        first += 100;
    }
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_error_info().unwrap().reason, "POINT_RATE");
    assert!(retry_delay(&status) > Duration::from_secs(30), "{status:?}");
    // A call that would soon be refused does not start.
    let name = || pb::GetPathRequest { name: "paths/a".to_owned(), ..Default::default() };
    let refused = limited.paths().await.get_path(name()).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "POINT_RATE");
    assert!(retry_delay(&refused) > Duration::from_secs(5), "{refused:?}");
    // The points before the refusal are committed.
    let mut paths = other.paths().await;
    let path = paths.get_path(name()).await.unwrap().into_inner().path.unwrap();
    let committed = path.committed_points as u32;
    assert!(committed >= 100 && committed.is_multiple_of(100), "{committed}");
    let rest = pb::RecordPathRequest { finish_write: true, ..message(committed, 1000 - committed) };
    let reply = paths.record_path(tokio_stream::iter([rest])).await.unwrap().into_inner();
    assert_eq!(reply.committed_points, 1000);
}

#[tokio::test]
async fn a_recorder_waits_for_its_quotas_and_loses_nothing() {
    let server = Server::with(|config| {
        // A recorder has two streams: its points, and a watch of what is durable.
        config.peer_quota.max_streams = Some(2);
        config.peer_quota.max_points_per_second = Some(20_000);
    })
    .await;
    let mut raw = Raw::connect(server.address).await;
    let mut other = raw.call(PATH_LENGTH);
    other.send(frames(&[(0, 0)]));
    let (sender, mut events) = mpsc::unbounded_channel();
    let client = Client::connect(&format!("http://{}", server.address)).await.unwrap();
    let recorder = client
        .recorder("paths/limited".parse().unwrap(), Options::new(Metric::Planar))
        .on_event(move |event| drop(sender.send(event)));
    // More points than a burst.
    let fixes = (0..30_000).map(|i| Fix::new(Point::planar(f64::from(i), 0.0).unwrap()));
    let recording = tokio::spawn(recorder.record(stream::iter(fixes)));
    let refused = loop {
        if let RecordEvent::Retrying { reason, .. } = events.recv().await.unwrap() {
            break reason;
        }
    };
    assert!(refused.contains("ResourceExhausted"), "{refused}");
    other.close();
    assert_eq!(other.answer().await.unwrap().code, Code::Ok);
    let recorded = recording.await.unwrap().unwrap();
    assert_eq!((recorded.point_count, recorded.summary.length), (30_000, 29_999.0));
}

#[tokio::test]
async fn a_stream_above_its_rate_is_slowed_down_and_its_client_too() {
    // A burst of a second is free, and the rest takes a second.
    const BYTES_PER_SECOND: usize = 2 << 20;
    let server = server(|config| {
        config.principal_quota.max_bytes_per_second = Some(BYTES_PER_SECOND as u64);
        // Waiting for a quota is not idleness.
        config.stream_idle_timeout = Duration::from_millis(200);
    })
    .await;
    let mut raw = Raw::connect(server.address).await;
    let point = frame(&[0x08, 3, 0x10, 4]);
    let bytes = Bytes::from(point.repeat(2 * BYTES_PER_SECOND / point.len()));
    let started = Instant::now();
    let [(header, value)] = bearer("van");
    let mut call = raw.call_with(PATH_LENGTH, &[(header, &value)]);
    assert!(call.send_within_window(bytes).await);
    // Flow control has stopped the client: the window holds only a part of the rest.
    let sent = started.elapsed();
    call.close();
    assert_eq!(call.answer().await.unwrap().code, Code::Ok);
    assert!(started.elapsed() > Duration::from_millis(900), "{:?}", started.elapsed());
    assert!(sent > Duration::from_millis(500), "{sent:?}");
}

#[tokio::test]
async fn a_request_has_the_rates_of_its_own_principal() {
    let server = server(|config| config.principal_quota.max_bytes_per_second = Some(1)).await;
    let mut raw = Raw::connect(server.address).await;
    let [(header, value)] = bearer("van");
    let mut call = raw.call_with(PATH_LENGTH, &[(header, &value)]);
    call.send(frames(&[(0, 0); 20]));
    let answer = call.answer().await.unwrap();
    assert_eq!(
        (answer.code, answer.reason.as_deref()),
        (Code::ResourceExhausted, Some("BYTE_RATE"))
    );
    // Another principal has used nothing.
    let mut paths = server.paths().await;
    let mut request = Request::new(pb::ListPathsRequest::default());
    request.metadata_mut().insert("authorization", "Bearer bus".parse().unwrap());
    assert!(paths.list_paths(request).await.is_ok());
    let mut request = Request::new(pb::ListPathsRequest::default());
    request.metadata_mut().insert("authorization", "Bearer van".parse().unwrap());
    assert_eq!(paths.list_paths(request).await.unwrap_err().code(), Code::ResourceExhausted);
}

/// The end of a call that has read its points and waits for no more.
#[derive(Clone, Copy, Debug)]
enum End {
    /// A message that does not decode follows in the same frame.
    Malformed,
    /// The first point is not valid, so that the path takes none.
    InvalidPoint,
    /// The client resets the stream while the store is busy.
    Reset,
    /// The client loses its connection while the store is busy.
    Lost,
    /// The deadline passes while the store is busy.
    Deadline,
    /// The first path of a batch ends with an error, and the stream too.
    FailedPath,
}

impl End {
    const ALL: [Self; 6] = [
        Self::Malformed,
        Self::InvalidPoint,
        Self::Reset,
        Self::Lost,
        Self::Deadline,
        Self::FailedPath,
    ];

    /// Sends 100 points in a call of the principal `van` that ends like this. Waits for the end.
    async fn run(self, server: &Server, store: &Faulty) {
        let mut raw = Raw::connect(server.address).await;
        let peer = raw.peer;
        let [(header, value)] = bearer("van");
        let mut headers = vec![(header, value.as_str())];
        let mut path = RECORD_PATH;
        let mut message = message(0, 100);
        message.write_offset = None;
        let bytes = match self {
            Self::Malformed => {
                message.name.clear();
                [frame(&message.encode_to_vec()), frame(&[0xff])].concat()
            }
            Self::InvalidPoint => {
                message.points[0].x = f64::NAN;
                frame(&message.encode_to_vec()).into()
            }
            Self::FailedPath => {
                path = "/waywiser.v1.PathService/MeasurePaths";
                message.points[0].x = f64::NAN;
                let (options, points) = (message.options, message.points);
                let failed = pb::MeasurePathsRequest { options, points, ..Default::default() };
                [frame(&failed.encode_to_vec()), frame(&[0xff])].concat()
            }
            Self::Reset | Self::Lost | Self::Deadline => {
                store.always(Call::Load, Some(Fault::HeldBefore));
                frame(&message.encode_to_vec()).into()
            }
        };
        if let Self::Deadline = self {
            headers.push(("grpc-timeout", "50m"));
        }
        let mut call = raw.call_with(path, &headers);
        call.send(bytes);
        if let Self::Reset | Self::Lost = self {
            while store.calls(Call::Load) == 0 {
                tokio::task::yield_now().await;
            }
        }
        match self {
            Self::Malformed | Self::InvalidPoint | Self::FailedPath => {
                assert_eq!(call.answer().await.unwrap().code, Code::InvalidArgument);
            }
            Self::Deadline => {
                assert_eq!(call.answer().await.unwrap().code, Code::DeadlineExceeded);
            }
            Self::Reset => {
                call.body.send_reset(h2::Reason::CANCEL);
                server.ended_calls(peer, 1).await;
            }
            Self::Lost => {
                raw.abort().await;
                server.ended_calls(peer, 1).await;
            }
        }
    }
}

async fn assert_next_call_is_refused(reason: &str, configure: fn(&mut Config)) {
    for end in End::ALL {
        let store = Arc::new(Faulty::new(Arc::new(MemoryStore::default())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::adapted(listener, Arc::clone(&store) as _, configure, |server| {
            server.with_authenticator(Arc::new(Names))
        });
        end.run(&server, &store).await;
        let mut raw = Raw::connect(server.address).await;
        let refused = complete(begin(&mut raw, "van")).await;
        assert_eq!(refused.reason.as_deref(), Some(reason), "{end:?}: {refused:?}");
    }
}

#[tokio::test]
async fn a_call_that_ends_in_any_way_pays_for_its_points() {
    assert_next_call_is_refused("POINT_RATE", |config| {
        config.principal_quota.max_points_per_second = Some(1);
    })
    .await;
    assert_next_call_is_refused("POINT_RATE", |config| {
        config.peer_quota.max_points_per_second = Some(1);
    })
    .await;
}

#[tokio::test]
async fn a_call_that_ends_in_any_way_pays_for_its_bytes() {
    assert_next_call_is_refused("BYTE_RATE", |config| {
        config.principal_quota.max_bytes_per_second = Some(1);
    })
    .await;
    assert_next_call_is_refused("BYTE_RATE", |config| {
        config.peer_quota.max_bytes_per_second = Some(1);
    })
    .await;
}
