//! One connection of the HTTP listener: hyper for HTTP/1.1 or HTTP/2, and the events that end it.
//!
//! A connection ends for the same reasons as one of gRPC: its client closes it or does not read, it is idle for too long,
//! its certificate ends, and the server needs its memory or its place, or stops.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::answer_body::{AnswerBody, OpenAnswer, StreamTasks};
use super::body::WebBody;
use super::counters::{ByteCounter, OpenCount};
use super::gate::Gate;
use super::{Answer, Site, WebService};
use crate::server::acceptor::{Acceptor, ByteStream};
use crate::server::call::CallService;
use crate::server::client_certificate::ClientCertificate;
use crate::server::config::Config;
use crate::server::connection::{CLOSE_TIME, SEND_BUFFER_BYTES};
use crate::server::counters::Ended;
use crate::server::handle::Handle;
use crate::server::handshake::{self, Established, Http};
use crate::server::memory::{OpenConnection, Usage};
use crate::server::shared::Shared;
use crate::server::socket::{Socket, Traffic};
use crate::server::write_stall::WriteStall;

/// Maximum number of headers of a request.
const HEADERS_MAX: usize = 100;

/// The least size of the buffer that hyper accepts.
const BUFFER_BYTES_MIN: usize = 8 * 1024;

/// Serves a connection until it has ended.
pub(in crate::server) async fn serve<IO: ByteStream, A: Acceptor<IO>>(
    io: IO,
    acceptor: Arc<A>,
    shared: Arc<Shared>,
    routes: Routes,
    site: Site,
    handle: Arc<Handle>,
) {
    let mut counted = shared.monitored.counters.accepted();
    let opened = handshake::open(Http::Any, io, (&shared, &*acceptor), &handle, &mut counted).await;
    let Some(opened) = opened else { return };
    let Established { stream, peer: info, prefix, is_http2, buffer, place: _place } = opened;
    let client = info.address;
    let usage = shared.memory.connection(client.ip());
    let _open = OpenConnection(Arc::clone(&usage));
    if let Some(buffer) = buffer {
        buffer.charge_to(&usage);
    }
    let socket = Socket::with_prefix(stream, prefix);
    let traffic = socket.traffic();
    let certificate = info.certificate.clone();
    let closing = shared.stages.closing.child_token();
    let calls =
        CallService::new(Arc::clone(&shared), routes, info, Arc::clone(&usage), closing.clone());
    let is_loopback = site.address.ip().to_canonical().is_loopback();
    let gate = Gate::new(calls, is_loopback, Arc::clone(&handle));
    gate.update_activity();
    let service = {
        let (gate, shared, service) = (gate.clone(), Arc::clone(&shared), site.service);
        service_fn(move |request| {
            let answer = answer(request, &gate, &shared, &*service);
            async move { Ok::<_, Infallible>(answer.await) }
        })
    };
    let end =
        End { handle: &handle, gate: &gate, shared: &shared, usage, closing, certificate, traffic };
    counted.set_ended(Ended::Shutdown);
    let socket = TokioIo::new(socket);
    let ended = match is_http2 {
        true => end.drive(http2(&shared.config).serve_connection(socket, service)).await,
        false => end.drive(http1(&shared.config).serve_connection(socket, service)).await,
    };
    counted.set_ended(ended);
}

fn http1(config: &Config) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Also the time between two requests.
        .header_read_timeout(config.handshake_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size((config.max_header_bytes as usize).max(BUFFER_BYTES_MIN));
    builder
}

fn http2(config: &Config) -> http2::Builder<StreamTasks> {
    let mut builder = http2::Builder::new(StreamTasks { unread_time: config.stream_idle_timeout });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.max_streams_per_connection)
        .max_header_list_size(config.max_header_bytes)
        .max_local_error_reset_streams(Some(config.max_error_resets))
        .max_pending_accept_reset_streams(Some(config.max_pending_resets))
        .initial_stream_window_size(config.stream_window_bytes)
        .initial_connection_window_size(config.connection_window_bytes)
        .keep_alive_interval(Some(config.keepalive_interval))
        .keep_alive_timeout(config.keepalive_timeout)
        .max_send_buf_size(SEND_BUFFER_BYTES);
    builder
}

/// Passes a request to the service, and counts it.
fn answer(
    request: Request<Incoming>,
    gate: &Gate,
    shared: &Arc<Shared>,
    service: &dyn WebService,
) -> impl Future<Output = Response<AnswerBody>> + use<> {
    let counters = &shared.monitored.web;
    let (mut count, bytes) = (OpenCount::new(counters), ByteCounter(Arc::clone(counters)));
    let open = OpenAnswer::new(gate);
    let route = service.route(request.uri().path());
    let route = route.and_then(|index| service.routes().get(index).copied());
    let idle_timeout = shared.config.stream_idle_timeout;
    let mut request = request.map(|body| WebBody::new(body, idle_timeout, bytes.clone()));
    request.extensions_mut().insert(gate.clone());
    let answer: Answer = service.answer(request);
    let counters = Arc::clone(counters);
    async move {
        let response = answer.await;
        counters.answered(route, response.status());
        let is_event_stream = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value == HeaderValue::from_static("text/event-stream"));
        if is_event_stream {
            count.set_event_stream();
        }
        response.map(|body| AnswerBody::new(body, bytes, count, open))
    }
}

/// A connection of hyper, which can finish its open requests and then close.
trait Graceful: Future<Output = hyper::Result<()>> {
    fn finish(self: Pin<&mut Self>);
}

impl<IO, S> Graceful for http1::Connection<IO, S>
where
    IO: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    S: hyper::service::HttpService<Incoming, ResBody = AnswerBody, Error = Infallible>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<IO, S> Graceful for http2::Connection<IO, S, StreamTasks>
where
    IO: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    S: hyper::service::HttpService<Incoming, ResBody = AnswerBody, Error = Infallible>,
    S::Future: Send + 'static,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// What ends a connection.
struct End<'a> {
    handle: &'a Handle,
    gate: &'a Gate,
    shared: &'a Shared,
    usage: Arc<Usage>,
    /// Ends the calls of the connection.
    closing: CancellationToken,
    certificate: Option<Arc<ClientCertificate>>,
    traffic: Arc<Traffic>,
}

impl End<'_> {
    /// Runs a connection until it ends. Returns the reason.
    async fn drive(self, connection: impl Graceful) -> Ended {
        let config = &self.shared.config;
        let mut connection = pin!(connection);
        let mut stall = WriteStall::new(config.stream_idle_timeout);
        let mut leaving = None;
        // The time at which a connection whose calls have been ended is dropped.
        let mut close_at: Option<Instant> = None;
        let certificate_ended = async {
            match &self.certificate {
                Some(certificate) => certificate.ended().await,
                None => std::future::pending().await,
            }
        };
        let mut certificate_ended = pin!(certificate_ended);
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut idle_since = Instant::now();
        loop {
            let is_leaving = leaving.is_some();
            let leave = tokio::select! {
                biased;
                result = connection.as_mut() => {
                    if let Err(error) = &result {
                        tracing::debug!(peer = %self.handle.peer, %error, "a connection of the HTTP listener failed");
                    }
                    return leaving.unwrap_or(Ended::ByPeer);
                }
                () = self.usage.ended().cancelled() => return Ended::Memory,
                () = poll_fn(|cx| stall.poll(cx, &self.traffic)) => return Ended::Silent,
                () = sleep_until(close_at.unwrap_or_else(Instant::now)), if close_at.is_some() => {
                    return leaving.unwrap_or(Ended::Shutdown);
                }
                () = self.closing.cancelled(), if close_at.is_none() => {
                    close_at = Some(Instant::now() + CLOSE_TIME);
                    None
                }
                () = self.shared.stages.draining.cancelled(), if !is_leaving => Some(Ended::Shutdown),
                () = self.handle.evicted().cancelled(), if !is_leaving => {
                    self.closing.cancel();
                    Some(Ended::Evicted)
                }
                () = &mut certificate_ended, if !is_leaving => Some(Ended::Certificate),
                _ = ticks.tick() => {
                    // A request becomes a watch after its start.
                    let is_idle = self.gate.update_activity();
                    if !is_idle {
                        idle_since = Instant::now();
                    }
                    let is_over = idle_since.elapsed() >= config.connection_idle_timeout;
                    (is_over && !is_leaving).then_some(Ended::Idle)
                }
            };
            if let Some(reason) = leave {
                leaving = Some(reason);
                connection.as_mut().finish();
            }
        }
    }
}
