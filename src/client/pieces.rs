//! A request body of whole messages that somebody else makes: `recorder`, one at a time.
//!
//! It ends cleanly only behind a message that was marked as the last. If the sender goes before, or the
//! caller, the stream is reset: a recording that was left is never taken for one that was closed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::Reason;
use http_body::{Body, Frame};
use prost::Message;
use tokio::sync::mpsc;

use super::body::Tie;
use crate::contract::frame;

/// A message with its prefix.
pub(super) struct Piece {
    bytes: Bytes,
    is_last: bool,
}

impl Piece {
    pub(super) fn new(message: &impl Message, is_last: bool) -> Self {
        Self { bytes: frame::encode(message), is_last }
    }

    /// The end behind what was sent before, without a message.
    pub(super) fn end() -> Self {
        Self { bytes: Bytes::new(), is_last: true }
    }
}

/// The body.
pub(super) struct PieceBody {
    pieces: mpsc::Receiver<Piece>,
    is_over: bool,
    tie: Arc<Tie>,
}

impl PieceBody {
    /// A body, and where its pieces go; one waits at the most.
    pub(super) fn new(tie: Arc<Tie>) -> (mpsc::Sender<Piece>, Self) {
        let (sender, pieces) = mpsc::channel(1);
        (sender, Self { pieces, is_over: false, tie })
    }
}

impl Body for PieceBody {
    type Data = Bytes;
    /// Its reason becomes that of the RST_STREAM.
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        this.tie.register(cx.waker());
        if this.tie.is_cut() {
            return Poll::Ready(Some(Err(Reason::CANCEL.into())));
        }
        match ready!(this.pieces.poll_recv(cx)) {
            Some(Piece { bytes, is_last }) => {
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

    fn poll(body: &mut PieceBody) -> Poll<Option<Result<usize, Option<Reason>>>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let frame = Pin::new(body).poll_frame(&mut context);
        let frame = frame.map_ok(|frame| frame.into_data().unwrap().len());
        frame.map_err(|error| error.reason())
    }

    #[test]
    fn it_ends_behind_the_last_piece_and_nowhere_else() {
        let (sender, mut body) = PieceBody::new(Arc::default());
        sender.try_send(Piece::new(&17_u32, false)).unwrap();
        assert_eq!(poll(&mut body), Poll::Ready(Some(Ok(5 + 2))));
        assert_eq!(poll(&mut body), Poll::Pending);
        sender.try_send(Piece::new(&17_u32, true)).unwrap();
        assert_eq!(poll(&mut body), Poll::Ready(Some(Ok(5 + 2))));
        assert!(body.is_end_stream());
        assert_eq!(poll(&mut body), Poll::Ready(None));

        let (sender, mut body) = PieceBody::new(Arc::default());
        sender.try_send(Piece::end()).unwrap();
        assert_eq!(poll(&mut body), Poll::Ready(Some(Ok(0))));
        assert!(body.is_end_stream());

        let reset = Poll::Ready(Some(Err(Some(Reason::CANCEL))));
        let (sender, mut body) = PieceBody::new(Arc::default());
        drop(sender);
        assert_eq!(poll(&mut body), reset);
        let tie = Arc::<Tie>::default();
        let (_sender, mut body) = PieceBody::new(Arc::clone(&tie));
        tie.cut();
        assert_eq!(poll(&mut body), reset);
    }
}
