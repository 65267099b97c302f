//! A request body that is a stream of points: whatever the source has ready goes into one chunk.
//!
//! HTTP/2 polls it for the next chunk only when it has sent the one before, so a slow server stops
//! the source, and no more than two chunks of a stream wait. When the source has nothing ready,
//! what it gave so far goes out: a live tracker's point never waits for the next.
//!
//! A body ends cleanly only where its source does and the caller still waits for the reply. In all
//! other cases it fails, and the stream is reset: half a path must not be answered as a whole one.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::task::AtomicWaker;
use h2::Reason;
use http_body::{Body, Frame};
use tokio_stream::Stream;

use super::encode::{BATCH_POINTS, Chunk};
use crate::measure::Point;

/// What joins a body to the call that waits for its reply.
#[derive(Debug, Default)]
pub(super) struct Tie {
    cut: AtomicBool,
    body: AtomicWaker,
    stray: OnceLock<(u64, Point)>,
}

impl Tie {
    /// Resets the stream unless its end was sent already. hyper resets the stream of a call that
    /// nobody waits for, too, but not before its own task gets to it. A source that ends in the
    /// meantime, as a channel does whose sender goes the way of the call, would close the stream
    /// as if it were whole.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.body.wake();
    }

    /// The point that could not be sent and its index, if there was one.
    pub(super) fn stray(&self) -> Option<(u64, Point)> {
        self.stray.get().copied()
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }
}

pin_project_lite::pin_project! {
    /// The points of a source as an HTTP body. `to_wire` gives a point's two integers, or `None`
    /// for a point that this call cannot carry: the stream is then reset.
    pub(super) struct PointBody<S, F> {
        #[pin]
        points: S,
        to_wire: F,
        index: u64,
        chunk: Chunk,
        is_over: bool,
        tie: Arc<Tie>,
    }
}

impl<S, F> PointBody<S, F> {
    pub(super) fn new(points: S, to_wire: F, tie: Arc<Tie>) -> Self {
        Self { points, to_wire, index: 0, chunk: Chunk::default(), is_over: false, tie }
    }
}

impl<S, F> Body for PointBody<S, F>
where
    S: Stream<Item = Point>,
    F: Fn(Point) -> Option<(i32, i32)>,
{
    type Data = Bytes;
    /// Its reason becomes that of the RST_STREAM.
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let mut this = self.project();
        let reset = Poll::Ready(Some(Err(Reason::CANCEL.into())));
        this.tie.body.register(cx.waker());
        if this.tie.is_cut() {
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
                            // Nobody else sets it, and nothing is polled after an error.
                            let _ = this.tie.stray.set((*this.index + count as u64, point));
                            return reset;
                        };
                        (first[count], second[count]) = numbers;
                        count += 1;
                    }
                    // Whether the caller has gone is asked once more: that may be why it ended.
                    Poll::Ready(None) if this.tie.is_cut() => return reset,
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

    fn body<S: Stream<Item = Point>>(points: S) -> (Pin<Box<PointBody<S, ToWire>>>, Arc<Tie>) {
        let tie = Arc::<Tie>::default();
        (Box::pin(PointBody::new(points, Point::to_e7 as ToWire, Arc::clone(&tie))), tie)
    }

    fn point(latitude_e7: i32) -> Point {
        Point::from_e7(latitude_e7, 0).unwrap()
    }

    const RESET: Polled = Poll::Ready(Some(Err(Some(Reason::CANCEL))));

    #[test]
    fn what_is_ready_goes_out_together_and_nothing_waits() {
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
    fn the_last_chunk_is_known_to_be_the_last() {
        let (mut body, _) = body(stream::iter([point(1)]));
        assert!(!body.is_end_stream());
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
        assert!(body.is_end_stream());
    }

    #[test]
    fn a_point_that_does_not_fit_resets_the_stream_and_is_named() {
        let planar = Point::planar(3.0, 4.0).unwrap();
        let (mut body, tie) = body(stream::iter([point(1), point(2), planar, point(3)]));
        assert_eq!(poll(&mut body), RESET);
        assert_eq!(tie.stray(), Some((2, planar)));
    }

    #[test]
    fn a_body_that_nobody_waits_for_resets_the_stream_even_where_its_source_ends() {
        let (mut body, tie) = body(stream::empty());
        tie.cut();
        assert_eq!(poll(&mut body), RESET);

        // The caller goes while the source is being asked.
        let tie = Arc::<Tie>::default();
        let caller = Arc::clone(&tie);
        let source = stream::once(async move {
            caller.cut();
            point(1)
        })
        .take(1);
        let mut body = Box::pin(PointBody::new(source, Point::to_e7, tie));
        assert_eq!(poll(&mut body), RESET);
    }

    #[test]
    fn no_more_than_a_chunk_is_asked_of_the_source() {
        let mut taken = 0;
        let endless = stream::repeat(point(1)).inspect(|_| taken += 1);
        let mut body = Box::pin(PointBody::new(endless, Point::to_e7, Arc::default()));
        let Poll::Ready(Some(Ok(chunk))) = poll(&mut body) else { panic!("no chunk") };
        drop(body);
        assert_eq!(chunk.len(), taken * 7);
    }
}
