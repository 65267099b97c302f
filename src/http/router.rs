//! The routes of the API.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use tonic::Code;

use super::error::ApiError;
use super::query::Query;
use super::{Shared, answer, events, measure, page, paths, qr};

const PATHS: &str = "/api/paths";
const PATH: &str = "/api/paths/{name}";
const EVENTS: &str = "/api/paths/{name}/events";
const MEASURE: &str = "/api/measure";
const QR: &str = "/api/qr";
const OPENAPI: &str = "/api/openapi.json";
const PAGE: &str = "/";
const PAGE_FILE: &str = "/page/{file}";

/// All routes.
pub(super) const ROUTES: [&str; 8] = [PATHS, PATH, EVENTS, MEASURE, QR, OPENAPI, PAGE, PAGE_FILE];

/// The description of the API.
const OPENAPI_DOCUMENT: &str = include_str!("openapi.json");

/// Returns the index in [`ROUTES`] of the route that a path belongs to.
pub(super) fn route(path: &str) -> Option<usize> {
    let segments: Vec<&str> = path.split('/').take(6).collect();
    let matches = |route: &&str| {
        let parts: Vec<&str> = route.split('/').collect();
        parts.len() == segments.len()
            && parts.iter().zip(&segments).all(|(part, segment)| match *part {
                "{name}" | "{file}" => !segment.is_empty(),
                part => part == *segment,
            })
    };
    ROUTES.iter().position(matches)
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(PATHS, get(paths::list))
        .route(PATH, get(paths::get).delete(paths::delete))
        .route(EVENTS, get(events::events))
        .route(MEASURE, post(measure::measure))
        .route(QR, post(qr::qr))
        .route(OPENAPI, get(openapi))
        .route(PAGE, get(page::index))
        .route(PAGE_FILE, get(page::file))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(shared)
}

async fn openapi(uri: Uri) -> Result<Response, ApiError> {
    Query::parse(uri.query())?.finish()?;
    Ok(answer::json(OPENAPI_DOCUMENT.to_owned()))
}

async fn not_found() -> ApiError {
    let message = format!("there is no such page; the routes are {}", ROUTES.join(", "));
    ApiError::new(StatusCode::NOT_FOUND, Code::NotFound, "ROUTE_UNKNOWN", message)
}

async fn method_not_allowed(request: Request<Body>) -> ApiError {
    let allow = match route(request.uri().path()).and_then(|index| ROUTES.get(index).copied()) {
        Some(PATH) => "GET, HEAD, DELETE",
        Some(MEASURE | QR) => "POST",
        _ => "GET, HEAD",
    };
    let method: &Method = request.method();
    let message = match method.as_str().len() {
        0..=16 => format!("this route has no method {method}; use {allow}"),
        _ => format!("this route has no such method; use {allow}"),
    };
    let (status, code) = (StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented);
    ApiError::new(status, code, "METHOD_UNKNOWN", message)
        .with_allow(Some(HeaderValue::from_static(allow)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_at_most_one_route() {
        let of = |path| route(path).map(|index| ROUTES[index]);
        for path in ["/api/paths/a", "/api/paths/paths%2Fa", "/api/paths/events"] {
            assert_eq!(of(path), Some(PATH), "{path}");
        }
        assert_eq!(of("/api/paths"), Some(PATHS));
        assert_eq!(of("/api/paths/a/events"), Some(EVENTS));
        assert_eq!((of("/"), of("/page/main.js")), (Some(PAGE), Some(PAGE_FILE)));
        for path in [
            "",
            "/page",
            "/page/",
            "/page/a/b",
            "/api",
            "/api/paths/",
            "/api/paths/a/b",
            "/api/paths/a/events/",
            "/a/b/c/d/e/f/g",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn the_description_has_all_routes_of_the_api_and_no_others() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI_DOCUMENT).unwrap();
        let described: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
        let mut routes: Vec<_> =
            ROUTES.into_iter().filter(|route| route.starts_with("/api/")).collect();
        routes.sort_unstable();
        assert_eq!(described, routes);
    }
}
