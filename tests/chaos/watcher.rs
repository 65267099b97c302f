//! A client that watches a recording until it is finished, and reads it from time to time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use waywiser::proto::waywiser_v1 as pb;

use crate::checker::Checker;
use crate::rng::Rng;
use crate::writer::{bounded, connect, get_path};

/// A watch without a message for this time is started again, because the connection may be lost.
const QUIET_TIME: Duration = Duration::from_secs(1);

/// Watches until the path is finished. Any error other than a lost connection is a violation.
pub async fn watch(checker: Arc<Checker>, mut rng: Rng, address: std::net::SocketAddr) {
    while !checker.is_complete() && checker.events.violation().is_none() {
        if let Err(status) = watch_once(&checker, &mut rng, address).await {
            let is_expected = matches!(
                status.code(),
                Code::Unavailable
                    | Code::Unknown
                    | Code::Internal
                    | Code::Cancelled
                    | Code::DeadlineExceeded
            );
            if !is_expected {
                checker.report_violation(format_args!("a watcher received {status:?}"));
            }
        }
        sleep(rng.millis(0, 40)).await;
    }
}

async fn watch_once(
    checker: &Checker,
    rng: &mut Rng,
    address: std::net::SocketAddr,
) -> Result<(), Status> {
    let mut client = bounded(connect(address)).await?;
    get_path(&mut client, checker).await?;
    let mut bound = checker.bound();
    let request = pb::WatchPathRequest {
        name: checker.name.clone(),
        allow_missing: true,
        ..Default::default()
    };
    let mut watch = bounded(client.watch_path(request)).await?.into_inner();
    let mut is_first = true;
    while let Ok(response) = timeout(QUIET_TIME, watch.message()).await {
        let Some(response) = response? else {
            if !checker.is_complete() {
                checker.report_violation("a watch ended before the path was finished");
            }
            return Ok(());
        };
        let path = response.path.unwrap_or_default();
        checker.observe("WatchPath", &bound, &path);
        // A message may be older than what other clients received, but not older than the last one of this watch.
        if !is_first && Some(path.committed_points) == bound.committed_points() && !path.complete {
            checker.report_violation(format_args!(
                "a watch reported {} points twice",
                path.committed_points
            ));
        }
        is_first = false;
        bound = bound.seen(&path);
        if rng.one_in(40) {
            break;
        }
    }
    Ok(())
}
