//! Calls of the gRPC methods of this server, and the messages of their answers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::Stream;
use http::{HeaderMap, Response};
use http_body::Body as _;
use prost::Message;
use serde_json::Value;
use tonic::Status;
use tonic::body::Body;

use super::error::ApiError;
use super::json;
use crate::contract::frame::{self, HEADER_BYTES};
use crate::server::Gate;

/// Maximum size of a message of an answer. Pages of lists and states of recordings are smaller.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// A method, as the API calls it.
pub(super) struct Method {
    /// The route, for the log.
    pub(super) route: &'static str,
    /// The path of the method.
    pub(super) path: &'static str,
    /// The full name of the message that it returns.
    pub(super) reply: &'static str,
}

/// The messages of an answer as JSON. An item is an error if the call ends with one.
pub(super) struct Replies {
    body: Body,
    buffer: BytesMut,
    reply: &'static str,
    is_over: bool,
}

impl Method {
    /// Calls the method with the credentials of a request.
    ///
    /// # Errors
    /// The status of the call, if it ends without a message.
    pub(super) async fn call(
        &self,
        gate: &Gate,
        headers: &HeaderMap,
        request: &impl Message,
    ) -> Result<Replies, ApiError> {
        let message = frame::encode(request);
        Replies::of(gate.call(headers, self.route, self.path, message).await, self.reply)
    }

    /// Calls the method, and returns its only message.
    ///
    /// # Errors
    /// The status of the call.
    pub(super) async fn reply(
        &self,
        gate: &Gate,
        headers: &HeaderMap,
        request: &impl Message,
    ) -> Result<Value, ApiError> {
        self.call(gate, headers, request).await?.only().await
    }
}

impl Replies {
    /// Returns the messages of an answer, whose name is `reply`.
    ///
    /// # Errors
    /// The status of the call, if it ends without a message.
    pub(super) fn of(response: Response<Body>, reply: &'static str) -> Result<Self, ApiError> {
        match Status::from_header_map(response.headers()) {
            Some(status) => Err(status.into()),
            None => {
                let (body, buffer) = (response.into_body(), BytesMut::new());
                Ok(Self { body, buffer, reply, is_over: false })
            }
        }
    }

    /// Returns the only message.
    ///
    /// # Errors
    /// The status of the call.
    pub(super) async fn only(mut self) -> Result<Value, ApiError> {
        let mut only = None;
        while let Some(reply) = std::future::poll_fn(|cx| self.poll_message(cx)).await {
            only = Some(reply?);
        }
        only.ok_or_else(|| ApiError::internal("the call returned no message"))
    }

    /// Removes the next message from the buffer, if it is complete.
    fn take_message(&mut self) -> Option<Result<Value, ApiError>> {
        let header = self.buffer.first_chunk::<HEADER_BYTES>()?;
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if header[0] != 0 || length > MESSAGE_BYTES_MAX {
            return Some(Err(ApiError::internal("the answer of the call cannot be read")));
        }
        if self.buffer.len() < HEADER_BYTES + length {
            return None;
        }
        self.buffer.advance(HEADER_BYTES);
        let message: Bytes = self.buffer.split_to(length).freeze();
        let value = json::message(self.reply, &message);
        Some(value.ok_or_else(|| ApiError::internal("the answer of the call cannot be read")))
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Value, ApiError>>> {
        loop {
            if self.is_over {
                return Poll::Ready(None);
            }
            if let Some(message) = self.take_message() {
                self.is_over = message.is_err();
                return Poll::Ready(Some(message));
            }
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            let error = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.buffer.extend_from_slice(&data);
                        continue;
                    }
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        Status::from_header_map(&trailers)
                            .filter(|status| status.code() != tonic::Code::Ok)
                    }
                },
                Some(Err(status)) => Some(status),
                None => Some(Status::unavailable("the call ended without a status")),
            };
            self.is_over = true;
            return Poll::Ready(error.map(|status| Err(status.into())));
        }
    }
}

impl Stream for Replies {
    type Item = Result<Value, ApiError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_message(cx)
    }
}
