//! The channel of calls: adds the headers and the token of the client to each call, and explains the errors of
//! connections.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use tonic::body::Body;
use tonic::transport::Channel;
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
        match self.last_fault.get() {
            Some(fault) => CallError::Fault { url: Arc::clone(&self.url), fault },
            None => CallError::Transport(error),
        }
    }
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
            channel.call(request).await.map_err(|error| settings.explain(error))
        })
    }
}

/// Checks a header that a caller adds to all calls.
///
/// # Errors
/// Returns the reason as text, which does not contain the value.
pub(super) fn checked_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
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
