//! One connection: HTTP/2 by h2, a task per stream, and the events that end it.
//!
//! h2 is driven here and not through hyper, because the limits need what hyper does not show: how much of each
//! stream is unread, the budget for small DATA frames, whether a connection has streams, and the moment at which
//! a reply was written. A connection ends when its client closes it, when it has been without streams for too
//! long, when the client answers no ping, when it resets too many streams, when the server needs its memory or
//! its place, and when the server stops.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::Reason;
use h2::server::Connection as Http2;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::service::Routes;

use super::call::{CallService, Shared};
use super::handle::{Activity, Handle};
use super::keepalive::Keepalive;
use super::log_limit::LineKind;
use super::memory::{OpenConnection, UnreadFrames, Usage};
use super::preface;
use super::socket::{Socket, Traffic};
use super::stream::{self, ChargedBytes, StreamEnd};
use super::write_stall::WriteStall;

/// Frames of 64 KiB: a busy client needs few of them. Larger ones only cost memory.
const FRAME_BYTES_MAX: u32 = 64 * 1024;

/// What h2 may buffer of the answers of a stream after flow control has let them through.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// How many streams are taken per poll.
const ACCEPTS_PER_POLL: usize = 32;

/// How often the unread input of a connection is measured while nothing arrives.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// How much may arrive between two measurements, and how much more for each stream that must be asked.
const SAMPLE_BYTES: u64 = 256 * 1024;
const SAMPLE_BYTES_PER_STREAM: u64 = 4 * 1024;

/// The same in DATA frames, for input that consists of small ones.
const SAMPLE_FRAMES: u64 = 2048;
const SAMPLE_FRAMES_PER_STREAM: u64 = 32;

/// When a stream ends, unread input is measured if this much is charged.
const ENDED_SAMPLE_BYTES: u64 = 64 * 1024;

/// How long a connection that is being closed may take to write its last frames, and its streams to end.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// A connection that resets more than half of this many streams in a row is closed.
const RESET_SAMPLE_STREAMS: u32 = 1000;

/// Why the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    /// No streams for too long, evicted, or the server stops: the client may come back at once.
    Idle,
    /// The client answers no pings, or does not read.
    Silent,
    /// The process needs the memory.
    Memory,
    /// The client reset too many streams.
    Resets,
}

/// Serves a connection until it is over and all of its streams have ended.
pub(super) async fn serve<S>(mut io: S, shared: Arc<Shared>, routes: Routes, handle: Arc<Handle>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = handle.peer;
    let begun = tokio::select! {
        begun = preface::read(&mut io, shared.config.handshake_timeout) => begun,
        () = shared.stages.draining.cancelled() => return,
        () = handle.evicted().cancelled() => return,
    };
    let prefix = match begun {
        Ok(prefix) => prefix,
        Err(error) if error.is_foreign() => {
            if let Some(suppressed) = shared.log.admit(LineKind::Preface) {
                let suppressed = (suppressed > 0).then_some(suppressed);
                tracing::warn!(%peer, %error, suppressed, "refused a connection");
            }
            return;
        }
        Err(error) => {
            tracing::debug!(%peer, %error, "a connection ended before its preface");
            return;
        }
    };
    let usage = shared.memory.connection(peer.ip());
    let _open = OpenConnection(Arc::clone(&usage));
    let socket = Socket::with_prefix(io, prefix);
    let traffic = socket.traffic();
    let handshake = builder(&shared).handshake(socket);
    match timeout(shared.config.handshake_timeout, handshake).await {
        Ok(Ok(http2)) => {
            let driver = Driver::new(http2, traffic, shared, routes, handle, Arc::clone(&usage));
            driver.run().await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a connection failed in its handshake"),
        Err(_) => tracing::debug!(%peer, "a connection did not take the server's settings"),
    }
}

fn builder(shared: &Shared) -> h2::server::Builder {
    let config = &shared.config;
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(config.max_streams_per_connection)
        // Somewhat larger lists are read and refused with a gRPC status; h2 refuses larger ones with 431.
        .max_header_list_size(config.max_header_bytes.saturating_mul(2))
        .max_local_error_reset_streams(Some(config.max_error_resets))
        .max_pending_accept_reset_streams(config.max_pending_resets)
        .initial_window_size(config.stream_window_bytes)
        .initial_connection_window_size(config.connection_window_bytes)
        .data_frame_budget(config.data_frame_budget_bytes)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_frame_size(FRAME_BYTES_MAX);
    builder
}

struct Driver<S> {
    http2: Http2<Socket<S>, ChargedBytes>,
    calls: CallService,
    streams: JoinSet<StreamEnd>,
    traffic: Arc<Traffic>,
    shared: Arc<Shared>,
    handle: Arc<Handle>,
    usage: Arc<Usage>,
    keepalive: Keepalive,
    write_stall: WriteStall,
    frames: UnreadFrames,
    /// What had arrived at the last look, and at the last accumulator.
    seen_bytes: u64,
    sampled_bytes: u64,
    sampled_frames: u64,
    /// Next accumulator, or the moment at which the connection has been idle for too long.
    timer: Pin<Box<Sleep>>,
    activity: Activity,
    /// Ends the calls of this connection with UNAVAILABLE.
    closing: CancellationToken,
    /// Streams of the current sample of [`RESET_SAMPLE_STREAMS`], and those that the client reset.
    ended: u32,
    reset: u32,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The client was asked to open no more streams.
    is_leaving: bool,
    evicted: Pin<Box<WaitForCancellationFutureOwned>>,
    out_of_memory: Pin<Box<WaitForCancellationFutureOwned>>,
    close: Option<Close>,
    /// When a connection that is closing must be gone.
    close_timer: Pin<Box<Sleep>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Driver<S> {
    fn new(
        mut http2: Http2<Socket<S>, ChargedBytes>,
        traffic: Arc<Traffic>,
        shared: Arc<Shared>,
        routes: Routes,
        handle: Arc<Handle>,
        usage: Arc<Usage>,
    ) -> Self {
        let config = &shared.config;
        let keepalive =
            Keepalive::new(http2.ping_pong(), config.keepalive_interval, config.keepalive_timeout);
        let closing = shared.stages.closing.child_token();
        Self {
            http2,
            calls: CallService::new(
                Arc::clone(&shared),
                routes,
                handle.peer,
                Arc::clone(&usage),
                closing.clone(),
            ),
            streams: JoinSet::new(),
            traffic,
            keepalive,
            write_stall: WriteStall::new(config.stream_idle_timeout),
            frames: UnreadFrames::default(),
            seen_bytes: 0,
            sampled_bytes: 0,
            sampled_frames: 0,
            timer: Box::pin(sleep(config.connection_idle_timeout)),
            activity: Activity::Idle,
            closing,
            ended: 0,
            reset: 0,
            draining: Box::pin(shared.stages.draining.clone().cancelled_owned()),
            is_leaving: false,
            evicted: Box::pin(handle.evicted().clone().cancelled_owned()),
            out_of_memory: Box::pin(usage.ended().clone().cancelled_owned()),
            close: None,
            close_timer: Box::pin(sleep(CLOSE_TIME)),
            shared,
            handle,
            usage,
        }
    }

    async fn run(mut self) {
        self.handle.set_activity(Activity::Idle);
        let result = poll_fn(|cx| self.poll(cx)).await;
        self.log_end(result);
        // Streams notice the end of their connection by themselves, and log their point counts.
        if !matches!(self.close, Some(Close::Memory)) {
            let streams = &mut self.streams;
            let all_ended = async { while streams.join_next().await.is_some() {} };
            let _ = timeout(CLOSE_TIME, all_ended).await;
        }
        self.streams.shutdown().await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            if let Poll::Ready(result) = self.poll_http2(cx) {
                return Poll::Ready(result);
            }
            self.reap(cx);
            self.account();
            if self.close.is_some() {
                return self.close_timer.as_mut().poll(cx).map(|()| Ok(()));
            }
            let Some(close) = self.due_close(cx) else { return Poll::Pending };
            let reason = match close {
                Close::Idle | Close::Silent => Reason::NO_ERROR,
                Close::Memory | Close::Resets => Reason::ENHANCE_YOUR_CALM,
            };
            if close == Close::Memory {
                // Frees the memory of its streams.
                self.streams.abort_all();
            }
            self.http2.abrupt_shutdown(reason);
            self.close = Some(close);
            self.close_timer.as_mut().reset(Instant::now() + CLOSE_TIME);
            // h2 sends its GOAWAY when it is polled.
        }
    }

    /// Reads, writes, and starts the streams that have come.
    fn poll_http2(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        for _ in 0..ACCEPTS_PER_POLL {
            match self.http2.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    let call = self.calls.call(request);
                    let usage = Arc::clone(&self.usage);
                    let unread_time = self.shared.config.stream_idle_timeout;
                    self.streams.spawn(stream::serve(call, respond, usage, unread_time));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
            // Another poll of h2 would read another burst before the streams have run.
            if self.traffic.take_pause() {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes note of streams that have ended, and of what the others do.
    fn reap(&mut self, cx: &mut Context<'_>) {
        let mut has_ended = false;
        while let Poll::Ready(Some(end)) = self.streams.poll_join_next(cx) {
            has_ended = true;
            self.ended += 1;
            self.reset += u32::from(matches!(end, Ok(StreamEnd::ResetByClient)));
        }
        // What a stream had not read is free when the stream has ended.
        if has_ended && self.usage.unread() > ENDED_SAMPLE_BYTES {
            self.sample();
        }
        let activity = match self.streams.len() {
            0 if !self.http2.has_streams() => Activity::Idle,
            count if count > 0 && self.calls.watch_count() == count => Activity::Watching,
            _ => Activity::Busy,
        };
        if activity != self.activity {
            self.activity = activity;
            self.handle.set_activity(activity);
            self.set_timer();
            if activity == Activity::Idle {
                self.sample();
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.activity == Activity::Idle
    }

    fn set_timer(&mut self) {
        let idle_time = self.shared.config.connection_idle_timeout;
        let wait = if self.is_idle() { idle_time } else { SAMPLE_INTERVAL };
        self.timer.as_mut().reset(Instant::now() + wait);
    }

    /// Charges what has arrived, and measures it when that is due.
    fn account(&mut self) {
        let bytes = self.traffic.bytes();
        if bytes == self.seen_bytes {
            return;
        }
        self.usage.arrived(bytes - self.seen_bytes);
        self.seen_bytes = bytes;
        let streams = self.streams.len() as u64;
        let new_frames = self.traffic.data_frames() - self.sampled_frames;
        if bytes - self.sampled_bytes >= SAMPLE_BYTES + SAMPLE_BYTES_PER_STREAM * streams
            || new_frames >= SAMPLE_FRAMES + SAMPLE_FRAMES_PER_STREAM * streams
            || self.is_idle()
        {
            self.sample();
        }
        self.shared.relieve();
    }

    fn sample(&mut self) {
        self.sampled_bytes = self.seen_bytes;
        self.sampled_frames = self.traffic.data_frames();
        self.usage.sample(&mut self.frames, self.sampled_frames);
    }

    /// Why the connection must close now, if it must.
    fn due_close(&mut self, cx: &mut Context<'_>) -> Option<Close> {
        if self.out_of_memory.as_mut().poll(cx).is_ready() {
            return Some(Close::Memory);
        }
        if self.ended >= RESET_SAMPLE_STREAMS {
            let is_flood = self.reset > self.ended / 2;
            (self.ended, self.reset) = (0, 0);
            if is_flood {
                return Some(Close::Resets);
            }
        }
        if self.keepalive.poll(cx, self.seen_bytes).is_ready() {
            return Some(Close::Silent);
        }
        if self.write_stall.poll(cx, &self.traffic).is_ready() {
            return Some(Close::Silent);
        }
        if !self.is_leaving {
            let is_evicted = self.evicted.as_mut().poll(cx).is_ready();
            self.is_leaving = is_evicted || self.draining.as_mut().poll(cx).is_ready();
            if self.is_leaving && !self.is_idle() {
                self.http2.graceful_shutdown();
                cx.waker().wake_by_ref();
            }
            if is_evicted && self.activity == Activity::Watching {
                self.closing.cancel();
            }
        }
        if self.is_idle() && self.is_leaving {
            return Some(Close::Idle);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            if self.is_idle() {
                return Some(Close::Idle);
            }
            self.sample();
            self.shared.relieve();
            self.set_timer();
            // Registers the new deadline.
            let _ = self.timer.as_mut().poll(cx);
        }
        None
    }

    fn log_end(&self, result: Result<(), h2::Error>) {
        let peer = self.handle.peer;
        let admit = || self.shared.log.admit(LineKind::Connection);
        match (self.close, result) {
            (Some(Close::Resets), _) => {
                if let Some(suppressed) = admit() {
                    let suppressed = (suppressed > 0).then_some(suppressed);
                    tracing::warn!(
                        %peer,
                        suppressed,
                        "closed a connection: the client reset more than half of {RESET_SAMPLE_STREAMS} streams"
                    );
                }
            }
            (Some(close), _) => tracing::debug!(%peer, ?close, "closed a connection"),
            // The client broke a limit or the protocol, which its operator may want to know.
            (None, Err(error)) if error.is_library() => {
                if let Some(suppressed) = admit() {
                    let suppressed = (suppressed > 0).then_some(suppressed);
                    tracing::warn!(%peer, %error, suppressed, "closed a connection");
                }
            }
            (None, Err(error)) => tracing::debug!(%peer, %error, "a connection ended"),
            (None, Ok(())) => tracing::debug!(%peer, "a connection ended"),
        }
    }
}
