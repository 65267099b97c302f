//! A request body that is a stream of points. Each chunk has all points that the source has ready.
//!
//! HTTP/2 polls the body for the next chunk only after it has sent the previous one. A slow server therefore stops
//! the source, and at most two chunks of a stream are buffered. When the source has no more points ready, the chunk
//! is sent, so that the point of a live tracker does not wait for the next one.
//!
//! The body ends without an error only if its source ends while the caller waits for the reply. Otherwise it fails
//! and the stream is reset, so that the server does not measure a part of a path as a complete one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use http_body::{Body, Frame};
use tokio_stream::Stream;

use super::point_encoder::{BATCH_POINTS, Chunk};
use super::request_abort::RequestAbort;
use crate::measure::Point;

pin_project_lite::pin_project! {
    /// The points of a source as an HTTP body. `to_wire` returns the two integers of a point, or `None` if the method
    /// does not support the point: the stream is then reset.
    pub(super) struct PointBody<S, F> {
        #[pin]
        points: S,
        to_wire: F,
        index: u64,
        chunk: Chunk,
        is_over: bool,
        abort: Arc<RequestAbort>,
    }
}

impl<S, F> PointBody<S, F> {
    pub(super) fn new(points: S, to_wire: F, abort: Arc<RequestAbort>) -> Self {
        Self { points, to_wire, index: 0, chunk: Chunk::default(), is_over: false, abort }
    }
}

impl<S, F> Body for PointBody<S, F>
where
    S: Stream<Item = Point>,
    F: Fn(Point) -> Option<(i32, i32)>,
{
    type Data = Bytes;
    /// The reason of the error becomes the reason of the RST_STREAM.
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let mut this = self.project();
        let reset = Poll::Ready(Some(Err(Reason::CANCEL.into())));
        this.abort.register(cx.waker());
        if this.abort.is_aborted() {
            return reset;
        }
        let (mut first, mut second) = ([0; BATCH_POINTS], [0; BATCH_POINTS]);
        let mut is_ready = !*this.is_over;
        while is_ready {
            let mut count = 0;
            while count < BATCH_POINTS {
                match this.points.as_mut().poll_next(cx) {
                    Poll::Ready(Some(point)) => {
                        let Some(numbers) = (this.to_wire)(point) else {
                            this.abort.set_unsupported_point(*this.index + count as u64, point);
                            return reset;
                        };
                        (first[count], second[count]) = numbers;
                        count += 1;
                    }
                    // The source may have ended because the caller was dropped.
                    Poll::Ready(None) if this.abort.is_aborted() => return reset,
                    Poll::Ready(None) => {
                        *this.is_over = true;
                        is_ready = false;
                        break;
                    }
                    Poll::Pending => {
                        is_ready = false;
                        break;
                    }
                }
            }
            *this.index += count as u64;
            is_ready &= !this.chunk.append(&first[..count], &second[..count]);
        }
        if this.chunk.is_empty() {
            return if *this.is_over { Poll::Ready(None) } else { Poll::Pending };
        }
        Poll::Ready(Some(Ok(Frame::data(this.chunk.take()))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over && self.chunk.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;

    type Polled = Poll<Option<Result<Bytes, Option<Reason>>>>;

    fn poll<S: Stream<Item = Point>, F: Fn(Point) -> Option<(i32, i32)>>(
        body: &mut Pin<Box<PointBody<S, F>>>,
    ) -> Polled {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let frame = body.as_mut().poll_frame(&mut context);
        frame.map_ok(|frame| frame.into_data().unwrap()).map_err(|error| error.reason())
    }

    type ToWire = fn(Point) -> Option<(i32, i32)>;

    fn body<S: Stream<Item = Point>>(
        points: S,
    ) -> (Pin<Box<PointBody<S, ToWire>>>, Arc<RequestAbort>) {
        let abort = Arc::<RequestAbort>::default();
        (Box::pin(PointBody::new(points, Point::to_e7 as ToWire, Arc::clone(&abort))), abort)
    }

    fn point(latitude_e7: i32) -> Point {
        Point::from_e7(latitude_e7, 0).unwrap()
    }

    const RESET: Polled = Poll::Ready(Some(Err(Some(Reason::CANCEL))));

    #[test]
    fn points_that_are_ready_are_sent_together_and_at_once() {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (mut body, _) = body(UnboundedReceiverStream::new(receiver));
        assert_eq!(poll(&mut body), Poll::Pending);
        sender.send(point(1)).unwrap();
        sender.send(point(2)).unwrap();
        let expected = Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1, 0, 0, 0, 0, 2, 8, 2]);
        assert_eq!(poll(&mut body), Poll::Ready(Some(Ok(expected))));
        assert_eq!(poll(&mut body), Poll::Pending);
        drop(sender);
        assert_eq!(poll(&mut body), Poll::Ready(None));
    }

    #[test]
    fn the_last_chunk_is_marked_as_the_last() {
        let (mut body, _) = body(stream::iter([point(1)]));
        assert!(!body.is_end_stream());
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
        assert!(body.is_end_stream());
    }

    #[test]
    fn an_unsupported_point_resets_the_stream_and_is_reported() {
        let planar = Point::planar(3.0, 4.0).unwrap();
        let (mut body, abort) = body(stream::iter([point(1), point(2), planar, point(3)]));
        assert_eq!(poll(&mut body), RESET);
        assert_eq!(abort.unsupported_point(), Some((2, planar)));
    }

    #[test]
    fn an_aborted_body_resets_the_stream_even_if_its_source_ends() {
        let (mut body, abort) = body(stream::empty());
        abort.abort();
        assert_eq!(poll(&mut body), RESET);

        // The caller aborts while the source is polled.
        let abort = Arc::<RequestAbort>::default();
        let caller = Arc::clone(&abort);
        let source = stream::once(async move {
            caller.abort();
            point(1)
        })
        .take(1);
        let mut body = Box::pin(PointBody::new(source, Point::to_e7, abort));
        assert_eq!(poll(&mut body), RESET);
    }

    #[test]
    fn the_source_is_polled_for_one_chunk_only() {
        let mut taken = 0;
        let endless = stream::repeat(point(1)).inspect(|_| taken += 1);
        let mut body = Box::pin(PointBody::new(endless, Point::to_e7, Arc::default()));
        let Poll::Ready(Some(Ok(chunk))) = poll(&mut body) else { panic!("no chunk") };
        drop(body);
        assert_eq!(chunk.len(), taken * 7);
    }
}
