//! The request body of a stream, read frame by frame from h2.
//!
//! [`Input`] is shared with the connection's [`Usage`], which asks for the number of unread bytes. It reports the end of
//! the stream as h2 does: a reset is an error, also RST_STREAM(NO_ERROR).

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Frame, SizeHint};

use super::memory::{InputBytes, UnreadInput, Usage};
use crate::service::Progress;

/// The receiving side of a stream.
#[derive(Debug)]
pub(super) struct Input {
    state: Mutex<State>,
    usage: Arc<Usage>,
    progress: Arc<Progress>,
}

#[derive(Debug)]
struct State {
    stream: RecvStream,
    frames_read: u64,
    is_data_over: bool,
}

impl Input {
    /// Takes a stream, and registers it so that its unread input is charged to the connection.
    pub(super) fn new(
        stream: RecvStream,
        usage: &Arc<Usage>,
        progress: Arc<Progress>,
    ) -> Arc<Self> {
        let state = Mutex::new(State { stream, frames_read: 0, is_data_over: false });
        let input = Arc::new(Self { state, usage: Arc::clone(usage), progress });
        let unread = Arc::downgrade(&input);
        usage.watch(unread);
        input
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnreadInput for Input {
    fn measure(&self) -> InputBytes {
        let mut state = self.state();
        let unread = state.stream.flow_control().used_capacity() as u64;
        InputBytes {
            unread: unread + self.progress.buffered_bytes(),
            frames_read: state.frames_read,
            path: self.progress.path_bytes(),
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.usage.input_ended(self.state().frames_read);
    }
}

/// The body that a service reads.
#[derive(Debug)]
pub(super) struct IncomingBody(Arc<Input>);

impl IncomingBody {
    pub(super) fn new(input: Arc<Input>) -> Self {
        Self(input)
    }
}

impl http_body::Body for IncomingBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let mut state = self.0.state();
        if !state.is_data_over {
            match ready!(state.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    state.frames_read += 1;
                    // This fails only for more bytes than were received.
                    let _ = state.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => state.is_data_over = true,
            }
        }
        let trailers = ready!(state.stream.poll_trailers(cx));
        Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.state().stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
