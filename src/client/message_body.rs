//! A request body of whole messages, which `recorder` sends one at a time.
//!
//! The body ends without an error only after a message that is marked as the last. If the sender or the caller is
//! dropped before, the stream is reset, so that the server does not close the recording.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::Reason;
use http_body::{Body, Frame};
use prost::Message;
use tokio::sync::mpsc;

use super::request_abort::RequestAbort;
use crate::contract::frame;

/// A message with its header.
pub(super) struct EncodedMessage {
    bytes: Bytes,
    is_last: bool,
}

impl EncodedMessage {
    pub(super) fn new(message: &impl Message, is_last: bool) -> Self {
        Self { bytes: frame::encode(message), is_last }
    }

    /// Ends the body without another message.
    pub(super) fn end() -> Self {
        Self { bytes: Bytes::new(), is_last: true }
    }
}

/// A request body whose messages come from a channel.
pub(super) struct MessageBody {
    messages: mpsc::Receiver<EncodedMessage>,
    is_over: bool,
    abort: Arc<RequestAbort>,
}

impl MessageBody {
    /// Returns the sender of the messages and the body. The channel has a capacity of one message.
    pub(super) fn new(abort: Arc<RequestAbort>) -> (mpsc::Sender<EncodedMessage>, Self) {
        let (sender, messages) = mpsc::channel(1);
        (sender, Self { messages, is_over: false, abort })
    }
}

impl Body for MessageBody {
    type Data = Bytes;
    /// The reason of the error becomes the reason of the RST_STREAM.
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        this.abort.register(cx.waker());
        if this.abort.is_aborted() {
            return Poll::Ready(Some(Err(Reason::CANCEL.into())));
        }
        match ready!(this.messages.poll_recv(cx)) {
            Some(EncodedMessage { bytes, is_last }) => {
                this.is_over = is_last;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            None => Poll::Ready(Some(Err(Reason::CANCEL.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(body: &mut MessageBody) -> Poll<Option<Result<usize, Option<Reason>>>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let frame = Pin::new(body).poll_frame(&mut context);
        let frame = frame.map_ok(|frame| frame.into_data().unwrap().len());
        frame.map_err(|error| error.reason())
    }

    #[test]
    fn the_body_ends_after_the_last_message_and_fails_otherwise() {
        let (sender, mut body) = MessageBody::new(Arc::default());
        sender.try_send(EncodedMessage::new(&17_u32, false)).unwrap();
        assert_eq!(poll(&mut body), Poll::Ready(Some(Ok(5 + 2))));
        assert_eq!(poll(&mut body), Poll::Pending);
        sender.try_send(EncodedMessage::new(&17_u32, true)).unwrap();
        assert_eq!(poll(&mut body), Poll::Ready(Some(Ok(5 + 2))));
        assert!(body.is_end_stream());
        assert_eq!(poll(&mut body), Poll::Ready(None));

        let (sender, mut body) = MessageBody::new(Arc::default());
        sender.try_send(EncodedMessage::end()).unwrap();
        assert_eq!(poll(&mut body), Poll::Ready(Some(Ok(0))));
        assert!(body.is_end_stream());

        let reset = Poll::Ready(Some(Err(Some(Reason::CANCEL))));
        let (sender, mut body) = MessageBody::new(Arc::default());
        drop(sender);
        assert_eq!(poll(&mut body), reset);
        let abort = Arc::<RequestAbort>::default();
        let (_sender, mut body) = MessageBody::new(Arc::clone(&abort));
        abort.abort();
        assert_eq!(poll(&mut body), reset);
    }
}
