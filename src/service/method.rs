//! The parts that the methods of all services share: responses, the request of a unary method, and rejections.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use prost::Message;
use tonic::Status;
use tonic::body::Body;

use super::body::RequestBody;
use super::limits::StreamLimits;
use super::status::{ACCEPTED_ENCODINGS, RpcError, excerpt};
use super::violation::MessageRef;
use crate::contract::frame;

/// The future of a call.
pub(super) type ResponseFuture =
    Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Implements a gRPC service with this name for a type whose `answer` returns the response to a request.
macro_rules! implement_service {
    ($service:ty, $name:literal) => {
        impl tonic::server::NamedService for $service {
            const NAME: &'static str = $name;
        }

        impl tower_service::Service<http::Request<tonic::body::Body>> for $service {
            type Response = http::Response<tonic::body::Body>;
            type Error = std::convert::Infallible;
            type Future = $crate::service::method::ResponseFuture;

            fn poll_ready(
                &mut self,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<(), Self::Error>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
                self.answer(request)
            }
        }
    };
}
pub(super) use implement_service;

/// Runs a method and converts its result to a response.
pub(super) fn respond<T: Message>(
    method: impl Future<Output = Result<T, RpcError>> + Send + 'static,
) -> ResponseFuture {
    Box::pin(async {
        Ok(match method.await {
            Ok(message) => reply(&message),
            Err(error) => Status::from(error).into_http(),
        })
    })
}

/// Returns the answer to an unknown method.
pub(super) fn unknown(path: &str) -> ResponseFuture {
    let error = RpcError::UnknownMethod(excerpt(path));
    Box::pin(async { Ok(Status::from(error).into_http()) })
}

/// Refuses a request that is not a gRPC call, with the HTTP status that the gRPC specification defines and a text.
/// Returns `None` for a gRPC call.
pub(crate) fn refuse_non_grpc<B>(request: &Request<B>) -> Option<Response<Body>> {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_grpc = content_type.is_some_and(|value| {
        let rest = value.strip_prefix(b"application/grpc");
        let rest = rest.map(|rest| rest.strip_prefix(b"+proto").unwrap_or(rest));
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b';')))
    });
    let (code, allow) = if request.method() != Method::POST {
        (StatusCode::METHOD_NOT_ALLOWED, true)
    } else if !is_grpc {
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, false)
    } else {
        return None;
    };
    let text = "this is a gRPC server: POST, content-type application/grpc\n";
    let mut response = Response::new(Body::new(Full::from(text)));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if allow {
        headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    Some(response)
}

/// Reads the request of a unary method, up to the end of its stream.
///
/// # Errors
/// If the stream does not have exactly one message, the message does not decode, or the stream is not closed.
pub(super) async fn request<T: Message + Default>(
    request: Request<Body>,
    limits: &StreamLimits,
) -> Result<T, RpcError> {
    let (decoded, _) = read_only_message(request, limits, |message, body| {
        body.work().add_decoded(message.len());
        let malformed = |error| RpcError::Request { place: MessageRef::Request, error };
        T::decode(message).map_err(malformed)
    })
    .await?;
    Ok(decoded)
}

/// Reads the bytes of the request of a unary method, up to the end of its stream. Returns the body, too, so that the bytes
/// can be charged while they are in use.
///
/// # Errors
/// If the stream does not have exactly one message, or is not closed.
pub(super) async fn request_bytes(
    request: Request<Body>,
    limits: &StreamLimits,
) -> Result<(Vec<u8>, RequestBody), RpcError> {
    read_only_message(request, limits, |message, _| Ok(message.to_vec())).await
}

/// Reads the only message of a stream by `read`.
async fn read_only_message<T>(
    request: Request<Body>,
    limits: &StreamLimits,
    read: impl Fn(&[u8], &mut RequestBody) -> Result<T, RpcError>,
) -> Result<(T, RequestBody), RpcError> {
    let (mut body, encoding) = RequestBody::open(request, limits)?;
    let mut messages = limits.messages(encoding);
    let mut only = None;
    while let Some(chunk) = body.chunk().await? {
        let mut chunk = &chunk[..];
        loop {
            while let Some(step) = messages.inflate_step(&mut chunk)? {
                body.work().add_inflated(step);
                body.work().pause_if_spent().await;
            }
            let Some(message) = messages.next(&mut chunk)? else { break };
            if only.replace(read(message, &mut body)?).is_some() {
                return Err(RpcError::RequestCount(messages.message_count()));
            }
        }
        body.progress().set_messages(messages.message_count());
        body.set_held(messages.held_bytes());
    }
    messages.finish()?;
    Ok((only.ok_or(RpcError::RequestCount(0))?, body))
}

/// Returns a response of one message and the status OK.
fn reply<T: Message>(message: &T) -> Response<Body> {
    let body = Full::<Bytes>::from(frame::encode(message))
        .with_trailers(async { Some(Ok(ok_trailers())) });
    response(Body::new(body))
}

/// Runs a method that answers with many messages. Encodes each message when the previous one was sent.
pub(super) fn respond_stream<T, S>(
    method: impl Future<Output = Result<S, RpcError>> + Send + 'static,
) -> ResponseFuture
where
    T: Message + 'static,
    S: Stream<Item = Result<T, RpcError>> + Send + 'static,
{
    Box::pin(async {
        let messages = match method.await {
            Ok(messages) => messages,
            Err(error) => return Ok(Status::from(error).into_http()),
        };
        // The trailers with the status follow the last message, or replace the first error.
        let frames =
            messages.map(Some).chain(stream::once(ready(None))).scan(false, |is_over, message| {
                if std::mem::replace(is_over, !matches!(message, Some(Ok(_)))) {
                    return ready(None);
                }
                ready(Some(Ok::<_, Infallible>(match message {
                    Some(Ok(message)) => Frame::data(frame::encode(&message)),
                    Some(Err(error)) => Frame::trailers(trailers_of(error)),
                    None => Frame::trailers(ok_trailers()),
                })))
            });
        Ok(response(Body::new(StreamBody::new(frames))))
    })
}

fn ok_trailers() -> HeaderMap {
    HeaderMap::from_iter([(Status::GRPC_STATUS.clone(), HeaderValue::from_static("0"))])
}

fn trailers_of(error: RpcError) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // The message and the details of our own errors always fit into headers.
    let _ = Status::from(error).add_header(&mut trailers);
    trailers
}

fn response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, GRPC);
    headers.insert("grpc-accept-encoding", HeaderValue::from_static(ACCEPTED_ENCODINGS));
    response
}
