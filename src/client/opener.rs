//! Opens HTTP/2 connections and creates requests with the settings of a client, for callers that use h2 directly.

use std::error::Error;
use std::fmt;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri, header};

use super::builder::{ClientBuilder, Parts};
use super::checked_stream::CheckedStream;
use super::connector::Stream;
use super::{ClientError, ServerUrl};

/// Opens connections to one server. Performs no calls.
pub(crate) struct Opener {
    url: ServerUrl,
    parts: Parts,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("url", &self.url).finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Returns the opener of connections with these settings.
    ///
    /// # Errors
    /// A setting is not valid.
    pub(crate) fn opener(self) -> Result<Opener, ClientError> {
        let url = ServerUrl::parse(&self.url)?;
        Ok(Opener { url, parts: self.build()? })
    }
}

impl Opener {
    /// Returns the URL of the server.
    pub(crate) fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// Opens a connection. Over TLS, the handshake is complete.
    ///
    /// # Errors
    /// Returns the reason as text.
    pub(crate) async fn open(&self) -> Result<CheckedStream<Stream>, String> {
        let connector = self.parts.connector.clone();
        let opened = connector.open(self.parts.endpoint.uri().clone()).await;
        opened.map_err(|error| match self.fault() {
            Some(fault) => fault,
            None => {
                format!("{}; is a server running there?", root_cause(&*error))
            }
        })
    }

    /// Returns why the latest connection cannot be used, if the bytes of the server show it.
    pub(crate) fn fault(&self) -> Option<String> {
        self.parts.settings.last_fault.get().map(|fault| fault.to_string())
    }

    /// Returns a request of the gRPC method at `path`, with the headers and the token of the client.
    ///
    /// # Errors
    /// Returns the reason as text if the source of tokens has no valid token.
    pub(crate) fn request(&self, path: &str) -> Result<Request<()>, String> {
        let uri = || {
            let mut uri = self.url.origin()?.into_parts();
            uri.path_and_query = Some(path.parse::<PathAndQuery>().ok()?);
            Uri::from_parts(uri).ok()
        };
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri().ok_or_else(|| format!("{path} is not the path of a method"))?;
        let headers = request.headers_mut();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        self.parts.settings.add_to(headers).map_err(|error| error.to_string())?;
        Ok(request)
    }
}

/// Returns the last error of a chain, which has the reason of the operating system.
fn root_cause<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
