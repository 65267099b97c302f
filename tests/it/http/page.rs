//! The files of the page: their headers, their entity tags, and that they need no token.

use std::sync::Arc;

use waywiser::auth::Role;

use super::Web;
use crate::support::callers::{Callers, caller};

#[tokio::test]
async fn the_page_and_its_files_need_no_token_and_have_a_strict_policy() {
    let callers = Callers::new([caller("a", Some("alpha"), Role::Writer)]);
    let web = Web::with(|_| {}, |server| server.with_authenticator(Arc::new(callers))).await;
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/?a=b", "text/html; charset=utf-8"),
        ("/page/main.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let answer = web.get(path).await;
        assert_eq!((answer.status, answer.header("content-type").as_str()), (200, content_type));
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        let tag = answer.header("etag");
        let again = web.request("GET", path, &[("if-none-match", &tag)], b"").await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
        assert_eq!(again.header("etag"), tag);
        let mut client = web.connect().await;
        client.send("HEAD", path, &[], b"").await;
        let head = client.head().await.unwrap();
        assert_eq!((head.status, head.header("etag")), (200, tag));
    }
}

#[tokio::test]
async fn only_the_files_of_the_page_are_served() {
    let web = Web::start().await;
    let missing = (404, "ROUTE_UNKNOWN".to_owned());
    for path in [
        "/page/nothing.js",
        "/page/index.html",
        "/page/types.d.ts",
        "/page/..%2Fmod.rs",
        "/page/%2e%2e",
        "/page/%ff",
        "/page/main%2ejs",
        "/page/",
        "/page",
        "/index.html",
    ] {
        assert_eq!(web.get(path).await.error(), missing, "{path}");
    }
    for (method, path) in [("POST", "/"), ("DELETE", "/page/main.js")] {
        let answer = web.request(method, path, &[], b"").await;
        assert_eq!(answer.error(), (405, "METHOD_UNKNOWN".to_owned()));
        assert_eq!(answer.header("allow"), "GET, HEAD");
    }
}
