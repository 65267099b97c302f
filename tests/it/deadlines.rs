//! Deadlines: the caller's own, and that of a stream that goes quiet.

use std::time::Duration;

use tonic::Code;

use crate::support::{DISPLACEMENT, PATH_LENGTH, Raw, Server, answer, frames};

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
        let folded = if path == PATH_LENGTH { "1 point" } else { "0 points" };
        assert_eq!(answer.message, format!("the deadline of the call has passed, {folded} in"));
    }
    server.assert_well().await;
}

#[tokio::test]
async fn a_flood_of_points_does_not_drown_the_deadline() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call_with(PATH_LENGTH, &[("grpc-timeout", "100m")]);
    let points = frames(&[(1, 1); 64]);
    let response = call.take_response();
    let flood = async move {
        // Ends when the server has answered and resets what is left.
        while call.send_within_window(points.clone()).await {}
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! {
        answer = answer(response) => answer.unwrap(),
        () = flood => unreachable!(),
    };
    assert_eq!(answer.reason.as_deref(), Some("DEADLINE_EXCEEDED"));
}

#[tokio::test]
async fn a_timeout_that_is_none_is_refused() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    let answer = raw.call_with(PATH_LENGTH, &[("grpc-timeout", "0n")]).answer().await.unwrap();
    assert_eq!(answer.code, Code::DeadlineExceeded);
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
