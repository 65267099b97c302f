//! The requests of phone apps: their answers, their recordings, and what is refused.

use std::sync::Arc;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use waywiser::auth::{Quota, Role};
use waywiser::ingest::{BODY_BYTES_MAX, Protocol, QUERY_BYTES_MAX};

use super::{Answer, Web};
use crate::support::callers::{Callers, caller};

/// 2024-05-20T10:13:20Z.
const START_S: u64 = 1_716_200_000;

/// A fix of the device `dev`, as each app sends it: the parameters and the body.
fn request(protocol: Protocol, index: u64) -> (String, String) {
    let (time, longitude) = (START_S + index * 10, 13.0 + index as f64 * 0.001);
    match protocol {
        Protocol::OwnTracks => {
            let body = json!({"_type": "location", "lat": 46.0, "lon": longitude, "tst": time, "topic": "owntracks/dev"});
            (String::new(), body.to_string())
        }
        Protocol::OsmAnd => {
            (format!("?id=dev&lat=46&lon={longitude}&timestamp={time}"), String::new())
        }
        Protocol::Traccar => {
            let coords = json!({"latitude": 46.0, "longitude": longitude});
            let location = json!({"timestamp": time * 1000, "coords": coords});
            (String::new(), json!({"location": location, "device_id": "dev"}).to_string())
        }
        Protocol::Overland => (String::new(), overland(Some("dev"), &[(time, longitude)])),
        Protocol::Forward => {
            let position =
                json!({"fixTime": time * 1000, "latitude": 46.0, "longitude": longitude});
            (
                String::new(),
                json!({"position": position, "device": {"uniqueId": "dev"}}).to_string(),
            )
        }
    }
}

fn overland(device: Option<&str>, fixes: &[(u64, f64)]) -> String {
    let features: Vec<_> = fixes
        .iter()
        .map(|(time, longitude)| {
            let geometry = json!({"type": "Point", "coordinates": [longitude, 46.0]});
            let properties = json!({"timestamp": time, "device_id": device});
            json!({"type": "Feature", "geometry": geometry, "properties": properties})
        })
        .collect();
    json!({"locations": features}).to_string()
}

async fn post(web: &Web, path: &str, body: &str) -> Answer {
    web.request("POST", path, &[], body.as_bytes()).await
}

/// Returns the summary of a recording.
async fn summary(web: &Web, id: &str) -> serde_json::Value {
    let answer = web.get(&format!("/api/paths/{id}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["summary"].clone()
}

#[tokio::test]
async fn every_protocol_gives_the_same_recording_and_repetitions_change_nothing() {
    let mut lengths = Vec::new();
    for protocol in Protocol::ALL {
        let web = Web::start().await;
        for index in [0, 1, 1, 3, 2, 0] {
            let (query, body) = request(protocol, index);
            let answer = post(&web, &format!("/ingest/{}{query}", protocol.name()), &body).await;
            assert_eq!((answer.status, &*answer.body), (200, protocol.success_body()));
            let kind = answer.header("content-type");
            assert_eq!(kind.is_empty(), answer.body.is_empty(), "{answer:?}");
        }
        let summary = summary(&web, "dev").await;
        assert_eq!(summary["point_count"], 6, "{summary}");
        assert_eq!(summary["accepted_count"], 4, "{summary}");
        assert_eq!(summary["options"]["reorder_count"], 64);
        assert_eq!(summary["windows"].as_array().unwrap().len(), 1);
        lengths.push(summary["length_m"].as_f64().unwrap());
    }
    assert!(
        lengths[0] > 200.0 && lengths.iter().all(|length| *length == lengths[0]),
        "{lengths:?}"
    );
}

#[tokio::test]
async fn osmand_sends_queries_by_get_and_forms_by_post() {
    let web = Web::start().await;
    let (query, _) = request(Protocol::OsmAnd, 0);
    assert_eq!(web.get(&format!("/ingest/osmand{query}")).await.status, 200);
    let (form, _) = request(Protocol::OsmAnd, 1);
    assert_eq!(post(&web, "/ingest/osmand", &form[1..]).await.status, 200);
    assert_eq!(summary(&web, "dev").await["point_count"], 2);
    // HEAD changes nothing, and other methods do not exist.
    let (query, _) = request(Protocol::OsmAnd, 2);
    let mut client = web.connect().await;
    client.send("HEAD", &format!("/ingest/osmand{query}"), &[], b"").await;
    assert_eq!(client.head().await.unwrap().status, 405);
    for (method, path, allow) in [
        ("PUT", "/ingest/osmand", "GET, POST"),
        ("GET", "/ingest/owntracks", "POST"),
        ("GET", "/ingest/overland/token", "POST"),
    ] {
        let answer = web.request(method, path, &[], b"").await;
        assert_eq!(answer.error(), (405, "METHOD_UNKNOWN".to_owned()), "{method} {path}");
        assert_eq!(answer.header("allow"), allow);
    }
    for path in ["/ingest", "/ingest/", "/ingest/gpx", "/ingest/osmand/", "/ingest/osmand/a/b"] {
        assert_eq!(web.get(path).await.error(), (404, "ROUTE_UNKNOWN".to_owned()), "{path}");
    }
    assert_eq!(summary(&web, "dev").await["point_count"], 2);
}

#[tokio::test]
async fn bad_fixes_are_dropped_and_requests_that_cannot_be_read_are_refused() {
    let web = Web::start().await;
    let far = START_S + 100_000_000_000;
    let bad = overland(Some("dev"), &[(START_S, 13.0), (5, 13.1), (far, 13.2), (START_S, 181.0)]);
    assert_eq!(post(&web, "/ingest/overland", &bad).await.status, 200);
    assert_eq!(summary(&web, "dev").await["point_count"], 1);
    let long = format!("?id={}&lat=1&lon=2&timestamp={START_S}", "%C3%A4".repeat(30));
    let invalid = (400, "INGEST_INVALID".to_owned());
    for (path, body) in [
        ("/ingest/overland", "{\"locations\":"),
        ("/ingest/overland", "[]"),
        ("/ingest/owntracks", "{\"_type\":\"encrypted\",\"data\":\"x\"}"),
        ("/ingest/traccar", "\u{1}"),
        ("/ingest/forward", "{}"),
        ("/ingest/osmand", ""),
        ("/ingest/osmand?id=a&lat=x&lon=1&timestamp=1716200000", ""),
        (&format!("/ingest/osmand{long}"), ""),
    ] {
        assert_eq!(post(&web, path, body).await.error(), invalid, "{path} {body}");
    }
    let too_large = (413, "INGEST_TOO_LARGE".to_owned());
    // The buffer for the headers has to be larger than the limit.
    let large = Web::with(|config| config.max_header_bytes = 64 << 10, |server| server).await;
    for (length, expected) in [(QUERY_BYTES_MAX, &too_large), (QUERY_BYTES_MAX - 100, &invalid)] {
        let answer = large.get(&format!("/ingest/osmand?id={}", "a".repeat(length))).await;
        assert_eq!(answer.error(), *expected, "{length}");
    }
    // With the default limit of headers, a long query, token or header is refused before the request has a route.
    let default = Web::with(|config| config.max_header_bytes = 16 << 10, |server| server).await;
    let text = "a".repeat(16 << 10);
    let fix = "id=a&lat=1&lon=2&timestamp=1716200000";
    for (path, headers) in [
        (format!("/ingest/osmand?{fix}&x={text}"), &[][..]),
        (format!("/ingest/osmand/{text}?{fix}"), &[][..]),
        (format!("/ingest/osmand?{fix}"), &[("x", text.as_str())][..]),
        (format!("/ingest/osmand?{fix}"), &[("x", "y"); 101][..]),
    ] {
        let mut client = default.connect().await;
        client.send("GET", &path, headers, b"").await;
        let answer = client.closed().await;
        assert!(answer.starts_with("HTTP/1.1 431 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
    let shorter = &text[..15 << 10];
    let answer = default.get(&format!("/ingest/osmand?{fix}&x={shorter}")).await;
    assert_eq!(answer.status, 200);
    // A body may be longer.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("{fix}&x={text}");
    assert_eq!(default.request("POST", "/ingest/osmand", &form, body.as_bytes()).await.status, 200);
    let mut client = web.connect().await;
    let length = BODY_BYTES_MAX + 1;
    let head = format!(
        "POST /ingest/overland HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"
    );
    client.raw(head.as_bytes()).await;
    assert_eq!(client.answer().await.error(), too_large);
    let devices: Vec<_> = (0..17)
        .map(|index| {
            let body = overland(Some(&format!("d{index}")), &[(START_S, 13.0)]);
            serde_json::from_str::<serde_json::Value>(&body).unwrap()["locations"][0].clone()
        })
        .collect();
    let body = json!({ "locations": devices }).to_string();
    assert_eq!(post(&web, "/ingest/overland", &body).await.error(), too_large);
    assert_eq!(web.get("/api/paths/d0").await.status, 404);
    let name = [("x-limit-u", "\u{e4}"), ("x-limit-d", "phone")];
    let (_, body) = request(Protocol::OwnTracks, 0);
    let answer = web.request("POST", "/ingest/owntracks", &name, body.as_bytes()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(summary(&web, "~C3~A4~2Fphone").await["point_count"], 1);
}

#[tokio::test]
async fn a_body_that_arrives_too_slowly_stores_nothing() {
    let hasty = |config: &mut waywiser::Config| {
        config.stream_idle_timeout = std::time::Duration::from_millis(200);
    };
    let web = Web::with(hasty, |server| server).await;
    let (_, body) = request(Protocol::OwnTracks, 0);
    let head = format!(
        "POST /ingest/owntracks HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut client = web.connect().await;
    client.raw(&[head.as_bytes(), &body.as_bytes()[..body.len() - 1]].concat()).await;
    assert_eq!(client.answer().await.error(), (408, "STREAM_IDLE".to_owned()));
    // A client that leaves in the middle stores nothing either.
    let mut client = web.connect().await;
    client.raw(&[head.as_bytes(), &body.as_bytes()[..body.len() - 1]].concat()).await;
    client.stream.shutdown().await.unwrap();
    client.closed().await;
    assert_eq!(web.get("/api/paths/dev").await.status, 404);
}

async fn secured(configure: impl FnOnce(&mut waywiser::Config)) -> Web {
    let callers = Callers::new([
        caller("phone-token", Some("alpha"), Role::Writer),
        caller("other-token", Some("beta"), Role::Writer),
        caller("reader-token", Some("alpha"), Role::Reader),
        caller("a+b/c=", Some("alpha"), Role::Writer),
    ]);
    Web::with(configure, |server| server.with_authenticator(Arc::new(callers))).await
}

#[tokio::test]
async fn the_token_is_in_the_path_or_in_a_header_and_the_path_has_precedence() {
    let web = secured(|_| {}).await;
    let (_, body) = request(Protocol::OwnTracks, 0);
    let bearer = |token: &str| format!("Bearer {token}");
    // "any:phone-token" in Base64.
    let basic = "Basic YW55OnBob25lLXRva2Vu".to_owned();
    for (path, authorization, expected) in [
        ("/ingest/owntracks", None, 401),
        ("/ingest/owntracks/phone-token", None, 200),
        ("/ingest/owntracks/nobody", None, 401),
        ("/ingest/owntracks/phone%2Dtoken", None, 200),
        ("/ingest/owntracks/phone%2", None, 401),
        ("/ingest/owntracks/a%2Bb%2Fc%3D", None, 200),
        ("/ingest/owntracks/a%2Bb%2Fc", None, 401),
        ("/ingest/owntracks", Some(bearer("phone-token")), 200),
        ("/ingest/owntracks", Some(bearer("nobody")), 401),
        ("/ingest/owntracks", Some(basic.clone()), 200),
        ("/ingest/owntracks/reader-token", None, 403),
        ("/ingest/owntracks/phone-token", Some(bearer("nobody")), 200),
        ("/ingest/owntracks/nobody", Some(bearer("phone-token")), 401),
        ("/ingest/owntracks/nobody", Some(basic), 401),
    ] {
        let headers: Vec<(&str, &str)> =
            authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        let answer = web.request("POST", path, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, expected, "{path} {headers:?} {answer:?}");
        for token in ["phone-token", "phone%2Dtoken", "nobody", "reader-token"] {
            assert!(!format!("{answer:?}").contains(token), "{answer:?}");
        }
    }
    // Without a device it is that of the token. A sign of life needs a token, too.
    let nameless = overland(None, &[(START_S, 13.0)]);
    assert_eq!(post(&web, "/ingest/overland/phone-token", &nameless).await.status, 200);
    assert_eq!(post(&web, "/ingest/owntracks/nobody", "").await.status, 401);
    assert_eq!(post(&web, "/ingest/owntracks/phone-token", "").await.status, 200);
    let headers = [("authorization", "Bearer phone-token")];
    for (id, expected) in [("phone-token", 200), ("dev", 200), ("overland", 404)] {
        let answer = web.request("GET", &format!("/api/paths/{id}"), &headers, b"").await;
        assert_eq!(answer.status, expected, "{id}");
    }
    let headers = [("authorization", "Bearer other-token")];
    assert_eq!(web.request("GET", "/api/paths/dev", &headers, b"").await.status, 404);
    // No statistics have a token.
    let stats = format!("{:?} {:?}", web.monitor.web_stats(), web.monitor.stats());
    assert!(!stats.contains("-token") && stats.contains("/ingest/owntracks/{token}"), "{stats}");
    let methods = web.monitor.stats().methods;
    let append = methods.iter().find(|one| one.method.ends_with("/AppendPoints")).unwrap();
    assert!(append.bytes > 0);
}

#[tokio::test]
async fn the_request_of_a_reader_is_refused_before_it_is_read() {
    let hasty = |config: &mut waywiser::Config| {
        config.stream_idle_timeout = std::time::Duration::from_millis(200);
    };
    let web = secured(hasty).await;
    let path = "/ingest/owntracks/reader-token";
    for body in ["", "not JSON", &" ".repeat(BODY_BYTES_MAX + 1)] {
        assert_eq!(post(&web, path, body).await.error(), (403, "ROLE_REQUIRED".to_owned()));
    }
    // A body that never arrives, which is too slow for others.
    for (token, expected) in [("reader", (403, "ROLE_REQUIRED")), ("phone", (408, "STREAM_IDLE"))] {
        let head = format!(
            "POST /ingest/owntracks/{token}-token HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n"
        );
        let mut client = web.connect().await;
        client.raw(head.as_bytes()).await;
        let (status, reason) = client.answer().await.error();
        assert_eq!((status, &*reason), expected);
    }
}

#[tokio::test]
async fn a_request_is_one_stream_of_the_quotas_and_one_call_of_the_rates() {
    let quota = Quota { max_streams: Some(1), max_points_per_second: Some(10), ..Quota::default() };
    let web = secured(|config| config.principal_quota = quota).await;
    let path = "/ingest/overland/phone-token";
    let batch = |from: u64, count: u64| {
        let fixes: Vec<_> = (from..from + count)
            .map(|index| (START_S + index, 13.0 + index as f64 * 1e-4))
            .collect();
        overland(Some("dev"), &fixes)
    };
    assert_eq!(post(&web, path, &batch(0, 5)).await.status, 200);
    // The points of one message would have to wait too long.
    let refused = post(&web, path, &batch(50, 4000)).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(post(&web, "/ingest/overland/other-token", &batch(0, 1)).await.status, 200);
}

#[tokio::test]
async fn a_large_batch_is_stored_in_the_order_of_its_times() {
    let small = |config: &mut waywiser::Config| config.max_message_bytes = 4096;
    let web = Web::with(small, |server| server).await;
    let mut fixes: Vec<_> =
        (0..3000).map(|index| (START_S + index * 7, 13.0 + index as f64 * 1e-4)).collect();
    fixes.reverse();
    let body = overland(Some("dev"), &fixes);
    assert!(body.len() > 100_000);
    assert_eq!(post(&web, "/ingest/overland", &body).await.status, 200);
    let first = summary(&web, "dev").await;
    assert_eq!((&first["point_count"], &first["accepted_count"]), (&json!(3000), &json!(3000)));
    // The whole batch again, which is older than the points that wait for their order.
    assert_eq!(post(&web, "/ingest/overland", &body).await.status, 200);
    let second = summary(&web, "dev").await;
    assert_eq!(second["point_count"], 6000);
    for field in ["length_m", "windows", "moving_time", "bounds", "estimate", "accepted_count"] {
        assert_eq!(first[field], second[field], "{field}");
    }
}

#[tokio::test]
async fn the_fixes_of_a_request_compete_for_the_threads() {
    let web = Web::start().await;
    let monitor = web.monitor.clone();
    let fixes: Vec<_> =
        (0..5000).map(|index| (START_S + index * 7, 13.0 + index as f64 * 1e-4)).collect();
    let send = async move {
        assert_eq!(
            post(&web, "/ingest/overland", &overland(Some("dev"), &fixes)).await.status,
            200
        );
    };
    assert_eq!(crate::load::most_competing(&monitor, send).await, 1);
    assert_eq!(monitor.stats().calls_competing, 0);
}

#[tokio::test]
async fn a_recording_that_would_count_repetitions_is_refused() {
    let web = Web::start().await;
    let pieces =
        tokio_stream::iter([crate::isolation::transcript::piece("paths/dev", 0..3, false)]);
    web.server.paths().await.record_path(pieces).await.unwrap();
    let (_, body) = request(Protocol::OwnTracks, 0);
    let answer = post(&web, "/ingest/owntracks", &body).await;
    assert_eq!(answer.error(), (400, "OPTIONS_DIFFER".to_owned()));
}

#[tokio::test]
async fn a_page_of_another_site_stores_nothing() {
    let web = Web::start().await;
    let (query, _) = request(Protocol::OsmAnd, 0);
    // Over http to another machine, a browser sends neither header with an image.
    let image = [("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")];
    let origin = [("origin", "http://evil.example")];
    let both = ["GET", "POST"];
    for (headers, methods) in
        [(origin, &both[..]), ([("sec-fetch-site", "cross-site")], &both), (image, &both[..1])]
    {
        for method in methods {
            let path = format!("/ingest/osmand{query}");
            let answer = web.request(method, &path, &headers, b"").await;
            assert_eq!(answer.error(), (403, "CROSS_SITE".to_owned()), "{method} {headers:?}");
        }
    }
    assert_eq!(web.get("/api/paths/dev").await.status, 404);
    // Without authentication, a server accepts any token, so that another page knows one.
    let with_token = format!("/ingest/osmand/phone-token{query}");
    let answer = web.request("GET", &with_token, &image, b"").await;
    assert_eq!(answer.error(), (403, "CROSS_SITE".to_owned()));
    assert_eq!(web.get("/api/paths/dev").await.status, 404);
    // A person who types the address, and an app.
    let typed = [image[0], ("sec-fetch-site", "none")];
    let path = format!("/ingest/osmand{query}");
    assert_eq!(web.request("GET", &path, &typed, b"").await.status, 200);
    assert_eq!(web.request("GET", &with_token, &[], b"").await.status, 200);
    // Another page does not know the token of a server with authentication.
    let web = secured(|_| {}).await;
    assert_eq!(web.request("GET", &with_token, &image, b"").await.status, 200);
    let wrong = format!("/ingest/osmand/other{query}");
    assert_eq!(web.request("GET", &wrong, &image, b"").await.status, 401);
}
