//! Streams that end without having been closed. They are never answered as if they were closed.

use bytes::Bytes;
use h2::Reason;

use tonic::Code;

use crate::support::{PATH_LENGTH, RECORD_ROUTE, Raw, Server, frames};

/// The bytes that are sent before the stream is cut: nothing, whole points, or a part of one.
fn openings() -> [Bytes; 3] {
    let points = frames(&[(0, 0), (3, 4)]);
    [Bytes::new(), points.clone(), points.slice(..points.len() - 3)]
}

#[tokio::test]
async fn a_reset_stream_is_cancelled_for_any_reset_code() {
    let server = Server::start().await;
    for path in [PATH_LENGTH, RECORD_ROUTE] {
        for opening in openings() {
            for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
                let mut raw = Raw::connect(server.address).await;
                let mut call = raw.call(path);
                call.send(opening.clone());
                call.body.send_reset(reason);
                let call = &server.ended_calls(raw.peer, 1).await[0];
                assert_eq!(call.code, Code::Cancelled, "{path} {reason:?}: {call:?}");
            }
        }
    }
    server.assert_works().await;
}

#[tokio::test]
async fn a_stream_that_is_reset_after_points_is_cancelled_too() {
    let server = Server::start().await;
    for reason in [Reason::CANCEL, Reason::NO_ERROR] {
        let mut raw = Raw::connect(server.address).await;
        let mut call = raw.call(PATH_LENGTH);
        call.send(frames(&[(0, 0), (3, 4)]));
        // A second call that is answered shows that the server has read the bytes before it.
        let mut other = raw.call(PATH_LENGTH);
        other.close();
        other.answer().await.unwrap();
        call.body.send_reset(reason);
        let call = &server.ended_calls(raw.peer, 2).await[1];
        assert_eq!((call.code, call.points), (Code::Cancelled, 2), "{reason:?}: {call:?}");
    }
}

#[tokio::test]
async fn a_client_that_disconnects_gets_no_answer() {
    let server = Server::start().await;
    for opening in openings() {
        let mut raw = Raw::connect(server.address).await;
        let peer = raw.peer;
        let mut call = raw.call(PATH_LENGTH);
        call.send(opening);
        // An answered call shows that the first one has begun before the connection ends.
        let mut other = raw.call(PATH_LENGTH);
        other.close();
        other.answer().await.unwrap();
        raw.abort().await;
        let call = &server.ended_calls(peer, 2).await[1];
        assert_ne!(call.code, Code::Ok, "{call:?}");
    }
    server.assert_works().await;
}

#[tokio::test]
async fn a_stream_closed_by_trailers_is_closed() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call(PATH_LENGTH);
    call.send(frames(&[(0, 0), (3, 4)]));
    call.body.send_trailers(http::HeaderMap::new()).unwrap();
    assert_eq!(call.answer().await.unwrap().code, tonic::Code::Ok);
}
