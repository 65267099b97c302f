//! The pages of the listener for operators.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use super::format::Format;
use super::readiness::Readiness;
use super::registry::Metrics;

const INDEX: &str = "\
Pages of this listener:
  /metrics  metrics for Prometheus, or OpenMetrics if the header Accept asks for it
  /healthz  200 while the process is alive
  /readyz   200 while the server accepts calls, callers can authenticate and the store answers, otherwise 503 and
            the reason
";

const TEXT: &str = "text/plain; charset=utf-8";

/// The state that the pages show.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Arc<Readiness>,
}

impl Pages {
    /// Answers a request. The HTTP library leaves out the body of the answer to a HEAD request.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if !["/", "/metrics", "/healthz", "/readyz"].contains(&path) {
            let text = format!("there is no such page\n\n{INDEX}");
            return response(StatusCode::NOT_FOUND, TEXT, text);
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let text = "use the method GET or HEAD for this page\n".to_owned();
            let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
            refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        match path {
            "/metrics" => {
                let accept = request.headers().get_all(header::ACCEPT).iter();
                let accept: Vec<_> = accept.filter_map(|value| value.to_str().ok()).collect();
                let format = Format::accepted(&accept.join(","));
                // Reads files of /proc, and lists as many file descriptors as there are connections.
                let metrics = Arc::clone(&self.metrics);
                let text = tokio::task::spawn_blocking(move || metrics.encode(format)).await;
                match text {
                    Ok(text) => response(StatusCode::OK, format.content_type(), text),
                    Err(_) => {
                        let text = "the metrics cannot be collected\n".to_owned();
                        response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, text)
                    }
                }
            }
            "/healthz" => response(StatusCode::OK, TEXT, "alive\n".to_owned()),
            "/readyz" => match self.readiness.check().await {
                Ok(()) => {
                    let note = self.readiness.note().map(|note| format!("but {note}\n"));
                    let text = format!("ready\n{}", note.unwrap_or_default());
                    response(StatusCode::OK, TEXT, text)
                }
                Err(reason) => {
                    let text = format!("not ready: {reason}\n");
                    response(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
                }
            },
            _ => response(StatusCode::OK, TEXT, INDEX.to_owned()),
        }
    }
}

fn response(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
