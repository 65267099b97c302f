//! The channel of calls: adds the headers and the token of the client to each call, and explains the errors of
//! connections.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower_service::Service;

use super::checked_stream::LastFault;
use super::fault::ConnectionFault;
use super::token::{TokenError, TokenSource};

/// What every call of a client has.
#[derive(Clone, Default)]
pub(crate) struct CallSettings {
    pub(super) url: Arc<str>,
    pub(super) headers: HeaderMap,
    pub(super) token: Option<TokenSource>,
    pub(super) last_fault: LastFault,
}

impl CallSettings {
    /// Adds the headers and the current token to those of a call.
    ///
    /// # Errors
    /// The source of tokens has no valid token.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) -> Result<(), TokenError> {
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, token.header()?);
        }
        Ok(())
    }

    /// Explains an error of the transport by the fault of the latest connection.
    fn explain(&self, error: tonic::transport::Error) -> CallError {
        // A server with TLS may answer a client without it in HTTP/2.
        let needs_tls = is_insecure(&error).then_some(ConnectionFault::NeedsTls);
        match self.last_fault.get().or(needs_tls) {
            Some(fault) => CallError::Fault { url: Arc::clone(&self.url), fault },
            None => CallError::Transport(error),
        }
    }
}

/// Returns whether the server has closed the connection because it is not secure.
fn is_insecure(error: &(dyn Error + 'static)) -> bool {
    let mut source = Some(error);
    while let Some(error) = source {
        let reason = error.downcast_ref::<h2::Error>().and_then(h2::Error::reason);
        if reason == Some(h2::Reason::INADEQUATE_SECURITY) {
            return true;
        }
        source = error.source();
    }
    false
}

impl fmt::Debug for CallSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values of headers may be secrets.
        let names: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("CallSettings")
            .field("url", &self.url)
            .field("headers", &names)
            .field("token", &self.token)
            .finish()
    }
}

/// The error of a call that has no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error(transparent)]
    Transport(tonic::transport::Error),
    #[error("{fault}")]
    Fault { url: Arc<str>, fault: ConnectionFault },
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// A channel whose calls have the settings of the client.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    channel: Channel,
    settings: Arc<CallSettings>,
}

impl Transport {
    pub(super) fn new(channel: Channel, settings: Arc<CallSettings>) -> Self {
        Self { channel, settings }
    }

    #[cfg(test)]
    pub(super) fn settings(&self) -> &Arc<CallSettings> {
        &self.settings
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Response<Body>, CallError>>;

    /// A generated client reports an error of this method without its source. [`Transport::call`] therefore waits for
    /// the channel.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let (mut channel, settings) = (self.channel.clone(), Arc::clone(&self.settings));
        Box::pin(async move {
            settings.add_to(request.headers_mut())?;
            let ready = poll_fn(|cx| channel.poll_ready(cx)).await;
            ready.map_err(|error| settings.explain(error))?;
            let response = channel.call(request).await;
            let response = response.map_err(|error| settings.explain(error))?;
            let Some(status) = page(response.status(), response.headers()) else {
                return Ok(response);
            };
            match code_of_proxy(status) {
                Some(code) => Ok(refusal(code, status)),
                None => {
                    let fault = ConnectionFault::NotGrpc(status.to_string());
                    Err(CallError::Fault { url: Arc::clone(&settings.url), fault })
                }
            }
        })
    }
}

/// Returns the HTTP status of a response that is not that of a gRPC server, such as a page.
fn page(status: StatusCode, headers: &HeaderMap) -> Option<StatusCode> {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_grpc = match content_type {
        Some(content_type) => content_type.starts_with(b"application/grpc"),
        None => status == StatusCode::OK || headers.contains_key("grpc-status"),
    };
    (!is_grpc).then_some(status)
}

/// Returns the gRPC code of the answer of a proxy whose server is not available or that refuses the call, as the
/// specification of gRPC over HTTP/2 defines it.
fn code_of_proxy(status: StatusCode) -> Option<Code> {
    match status {
        StatusCode::UNAUTHORIZED => Some(Code::Unauthenticated),
        StatusCode::FORBIDDEN => Some(Code::PermissionDenied),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Some(Code::Unavailable),
        _ => None,
    }
}

/// Returns a response with a gRPC status in place of the page of a proxy.
fn refusal(code: Code, status: StatusCode) -> Response<Body> {
    Status::new(code, format!("a proxy answered with HTTP status {status}")).into_http()
}

/// Checks a header that a caller adds to all calls.
///
/// # Errors
/// Returns the reason as text, which does not contain the value.
pub(crate) fn checked_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    /// Headers that the transport or gRPC sets.
    const RESERVED: [&str; 12] = [
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    let parsed = HeaderName::try_from(name).map_err(|_| "it is not a valid name".to_owned())?;
    match parsed.as_str() {
        "authorization" => Err("set the token as a token, which is not shown".to_owned()),
        name if RESERVED.contains(&name) || name.starts_with("grpc-") => {
            Err("gRPC sets this header itself".to_owned())
        }
        _ if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
            Err("its value has characters other than those of ASCII text".to_owned())
        }
        _ => match HeaderValue::from_str(value.trim()) {
            Ok(value) => Ok((parsed, value)),
            Err(_) => Err("its value cannot be sent".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_not_a_reply() {
        let page_of = |status: u16, content_type: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(content_type) = content_type {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            page(StatusCode::from_u16(status).unwrap(), &headers)
        };
        for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;a=b"] {
            assert_eq!(page_of(200, Some(content_type)), None);
        }
        assert_eq!(page_of(200, None), None);
        for status in [200, 404, 405, 502] {
            let page = page_of(status, Some("text/html"));
            assert_eq!(page.map(|page| page.as_u16()), Some(status));
        }
        assert!(page_of(405, None).is_some());
    }

    #[test]
    fn the_page_of_a_proxy_has_the_code_of_its_status() {
        for (status, code) in [
            (401, Some(Code::Unauthenticated)),
            (403, Some(Code::PermissionDenied)),
            (429, Some(Code::Unavailable)),
            (502, Some(Code::Unavailable)),
            (503, Some(Code::Unavailable)),
            (504, Some(Code::Unavailable)),
            (200, None),
            (404, None),
            (500, None),
        ] {
            assert_eq!(code_of_proxy(StatusCode::from_u16(status).unwrap()), code, "{status}");
        }
        let response = refusal(Code::Unavailable, StatusCode::BAD_GATEWAY);
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::Unavailable);
        insta::assert_snapshot!(status.message(), @"a proxy answered with HTTP status 502 Bad Gateway");
    }

    #[test]
    fn headers_of_the_transport_are_refused() {
        for (name, value) in [("x-api-key", "a b"), ("X-Tenant", ""), ("traceparent", "00-1")] {
            let (parsed, _) = checked_header(name, value).unwrap();
            assert_eq!(parsed.as_str(), name.to_lowercase());
        }
        for (name, value, reason) in [
            ("Authorization", "Bearer x", "as a token"),
            ("grpc-timeout", "1S", "gRPC sets"),
            ("TE", "trailers", "gRPC sets"),
            ("", "x", "not a valid name"),
            ("a b", "x", "not a valid name"),
            (":path", "x", "not a valid name"),
            ("x", "a\r\nb: c", "ASCII"),
            ("x", "é", "ASCII"),
        ] {
            let error = checked_header(name, value).unwrap_err();
            assert!(error.contains(reason), "{name}: {error}");
        }
    }

    #[test]
    fn debug_output_has_no_values_of_headers() {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_static("secret"));
        let token = Some(TokenSource::value("secret"));
        let settings = CallSettings { headers, token, ..CallSettings::default() };
        let text = format!("{settings:?}");
        assert!(text.contains("x-api-key") && !text.contains("secret"), "{text}");
    }
}
