//! AppendPoints: a request with points of a recording. The answer follows when they are durable.

use std::sync::Arc;

use http::Request;
use tokio::sync::oneshot;
use tonic::body::Body;

use super::append_queue::{Append, AppendMessage, Opening};
use super::appender;
use super::convert;
use super::request;
use super::scope::{PathName, Scope};
use super::shared::Shared;
use super::watch::not_found;
use crate::measure::Options;
use crate::proto::waywiser_v1 as pb;
use crate::service::method;
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, MessageRef};
use crate::service::{Creations, LoadShare, StreamLimits};

/// Adds the points of a request to its recording.
///
/// # Errors
/// If the request is not valid, and if the points cannot be committed. A client can repeat the request after any error.
pub(super) async fn append_points(
    mut request: Request<Body>,
    limits: StreamLimits,
    shared: Arc<Shared>,
) -> Result<pb::AppendPointsResponse, RpcError> {
    let scope = Scope::of(request.extensions());
    // Nothing is read for a caller that may not write.
    scope.check_writer()?;
    let creations = Creations::of_request(request.extensions_mut());
    let load = request.extensions_mut().remove::<LoadShare>();
    let (bytes, mut body) = method::request_bytes(request, &limits).await?;
    body.progress().set_buffered(bytes.len());
    if body.work().is_spent_by_recoding(bytes.len()) {
        body.work().pause().await;
    }
    let (message, name, options) = {
        let mut recoded = Vec::new();
        let message = request::read::<pb::AppendPointsRequest>(&bytes, 0, &mut recoded)?;
        message.charge(bytes.len(), body.work());
        let name = scope.name(message.view.name, MessageRef::Request)?;
        let options = message.check(0)?.unwrap_or_default();
        check_options(&options)?;
        if message.point_count() == 0 {
            let stored = shared.stored(&name).await?.ok_or_else(|| not_found(&name))?;
            return Ok(response(&name, stored.committed_points()));
        }
        body.progress().set_points(message.point_count());
        let canonical = if recoded.is_empty() { bytes } else { recoded };
        (Arc::new(AppendMessage::new(canonical)), name, options)
    };
    let (answer, answered) = oneshot::channel();
    let opening = Opening { options, max_recordings: scope.max_recordings(&name), creations };
    // The message is released if this call ends early.
    let append = Append { message: Arc::downgrade(&message), opening, load, answer };
    appender::append(&shared, &name, append)?;
    let lost = |_| RpcError::ShuttingDown { point_count: 0 };
    let committed_points =
        answered.await.map_err(lost)?.map_err(|error| error.of_recording(&name))?;
    Ok(response(&name, committed_points))
}

fn response(name: &PathName, committed_points: u64) -> pb::AppendPointsResponse {
    pb::AppendPointsResponse { name: name.to_string(), committed_points }
}

/// Checks the options of a new recording.
///
/// # Errors
/// All violations.
fn check_options(options: &Options) -> Result<(), RpcError> {
    let mut violations = convert::check_recorded(options).err().unwrap_or_default();
    if !options.drop_duplicates() {
        let text = "it is not set: without it, a request that is sent again would count twice";
        violations.push(FieldViolation::new("options.drop_duplicates", text));
    }
    match violations.is_empty() {
        true => Ok(()),
        false => Err(RpcError::Fields { place: MessageRef::Request, violations }),
    }
}
