//! The states of a recording as Server-Sent Events.
//!
//! The stream has the current state at once, and then the latest one each time the recording changes. A client that is slow
//! receives fewer states. Clients that reconnect receive the current state first, so that `Last-Event-ID` is not needed.

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use futures::Stream;
use http::{Extensions, HeaderMap, HeaderValue, Uri, header};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep};

use super::Shared;
use super::call::{Method, Replies};
use super::error::ApiError;
use super::paths::{gate, name, take_path};
use super::query::Query;
use crate::contract::method::v1;
use crate::proto::waywiser_v1 as pb;

const WATCH: Method = Method {
    route: "GET /api/paths/{name}/events",
    path: v1::WATCH_PATH,
    reply: ".waywiser.v1.WatchPathResponse",
};

/// The first line of a stream: the time after which a client reconnects.
const RETRY: &str = "retry: 2000\n\n";

pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    segment: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, ApiError> {
    let mut query = Query::parse(uri.query())?;
    let allow_missing = query.take_flag("allow_missing")?;
    let include_recent_points = query.take_flag("recent_points")?;
    query.finish()?;
    let request =
        pb::WatchPathRequest { name: name(segment)?, allow_missing, include_recent_points };
    let replies = WATCH.call(&gate(&extensions)?, &headers, &request).await?;
    let heartbeat = shared.config.heartbeat;
    let events = Events {
        replies,
        state: Stage::Start,
        heartbeat,
        timer: Box::pin(sleep(heartbeat)),
        has_recent_points: include_recent_points,
    };
    let mut response = Response::new(Body::new(StreamBody::new(events)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx would collect the events.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

enum Stage {
    Start,
    Open,
    Over,
}

/// The text of the events. If no event occurs for some time, a comment is sent.
struct Events {
    replies: Replies,
    state: Stage,
    heartbeat: Duration,
    timer: Pin<Box<Sleep>>,
    has_recent_points: bool,
}

impl Stream for Events {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let text = match this.state {
            Stage::Over => return Poll::Ready(None),
            Stage::Start => {
                this.state = Stage::Open;
                RETRY.to_owned()
            }
            Stage::Open => match Pin::new(&mut this.replies).poll_next(cx) {
                Poll::Ready(Some(Ok(mut reply))) => {
                    path_event(&take_path(&mut reply, this.has_recent_points))
                }
                Poll::Ready(Some(Err(error))) => {
                    this.state = Stage::Over;
                    format!("event: error\ndata: {}\n\n", error.json())
                }
                Poll::Ready(None) => {
                    this.state = Stage::Over;
                    // A client that would reconnect closes the stream instead.
                    "event: end\ndata: {}\n\n".to_owned()
                }
                Poll::Pending => {
                    std::task::ready!(this.timer.as_mut().poll(cx));
                    ": heartbeat\n\n".to_owned()
                }
            },
        };
        this.timer.as_mut().reset(Instant::now() + this.heartbeat);
        Poll::Ready(Some(Ok(Frame::data(text.into()))))
    }
}

/// Returns the event of a state. JSON has no line breaks outside strings, and escapes those in them.
fn path_event(path: &Value) -> String {
    let id = path.get("committed_points").and_then(Value::as_u64).unwrap_or_default();
    format!("event: path\nid: {id}\ndata: {path}\n\n")
}
