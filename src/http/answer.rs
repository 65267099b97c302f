//! Answers in JSON.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, header};

/// Returns an answer in JSON.
pub(super) fn json(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
