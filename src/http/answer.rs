//! Answers in JSON.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, header};

/// Returns an answer in JSON.
pub(super) fn json(mut text: String) -> Response {
    // Only the length is charged to the memory budget while the client reads.
    text.shrink_to_fit();
    let mut response = Response::new(Body::from(text));
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
