//! The call of the benchmarks of whole streams.

use bytes::Bytes;
use h2::client::SendRequest;

/// Sends a body in chunks of at most this number of bytes, within flow control. Returns the message of the reply.
pub async fn call(
    send: &mut SendRequest<Bytes>,
    path: &str,
    mut body: Bytes,
    chunk_bytes: usize,
) -> Bytes {
    let request = http::Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let (response, mut stream) = send.send_request(request, false).unwrap();
    while !body.is_empty() {
        stream.reserve_capacity(body.len().min(chunk_bytes));
        let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        let chunk = body.split_to(capacity.min(body.len()));
        stream.send_data(chunk, body.is_empty()).unwrap();
    }
    let mut reply = response.await.unwrap().into_body();
    let message = reply.data().await.unwrap().unwrap();
    while reply.data().await.is_some() {}
    assert_eq!(reply.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    message.slice(5..)
}
