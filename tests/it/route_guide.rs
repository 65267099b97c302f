//! `routeguide.RouteGuide`: features, and notes at places.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};
use waywiser::Config;
use waywiser::auth::{
    AuthError, Authenticator, Credentials, Principal, PrincipalSource, Quota, Revocation, Role,
    Session,
};
use waywiser::proto::routeguide as pb;
use waywiser::server::{Feature, Features};

use crate::support::{Raw, Server, frame, gzip_frame};

const ROUTE_CHAT: &str = "/routeguide.RouteGuide/RouteChat";
const LIST_FEATURES: &str = "/routeguide.RouteGuide/ListFeatures";

fn point(latitude: i32, longitude: i32) -> pb::Point {
    pb::Point { latitude, longitude }
}

fn note(latitude: i32, longitude: i32, message: &str) -> pb::RouteNote {
    pb::RouteNote { location: Some(point(latitude, longitude)), message: message.to_owned() }
}

async fn with_features(features: impl IntoIterator<Item = (i32, i32, String)>) -> Server {
    configured(features, |_| {}).await
}

async fn configured(
    features: impl IntoIterator<Item = (i32, i32, String)>,
    configure: impl FnOnce(&mut Config),
) -> Server {
    let features = features.into_iter().map(|(latitude_e7, longitude_e7, name)| Feature {
        latitude_e7,
        longitude_e7,
        name,
    });
    let features = Features::new(features).unwrap();
    Server::in_memory(configure, |server| server.with_features(features)).await
}

async fn listed(server: &Server, lo: pb::Point, hi: pb::Point) -> Vec<pb::Feature> {
    let request = pb::Rectangle { lo: Some(lo), hi: Some(hi) };
    let mut stream = server.routes().await.list_features(request).await.unwrap().into_inner();
    let mut features = Vec::new();
    while let Some(feature) = stream.message().await.unwrap() {
        features.push(feature);
    }
    features
}

#[tokio::test]
async fn a_feature_is_returned_at_its_point_only() {
    let server = with_features([(10, 20, "Hill".to_owned()), (30, 40, String::new())]).await;
    let mut routes = server.routes().await;
    for (at, name) in [(point(10, 20), "Hill"), (point(20, 10), ""), (point(30, 40), "")] {
        let feature = routes.get_feature(at).await.unwrap().into_inner();
        assert_eq!(feature, pb::Feature { name: name.to_owned(), location: Some(at) });
    }
    let error = routes.get_feature(point(900_000_001, 0)).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
    assert!(error.message().contains("latitude 90.0000001"), "{error:?}");
}

#[tokio::test]
async fn a_server_without_features_answers_all_methods() {
    let server = Server::start().await;
    let mut routes = server.routes().await;
    let feature = routes.get_feature(point(1, 2)).await.unwrap().into_inner();
    assert_eq!(feature, pb::Feature { name: String::new(), location: Some(point(1, 2)) });
    assert!(listed(&server, point(i32::MIN, i32::MIN), point(i32::MAX, i32::MAX)).await.is_empty());
    let points = [point(1, 2), point(3, 4)];
    let summary = routes.record_route(tokio_stream::iter(points)).await.unwrap().into_inner();
    assert_eq!((summary.point_count, summary.feature_count), (2, 0));
}

#[tokio::test]
async fn a_route_counts_the_points_with_a_feature() {
    let features = (0..100).map(|i| (i * 1000, -1_800_000_000, format!("feature {i}")));
    let server = with_features(features).await;
    let mut routes = server.routes().await;
    // Every second point has a feature, in both forms of the antimeridian.
    let points: Vec<_> = (0..2000)
        .map(|i| point(i % 200 * 500, if i % 4 == 0 { 1_800_000_000 } else { -1_800_000_000 }))
        .collect();
    let expected = points.iter().filter(|point| point.latitude % 1000 == 0).count();
    let summary = routes.record_route(tokio_stream::iter(points)).await.unwrap().into_inner();
    assert_eq!((summary.point_count, summary.feature_count), (2000, expected as i32));
}

#[tokio::test]
async fn features_of_a_rectangle_are_streamed_in_their_order() {
    let features: Vec<_> =
        (0..20_000).map(|i| (i % 200, i / 200, format!("{i} {}", "x".repeat(500)))).collect();
    let server = with_features(features.clone()).await;
    let all = listed(&server, point(200, 100), point(0, 0)).await;
    assert!(all.iter().map(|feature| &feature.name).eq(features.iter().map(|(.., name)| name)));
    let some = listed(&server, point(50, 10), point(40, 12)).await;
    assert_eq!(some.len(), 11 * 3);
    assert!(some.iter().all(|feature| {
        let at = feature.location.unwrap();
        (40..=50).contains(&at.latitude) && (10..=12).contains(&at.longitude)
    }));
}

#[tokio::test]
async fn a_client_that_does_not_read_features_is_cut() {
    let features = (0..20_000).map(|i| (i, 0, "x".repeat(1000)));
    let idle_timeout = Duration::from_millis(100);
    let server = configured(features, |config| config.stream_idle_timeout = idle_timeout).await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call(LIST_FEATURES);
    let whole = pb::Rectangle { lo: Some(point(0, 0)), hi: Some(point(20_000, 0)) };
    call.send(frame(&whole.encode_to_vec()));
    call.close();
    // The test client reads the head of the answer, and never grants more than its first window.
    let response = call.take_response().await.unwrap();
    let ended = &server.ended_calls(raw.peer, 1).await[0];
    assert_eq!(ended.code, Code::DeadlineExceeded, "{ended:?}");
    drop(response);
    server.assert_works().await;
}

/// A call of RouteChat.
struct Chat {
    notes: mpsc::Sender<pb::RouteNote>,
    answers: Streaming<pb::RouteNote>,
}

impl Chat {
    async fn open(server: &Server) -> Self {
        let (notes, receiver) = mpsc::channel(100);
        let answers = server.routes().await.route_chat(ReceiverStream::new(receiver)).await;
        Self { notes, answers: answers.unwrap().into_inner() }
    }

    async fn send(&self, note: pb::RouteNote) {
        self.notes.send(note).await.unwrap();
    }

    async fn next(&mut self) -> String {
        self.answers.message().await.unwrap().unwrap().message
    }

    /// Closes the stream, and returns the rest of the answers.
    async fn rest(mut self) -> Result<Vec<String>, tonic::Status> {
        drop(self.notes);
        let mut rest = Vec::new();
        while let Some(note) = self.answers.message().await? {
            rest.push(note.message);
        }
        Ok(rest)
    }
}

#[tokio::test]
async fn each_note_is_answered_by_the_earlier_ones_at_its_place() {
    let server = Server::start().await;
    let chat = Chat::open(&server).await;
    for (latitude, longitude, message) in
        [(0, 0, "first"), (0, 1, "second"), (1, 0, "third"), (0, 0, "fourth"), (1, 0, "fifth")]
    {
        chat.send(note(latitude, longitude, message)).await;
    }
    assert_eq!(chat.rest().await.unwrap(), ["first", "third"]);
    // The notes outlive their call.
    let chat = Chat::open(&server).await;
    chat.send(note(0, 0, "sixth")).await;
    assert_eq!(chat.rest().await.unwrap(), ["first", "fourth"]);
}

#[tokio::test]
async fn a_call_sees_the_notes_of_another_open_call() {
    let server = Server::start().await;
    let (mut a, mut b) = (Chat::open(&server).await, Chat::open(&server).await);
    a.send(note(5, 1_800_000_000, "from a")).await;
    a.send(note(5, 1_800_000_000, "again")).await;
    assert_eq!(a.next().await, "from a");
    b.send(note(5, -1_800_000_000, "from b")).await;
    assert_eq!((b.next().await, b.next().await), ("from a".to_owned(), "again".to_owned()));
    a.send(note(5, 1_800_000_000, "to b")).await;
    assert_eq!(a.rest().await.unwrap(), ["from a", "again", "from b"]);
    assert!(b.rest().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_note_that_is_not_valid_ends_the_call_and_is_named() {
    let server = Server::start().await;
    for (bad, code, text) in [
        (
            note(0, 0, &"x".repeat(1025)),
            Code::InvalidArgument,
            "message 1: message: it has 1025 bytes, more than the limit of 1024",
        ),
        (note(900_000_001, 0, ""), Code::InvalidArgument, "point 1: latitude 90.0000001"),
        (note(0, 0, &"x".repeat(70_000)), Code::ResourceExhausted, "message 1"),
    ] {
        let chat = Chat::open(&server).await;
        chat.send(note(7, 7, &"x".repeat(1024))).await;
        chat.send(bad).await;
        let error = chat.rest().await.unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        assert!(error.message().contains(text), "{error:?}");
    }
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call(ROUTE_CHAT);
    call.send(frame(&[0x0a, 0x05, 0x08]));
    call.close();
    assert_eq!(call.answer().await.unwrap().reason.as_deref(), Some("MESSAGE_MALFORMED"));
}

#[tokio::test]
async fn notes_may_be_cut_anywhere_and_be_compressed() {
    let server = Server::start().await;
    let mut bytes = Vec::new();
    for number in 0..6 {
        let note = note(1, 1, &format!("note {number}")).encode_to_vec();
        match number % 2 {
            0 => bytes.extend(frame(&note)),
            _ => bytes.extend(gzip_frame(&note)),
        }
    }
    for size in [1, 7, bytes.len()] {
        let server = Server::start().await;
        let mut raw = Raw::connect(server.address).await;
        let mut call = raw.call_with(ROUTE_CHAT, &[("grpc-encoding", "gzip")]);
        for piece in bytes.chunks(size) {
            call.send(piece.to_vec());
        }
        call.close();
        let answer = call.answer().await.unwrap();
        assert_eq!(answer.code, Code::Ok, "{answer:?}");
        let expected: usize =
            (0..6).map(|n| n * frame(&note(1, 1, "note 0").encode_to_vec()).len()).sum();
        assert_eq!(answer.body.len(), expected, "{size}");
    }
    server.assert_works().await;
}

#[tokio::test]
async fn a_chat_obeys_the_limits_of_a_stream() {
    let server =
        Server::with(|config| config.stream_idle_timeout = Duration::from_millis(100)).await;
    // Silence.
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call(ROUTE_CHAT);
    call.send(frame(&note(0, 0, "a").encode_to_vec()));
    assert_eq!(call.answer().await.unwrap().reason.as_deref(), Some("STREAM_IDLE"));
    // A stream that is reset, and one that ends inside a message.
    let mut call = raw.call(ROUTE_CHAT);
    call.send(frame(&note(0, 0, "b").encode_to_vec()));
    call.body.send_reset(h2::Reason::CANCEL);
    let ended = server.ended_calls(raw.peer, 2).await;
    assert_eq!(ended[1].code, Code::Cancelled, "{ended:?}");
    let mut call = raw.call(ROUTE_CHAT);
    call.send(vec![0, 0, 0, 0, 9, 1]);
    call.close();
    assert_eq!(call.answer().await.unwrap().reason.as_deref(), Some("MESSAGE_TRUNCATED"));
}

#[tokio::test]
async fn a_chat_ends_with_a_status_when_the_server_drains() {
    let mut server = Server::with(|config| config.drain_timeout = Duration::from_millis(300)).await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call(ROUTE_CHAT);
    // The head of the answer shows that the call has begun.
    let mut answer = call.take_response().await.unwrap().into_body();
    server.stop();
    while let Some(data) = answer.data().await {
        data.unwrap();
    }
    let trailers = answer.trailers().await.unwrap().unwrap();
    let status = tonic::Status::from_header_map(&trailers).unwrap();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    drop((raw, call));
    server.stopped().await;
}

/// Accepts tokens of the form `Bearer NAMESPACE`. Without a namespace the caller is a reader.
struct Namespaces;

impl Authenticator for Namespaces {
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Session, AuthError> {
        let token = credentials.authorization.ok_or(AuthError::Missing)?;
        let namespace = std::str::from_utf8(token).unwrap().strip_prefix("Bearer ").unwrap();
        let role = if namespace == "reader" { Role::Reader } else { Role::Writer };
        let principal = Principal {
            source: PrincipalSource::Configuration,
            name: "caller".into(),
            namespace: Some(namespace.parse().unwrap()),
            role,
            quota: Quota::default(),
        };
        let revoked = Revocation::new();
        Ok(Session { principal: Arc::new(principal), expires_at: None, revoked })
    }
}

#[tokio::test]
async fn callers_see_the_notes_of_their_namespace_and_a_reader_leaves_none() {
    let server = Server::with_authenticator(Arc::new(Namespaces)).await;
    let mut raw = Raw::connect(server.address).await;
    for (namespace, expected) in [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2)] {
        let token = format!("Bearer {namespace}");
        let mut call = raw.call_with(ROUTE_CHAT, &[("authorization", &token)]);
        let note = frame(&note(1, 1, namespace).encode_to_vec());
        call.send(note.clone());
        call.close();
        let answer = call.answer().await.unwrap();
        assert_eq!(answer.code, Code::Ok, "{answer:?}");
        assert_eq!(answer.body, note.repeat(expected), "{namespace}");
    }
    let mut call = raw.call_with(ROUTE_CHAT, &[("authorization", "Bearer reader")]);
    call.close();
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.code, Code::PermissionDenied, "{answer:?}");
    let mut call = raw.call_with(LIST_FEATURES, &[("authorization", "Bearer reader")]);
    call.send(frame(&[]));
    call.close();
    assert_eq!(call.answer().await.unwrap().code, Code::Ok);
}
