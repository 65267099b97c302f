//! One call: sends a request body and returns the only message of the reply, or its status.
//!
//! The module replaces the generated client, which does not take a request body. It knows no points.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body::Body as _;
use tonic::body::Body;
use tonic::{Code, Status};
use tower_service::Service as _;

use super::ClientError;
use super::method::only_message;
use super::request_abort::RequestAbort;
use super::transport::Transport;

/// Maximum size of a reply. Replies of waywiser have a few KiB; no other server may fill the memory of the client.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// Aborts the request when the call is dropped. After the reply the rest of the request is not needed.
struct AbortOnDrop(Arc<RequestAbort>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits for a reply.
///
/// # Errors
/// [`ClientError::Timeout`] after `timeout`.
pub(super) async fn with_timeout<T>(
    timeout: Duration,
    reply: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::time::timeout(timeout, reply).await.unwrap_or(Err(ClientError::Timeout))
}

/// Reads a stream of replies until its end, after the last reply that the caller needs. A call that is dropped before its
/// status has arrived counts as cancelled at the server. Waits for a short time only, because the result is complete.
#[cfg(feature = "cli")]
pub(crate) async fn read_to_end<T>(replies: impl futures::Stream<Item = Result<T, ClientError>>) {
    use futures::StreamExt as _;
    /// The status follows the last message at once, except over a slow connection.
    const STATUS_TIMEOUT: Duration = Duration::from_secs(2);
    let end = replies
        .take_while(|reply| std::future::ready(reply.is_ok()))
        .for_each(|_| std::future::ready(()));
    // A server that sends no status has sent all replies.
    let _ = tokio::time::timeout(STATUS_TIMEOUT, end).await;
}

/// Calls a method and returns the only message of the reply.
pub(super) async fn call(
    mut transport: Transport,
    path: &'static str,
    body: Body,
    abort: Arc<RequestAbort>,
) -> Result<Bytes, ClientError> {
    let _abort = AbortOnDrop(abort);
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = Uri::from_static(path);
    let headers = request.headers_mut();
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));

    let response = transport.call(request).await;
    let response = response.map_err(|error| Box::new(Status::from_error(error.into())))?;
    message(response).await
}

/// Returns the message of a response whose status is OK.
async fn message(response: Response<Body>) -> Result<Bytes, ClientError> {
    let (parts, body) = response.into_parts();
    // A reply without a message may have its status in the headers.
    if let Some(status) = Status::from_header_map(&parts.headers) {
        return match status.code() {
            Code::Ok => Err(ClientError::reply("it has no message")),
            _ => Err(Box::new(status).into()),
        };
    }
    let mut bytes = BytesMut::new();
    let mut trailers = HeaderMap::new();
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(Box::new)?;
        match frame.into_data() {
            Ok(data) if bytes.len() + data.len() > REPLY_BYTES_MAX => {
                return Err(ClientError::reply(format!(
                    "it has more than {REPLY_BYTES_MAX} bytes"
                )));
            }
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let status = Status::from_header_map(&trailers).unwrap_or_else(|| status_of_http(parts.status));
    match status.code() {
        Code::Ok => only_message(bytes.freeze()),
        _ => Err(Box::new(status).into()),
    }
}

/// Returns the gRPC status for an HTTP status, as the gRPC specification defines it for replies without a gRPC status.
fn status_of_http(status: StatusCode) -> Status {
    let code = match status {
        StatusCode::BAD_REQUEST | StatusCode::OK => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(code, format!("the reply ended without a gRPC status, with HTTP status {status}"))
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    fn response(frame: &'static [u8], trailers: &[(&'static str, &'static str)]) -> Response<Body> {
        let trailers = trailers.iter().map(|&(name, value)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        let trailers: HeaderMap = trailers.collect();
        let body = Full::new(Bytes::from_static(frame));
        Response::new(Body::new(body.with_trailers(async { Some(Ok(trailers)) })))
    }

    async fn error_text(response: Response<Body>) -> String {
        message(response).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_reply_is_one_message_of_limited_size() {
        let ok = [("grpc-status", "0")];
        let reply = message(response(&[0, 0, 0, 0, 2, 8, 1], &ok)).await.unwrap();
        assert_eq!(&reply[..], [8, 1]);
        static LARGE: [u8; REPLY_BYTES_MAX + 1] = [0; REPLY_BYTES_MAX + 1];
        let text = error_text(response(&LARGE, &ok)).await;
        insta::assert_snapshot!(text, @"the server's reply is invalid: it has more than 65536 bytes");
    }

    #[tokio::test]
    async fn a_status_is_read_from_the_trailers_the_headers_or_http() {
        let trailers = [("grpc-status", "11"), ("grpc-message", "too%20far")];
        let text = error_text(response(&[], &trailers)).await;
        insta::assert_snapshot!(text, @"the server answered OutOfRange: too far");

        let mut headers_only = response(&[], &[]);
        headers_only.headers_mut().insert("grpc-status", HeaderValue::from_static("12"));
        let text = error_text(headers_only).await;
        insta::assert_snapshot!(text, @"the server does not know this method; is it waywiser, and new enough? it answered Unimplemented: ");

        let mut gateway = response(b"<html>", &[]);
        *gateway.status_mut() = StatusCode::BAD_GATEWAY;
        let text = error_text(gateway).await;
        insta::assert_snapshot!(text, @"the server answered Unavailable: the reply ended without a gRPC status, with HTTP status 502 Bad Gateway");
    }
}
