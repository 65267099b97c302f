//! Checks of every request before its handler, and the headers of every answer.
//!
//! Browsers send requests of other sites with the credentials of their user, and can be made to resolve the name of another
//! site to this machine (DNS rebinding). The first are recognized by `Sec-Fetch-Site` and `Origin`, the second by the name of
//! the host. No answer has CORS headers, so that other sites cannot read it.

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use tonic::Code;

use super::error::ApiError;
use crate::server::Gate;

/// Checks where a request comes from.
///
/// # Errors
/// If the host is not one of this machine although the listener is, or another site caused a request that may change
/// something.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), ApiError> {
    let host = host(request.uri(), request.headers())?;
    let gate = request.extensions().get::<Gate>();
    if gate.is_some_and(Gate::expects_local_host) && !is_local(host) {
        return Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            Code::FailedPrecondition,
            "HOST_FORBIDDEN",
            "this listener is for this machine only, and the host of the request is another one: use localhost or \
             127.0.0.1; behind a proxy, name it in --trust-forwarded-for",
        ));
    }
    let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    // OsmAnd sends fixes by GET.
    let is_safe = is_safe && !request.uri().path().starts_with("/ingest/");
    if is_safe {
        return Ok(());
    }
    let message = match cross_site(request.headers(), host) {
        Some(message) => message,
        None if is_unmarked_page(request, gate) => {
            "the browser does not send the header sec-fetch-site, so that a page of another site may have caused this \
             request; use an app or curl, or https"
                .to_owned()
        }
        None => return Ok(()),
    };
    Err(ApiError::new(StatusCode::FORBIDDEN, Code::PermissionDenied, "CROSS_SITE", message))
}

/// Returns the host of a request, with its port if there is one.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, ApiError> {
    let error = |message| {
        ApiError::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, "HOST_INVALID", message)
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    let of_header = hosts.next();
    if hosts.next().is_some() {
        return Err(error("the header host is repeated"));
    }
    let of_header = of_header.map(HeaderValue::to_str).transpose();
    let of_header = of_header.map_err(|_| error("the header host is not ASCII text"))?;
    let of_uri = uri.authority().map(http::uri::Authority::as_str);
    of_uri.or(of_header).ok_or_else(|| error("the request has no host"))
}

/// Returns whether a host with an optional port is this machine by its name.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    match name.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// Returns why a request seems to be one that a browser sent for a page of another site. Programs send neither header.
fn cross_site(headers: &HeaderMap, host: &str) -> Option<String> {
    if let Some(site) = headers.get("sec-fetch-site") {
        let is_own = site == "same-origin" || site == "none";
        return (!is_own).then(|| "a page of another site caused this request".to_owned());
    }
    let origin = headers.get(header::ORIGIN)?.to_str().unwrap_or_default();
    let of_origin = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let is_own = of_origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host));
    let excerpt = |text: &str| text.chars().take(100).collect::<String>();
    (!is_own).then(|| {
        format!(
            "the header origin ({}) is not the host of the request ({}): a page of another site caused it, or a proxy \
             replaces the header host; configure the proxy to pass it on",
            excerpt(origin),
            excerpt(host)
        )
    })
}

/// Returns whether a request that stores fixes by GET comes from a browser that does not say which page caused it. Browsers send
/// `Sec-Fetch-Site` only over https and to this machine, and no `Origin` for images and links. All of them begin their name
/// with `Mozilla/`, and the apps do not. Another page does not know the token that an address can have; a server without
/// authentication accepts any.
fn is_unmarked_page<B>(request: &Request<B>, gate: Option<&Gate>) -> bool {
    let headers = request.headers();
    let is_browser = headers
        .get(header::USER_AGENT)
        .is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"));
    let has_token = gate.is_some_and(Gate::requires_credentials)
        && request.uri().path().split('/').nth(3).is_some_and(|token| !token.is_empty());
    request.method() == Method::GET
        && is_browser
        && !has_token
        && !headers.contains_key("sec-fetch-site")
}

/// The headers of every answer that does not set them itself.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Adds the headers of every answer.
pub(super) fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in [
            "localhost",
            "LocalHost:8080",
            "a.localhost:1",
            "127.0.0.1",
            "127.9.9.9:80",
            "[::1]:80",
            "[::ffff:127.0.0.1]",
            "localhost.:80",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1:80",
            "[::2]",
            "",
            ":",
            "[",
            "evillocalhost",
            "127.0.0.1@evil.example",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn a_browser_reports_which_site_caused_a_request() {
        let cases: &[(&[(&str, &str)], bool)] = &[
            (&[], false),
            (&[("origin", "http://localhost:8080")], false),
            (&[("origin", "https://LOCALHOST:8080")], false),
            (&[("origin", "http://localhost:8081")], true),
            (&[("origin", "http://evil.example")], true),
            (&[("origin", "null")], true),
            (&[("origin", "localhost:8080")], true),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:8080")], true),
        ];
        for (headers, expected) in cases {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| {
                    (HeaderName::from_static(name), HeaderValue::from_static(value))
                })
                .collect();
            let error = cross_site(&headers, "localhost:8080");
            assert_eq!(error.is_some(), *expected, "{headers:?}");
        }
    }

    #[test]
    fn the_error_of_an_origin_names_it_and_the_host() {
        let mut headers = HeaderMap::new();
        headers.insert("origin", HeaderValue::from_static("http://paths.example.org"));
        insta::assert_snapshot!(
            cross_site(&headers, "10.0.0.7:8080").unwrap(),
            @"the header origin (http://paths.example.org) is not the host of the request (10.0.0.7:8080): a page of another site caused it, or a proxy replaces the header host; configure the proxy to pass it on"
        );
    }
}
