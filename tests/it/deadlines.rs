//! Time limits of calls: the deadline of the caller, and the idle timeout of a stream.

use std::time::Duration;

use prost::Message as _;
use tonic::Code;
use waywiser::proto::waywiser_v1;

use crate::support::{DISPLACEMENT, PATH_LENGTH, Raw, Server, answer, frames, gzip_frame};

const RECORD_PATH: &str = "/waywiser.v1.PathService/RecordPath";
const GZIP: (&str, &str) = ("grpc-encoding", "gzip");

#[tokio::test]
async fn a_busy_server_refuses_a_call_that_would_miss_its_deadline() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    // The shortest time of several calls, because a pause of the machine makes a time longer.
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        let start = std::time::Instant::now();
        let mut call = raw.call_with(RECORD_PATH, &[GZIP, ("grpc-timeout", "600S")]);
        call.send(long_legs().repeat(4));
        call.close();
        assert_eq!(call.answer().await.unwrap().code, Code::Ok);
        shortest = shortest.min(start.elapsed());
    }
    // Time for several such calls, but not for one that shares a thread with forty others.
    let timeout = format!("{}m", (8 * shortest).as_millis());
    let others: Vec<_> = (0..40)
        .map(|_| {
            let mut other = raw.call_with(RECORD_PATH, &[GZIP]);
            other.send(long_legs().repeat(40));
            other
        })
        .collect();
    let mut attempts = 0;
    let answer = loop {
        let mut late = raw.call_with(RECORD_PATH, &[GZIP, ("grpc-timeout", &timeout)]);
        late.send(long_legs().repeat(4));
        late.close();
        let answer = late.answer().await.unwrap();
        attempts += 1;
        // The deadline can pass in a pause of the machine before the server has decided.
        if answer.code != Code::DeadlineExceeded || attempts == 10 {
            break answer;
        }
    };
    assert_eq!((answer.code, answer.reason.as_deref()), (Code::Unavailable, Some("SERVER_BUSY")));
    // A short call is answered.
    let mut short = raw.call_with(PATH_LENGTH, &[("grpc-timeout", "600S")]);
    short.send(frames(&[(0, 0)]));
    short.close();
    assert_eq!(short.answer().await.unwrap().code, Code::Ok);
    drop(others);
}

#[tokio::test]
async fn a_deadline_ends_a_call_with_its_number_of_points() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    for path in [PATH_LENGTH, DISPLACEMENT] {
        let mut call = raw.call_with(path, &[("grpc-timeout", "50m")]);
        call.send(frames(&[(0, 0)]));
        let answer = call.answer().await.unwrap();
        assert_eq!(answer.code, Code::DeadlineExceeded);
        assert_eq!(answer.reason.as_deref(), Some("DEADLINE_EXCEEDED"));
        let folded = if path == PATH_LENGTH { "1 point" } else { "0 points" };
        assert_eq!(answer.message, format!("the deadline of the call passed after {folded}"));
    }
    server.assert_works().await;
}

#[tokio::test]
async fn a_deadline_ends_a_call_that_always_has_input() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call_with(PATH_LENGTH, &[("grpc-timeout", "100m")]);
    let points = frames(&[(1, 1); 64]);
    let response = call.take_response();
    let flood = async move {
        // Ends when the server has answered and resets the rest of the request.
        while call.send_within_window(points.clone()).await {}
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! {
        answer = answer(response) => answer.unwrap(),
        () = flood => unreachable!(),
    };
    assert_eq!(answer.reason.as_deref(), Some("DEADLINE_EXCEEDED"));
}

/// Returns a message with 6 400 legs across the Earth, compressed to less than 400 bytes.
fn long_legs() -> Vec<u8> {
    let columns = waywiser_v1::PointColumns {
        x: (0..6_400).map(|i| if i % 2 == 0 { 63 } else { -63 }).collect(),
        y: vec![0; 6_400],
        ..Default::default()
    };
    let options = waywiser_v1::PathOptions { model: 1, xy_resolution: 1.0, ..Default::default() };
    let message = waywiser_v1::RecordPathRequest {
        options: Some(options),
        columns: Some(columns),
        ..Default::default()
    };
    gzip_frame(&message.encode_to_vec())
}

#[tokio::test]
async fn a_deadline_ends_a_call_inside_a_message() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    // 256 000 legs across the Earth in one DATA frame, which take at least 0.2 s.
    let messages = long_legs().repeat(40);
    assert!(messages.len() <= 16_384, "{} bytes", messages.len());
    let mut call = raw.call_with(RECORD_PATH, &[GZIP, ("grpc-timeout", "20m")]);
    call.send(messages);
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.reason.as_deref(), Some("DEADLINE_EXCEEDED"));
    let folded = answer.message.split_whitespace().rev().nth(1).unwrap();
    assert!(folded.parse::<u64>().unwrap() < 256_000, "{}", answer.message);
}

#[tokio::test]
async fn a_timeout_that_is_zero_or_not_valid_is_refused() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    let answer = raw.call_with(PATH_LENGTH, &[("grpc-timeout", "0n")]).answer().await.unwrap();
    assert_eq!(answer.code, Code::DeadlineExceeded);
    let answer = raw.call_with(PATH_LENGTH, &[("grpc-timeout", "soon")]).answer().await.unwrap();
    assert_eq!(answer.code, Code::InvalidArgument);
    assert_eq!(answer.reason.as_deref(), Some("TIMEOUT_INVALID"));
}

#[tokio::test]
async fn an_idle_stream_ends_also_inside_a_message() {
    let server =
        Server::with(|config| config.stream_idle_timeout = Duration::from_millis(50)).await;
    let mut raw = Raw::connect(server.address).await;
    let points = frames(&[(0, 0), (1, 1)]);
    for bytes in [points.slice(..0), points.slice(..), points.slice(..points.len() - 1)] {
        let mut call = raw.call(PATH_LENGTH);
        call.send(bytes);
        let answer = call.answer().await.unwrap();
        assert_eq!(answer.code, Code::DeadlineExceeded);
        assert_eq!(answer.reason.as_deref(), Some("STREAM_IDLE"));
        assert!(
            answer.message.starts_with("the client sent nothing for 0.05 s"),
            "{}",
            answer.message
        );
    }
}
