//! One connection: HTTP/2 by h2, a task per stream, and the events that end it.
//!
//! This module drives h2 directly, because the limits need state that hyper does not expose: the unread bytes of each
//! stream, the budget for small DATA frames, whether a connection has streams, and when a reply was written. A
//! connection ends when its client closes it, when it has been without streams for too long, when the client answers no
//! ping, when it resets too many streams, when its certificate ends, when the server needs its memory or its place, and
//! when the server stops.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::Reason;
use h2::server::Connection as Http2;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::service::Routes;

use super::acceptor::{Acceptor, ByteStream, PeerInfo};
use super::call::CallService;
use super::config::FRAME_BYTES_MAX;
use super::counters::{Ended, OpenConnection as CountedConnection};
use super::handle::{Activity, Handle};
use super::handshake::{self, Established, Http};
use super::input_meter::InputMeter;
use super::keepalive::Keepalive;
use super::log_limit::LineKind;
use super::memory::{OpenConnection, Usage};
use super::shared::Shared;
use super::socket::{Socket, Traffic};
use super::stream::{self, ChargedBytes, StreamEnd};
use super::write_stall::WriteStall;

/// Maximum number of bytes that h2 buffers of the answer of a stream, within the window of the client.
pub(super) const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Maximum number of streams that are accepted per poll.
const ACCEPTS_PER_POLL: usize = 32;

/// The interval between two measurements of unread input while nothing arrives.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// The time for a closing connection to write its last frames, and for its streams to end.
pub(super) const CLOSE_TIME: Duration = Duration::from_secs(1);

/// A connection that resets more than half of this many consecutive streams is closed.
const RESET_SAMPLE_STREAMS: u32 = 1000;

/// The reason for which the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    /// No streams for too long, evicted, or the server stops. The client may reconnect at once.
    Idle,
    /// The client answers no pings, or does not read its socket.
    Silent,
    /// The process needs the memory.
    Memory,
    /// The client reset too many streams.
    Resets,
}

/// Serves a connection until it has ended with all of its streams.
pub(super) async fn serve<IO: ByteStream, A: Acceptor<IO>>(
    io: IO,
    acceptor: Arc<A>,
    shared: Arc<Shared>,
    routes: Routes,
    handle: Arc<Handle>,
) {
    let mut counted = shared.monitored.counters.accepted();
    let opened = handshake::open(Http::Two, io, (&shared, &*acceptor), &handle, &mut counted).await;
    let Some(opened) = opened else { return };
    let Established { stream, peer: info, prefix, buffer, place: _place, .. } = opened;
    let client = info.address;
    let usage = shared.memory.connection(client.ip());
    let _open = OpenConnection(Arc::clone(&usage));
    if let Some(buffer) = buffer {
        buffer.charge_to(&usage);
    }
    let socket = Socket::with_prefix(stream, prefix);
    let traffic = socket.traffic();
    let handshake = builder(&shared).handshake(socket);
    counted.set_ended(Ended::Handshake);
    match timeout(shared.config.handshake_timeout, handshake).await {
        Ok(Ok(http2)) => {
            let driver =
                Driver::new(http2, info, traffic, shared, routes, usage, (handle, counted));
            driver.run().await;
        }
        Ok(Err(error)) => {
            tracing::debug!(peer = %client, %error, "a connection failed in its handshake");
        }
        Err(_) => {
            tracing::debug!(peer = %client, "a connection did not acknowledge the settings of the server");
        }
    }
}

fn builder(shared: &Shared) -> h2::server::Builder {
    let config = &shared.config;
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(config.max_streams_per_connection)
        // Lists of up to twice the limit are refused with a gRPC status. h2 refuses larger ones with 431.
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
    peer: SocketAddr,
    is_trusted_proxy: bool,
    http2: Http2<Socket<S>, ChargedBytes>,
    calls: CallService,
    streams: JoinSet<StreamEnd>,
    traffic: Arc<Traffic>,
    input: InputMeter,
    shared: Arc<Shared>,
    handle: Arc<Handle>,
    usage: Arc<Usage>,
    keepalive: Keepalive,
    write_stall: WriteStall,
    /// The time of the next measurement of unread input, or of the end of an idle connection.
    timer: Pin<Box<Sleep>>,
    activity: Activity,
    /// Ends the calls of this connection with UNAVAILABLE.
    closing: CancellationToken,
    /// Streams of the current sample of [`RESET_SAMPLE_STREAMS`], and those that the client reset.
    ended: u32,
    reset: u32,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    /// A GOAWAY frame has announced the end of the connection.
    is_leaving: bool,
    evicted: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Completes when the client certificate expires or is withdrawn.
    certificate_ended: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    has_certificate_ended: bool,
    out_of_memory: Pin<Box<WaitForCancellationFutureOwned>>,
    close: Option<Close>,
    counted: CountedConnection,
    /// The time at which a connection that is closing is dropped.
    close_timer: Pin<Box<Sleep>>,
}

impl<S: ByteStream> Driver<S> {
    fn new(
        mut http2: Http2<Socket<S>, ChargedBytes>,
        peer: PeerInfo,
        traffic: Arc<Traffic>,
        shared: Arc<Shared>,
        routes: Routes,
        usage: Arc<Usage>,
        (handle, counted): (Arc<Handle>, CountedConnection),
    ) -> Self {
        let config = &shared.config;
        let keepalive =
            Keepalive::new(http2.ping_pong(), config.keepalive_interval, config.keepalive_timeout);
        let closing = shared.stages.closing.child_token();
        let certificate = peer.certificate.as_ref();
        let certificate_ended = certificate.map(|certificate| Box::pin(certificate.ended()) as _);
        Self {
            peer: peer.address,
            is_trusted_proxy: shared.proxies.contains(peer.address.ip()),
            http2,
            calls: CallService::new(
                Arc::clone(&shared),
                routes,
                peer,
                Arc::clone(&usage),
                closing.clone(),
            ),
            streams: JoinSet::new(),
            input: InputMeter::new(Arc::clone(&traffic), Arc::clone(&usage)),
            traffic,
            keepalive,
            write_stall: WriteStall::new(config.stream_idle_timeout),
            timer: Box::pin(sleep(config.connection_idle_timeout)),
            activity: Activity::Idle,
            closing,
            ended: 0,
            reset: 0,
            draining: Box::pin(shared.stages.draining.clone().cancelled_owned()),
            is_leaving: false,
            certificate_ended,
            has_certificate_ended: false,
            evicted: Box::pin(handle.evicted().clone().cancelled_owned()),
            out_of_memory: Box::pin(usage.ended().clone().cancelled_owned()),
            close: None,
            counted,
            close_timer: Box::pin(sleep(CLOSE_TIME)),
            shared,
            handle,
            usage,
        }
    }

    async fn run(mut self) {
        self.handle.set_activity(Activity::Idle);
        self.counted.set_ended(Ended::Shutdown);
        let result = poll_fn(|cx| self.poll(cx)).await;
        self.counted.set_ended(self.ended_by(&result));
        self.log_end(result);
        // Streams observe the end of their connection, and report their point counts.
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
            self.count_ended(cx);
            if self.input.charge_arrived(self.streams.len(), self.is_idle()) {
                self.shared.relieve();
            }
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
            // The next poll of h2 sends the GOAWAY frame.
        }
    }

    /// Reads, writes, and starts new streams.
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
            // Another poll of h2 would read another burst before the streams have processed this one.
            if self.traffic.take_pause() {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Counts the streams that have ended, and updates the activity of the connection.
    fn count_ended(&mut self, cx: &mut Context<'_>) {
        let mut has_ended = false;
        while let Poll::Ready(Some(end)) = self.streams.poll_join_next(cx) {
            has_ended = true;
            self.ended += 1;
            self.reset += u32::from(matches!(end, Ok(StreamEnd::ResetByClient)));
        }
        if has_ended {
            self.input.stream_ended();
        }
        let is_full = self.streams.len() >= self.shared.config.max_streams_per_connection as usize;
        self.counted.set_full(is_full);
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
                self.input.sample();
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.activity == Activity::Idle
    }

    fn set_timer(&mut self) {
        let idle_timeout = self.shared.config.connection_idle_timeout;
        let wait = if self.is_idle() { idle_timeout } else { SAMPLE_INTERVAL };
        self.timer.as_mut().reset(Instant::now() + wait);
    }

    /// Returns the reason to close the connection now, if there is one.
    fn due_close(&mut self, cx: &mut Context<'_>) -> Option<Close> {
        if self.out_of_memory.as_mut().poll(cx).is_ready() {
            return Some(Close::Memory);
        }
        if self.ended >= RESET_SAMPLE_STREAMS {
            // A trusted proxy passes on the resets of many clients.
            let is_flood = self.reset > self.ended / 2 && !self.is_trusted_proxy;
            (self.ended, self.reset) = (0, 0);
            if is_flood {
                return Some(Close::Resets);
            }
        }
        if self.keepalive.poll(cx, self.input.charged_bytes()).is_ready() {
            return Some(Close::Silent);
        }
        if self.write_stall.poll(cx, &self.traffic).is_ready() {
            return Some(Close::Silent);
        }
        if !self.is_leaving {
            let is_evicted = self.evicted.as_mut().poll(cx).is_ready();
            // The calls of the certificate end by themselves, and the client can reconnect with a renewed one.
            self.has_certificate_ended =
                self.certificate_ended.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready());
            self.is_leaving = is_evicted
                || self.has_certificate_ended
                || self.draining.as_mut().poll(cx).is_ready();
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
            self.input.sample();
            self.shared.relieve();
            self.set_timer();
            // Registers the new deadline.
            let _ = self.timer.as_mut().poll(cx);
        }
        None
    }

    /// Returns the reason of the end.
    fn ended_by(&self, result: &Result<(), h2::Error>) -> Ended {
        let is_stopping = self.shared.stages.draining.is_cancelled();
        match (self.close, result) {
            (Some(Close::Memory), _) => Ended::Memory,
            (Some(Close::Resets), _) => Ended::Resets,
            (Some(Close::Silent), _) => Ended::Silent,
            (None, Err(error)) if error.is_library() => Ended::Violation,
            _ if self.handle.is_evicted() => Ended::Evicted,
            _ if is_stopping => Ended::Shutdown,
            _ if self.has_certificate_ended => Ended::Certificate,
            (Some(Close::Idle), _) => Ended::Idle,
            (None, _) => Ended::ByPeer,
        }
    }

    fn log_end(&self, result: Result<(), h2::Error>) {
        let peer = self.peer;
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
            // The client violated a limit or the protocol, which the operator may want to know.
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
