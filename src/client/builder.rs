//! The settings of a client: TLS, credentials and headers.

use std::fmt;
#[cfg(feature = "tls")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tonic::transport::{Channel, Endpoint};

use super::connector::Connector;
#[cfg(feature = "tls")]
use super::identity::{Identity, IdentitySource};
#[cfg(feature = "tls")]
use super::tls::Tls;
use super::token::TokenSource;
use super::transport::{CallSettings, Transport, checked_header};
use super::url::ServerUrl;
use super::{Client, ClientError};

/// The interval of HTTP/2 pings during a call, and the timeout for their answers. A call over a dead connection fails
/// instead of waiting forever.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(15);

/// The settings of a [`Client`], from [`Client::builder`].
///
/// ```no_run
/// use waywiser::client::{Client, TokenSource};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder("https://paths.example.org")
///     .token(TokenSource::file("/run/secrets/waywiser-token"))
///     .header("x-request-source", "importer")
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone)]
pub struct ClientBuilder {
    pub(super) url: String,
    headers: Vec<(String, String)>,
    token: Option<TokenSource>,
    allows_plaintext_token: bool,
    #[cfg(feature = "tls")]
    ca_pem: Vec<Vec<u8>>,
    #[cfg(feature = "tls")]
    identity: Option<IdentitySource>,
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL may have a password, and the values of headers may be secrets.
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("ClientBuilder")
            .field("headers", &names)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// The parts of a client.
pub(super) struct Parts {
    pub(super) endpoint: Endpoint,
    pub(super) connector: Connector,
    pub(super) settings: Arc<CallSettings>,
}

impl Client {
    /// Returns the settings of a client of the server at `url`, such as `https://paths.example.org` or
    /// `http://127.0.0.1:50051`. Without a port, the port is 443 for https and 50051 for http.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            url: url.into(),
            headers: Vec::new(),
            token: None,
            allows_plaintext_token: false,
            #[cfg(feature = "tls")]
            ca_pem: Vec::new(),
            #[cfg(feature = "tls")]
            identity: None,
        }
    }
}

impl ClientBuilder {
    /// Trusts the CA certificates of a PEM text, and no longer those of the system. May be called several times.
    #[cfg(feature = "tls")]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem.push(pem.into());
        self
    }

    /// Authenticates the client with a certificate chain and its private key, both in PEM.
    #[cfg(feature = "tls")]
    pub fn client_identity_pem(
        mut self,
        certificates_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Self {
        let (certificates_pem, key_pem) = (certificates_pem.into(), key_pem.into());
        self.identity = Some(IdentitySource::Pem(Identity { certificates_pem, key_pem }));
        self
    }

    /// Authenticates the client with a certificate chain and its private key in PEM files, which are read again for each
    /// connection. If they cannot be used then, such as while they are replaced, the previous content is.
    #[cfg(feature = "tls")]
    pub fn client_identity_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let (certificates, key) = (certificates.into(), key.into());
        self.identity = Some(IdentitySource::Files { certificates, key });
        self
    }

    /// Sends the current token of this source with each call. Over http, only to this machine.
    pub fn token(self, token: TokenSource) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Sends the token over http to other machines too. Every machine on the way can read and use it.
    pub fn allow_plaintext_token(self) -> Self {
        Self { allows_plaintext_token: true, ..self }
    }

    /// Sends a header with each call. The value of a name that ends in `-bin` is base64.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Returns the source of the token.
    #[cfg(feature = "cli")]
    pub(crate) fn token_source(&self) -> Option<TokenSource> {
        self.token.clone()
    }

    /// Connects to the server.
    ///
    /// # Errors
    /// A setting is not valid, or the connection cannot be opened.
    pub async fn connect(self) -> Result<Client, ClientError> {
        let parts = self.build()?;
        let channel = parts.connect(&parts.endpoint).await?;
        Ok(parts.client(channel))
    }

    /// Returns a client that connects at its first call. That call fails if no server answers. Must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// A setting is not valid.
    pub fn connect_lazy(self) -> Result<Client, ClientError> {
        let parts = self.build()?;
        let channel = parts.endpoint.connect_with_connector_lazy(parts.connector.clone());
        Ok(parts.client(channel))
    }

    /// Checks the settings.
    pub(super) fn build(self) -> Result<Parts, ClientError> {
        let url = ServerUrl::parse(&self.url)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let (parsed, value) = checked_header(name, value)
                .map_err(|reason| ClientError::Header { name: name.clone(), reason })?;
            headers.append(parsed, value);
        }
        if let Some(token) = &self.token {
            token.check()?;
        }
        let is_guarded = self.token.is_some() && !url.is_https() && !self.allows_plaintext_token;
        if is_guarded && !url.is_loopback() {
            return Err(ClientError::PlaintextToken { url: self.url });
        }
        let connector = self.secure(&url, Connector::new(is_guarded))?;
        let invalid = || ClientError::Url { url: url.as_str().to_owned() };
        // The connector adds TLS itself, so that the channel connects to a URI without it.
        let endpoint = Endpoint::from_shared(format!("http://{}", url.address()));
        let endpoint = endpoint.map_err(|_| invalid())?.origin(url.origin().ok_or_else(invalid)?);
        let endpoint = endpoint
            .user_agent(concat!("waywiser/", env!("CARGO_PKG_VERSION")))
            .map_err(|_| invalid())?
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        let settings = CallSettings {
            url: url.as_str().into(),
            headers,
            token: self.token,
            last_fault: connector.last_fault.clone(),
        };
        Ok(Parts { endpoint, connector, settings: Arc::new(settings) })
    }

    #[cfg(feature = "tls")]
    fn secure(&self, url: &ServerUrl, connector: Connector) -> Result<Connector, ClientError> {
        if !url.is_https() {
            return match self.identity {
                Some(_) => Err(ClientError::Tls("a client certificate needs https://".to_owned())),
                None => Ok(connector),
            };
        }
        let tls = Tls::new(url.host(), &self.ca_pem, self.identity.clone());
        Ok(connector.with_tls(tls.map_err(ClientError::Tls)?))
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&self, url: &ServerUrl, connector: Connector) -> Result<Connector, ClientError> {
        match url.is_https() {
            true => Err(ClientError::Tls("this program is built without TLS".to_owned())),
            false => Ok(connector),
        }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Parts {
    /// Opens a connection with the settings of `endpoint`.
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, ClientError> {
        let connected = endpoint.connect_with_connector(self.connector.clone()).await;
        connected.map_err(|source| {
            let url = self.settings.url.to_string();
            match self.settings.last_fault.get() {
                Some(source) => ClientError::Connection { url, source: source.into() },
                None => ClientError::Connect { url, source },
            }
        })
    }

    fn client(self, channel: Channel) -> Client {
        let transport = Transport::new(channel, Arc::clone(&self.settings));
        Client { transport, parts: Arc::new(self) }
    }
}
