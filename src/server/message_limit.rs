//! The message limit of the services that a library implements: health and reflection.
//!
//! The libraries end an oversized reflection call with OK and repeat long names in their errors. This body rejects such
//! a message before the library receives it, with the same error as the measuring services.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use tonic::Status;

use crate::service::RpcError;
use crate::wire::{Deframer, MessageError};

/// The largest request to health or reflection: a service or symbol name, and a host name.
pub(super) const MESSAGE_BYTES_MAX: usize = 1024;

/// The error for which a body was refused. It replaces the answer of the library.
pub(super) type Refusal = Arc<OnceLock<RpcError>>;

/// A request body that checks the size of each message.
pub(super) struct LimitedBody<B> {
    inner: B,
    deframer: Deframer,
    refusal: Refusal,
}

impl<B> LimitedBody<B> {
    pub(super) fn new(inner: B, max_message_bytes: usize) -> (Self, Refusal) {
        let refusal = Refusal::default();
        let deframer = Deframer::new(max_message_bytes.min(MESSAGE_BYTES_MAX));
        (Self { inner, deframer, refusal: Arc::clone(&refusal) }, refusal)
    }

    fn check(&mut self, mut chunk: &[u8]) -> Result<(), RpcError> {
        while self.deframer.next(&mut chunk).map_err(MessageError::from)?.is_some() {}
        Ok(())
    }
}

impl<B: Body<Data = Bytes, Error = h2::Error> + Unpin> Body for LimitedBody<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(Status::from_error(error.into())))),
            Some(Ok(frame)) => frame,
        };
        if let Some(data) = frame.data_ref()
            && let Err(error) = this.check(data)
        {
            let status = Status::from(error.clone());
            // Fails only if it was set before, and the first refusal ends the body.
            let _ = this.refusal.set(error);
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}
