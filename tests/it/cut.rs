//! Streams that end without having been closed: never answered as if they had.

use bytes::Bytes;
use h2::Reason;

use crate::support::{PATH_LENGTH, RECORD_ROUTE, Raw, Server, frames, logged};

/// What is on its way when the stream is cut: nothing, whole points, or a part of one.
fn openings() -> [Bytes; 3] {
    let points = frames(&[(0, 0), (3, 4)]);
    [Bytes::new(), points.clone(), points.slice(..points.len() - 3)]
}

#[tokio::test]
async fn a_reset_stream_is_cancelled_whatever_the_reason_of_the_reset() {
    let server = Server::start().await;
    for path in [PATH_LENGTH, RECORD_ROUTE] {
        for opening in openings() {
            for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
                let mut raw = Raw::connect(server.address).await;
                let mut call = raw.call(path);
                call.send(opening.clone());
                call.body.send_reset(reason);
                let line = &logged(raw.peer, 1).await[0];
                assert!(line.contains("outcome=Cancelled"), "{path} {reason:?}: {line}");
            }
        }
    }
    server.assert_well().await;
}

#[tokio::test]
async fn a_reset_after_points_were_folded_is_cancelled_too() {
    let server = Server::start().await;
    for reason in [Reason::CANCEL, Reason::NO_ERROR] {
        let mut raw = Raw::connect(server.address).await;
        let mut call = raw.call(PATH_LENGTH);
        call.send(frames(&[(0, 0), (3, 4)]));
        // A second call that is answered shows that the server has read what came before it.
        let mut other = raw.call(PATH_LENGTH);
        other.close();
        other.answer().await.unwrap();
        call.body.send_reset(reason);
        let line = &logged(raw.peer, 2).await[1];
        assert!(line.contains("outcome=Cancelled"), "{reason:?}: {line}");
        assert!(line.contains("points=2 "), "{reason:?}: {line}");
    }
}

#[tokio::test]
async fn a_client_that_disappears_gets_no_answer() {
    let server = Server::start().await;
    for opening in openings() {
        let mut raw = Raw::connect(server.address).await;
        let peer = raw.peer;
        let mut call = raw.call(PATH_LENGTH);
        call.send(opening);
        // As above: the call is known to have begun before the connection goes.
        let mut other = raw.call(PATH_LENGTH);
        other.close();
        other.answer().await.unwrap();
        raw.vanish().await;
        let line = &logged(peer, 2).await[1];
        assert!(!line.contains("outcome=Ok"), "{line}");
    }
    server.assert_well().await;
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
