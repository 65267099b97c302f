//! Recordings: a page of them, one of them, and its deletion.

use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use http::{Extensions, HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use super::answer;
use super::call::Method;
use super::error::ApiError;
use super::query::Query;
use crate::contract::method::v1;
use crate::proto::waywiser_v1 as pb;
use crate::server::Gate;

const LIST: Method = Method {
    route: "GET /api/paths",
    path: v1::LIST_PATHS,
    reply: ".waywiser.v1.ListPathsResponse",
};
const GET: Method = Method {
    route: "GET /api/paths/{name}",
    path: v1::GET_PATH,
    reply: ".waywiser.v1.GetPathResponse",
};
const DELETE: Method = Method {
    route: "DELETE /api/paths/{name}",
    path: v1::DELETE_PATH,
    reply: ".waywiser.v1.DeletePathResponse",
};

/// Returns the gate of the connection of a request.
///
/// # Errors
/// If the request has no gate. This is a fault of the server.
pub(super) fn gate(extensions: &Extensions) -> Result<Gate, ApiError> {
    let gate = extensions.get::<Gate>().cloned();
    gate.ok_or_else(|| ApiError::internal("the request belongs to no connection"))
}

/// Returns the name of a recording from a segment of the path. The part `paths/` may be left out.
///
/// # Errors
/// If the segment is not UTF-8.
pub(super) fn name(segment: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(segment) =
        segment.map_err(|_| ApiError::invalid("name", "it is not valid UTF-8 text"))?;
    Ok(with_collection(segment))
}

fn with_collection(text: String) -> String {
    if text.contains('/') { text } else { format!("paths/{text}") }
}

pub(super) async fn list(
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, ApiError> {
    let mut query = Query::parse(uri.query())?;
    let page_size =
        match query.take("page_size") {
            None => 0,
            Some(text) => text.parse::<i32>().ok().filter(|&size| size >= 0).ok_or_else(|| {
                ApiError::invalid("page_size", "it must be a whole number from 0")
            })?,
        };
    let prefix = query.take("prefix").filter(|prefix| !prefix.is_empty());
    let view = match query.take("view").as_deref() {
        None => pb::PathView::Unspecified,
        Some("BASIC") => pb::PathView::Basic,
        Some("FULL") => pb::PathView::Full,
        Some(_) => return Err(ApiError::invalid("view", "it must be BASIC or FULL")),
    };
    let request = pb::ListPathsRequest {
        page_size,
        page_token: query.take("page_token").unwrap_or_default(),
        prefix: prefix.map(with_collection).unwrap_or_default(),
        view: view.into(),
    };
    query.finish()?;
    let page = LIST.reply(&gate(&extensions)?, &headers, &request).await?;
    Ok(answer::json(format!("{page}\n")))
}

pub(super) async fn get(
    segment: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, ApiError> {
    let mut query = Query::parse(uri.query())?;
    let include_recent_points = query.take_flag("recent_points")?;
    query.finish()?;
    let request = pb::GetPathRequest { name: name(segment)?, include_recent_points };
    let mut reply = GET.reply(&gate(&extensions)?, &headers, &request).await?;
    Ok(answer::json(format!("{}\n", take_path(&mut reply, include_recent_points))))
}

/// Removes the recording from the message around it. With `has_recent_points`, the recent points become a member of it.
pub(super) fn take_path(reply: &mut Value, has_recent_points: bool) -> Value {
    let mut path = reply.get_mut("path").map_or_else(|| json!({}), Value::take);
    if has_recent_points && let Some(points) = reply.get_mut("recent_points") {
        path["recent_points"] = points.take();
    }
    path
}

pub(super) async fn delete(
    segment: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, ApiError> {
    let mut query = Query::parse(uri.query())?;
    let allow_missing = query.take_flag("allow_missing")?;
    query.finish()?;
    let request = pb::DeletePathRequest { name: name(segment)?, allow_missing };
    DELETE.reply(&gate(&extensions)?, &headers, &request).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
