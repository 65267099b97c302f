//! Deadlines: the caller's own, and that of a stream that goes quiet.

use std::time::Duration;

use tokio_stream::{StreamExt as _, iter, pending};
use tonic::{Code, Request};
use waywiser::proto::my_package::Point;

use crate::support::{DISPLACEMENT, PATH_LENGTH, Raw, Server, frames};

#[tokio::test]
async fn a_deadline_answers_deadline_exceeded_and_says_how_far_it_came() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    for path in [PATH_LENGTH, DISPLACEMENT] {
        let mut call = raw.call_with(path, &[("grpc-timeout", "50m")]);
        call.send(frames(&[(0, 0)]));
        let answer = call.answer().await.unwrap();
        assert_eq!(answer.code, Code::DeadlineExceeded);
        assert_eq!(answer.reason.as_deref(), Some("DEADLINE_EXCEEDED"));
        assert_eq!(answer.message, "the deadline of the call has passed, 1 points in");
    }
    server.assert_well().await;
}

#[tokio::test]
async fn a_client_with_a_deadline_of_its_own_sees_it_pass() {
    let server = Server::start().await;
    let endless = iter([Point { x: 0, y: 0 }]).chain(pending());
    let mut request = Request::new(endless);
    request.set_timeout(Duration::from_millis(50));
    let status = server.planar().await.compute_path_length(request).await.unwrap_err();
    // Client and server watch the same deadline; tonic's client says Cancelled when it is first.
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status}");
}

#[tokio::test]
async fn a_timeout_that_is_none_is_refused() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    let answer = raw.call_with(PATH_LENGTH, &[("grpc-timeout", "soon")]).answer().await.unwrap();
    assert_eq!(answer.code, Code::InvalidArgument);
    assert_eq!(answer.reason.as_deref(), Some("TIMEOUT_INVALID"));
}

#[tokio::test]
async fn a_stream_that_goes_quiet_is_ended_also_inside_a_message() {
    let server = Server::with(|config| config.stream_idle_time = Duration::from_millis(50)).await;
    let mut raw = Raw::connect(server.address).await;
    let points = frames(&[(0, 0), (1, 1)]);
    for bytes in [points.slice(..0), points.slice(..), points.slice(..points.len() - 1)] {
        let mut call = raw.call(PATH_LENGTH);
        call.send(bytes);
        let answer = call.answer().await.unwrap();
        assert_eq!(answer.code, Code::DeadlineExceeded);
        assert_eq!(answer.reason.as_deref(), Some("STREAM_IDLE"));
        assert!(answer.message.starts_with("nothing was sent for 0.05 s"), "{}", answer.message);
    }
}
