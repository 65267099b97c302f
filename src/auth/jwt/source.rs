//! The place of a key set: a file, or a URL that is fetched.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

/// The place of a key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// A URL.
    Url(KeySetUrl),
}

/// The URL of a key set: `https`, or `http` and a loopback address.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySetUrl(Uri);

impl KeySetUrl {
    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }

    /// Returns whether the connection is encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }
}

/// Without the query, which may contain a secret.
impl fmt::Display for KeySetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let host = self.0.authority().map(|authority| authority.as_str()).unwrap_or_default();
        write!(f, "{scheme}://{host}{}", self.0.path())
    }
}

/// Without the query, as in messages.
impl fmt::Debug for KeySetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySetUrl({self})")
    }
}

impl FromStr for KeySource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const USER: &str = "must not contain a user name or a password";
        if !text.contains("://") {
            // Messages name the file, and a URL without its scheme would be one.
            let has_user = text
                .split_once('@')
                .is_some_and(|(user, _)| user.contains(':') && !user.contains(['/', '\\']));
            return match text {
                "" => Err("must be the path of a file or a URL".to_owned()),
                _ if has_user => Err(USER.to_owned()),
                path => Ok(Self::File(path.into())),
            };
        }
        let uri: Uri = text.parse().map_err(|error| format!("is not a valid URL: {error}"))?;
        let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        if authority.contains('@') {
            return Err(USER.to_owned());
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self::Url(KeySetUrl(uri))),
            Some("http") if is_loopback(uri.host().unwrap_or_default()) => {
                Ok(Self::Url(KeySetUrl(uri)))
            }
            Some("http") => Err(
                "must begin with https://, because the answer decides which tokens are valid; http:// is for the addresses 127.0.0.1 and [::1] only, because a name such as localhost may have another address".to_owned()
            ),
            _ => Err("must be a file or begin with https://".to_owned()),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_encrypted_or_local_and_anything_else_is_a_file() {
        for url in ["https://a.b/jwks?x=1", "http://127.0.0.1:9/k", "http://[::1]:9/"] {
            assert!(matches!(url.parse(), Ok(KeySource::Url(_))), "{url}");
        }
        for path in ["keys.json", "a@b", "/a:b/c@d", r"C:\a@b"] {
            assert_eq!(path.parse(), Ok(KeySource::File(path.into())));
        }
        for bad in [
            "",
            "http://a.b/",
            "http://localhost/",
            "http://localhost.evil/",
            "http://127.0.0.1.evil/",
            "http://[::ffff:7f00:1]/",
            "http://0.0.0.0/",
            "ftp://a/",
            "file:///k",
            "https://u:p@a/",
            "u:p@a/",
            "https://",
        ] {
            assert!(bad.parse::<KeySource>().is_err(), "{bad}");
        }
        let Ok(KeySource::Url(url)) = "https://a.b:1/jwks?secret=1".parse() else { panic!() };
        assert_eq!(url.to_string(), "https://a.b:1/jwks");
        assert_eq!(format!("{:?}", KeySource::Url(url)), "Url(KeySetUrl(https://a.b:1/jwks))");
    }
}
