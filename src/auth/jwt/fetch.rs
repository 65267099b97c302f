//! Fetches a key set from a URL. The time and the size of an answer are limited.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::key_set::KEY_SET_BYTES_MAX;
use super::source::KeySetUrl;

/// Maximum time until the whole answer has arrived.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches the key set of one URL.
pub(super) struct Fetcher {
    url: KeySetUrl,
    client: FetchClient,
}

enum FetchClient {
    Https(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>),
    /// For URLs of this machine.
    Http(Client<HttpConnector, Empty<Bytes>>),
}

impl Fetcher {
    /// Returns a fetcher that trusts the certificates that the system trusts.
    ///
    /// # Errors
    /// If the URL needs them, and the system has none.
    pub(super) fn new(url: KeySetUrl) -> Result<Self, String> {
        let mut builder = Client::builder(TokioExecutor::new());
        // There are minutes between two requests.
        builder.pool_max_idle_per_host(0);
        let client = match url.is_https() {
            true => {
                let connector = HttpsConnectorBuilder::new()
                    .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
                    .map_err(|error| {
                        format!("the certificates that the system trusts cannot be read: {error}")
                    })?;
                FetchClient::Https(builder.build(connector.https_only().enable_http1().build()))
            }
            false => FetchClient::Http(builder.build(HttpConnector::new())),
        };
        Ok(Self { url, client })
    }

    /// Returns the URL.
    pub(super) fn url(&self) -> &KeySetUrl {
        &self.url
    }

    /// Fetches the set.
    ///
    /// # Errors
    /// The reason why there is no set.
    pub(super) async fn fetch(&self) -> Result<String, String> {
        match tokio::time::timeout(TIMEOUT, self.answer()).await {
            Ok(result) => result,
            Err(_) => Err(format!("no complete answer within {} s", TIMEOUT.as_secs())),
        }
    }

    async fn answer(&self) -> Result<String, String> {
        let request = Request::get(self.url.uri())
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .header(header::USER_AGENT, concat!("waywiser/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| with_causes(&error))?;
        let response = match &self.client {
            FetchClient::Https(client) => client.request(request).await,
            FetchClient::Http(client) => client.request(request).await,
        };
        let response = response.map_err(|error| with_causes(&error))?;
        match response.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => {
                return Err(format!("the answer is a redirection ({status}); use the final URL"));
            }
            status => return Err(format!("the answer is HTTP status {status}")),
        }
        let body = Limited::new(response.into_body(), KEY_SET_BYTES_MAX as usize);
        let body = body.collect().await.map_err(|error| match error.is::<LengthLimitError>() {
            true => {
                format!("the answer is larger than the limit of {} KiB", KEY_SET_BYTES_MAX >> 10)
            }
            false => with_causes(&*error),
        });
        let body = body?.to_bytes();
        String::from_utf8(body.into()).map_err(|_| "the answer is not UTF-8".to_owned())
    }
}

/// Returns the message of an error with its causes. The errors of hyper name only the step that failed.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
