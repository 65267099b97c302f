//! The check at the end of a round, when no faults occur any more.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_stream::iter;
use tonic::Code;
use waywiser::proto::waywiser_v1 as pb;

use crate::checker::{Checker, EventLog};
use crate::writer::{Client, connect, get_path};

/// Checks that every method reports all paths as finished, and that reading does not change them.
pub async fn verify(
    checkers: &[Arc<Checker>],
    events: &EventLog,
    address: SocketAddr,
) -> Result<(), String> {
    let failed = |status: tonic::Status| format!("a call failed without a fault: {status:?}");
    let mut client = connect(address).await.map_err(failed)?;
    let page = client.list_paths(pb::ListPathsRequest::default()).await.map_err(failed)?;
    let names: Vec<_> = page.into_inner().paths.into_iter().map(|path| path.name).collect();
    let expected: Vec<_> = checkers.iter().map(|checker| checker.name.clone()).collect();
    if names != expected {
        return Err(format!("ListPaths returned {names:?}, but {expected:?} were recorded"));
    }
    for checker in checkers {
        let before = get_path(&mut client, checker).await.map_err(failed)?;
        if !before.as_ref().is_some_and(|path| path.complete) {
            return Err(format!("{} is not finished: {before:?}", checker.name));
        }
        resend_last_points(&mut client, checker).await?;
        let request = pb::WatchPathRequest {
            name: checker.name.clone(),
            allow_missing: false,
            ..Default::default()
        };
        let bound = checker.bound();
        let mut watch = client.watch_path(request).await.map_err(failed)?.into_inner();
        while let Some(response) = watch.message().await.map_err(failed)? {
            checker.observe("WatchPath", &bound, &response.path.unwrap_or_default());
        }
        let after = get_path(&mut client, checker).await.map_err(failed)?;
        // Opening the recording again may only extend its expiry.
        let without_expiry = |path: Option<pb::Path>| {
            format!("{:?}", path.map(|path| pb::Path { expire_time: None, ..path }))
        };
        let (before, after) = (without_expiry(before), without_expiry(after));
        if before != after {
            return Err(format!("a finished path changed\nfrom {before}\nto   {after}"));
        }
    }
    events.violation().map_or(Ok(()), Err)
}

/// Sends the last points again, like a client that lost the reply, and then a point past the end.
///
/// # Errors
/// Returns an error if the first call is not accepted or the second one is not refused.
async fn resend_last_points(client: &mut Client, checker: &Checker) -> Result<(), String> {
    let len = checker.track.len();
    let mut last = checker.track.message(len - 10, len, true);
    last.name.clone_from(&checker.name);
    last.options = Some(checker.track.options_message());
    last.finish_write = true;
    let bound = checker.bound();
    let reply = client.record_path(iter([last.clone()])).await;
    let reply =
        reply.map_err(|status| format!("points of a finished path sent again: {status:?}"))?;
    let reply = reply.into_inner();
    let path = pb::Path {
        complete: reply.complete,
        committed_points: reply.committed_points,
        summary: reply.summary,
        ..Default::default()
    };
    checker.observe("RecordPath", &bound, &path);
    last.write_offset = Some(len as u64 - 9);
    match client.record_path(iter([last])).await {
        Err(status) if status.code() == Code::FailedPrecondition => Ok(()),
        other => Err(format!("a point past the end must be refused, not answered with {other:?}")),
    }
}
