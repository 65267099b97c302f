//! Reading a request body, and how it ended.
//!
//! The one place that knows how HTTP/2 ends a stream. hyper ends a body without an error both on
//! END_STREAM and on RST_STREAM(NO_ERROR), and tonic's own reader takes RST_STREAM(CANCEL) for a
//! clean end too; an aggregator that trusted either would report half a path as a whole one. Here
//! a body is over when the stream says that its END_STREAM was seen, and in no other case.

use std::error::Error;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Body as _;
use tokio::time::{Instant, Sleep, sleep};
use tonic::body::Body;

use super::StreamLimits;
use super::progress::Progress;
use super::status::{RpcError, StreamCut, excerpt};
use super::work::Work;
use crate::wire::Encoding;

/// A request body that is read chunk by chunk, in the task that polls it.
pub(super) struct RequestBody {
    body: Body,
    progress: Arc<Progress>,
    idle: Idle,
    /// What this stream has done since it last yielded or waited. Thousands of small frames fit: a connection
    /// reads that many in one poll itself, and closes when too many of them are unread (h2's budget for small
    /// frames), so that a stream that took a few at a time would lose its client.
    work: Work,
    /// Bytes that the reader of this body holds of earlier chunks.
    held_bytes: usize,
}

/// The watch over a stream that sends nothing. Its timer is set once and looked at only when it
/// fires, so that a busy stream pays nothing for it.
struct Idle {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    /// Since when there has been nothing to read.
    since: Option<Instant>,
}

impl RequestBody {
    /// The body of a request, and how its messages are encoded.
    ///
    /// # Errors
    /// When the encoding is not one we read.
    pub(super) fn open(
        request: Request<Body>,
        limits: &StreamLimits,
    ) -> Result<(Self, Encoding), RpcError> {
        let (mut parts, body) = request.into_parts();
        let encoding = encoding(&parts.headers)?;
        let progress = parts.extensions.remove::<Arc<Progress>>().unwrap_or_default();
        let work = Work::of_request(&mut parts.extensions);
        let timer = Box::pin(sleep(limits.idle_time));
        let idle = Idle { limit: limits.idle_time, timer, since: None };
        Ok((Self { body, progress, idle, work, held_bytes: 0 }, encoding))
    }

    /// Where the call's points and bytes are counted.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Where the call's work is counted.
    pub(super) fn work(&mut self) -> &mut Work {
        &mut self.work
    }

    /// Notes how much memory the reader of this body holds of earlier chunks, for the memory limit of the server.
    pub(super) fn set_held(&mut self, bytes: usize) {
        self.held_bytes = bytes;
    }

    /// The next bytes, or `None` when the client has closed the stream. Yields first if much work was done.
    ///
    /// # Errors
    /// When the stream was cut or nothing was sent for too long.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, RpcError> {
        // A fast client always has a frame ready, so that waiting for one does not yield.
        self.work.pause_if_spent().await;
        self.progress.set_buffered(self.held_bytes);
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, RpcError>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                self.work.reset();
                ready!(self.idle.poll(cx));
                return Poll::Ready(Err(RpcError::Idle {
                    idle_time: self.idle.limit,
                    point_count: self.progress.point_count(),
                }));
            };
            self.idle.since = None;
            match frame {
                Some(Ok(frame)) => {
                    // Trailers of a request mean nothing in gRPC; the end comes after them.
                    let Ok(data) = frame.into_data() else { continue };
                    self.progress.add_bytes(data.len());
                    // The chunk is held until the next one is asked for, also while its points wait to be folded.
                    self.progress.set_buffered(self.held_bytes + data.len());
                    self.work.add_frame(data.len());
                    return Poll::Ready(Ok(Some(data)));
                }
                None if self.body.is_end_stream() => return Poll::Ready(Ok(None)),
                None => return Poll::Ready(Err(self.cut(StreamCut::Reset("NO_ERROR".into())))),
                Some(Err(error)) => return Poll::Ready(Err(self.cut(cause(&error)))),
            }
        }
    }

    fn cut(&self, cut: StreamCut) -> RpcError {
        RpcError::Cut { point_count: self.progress.point_count(), cut }
    }
}

impl Idle {
    /// Ready when nothing came for as long as the limit. To be asked only while there is nothing
    /// to read.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        loop {
            ready!(self.timer.as_mut().poll(cx));
            // A limit beyond the end of time is none.
            let Some(end) = since.checked_add(self.limit) else { return Poll::Pending };
            if self.timer.deadline() >= end {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end);
        }
    }
}

/// The encoding that the headers declare.
fn encoding(headers: &HeaderMap) -> Result<Encoding, RpcError> {
    match headers.get("grpc-encoding").map(|value| value.as_bytes()) {
        None | Some(b"identity") => Ok(Encoding::Identity),
        Some(b"gzip") => Ok(Encoding::Gzip),
        Some(other) => Err(RpcError::Encoding(excerpt(&String::from_utf8_lossy(other)))),
    }
}

/// What an error of the body says about the stream.
fn cause(error: &(dyn Error + 'static)) -> StreamCut {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return match error.reason() {
                Some(reason) if error.is_reset() && error.is_remote() => {
                    StreamCut::Reset(format!("{reason:?}"))
                }
                Some(reason) if error.is_reset() => StreamCut::Broken(format!("{reason:?}")),
                _ => StreamCut::Lost(error.to_string()),
            };
        }
        source = error.source();
    }
    StreamCut::Lost(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body::Frame;

    use super::*;
    use crate::measure::{Metric, Polyline};
    use crate::service::fold::{AxisOrder, fold_points};

    /// A body of two whole points that ends as it is told to.
    struct Scripted {
        frames: VecDeque<Bytes>,
        end: End,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum End {
        Stream,
        /// What hyper makes of RST_STREAM(NO_ERROR): no more frames, and no END_STREAM.
        Silence,
        Reset(h2::Reason),
    }

    impl http_body::Body for Scripted {
        type Data = Bytes;
        type Error = h2::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
            if let Some(data) = self.frames.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Poll::Ready(match self.end {
                End::Stream | End::Silence => None,
                End::Reset(reason) => Some(Err(reason.into())),
            })
        }

        fn is_end_stream(&self) -> bool {
            self.frames.is_empty() && self.end == End::Stream
        }
    }

    async fn fold(end: End) -> Result<Polyline, RpcError> {
        let point = Bytes::from_static(&[0, 0, 0, 0, 4, 0x08, 3, 0x10, 4]);
        let frames = VecDeque::from([point.clone(), point]);
        let request = Request::new(Body::new(Scripted { frames, end }));
        fold_points(request, &StreamLimits::default(), Metric::Planar, AxisOrder::XY).await
    }

    #[tokio::test]
    async fn only_end_stream_ends_a_path() {
        assert_eq!(fold(End::Stream).await.unwrap().point_count(), 2);
        for end in [
            End::Silence,
            End::Reset(h2::Reason::CANCEL),
            End::Reset(h2::Reason::NO_ERROR),
            End::Reset(h2::Reason::INTERNAL_ERROR),
        ] {
            let error = fold(end).await.unwrap_err();
            assert!(matches!(error, RpcError::Cut { point_count: 2, .. }), "{error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_pause_as_long_as_the_limit_ends_a_stream() {
        use futures::stream::StreamExt as _;

        let limits = StreamLimits { idle_time: Duration::from_secs(300), ..Default::default() };
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let frames = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let frames = frames.map(|data| Ok::<_, h2::Error>(Frame::data(data)));
        let request = Request::new(Body::new(http_body_util::StreamBody::new(frames)));
        let fold = tokio::spawn(async move {
            fold_points(request, &limits, Metric::Planar, AxisOrder::XY).await
        });
        // Ten pauses that are shorter than the limit each and longer than it together.
        for _ in 0..10 {
            sender.send(Bytes::from_static(&[0, 0, 0, 0, 4, 0x08, 3, 0x10, 4])).await.unwrap();
            tokio::time::sleep(Duration::from_secs(299)).await;
        }
        assert!(!fold.is_finished());
        let begun = Instant::now();
        let error = fold.await.unwrap().unwrap_err();
        assert!(matches!(error, RpcError::Idle { point_count: 10, .. }), "{error:?}");
        assert_eq!(begun.elapsed().as_secs(), 1);
    }
}
