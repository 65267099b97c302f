//! The token in the path of a request, for apps that can send no header.
//!
//! It has precedence over the header `authorization`: a proxy in front of the server, or an app that names its user, may send
//! one that is not for this server. Nothing else reads the path, so that the token is in no log line, metric or error.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::ingest;

/// Returns the headers of a request, with the token of its path as the only credentials if it has one.
pub(super) fn headers(path: &str, headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    if let Some(token) = token(path) {
        let bearer = token.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
        // A token has visible ASCII characters. Others become one that is not valid.
        let mut bearer = bearer.unwrap_or_else(|| HeaderValue::from_static("Bearer "));
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    headers
}

/// Returns the segment after `/ingest/{protocol}/` without its escapes, which a token with `/` needs. The inner value is `None`
/// if an escape is not valid.
fn token(path: &str) -> Option<Option<String>> {
    let (_, token) = path.strip_prefix("/ingest/")?.split_once('/')?;
    Some(ingest::unescape(token, b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_the_path_replaces_all_credentials() {
        let mut sent = HeaderMap::new();
        sent.append(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        sent.append(AUTHORIZATION, HeaderValue::from_static("Bearer other"));
        sent.insert("traceparent", HeaderValue::from_static("00"));
        let of = |path: &str| {
            let headers = headers(path, &sent);
            assert_eq!(headers["traceparent"], "00");
            let values: Vec<HeaderValue> = headers.get_all(AUTHORIZATION).iter().cloned().collect();
            values
        };
        assert_eq!(of("/ingest/overland/abc.d-e_f"), ["Bearer abc.d-e_f"]);
        assert!(of("/ingest/overland/abc")[0].is_sensitive());
        assert_eq!(of("/ingest/overland").len(), 2);
        // A segment that is no token is refused as one, and is not ignored.
        assert_eq!(of("/ingest/overland/a%20b"), ["Bearer a b"]);
        for segment in ["", "%", "%2", "a%zz", "%0A", "%ff", "a%00"] {
            let path = format!("/ingest/overland/{segment}");
            assert_eq!(of(&path), ["Bearer "], "{segment}");
        }
        // All characters of tokens.
        assert_eq!(of("/ingest/overland/a%2Bb%2fc%3D%7e"), ["Bearer a+b/c=~"]);
        assert_eq!(of("/ingest/overland/a+b~="), ["Bearer a+b~="]);
    }
}
