//! The routes, their answers, and the errors of requests that are not valid.

use serde_json::json;
use tokio_stream::iter;

use super::Web;
use crate::isolation::transcript::piece;

/// Records finished recordings with this number of points.
async fn record(web: &Web, ids: &[&str]) {
    for id in ids {
        let pieces = iter([piece(&format!("paths/{id}"), 0..3, true)]);
        web.server.paths().await.record_path(pieces).await.unwrap();
    }
}

#[tokio::test]
async fn recordings_are_listed_in_pages_shown_and_deleted() {
    let web = Web::start().await;
    record(&web, &["a", "b-1", "b-2", "c"]).await;
    let page = web.get("/api/paths?page_size=3").await;
    assert_eq!((page.status, page.header("content-type").as_str()), (200, "application/json"));
    let page = page.json();
    let names = |page: &serde_json::Value| -> Vec<String> {
        let paths = page["paths"].as_array().unwrap().iter();
        paths.map(|path| path["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&page), ["paths/a", "paths/b-1", "paths/b-2"]);
    let token = page["next_page_token"].as_str().unwrap();
    let next = web.get(&format!("/api/paths?page_size=3&page_token={token}")).await.json();
    assert_eq!((names(&next), &next["next_page_token"]), (vec!["paths/c".to_owned()], &json!("")));
    for prefix in ["b-", "paths/b-", "paths%2Fb-"] {
        let page = web.get(&format!("/api/paths?prefix={prefix}")).await.json();
        assert_eq!(names(&page), ["paths/b-1", "paths/b-2"], "{prefix}");
    }
    assert_eq!(web.get("/api/paths?view=FULL").await.json(), web.get("/api/paths").await.json());
    assert_eq!(names(&web.get("/api/paths?view=BASIC&prefix=c").await.json()), ["paths/c"]);
    let last_point = json!({ "x": 6.0, "y": 8.0, "starts_segment": false });
    for name in ["a", "paths%2Fa", "namespaces%2F-%2Fpaths%2Fa"] {
        let path = web.get(&format!("/api/paths/{name}")).await.json();
        assert_eq!(path["committed_points"], 3, "{path}");
        assert_eq!((&path["complete"], &path["summary"]["point_count"]), (&json!(true), &json!(3)));
        let summary = path["summary"].as_object().unwrap();
        assert!(summary.contains_key("raw_length_m") || summary.contains_key("raw_length"));
        assert_eq!(path["last_point"], last_point);
    }
    let path = web.get("/api/paths/a?recent_points=true").await.json();
    let points = path["recent_points"].as_array().unwrap();
    assert_eq!((points.len(), &points[2]), (3, &last_point));
    let without = web.get("/api/paths/a?recent_points=false").await.json();
    assert_eq!(without.get("recent_points"), None);
    let deleted = web.request("DELETE", "/api/paths/a", &[], b"").await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    let missing = (404, "PATH_NOT_FOUND".to_owned());
    assert_eq!(web.get("/api/paths/a").await.error(), missing);
    assert_eq!(web.request("DELETE", "/api/paths/a", &[], b"").await.error(), missing);
    assert_eq!(web.request("DELETE", "/api/paths/a?allow_missing", &[], b"").await.status, 204);
    assert_eq!(web.get("/api/paths/a/events").await.error(), missing);
}

#[tokio::test]
async fn a_request_that_is_not_valid_has_an_error_with_its_reason() {
    let web = Web::start().await;
    let field = "FIELD_INVALID";
    for (method, path, status, reason) in [
        ("GET", "/api/paths?page_size=-1", 400, field),
        ("GET", "/api/paths?page_size=x", 400, field),
        ("GET", "/api/paths?page_size=1&page_size=2", 400, field),
        ("GET", "/api/paths?page_token=x", 400, field),
        ("GET", "/api/paths?view=basic", 400, field),
        ("GET", "/api/paths?prefix=namespaces/", 400, field),
        ("GET", "/api/paths?unknown=1", 400, field),
        ("GET", "/api/paths?a=%zz", 400, field),
        ("GET", "/api/paths/a%20b", 400, field),
        ("GET", "/api/paths/%ff", 400, field),
        ("GET", "/api/paths/a%00", 400, field),
        ("GET", "/api/paths/a?x", 400, field),
        ("GET", "/api/paths/a/events?allow_missing=1", 400, field),
        ("GET", "/api/openapi.json?x=1", 400, field),
        ("POST", "/api/measure?x=1", 400, field),
        ("POST", "/api/measure", 422, "FILE_INVALID"),
        ("POST", "/api/qr", 400, field),
        ("POST", "/api/qr?x=1", 400, field),
        ("GET", "/api/qr", 405, "METHOD_UNKNOWN"),
        ("GET", "/page/none.js", 404, "ROUTE_UNKNOWN"),
        ("GET", "/none", 404, "ROUTE_UNKNOWN"),
        ("GET", "/page/", 404, "ROUTE_UNKNOWN"),
        ("GET", "/api/paths/", 404, "ROUTE_UNKNOWN"),
        ("GET", "/api/paths/a/b", 404, "ROUTE_UNKNOWN"),
        ("GET", "/api//paths", 404, "ROUTE_UNKNOWN"),
        ("POST", "/api/paths", 405, "METHOD_UNKNOWN"),
        ("PUT", "/api/paths/a", 405, "METHOD_UNKNOWN"),
        ("OPTIONS", "/api/paths", 405, "METHOD_UNKNOWN"),
        ("TRACE", "/api/measure", 405, "METHOD_UNKNOWN"),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "/api/paths", 405, "METHOD_UNKNOWN"),
    ] {
        let answer = web.request(method, path, &[], b"").await;
        assert_eq!(answer.error(), (status, reason.to_owned()), "{method} {path}");
        assert_eq!(answer.status == 405, !answer.header("allow").is_empty(), "{answer:?}");
    }
    let form = [("content-type", "multipart/form-data; boundary=x")];
    let answer = web.request("POST", "/api/measure", &form, b"--x").await;
    assert_eq!(answer.error(), (415, "MEDIA_TYPE_UNSUPPORTED".to_owned()));
}

#[tokio::test]
async fn every_answer_has_the_headers_of_security_and_none_of_cors() {
    let web = Web::start().await;
    for (method, path) in [
        ("GET", "/api/paths"),
        ("HEAD", "/api/paths"),
        ("GET", "/api/openapi.json"),
        ("GET", "/nothing"),
        ("OPTIONS", "/api/paths"),
        ("GET", "/api/paths/a"),
    ] {
        let mut client = web.connect().await;
        client.send(method, path, &[("origin", "http://evil.example")], b"").await;
        let answer = client.head().await.unwrap();
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{method} {path}");
        }
        let cors = answer.headers.iter().find(|(name, _)| name.starts_with("access-control-"));
        assert_eq!(cors, None);
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let web = Web::start().await;
    for path in ["/api/paths", "/api/paths", "/api/paths/a", "/api/paths/b", "/x", "/y/z"] {
        web.get(path).await;
    }
    web.request("POST", "/api/measure", &[], b"12345").await;
    let stats = web.monitor.web_stats();
    let requests: Vec<_> =
        stats.requests.iter().map(|one| (one.route, one.status, one.count)).collect();
    let expected = [
        ("/api/measure", 200, 1),
        ("/api/paths", 200, 2),
        ("/api/paths/{name}", 404, 2),
        ("other", 404, 2),
    ];
    assert_eq!(requests, expected);
    assert_eq!(stats.received_bytes, 5);
    assert!(stats.sent_bytes > 100);
    // The calls count among those of gRPC.
    let methods = web.monitor.stats().methods;
    let bytes = methods.iter().find(|one| one.method.ends_with("/MeasurePaths")).unwrap().bytes;
    assert_eq!(bytes, 5);
    let ended = web.server.all_ended_calls().methods();
    let routes: Vec<_> = ended.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(routes, ["GET /api/paths", "GET /api/paths/{name}", "POST /api/measure"]);
}

#[tokio::test]
async fn a_text_becomes_a_qr_code_if_it_fits() {
    let web = Web::start().await;
    let answer = web.request("POST", "/api/qr", &[], b"https://paths.example.org").await;
    assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "image/svg+xml"));
    assert!(answer.body.starts_with("<svg xmlns=") && answer.body.ends_with("</svg>\n"));
    assert_eq!(web.request("POST", "/api/qr", &[], &[b'x'; 2331]).await.status, 200);
    for (body, status, reason) in [
        (&[b'x'; 2332][..], 413, "UPLOAD_TOO_LARGE"),
        (&[b'7'; 5597][..], 413, "UPLOAD_TOO_LARGE"),
        (b"a\xff", 400, "FIELD_INVALID"),
    ] {
        let answer = web.request("POST", "/api/qr", &[], body).await;
        assert_eq!(answer.error(), (status, reason.to_owned()));
    }
}

#[tokio::test]
async fn http_2_has_the_same_answers() {
    let web = Web::start().await;
    record(&web, &["a"]).await;
    let stream = tokio::net::TcpStream::connect(web.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for (path, expected) in
        [("/api/paths/a", 200), ("/api/paths/b", 404), ("/nothing", 404), ("/api/paths?x", 400)]
    {
        let uri = format!("http://{}{path}", web.address);
        let request = http::Request::get(uri).body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        while let Some(data) = body.data().await {
            bytes.extend_from_slice(&data.unwrap());
        }
        let one = web.get(path).await.json();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap(), one);
    }
}
