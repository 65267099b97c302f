//! Who may do what: tokens, namespaces, roles, quotas, and requests that other sites cause.

use std::sync::Arc;

use tokio_stream::iter;
use waywiser::auth::{Quota, Role};

use super::{Answer, Web};
use crate::isolation::transcript::piece;
use crate::support::callers::{Callers, caller, paths};

async fn web(configure: impl FnOnce(&mut waywiser::Config)) -> Web {
    let callers = Callers::new([
        caller("a", Some("alpha"), Role::Writer),
        caller("b", Some("beta"), Role::Writer),
        caller("reader", Some("alpha"), Role::Reader),
        caller("admin", Some("root"), Role::Admin),
    ]);
    Web::with(configure, |server| server.with_authenticator(Arc::new(callers))).await
}

async fn as_caller(web: &Web, name: &str, method: &str, path: &str) -> Answer {
    let bearer = format!("Bearer {name}");
    web.request(method, path, &[("authorization", &bearer)], b"").await
}

#[tokio::test]
async fn every_request_for_recordings_and_files_needs_a_token() {
    let web = web(|_| {}).await;
    for (method, path) in [
        ("GET", "/api/paths"),
        ("GET", "/api/paths/a"),
        ("DELETE", "/api/paths/a"),
        ("GET", "/api/paths/a/events"),
        ("POST", "/api/measure"),
        ("POST", "/api/measure?unknown"),
        ("POST", "/api/qr"),
    ] {
        let answer = web.request(method, path, &[], b"").await;
        assert_eq!(answer.error(), (401, "CREDENTIALS_MISSING".to_owned()), "{method} {path}");
        let schemes = answer.header("www-authenticate");
        assert_eq!(schemes, "Bearer realm=\"waywiser\", Basic realm=\"waywiser\"");
        for wrong in
            ["Bearer nobody", "Bearer ", "Basic bm9ib2R5Om5vYm9keQ==", "Basic %", "Digest a=b"]
        {
            let answer = web.request(method, path, &[("authorization", wrong)], b"").await;
            assert_eq!(answer.error(), (401, "CREDENTIALS_INVALID".to_owned()), "{wrong}");
        }
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer a")];
        assert_eq!(web.request(method, path, &twice, b"").await.status, 401);
    }
    assert_eq!(web.get("/api/openapi.json").await.status, 200);
    // "any:a" in Base64.
    let basic = [("authorization", "Basic YW55OmE=")];
    assert_eq!(web.request("GET", "/api/paths", &basic, b"").await.status, 200);
}

#[tokio::test]
async fn an_answer_does_not_depend_on_the_recordings_of_others() {
    let mut transcripts = Vec::new();
    for foreign in [&[][..], &["same", "other", "zz"]] {
        let web = web(|_| {}).await;
        for id in foreign {
            let pieces = iter([piece(&format!("paths/{id}"), 0..3, true)]);
            paths(&web.server, "b").await.record_path(pieces).await.unwrap();
        }
        let mut transcript = Vec::new();
        for (method, path) in [
            ("GET", "/api/paths"),
            ("GET", "/api/paths?prefix=s"),
            ("GET", "/api/paths?page_token=paths/other"),
            ("GET", "/api/paths?prefix=namespaces/beta/paths/"),
            ("GET", "/api/paths/same"),
            ("GET", "/api/paths/namespaces%2Fbeta%2Fpaths%2Fsame"),
            ("GET", "/api/paths/namespaces%2F-%2Fpaths%2Fsame"),
            ("GET", "/api/paths/same/events"),
            ("GET", "/api/paths/namespaces%2Fbeta%2Fpaths%2Fsame/events"),
            ("DELETE", "/api/paths/same"),
            ("DELETE", "/api/paths/namespaces%2Fbeta%2Fpaths%2Fsame?allow_missing"),
        ] {
            let Answer { status, mut headers, body } = as_caller(&web, "a", method, path).await;
            headers.retain(|(name, _)| name != "date");
            transcript.push((method, path, status, headers, body));
        }
        for id in foreign {
            let path = format!("/api/paths/{id}");
            assert_eq!(as_caller(&web, "b", "GET", &path).await.status, 200);
            let full = format!("/api/paths/namespaces%2Fbeta%2Fpaths%2F{id}");
            assert_eq!(as_caller(&web, "admin", "GET", &full).await.status, 200);
        }
        transcripts.push(transcript);
    }
    assert_eq!(transcripts[0], transcripts[1]);
}

#[tokio::test]
async fn a_reader_deletes_nothing() {
    let web = web(|_| {}).await;
    let pieces = iter([piece("paths/x", 0..3, true)]);
    paths(&web.server, "a").await.record_path(pieces).await.unwrap();
    let refused = as_caller(&web, "reader", "DELETE", "/api/paths/x").await;
    assert_eq!(refused.error(), (403, "ROLE_REQUIRED".to_owned()));
    assert_eq!(as_caller(&web, "reader", "GET", "/api/paths/x").await.status, 200);
    assert_eq!(as_caller(&web, "a", "DELETE", "/api/paths/x").await.status, 204);
}

#[tokio::test]
async fn quotas_count_the_streams_of_both_listeners() {
    let quota = Quota { max_streams: Some(1), ..Quota::default() };
    let web = web(|config| config.principal_quota = quota).await;
    let mut watch = web.connect().await;
    let bearer = [("authorization", "Bearer a")];
    watch.send("GET", "/api/paths/x/events?allow_missing", &bearer, b"").await;
    assert_eq!(watch.head().await.unwrap().status, 200);
    let refused = as_caller(&web, "a", "GET", "/api/paths").await;
    assert_eq!(refused.error(), (429, "STREAM_QUOTA".to_owned()));
    assert_eq!(refused.header("retry-after"), "1");
    let error = paths(&web.server, "a").await.get_path(super::get_path("x")).await;
    assert_eq!(error.unwrap_err().code(), tonic::Code::ResourceExhausted);
    assert_eq!(as_caller(&web, "b", "GET", "/api/paths").await.status, 200);
    drop(watch);
    while as_caller(&web, "a", "GET", "/api/paths").await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_that_other_sites_cause_change_nothing() {
    let web = Web::start().await;
    let own = format!("http://{}", web.address);
    for (headers, expected) in [
        (&[][..], 200),
        (&[("origin", own.as_str())], 200),
        (&[("sec-fetch-site", "same-origin")], 200),
        (&[("sec-fetch-site", "none")], 200),
        (&[("origin", "http://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "same-site"), ("origin", own.as_str())], 403),
    ] {
        let answer = web.request("POST", "/api/measure", headers, b"1").await;
        assert_eq!(answer.status, expected, "{headers:?}");
        if expected == 403 {
            assert_eq!(answer.error(), (403, "CROSS_SITE".to_owned()));
            let deleted = web.request("DELETE", "/api/paths/a?allow_missing", headers, b"").await;
            assert_eq!(deleted.error(), (403, "CROSS_SITE".to_owned()));
        }
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_this_machine_is_not_this_machine() {
    let web = Web::start().await;
    for (host, expected) in [
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("", 421),
    ] {
        let answer = web.request("GET", "/api/paths", &[("host", host)], b"").await;
        assert_eq!(answer.status, expected, "{host}");
    }
    let mut client = web.connect().await;
    client.raw(b"GET /api/paths HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.answer().await.error(), (400, "HOST_INVALID".to_owned()));
    let twice = [("host", "localhost"), ("host", "evil.example")];
    assert_eq!(web.request("GET", "/api/paths", &twice, b"").await.error().0, 400);
    // A proxy that the server trusts passes on other names.
    let trusted = |config: &mut waywiser::Config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    };
    let web = Web::with(trusted, |server| server).await;
    let host = [("host", "paths.example.org")];
    assert_eq!(web.request("GET", "/api/paths", &host, b"").await.status, 200);
}
