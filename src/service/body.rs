//! Reads a request body and distinguishes its ends.
//!
//! hyper ends a body without an error on END_STREAM and on RST_STREAM(NO_ERROR), and the reader of tonic also accepts
//! RST_STREAM(CANCEL) as a normal end. An aggregator that relied on either would report a part of a path as the whole
//! path. Here a body is complete only if the stream has received END_STREAM.

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

use super::limits::StreamLimits;
use super::pace::{Pace, Rates};
use super::progress::Progress;
use super::status::{RpcError, StreamCut, excerpt};
use super::work::Work;
use crate::wire::Encoding;

/// A request body that is read chunk by chunk, in the task that polls it.
pub(super) struct RequestBody {
    body: Body,
    progress: Arc<Progress>,
    idle: Idle,
    /// Slows the stream down, if the server limits the rates of its caller. Charges what was read also when the call
    /// ends.
    pace: Option<Box<Pace>>,
    /// The work of this stream since it last yielded or waited. Its budget permits thousands of small frames: a
    /// connection reads that many in one poll, and closes when too many are unread (the budget of h2 for small frames).
    /// A stream that read fewer per poll would lose its client.
    work: Work,
    /// Bytes of earlier chunks that the reader of this body holds.
    held_bytes: usize,
}

/// The idle timeout of a stream. Its timer is checked only while there is nothing to read and reset only when it
/// fires, so that a busy stream has no cost.
struct Idle {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    /// The time since which there is nothing to read.
    since: Option<Instant>,
}

impl RequestBody {
    /// Returns the body of a request and the encoding of its messages.
    ///
    /// # Errors
    /// If the encoding is not supported.
    pub(super) fn open(
        request: Request<Body>,
        limits: &StreamLimits,
    ) -> Result<(Self, Encoding), RpcError> {
        let (mut parts, body) = request.into_parts();
        let encoding = encoding(&parts.headers)?;
        let progress = parts.extensions.remove::<Arc<Progress>>().unwrap_or_default();
        let rates = parts.extensions.remove::<Rates>();
        let pace = rates.map(|rates| Box::new(Pace::new(rates)));
        let work = Work::of_request(&mut parts.extensions, Arc::clone(&progress));
        let timer = Box::pin(sleep(limits.idle_timeout));
        let idle = Idle { limit: limits.idle_timeout, timer, since: None };
        Ok((Self { body, progress, idle, pace, work, held_bytes: 0 }, encoding))
    }

    /// Returns the counters of points and bytes of the call.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Returns the counter of the work of the call.
    pub(super) fn work(&mut self) -> &mut Work {
        &mut self.work
    }

    /// Sets the number of bytes of earlier chunks that the reader of this body holds, for the memory limit.
    pub(super) fn set_held(&mut self, bytes: usize) {
        self.held_bytes = bytes;
    }

    /// Returns the next bytes, or `None` when the client has closed the stream. Yields first if the work budget is
    /// spent, and waits while the stream is faster than its rate limits. The idle timeout does not run meanwhile.
    ///
    /// # Errors
    /// If the stream was cut, the client sent nothing for too long, or the stream is far above its rate limits.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, RpcError> {
        // With a fast client a frame is always ready, so that waiting for it does not yield.
        self.work.pause_if_spent().await;
        self.progress.set_buffered(self.held_bytes);
        if let Some(pace) = &mut self.pace {
            pace.charge(self.work.point_count(), self.progress.byte_count())?;
            self.progress.set_throttled(pace.throttled());
            poll_fn(|cx| pace.poll(cx)).await;
        }
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, RpcError>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                self.work.wait_for_input();
                ready!(self.idle.poll(cx));
                return Poll::Ready(Err(RpcError::Idle {
                    idle_timeout: self.idle.limit,
                    point_count: self.progress.point_count(),
                }));
            };
            self.idle.since = None;
            match frame {
                Some(Ok(frame)) => {
                    // Trailers of a request have no meaning in gRPC. The end follows them.
                    let Ok(data) = frame.into_data() else { continue };
                    self.progress.add_bytes(data.len());
                    // The chunk is held until the next one is requested, also while its points wait to be folded.
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

impl Drop for RequestBody {
    /// Charges what was read since the last wait. A call may end at any time: by an error, a reset, a deadline, or
    /// because its service is dropped.
    fn drop(&mut self) {
        if let Some(pace) = &mut self.pace {
            // The debt counts for the next call. This one waits no longer.
            let _ = pace.charge(self.work.point_count(), self.progress.byte_count());
        }
    }
}

impl Idle {
    /// Completes when nothing has arrived for as long as the limit. Call it only while there is nothing to read.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        loop {
            ready!(self.timer.as_mut().poll(cx));
            // A limit that overflows the clock never expires.
            let Some(end) = since.checked_add(self.limit) else { return Poll::Pending };
            if self.timer.deadline() >= end {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end);
        }
    }
}

/// Returns the encoding that the headers declare.
fn encoding(headers: &HeaderMap) -> Result<Encoding, RpcError> {
    match headers.get("grpc-encoding").map(|value| value.as_bytes()) {
        None | Some(b"identity") => Ok(Encoding::Identity),
        Some(b"gzip") => Ok(Encoding::Gzip),
        Some(other) => Err(RpcError::Encoding(excerpt(&String::from_utf8_lossy(other)))),
    }
}

/// Classifies an error of the body.
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

    /// A body of two complete points with one of these ends.
    struct Scripted {
        frames: VecDeque<Bytes>,
        end: End,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum End {
        Stream,
        /// The form of RST_STREAM(NO_ERROR) in hyper: no more frames, and no END_STREAM.
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
    async fn a_stream_ends_only_after_a_pause_as_long_as_the_limit() {
        use futures::stream::StreamExt as _;

        let limits = StreamLimits { idle_timeout: Duration::from_secs(300), ..Default::default() };
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let frames = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let frames = frames.map(|data| Ok::<_, h2::Error>(Frame::data(data)));
        let request = Request::new(Body::new(http_body_util::StreamBody::new(frames)));
        let fold = tokio::spawn(async move {
            fold_points(request, &limits, Metric::Planar, AxisOrder::XY).await
        });
        // Ten pauses, each shorter than the limit, and together longer.
        for _ in 0..10 {
            sender.send(Bytes::from_static(&[0, 0, 0, 0, 4, 0x08, 3, 0x10, 4])).await.unwrap();
            tokio::time::sleep(Duration::from_secs(299)).await;
        }
        assert!(!fold.is_finished());
        let started = Instant::now();
        let error = fold.await.unwrap().unwrap_err();
        assert!(matches!(error, RpcError::Idle { point_count: 10, .. }), "{error:?}");
        assert_eq!(started.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_above_its_rate_is_read_slowly_and_is_not_idle() {
        use crate::service::{Account, QuotaScope, Rate, RateUnit};

        let limits = StreamLimits { idle_timeout: Duration::from_secs(2), ..Default::default() };
        let point = Bytes::from_static(&[0, 0, 0, 0, 4, 0x08, 3, 0x10, 4]);
        let frames = VecDeque::from(vec![point.repeat(5).into(); 11]);
        let mut request = Request::new(Body::new(Scripted { frames, end: End::Stream }));
        let account = Arc::new(Account::new(Instant::now()));
        let (unit, scope) = (RateUnit::Points, QuotaScope::Principal);
        request.extensions_mut().insert(Rates(Arc::new([Rate {
            account,
            unit,
            scope,
            per_second: 1,
        }])));
        let started = Instant::now();
        let path = fold_points(request, &limits, Metric::Planar, AxisOrder::XY).await.unwrap();
        // The first second is free. Each pause of 5 s is longer than the idle timeout.
        assert_eq!((path.point_count(), started.elapsed().as_secs()), (55, 54));
    }

    /// Reads these bytes with a limit of one point per second, until the call ends or is dropped. Returns the debt in
    /// seconds.
    async fn debt_after(bytes: Bytes, is_dropped: bool) -> u64 {
        use crate::service::work::TestBudget;
        use crate::service::{Account, QuotaScope, Rate, RateUnit};

        let account = Arc::new(Account::new(Instant::now()));
        let (unit, scope, per_second) = (RateUnit::Points, QuotaScope::Principal, 1);
        let rate = Rate { account: Arc::clone(&account), unit, scope, per_second };
        let frames = VecDeque::from([bytes]);
        let mut request = Request::new(Body::new(Scripted { frames, end: End::Stream }));
        request.extensions_mut().insert(Rates(Arc::new([rate])));
        // A budget that is spent at once, so that the call yields within the frame.
        request.extensions_mut().insert(TestBudget { max_ns: 1, most_ns: Arc::default() });
        let mut call = Box::pin(async move {
            let limits = StreamLimits::default();
            fold_points(request, &limits, Metric::Planar, AxisOrder::XY).await
        });
        if is_dropped {
            let first = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
            assert!(first.is_pending());
            drop(call);
        } else {
            call.await.unwrap_err();
        }
        account.debt(Instant::now()).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_fails_or_is_dropped_pays_for_the_points_that_it_has_decoded() {
        let point = [0, 0, 0, 0, 4, 0x08, 3, 0x10, 4];
        let malformed = [0, 0, 0, 0, 1, 0x08];
        let failed = [&point.repeat(600)[..], &malformed].concat();
        assert_eq!(debt_after(failed.into(), false).await, 601);
        // The first block of points.
        assert_eq!(debt_after(point.repeat(600).into(), true).await, 256);
    }
}
