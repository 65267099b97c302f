//! The address of a server: its scheme, host and port. The module opens no connection.

use std::net::IpAddr;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use super::ClientError;

/// The port of a server over plaintext if the URL has none. It is the port that `waywiser serve` uses by default.
const HTTP_PORT: u16 = 50051;
/// The port of a server over TLS if the URL has none.
const HTTPS_PORT: u16 = 443;

/// The URL of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    /// The URL as the caller wrote it.
    text: String,
    is_https: bool,
    /// The host and the port, as calls name it.
    authority: Authority,
    host: String,
    port: u16,
}

impl ServerUrl {
    /// Parses a URL. Without a scheme it is http.
    ///
    /// # Errors
    /// [`ClientError::Url`] if the URL has another scheme, no host, or a path, which a gRPC channel would ignore.
    /// [`ClientError::UrlSecret`] if it has a user name or a password.
    pub(crate) fn parse(text: &str) -> Result<Self, ClientError> {
        if text.contains('@') {
            return Err(ClientError::UrlSecret);
        }
        Self::parse_parts(text).ok_or_else(|| ClientError::Url { url: text.to_owned() })
    }

    fn parse_parts(text: &str) -> Option<Self> {
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let parts = full.parse::<Uri>().ok()?.into_parts();
        let is_https = match parts.scheme?.as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let path = parts.path_and_query.unwrap_or(PathAndQuery::from_static("/"));
        if !matches!(path.as_str(), "" | "/") {
            return None;
        }
        let authority = parts.authority?;
        let host = authority.host().to_owned();
        let has_port = authority.as_str().len() > host.len();
        if host.is_empty() || (has_port && authority.port_u16().is_none()) {
            return None;
        }
        let port = match (authority.port_u16(), is_https) {
            (Some(0), _) => return None,
            (Some(port), _) => port,
            (None, true) => HTTPS_PORT,
            (None, false) => HTTP_PORT,
        };
        // Calls name the port if it is not that of the scheme in HTTP.
        let authority = match has_port || is_https {
            true => authority,
            false => format!("{host}:{port}").parse().ok()?,
        };
        Some(Self { text: text.to_owned(), is_https, authority, host, port })
    }

    /// Returns the URL as the caller wrote it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    /// Returns the host and the port to connect to.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Returns the host, of which an IPv6 address has no brackets.
    pub(crate) fn host(&self) -> &str {
        let host = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        host.unwrap_or(&self.host)
    }

    /// Returns the URI that calls name.
    pub(super) fn origin(&self) -> Option<Uri> {
        let scheme = if self.is_https { Scheme::HTTPS } else { Scheme::HTTP };
        let uri = Uri::builder().scheme(scheme).authority(self.authority.clone());
        uri.path_and_query("/").build().ok()
    }

    /// Returns whether the host is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let name = self.host().trim_end_matches('.').to_ascii_lowercase();
        match self.host().parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_no_path() {
        for good in ["http://127.0.0.1:50051", "127.0.0.1:50051", "http://[::1]:50051/", "host"] {
            assert!(ServerUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "ftp://a",
            "http://a:1/b",
            "http://a:1/b/",
            "a:1?b",
            "http://",
            "",
            "a b",
            "a:",
            "a:0",
            "http://a:x",
            "a:65536",
            "https://",
            "http://:1",
        ] {
            assert!(matches!(ServerUrl::parse(bad), Err(ClientError::Url { .. })), "{bad}");
        }
    }

    #[test]
    fn the_error_of_a_url_with_a_password_does_not_show_it() {
        for url in ["http://user:secret@host", "secret@host:1", "https://a/@secret"] {
            let error = ServerUrl::parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_url_without_a_port_has_that_of_its_scheme() {
        for (url, address, origin) in [
            ("localhost", "localhost:50051", "http://localhost:50051/"),
            ("http://[::1]/", "[::1]:50051", "http://[::1]:50051/"),
            ("http://a:80", "a:80", "http://a:80/"),
            ("https://a", "a:443", "https://a/"),
            ("HTTPS://a:8443", "a:8443", "https://a:8443/"),
        ] {
            let parsed = ServerUrl::parse(url).unwrap();
            assert_eq!(parsed.address(), address, "{url}");
            assert_eq!(parsed.origin().unwrap().to_string(), origin, "{url}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for url in ["localhost", "https://LOCALHOST.", "127.8.0.1", "[::1]:5", "[::ffff:127.0.0.1]"]
        {
            assert!(ServerUrl::parse(url).unwrap().is_loopback(), "{url}");
        }
        for url in ["localhost.example.org", "128.0.0.1", "[::2]", "0.0.0.0", "example.org"] {
            assert!(!ServerUrl::parse(url).unwrap().is_loopback(), "{url}");
        }
    }
}
