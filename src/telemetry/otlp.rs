//! Traces of calls, sent to an OpenTelemetry collector by gRPC (OTLP).
//!
//! Each call is one span. It continues the trace of its client if the client sends the header `traceparent` of W3C
//! Trace Context and is trusted with it: the header decides whether the span is sent. The span of another client has a
//! link to its trace. Spans wait in a bounded queue for a thread that sends them. When the queue is full, spans are lost,
//! but no call waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    Link, Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData,
    SpanExporter as Export,
};
use tonic::Code;
use tonic::transport::{ClientTlsConfig, Endpoint};

use crate::server::{CallInfo, CallKind, CallObserver, CallReport};

/// Maximum number of spans that wait to be sent: about 2 MB.
const QUEUE_MAX: usize = 4_096;
/// Time for the collector to accept a batch.
const EXPORT_TIME: Duration = Duration::from_secs(5);
/// Time for the last spans to be sent at the end of the program.
const SHUTDOWN_TIME: Duration = Duration::from_secs(2);
/// The time between two log lines about spans that could not be sent.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// The clients whose `traceparent` decides whether a span is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrustedParents {
    /// None.
    None,
    /// Those that have authenticated.
    Authenticated,
    /// All.
    All,
}

/// Sends the spans of calls. Add its observer to a server.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    counts: Arc<Counts>,
}

/// The spans that were sent, and those that the collector did not accept.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    sent: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }
}

/// Checks the URL of a collector.
///
/// # Errors
/// If the URL is not valid. The message says what to do.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    endpoint(url).map(drop)
}

fn endpoint(url: &str) -> Result<Endpoint, String> {
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| invalid(url, &error))?;
    match endpoint.uri().scheme_str() {
        Some("http") => Ok(endpoint),
        Some("https") => {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint.tls_config(tls).map_err(|error| invalid(url, &error))
        }
        _ => Err(invalid(url, &"the scheme must be http or https")),
    }
}

fn invalid(url: &str, error: &dyn std::fmt::Display) -> String {
    format!(
        "{url:?} is not the URL of an OTLP collector ({error}); use a URL such as http://127.0.0.1:4317"
    )
}

impl Traces {
    /// Starts to send spans to the collector at this URL. Connects when the first spans are sent. Of the traces that
    /// begin here, `ratio` are sent; a trusted client decides for its own traces. Call it within a tokio runtime.
    ///
    /// # Errors
    /// If the URL is not valid. The message says what to do.
    pub(crate) fn start(url: &str, ratio: f64) -> Result<Self, String> {
        let endpoint = endpoint(url)?;
        let channel = endpoint.timeout(EXPORT_TIME).connect_timeout(EXPORT_TIME).connect_lazy();
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_channel(channel)
            .with_timeout(EXPORT_TIME)
            .build()
            .map_err(|error| invalid(url, &error))?;
        let counts = Arc::new(Counts::default());
        let exporter =
            Counted { exporter, counts: Arc::clone(&counts), failure: Failure::default() };
        let config = BatchConfigBuilder::default().with_max_queue_size(QUEUE_MAX).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        let mut resource = Resource::builder()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        if std::env::var_os("OTEL_SERVICE_NAME").is_none_or(|name| name.is_empty()) {
            resource = resource.with_service_name("waywiser");
        }
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_resource(resource.build())
            .build();
        Ok(Self { provider, counts })
    }

    /// Returns the observer that makes the spans.
    pub(crate) fn observer(&self, trusted: TrustedParents) -> Arc<dyn CallObserver> {
        Arc::new(CallTracer {
            trusted,
            tracer: self.provider.tracer("waywiser"),
            propagator: TraceContextPropagator::new(),
        })
    }

    /// Returns the counts of spans, for metrics.
    pub(crate) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Sends the spans that wait. Blocks for at most two seconds, while the runtime must still run.
    pub(crate) fn shutdown(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(SHUTDOWN_TIME) {
            tracing::warn!(%error, "some traces were not sent");
        }
    }
}

/// Makes a span of each call when the call ends.
#[derive(Debug)]
struct CallTracer {
    trusted: TrustedParents,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
}

/// The headers of a call that name its trace.
struct Headers<'a>(&'a str);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

impl CallObserver for CallTracer {
    fn call_ended(&self, report: &CallReport<'_>) {
        let CallReport { call, code, .. } = *report;
        let parent = match call.traceparent {
            Some(header) => self.propagator.extract_with_context(&Context::new(), &Headers(header)),
            None => Context::new(),
        };
        let end = SystemTime::now();
        let start = end.checked_sub(report.duration).unwrap_or(end);
        let path = call.method.trim_start_matches('/');
        // A client chooses the path of an unknown method, and names of spans must be few.
        let name = if call.kind == CallKind::Unknown { "unknown method" } else { path };
        let is_trusted = match self.trusted {
            TrustedParents::None => false,
            TrustedParents::Authenticated => call.principal.is_some(),
            TrustedParents::All => true,
        };
        let client = parent.span().span_context().clone();
        let (parent, links) = match is_trusted || !client.is_valid() {
            true => (parent, Vec::new()),
            false => (Context::new(), vec![Link::with_context(client)]),
        };
        let builder = self
            .tracer
            .span_builder(name.to_owned())
            .with_kind(SpanKind::Server)
            .with_start_time(start)
            .with_links(links);
        let mut span = builder.start_with_context(&self.tracer, &parent);
        if span.is_recording() {
            span.set_attributes(attributes(&call, path, report));
            if is_fault(code) {
                span.set_attribute(KeyValue::new("error.type", (code as i64).to_string()));
                span.set_status(Status::error(report.message.to_owned()));
            }
        }
        span.end_with_timestamp(end);
    }
}

/// Returns the attributes of a call, by the semantic conventions for RPC.
fn attributes(call: &CallInfo<'_>, path: &str, report: &CallReport<'_>) -> Vec<KeyValue> {
    let (service, method) = path.rsplit_once('/').unwrap_or((path, ""));
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    vec![
        KeyValue::new("rpc.system", "grpc"),
        KeyValue::new("rpc.service", service.to_owned()),
        KeyValue::new("rpc.method", method.to_owned()),
        KeyValue::new("rpc.grpc.status_code", report.code as i64),
        KeyValue::new("network.peer.address", call.peer.ip().to_string()),
        KeyValue::new("network.peer.port", i64::from(call.peer.port())),
        KeyValue::new("waywiser.points", number(report.points)),
        KeyValue::new("waywiser.request.bytes", number(report.bytes)),
    ]
}

/// Returns whether a code means that the server has failed, by the semantic conventions for gRPC.
fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// An exporter that counts spans and logs failures, at most one line per minute.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    counts: Arc<Counts>,
    failure: Failure,
}

/// The last failure that was logged.
#[derive(Debug, Default)]
struct Failure(std::sync::Mutex<Option<Instant>>);

impl Failure {
    /// Returns whether a failure must be logged now.
    fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= LOG_PAUSE);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

impl<E: Export> Export for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.exporter.export(batch).await;
        match &result {
            Ok(()) => self.counts.sent.fetch_add(spans, Relaxed),
            Err(error) => {
                if self.failure.is_due() {
                    tracing::warn!(%error, spans, "traces could not be sent to the collector and are lost");
                }
                self.counts.failed.fetch_add(spans, Relaxed)
            }
        };
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
