//! One stream: runs its call and sends the answer as fast as the client reads it.
//!
//! The task of a stream ends when h2 has the whole answer, when the client resets the stream or does not read the answer
//! for too long, and when the connection ends. It passes h2 only the bytes that flow control permits. An answer that is
//! not read stays here, is charged to the connection, and is dropped with the stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::Response;
use http_body::Body as _;
use tokio::time::{Instant, Sleep, sleep};

use super::call::CallFuture;
use super::call_body::CallBody;
use super::memory::{Charge, Usage};

/// Maximum number of bytes of an answer that are passed to h2 at a time.
pub(super) const PART_BYTES_MAX: usize = 16 * 1024;

/// Bytes of an answer. They are charged until h2 has written or dropped them.
#[derive(Debug)]
pub(super) struct ChargedBytes {
    bytes: Bytes,
    _charge: Charge,
}

impl ChargedBytes {
    #[cfg(feature = "http")]
    pub(super) fn new(bytes: Bytes, charge: Charge) -> Self {
        Self { bytes, _charge: charge }
    }
}

impl Buf for ChargedBytes {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

/// The end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// h2 has the whole answer.
    Answered,
    /// The client reset the stream.
    ResetByClient,
    /// The client did not read, or the connection failed.
    Aborted,
}

/// Runs a call and sends its answer. The client may leave a part of it unread for at most `unread_time`.
pub(super) async fn serve(
    mut call: CallFuture,
    mut respond: SendResponse<ChargedBytes>,
    usage: Arc<Usage>,
    unread_time: Duration,
) -> StreamEnd {
    let answer = poll_fn(|cx| {
        let answer = call.as_mut().poll(cx);
        // A call that reads its request answers a reset with an error, which no client receives.
        match (respond.poll_reset(cx), answer) {
            (Poll::Ready(reset), _) => Poll::Ready(Err(reset)),
            (Poll::Pending, Poll::Ready(response)) => Poll::Ready(Ok(response)),
            (Poll::Pending, Poll::Pending) => Poll::Pending,
        }
    });
    let (head, body) = match answer.await {
        Ok(response) => response.into_parts(),
        Err(Ok(_)) => return StreamEnd::ResetByClient,
        Err(Err(_)) => return StreamEnd::Aborted,
    };
    drop(call);
    let is_end = body.is_end_stream();
    match respond.send_response(Response::from_parts(head, ()), is_end) {
        Ok(_) if is_end => StreamEnd::Answered,
        Ok(stream) => {
            let timer = Box::pin(sleep(unread_time));
            let reply =
                Reply { body, stream, usage, pending: None, unread_time, timer, since: None };
            reply.send().await
        }
        Err(error) => {
            tracing::debug!(%error, "a response could not be sent");
            respond.send_reset(Reason::INTERNAL_ERROR);
            StreamEnd::Aborted
        }
    }
}

/// The body of an answer while it is sent.
struct Reply {
    body: CallBody,
    stream: SendStream<ChargedBytes>,
    usage: Arc<Usage>,
    /// Bytes that exceed the window of the client.
    pending: Option<(Bytes, Charge)>,
    unread_time: Duration,
    timer: Pin<Box<Sleep>>,
    /// The time since which the client has read none of the pending bytes.
    since: Option<Instant>,
}

impl Reply {
    async fn send(mut self) -> StreamEnd {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<StreamEnd> {
        loop {
            if let Poll::Ready(reset) = self.stream.poll_reset(cx) {
                let is_reset = reset.is_ok();
                return Poll::Ready(if is_reset {
                    StreamEnd::ResetByClient
                } else {
                    StreamEnd::Aborted
                });
            }
            if self.pending.is_some() {
                match ready!(self.poll_pending(cx)) {
                    Ok(()) => continue,
                    Err(end) => return Poll::Ready(end),
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => {
                        let charge = self.usage.charge(data.len() as u64);
                        self.pending = Some((data, charge));
                    }
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        let sent = self.stream.send_trailers(trailers);
                        return Poll::Ready(match sent {
                            Ok(()) => StreamEnd::Answered,
                            Err(_) => StreamEnd::Aborted,
                        });
                    }
                },
                Some(Err(error)) => {
                    tracing::debug!(%error, "an answer failed");
                    self.stream.send_reset(Reason::INTERNAL_ERROR);
                    return Poll::Ready(StreamEnd::Aborted);
                }
                None => {
                    let charge = self.usage.charge(0);
                    let end = ChargedBytes { bytes: Bytes::new(), _charge: charge };
                    let sent = self.stream.send_data(end, true);
                    return Poll::Ready(match sent {
                        Ok(()) => StreamEnd::Answered,
                        Err(_) => StreamEnd::Aborted,
                    });
                }
            }
        }
    }

    /// Passes h2 as many of the pending bytes as the window permits. Completes when some were passed.
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamEnd>> {
        let Some((bytes, charge)) = &mut self.pending else { return Poll::Ready(Ok(())) };
        // Reserves a small part only, so that streams that wait do not occupy the window of the connection.
        self.stream.reserve_capacity(bytes.len().min(PART_BYTES_MAX));
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(Err(StreamEnd::Aborted)),
                Poll::Pending => {
                    let over = ready!(self.poll_unread(cx));
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(over));
                }
            }
        }
        self.since = None;
        let length = bytes.len().min(self.stream.capacity());
        let part =
            ChargedBytes { bytes: bytes.split_to(length), _charge: charge.split(length as u64) };
        if bytes.is_empty() {
            self.pending = None;
        }
        Poll::Ready(self.stream.send_data(part, false).map_err(|_| StreamEnd::Aborted))
    }

    /// Completes when the client has left the answer unread for too long, or the call must end for another reason.
    fn poll_unread(&mut self, cx: &mut Context<'_>) -> Poll<StreamEnd> {
        if self.body.poll_cutoff(cx).is_ready() {
            return Poll::Ready(StreamEnd::Aborted);
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let Some(end) = since.checked_add(self.unread_time) else { return Poll::Pending };
            if self.timer.deadline() >= end {
                self.body.set_unread(self.unread_time);
                return Poll::Ready(StreamEnd::Aborted);
            }
            self.timer.as_mut().reset(end);
        }
    }
}
