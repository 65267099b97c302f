//! Those who only look: one watches a recording and asks for it now and then, as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use waywiser::proto::waywiser_v1 as pb;

use crate::chance::Chance;
use crate::ledger::Ledger;
use crate::writer::{ask, bounded, connect};

/// A watch that says nothing for so long is begun anew: a connection may have been lost without a sign.
const QUIET_TIME: Duration = Duration::from_secs(1);

/// Watches until the path is finished. Only lost connections are endured.
pub async fn watch(ledger: Arc<Ledger>, mut chance: Chance, address: std::net::SocketAddr) {
    while !ledger.is_complete() && ledger.journal.violation().is_none() {
        if let Err(status) = watch_once(&ledger, &mut chance, address).await {
            let is_expected = matches!(
                status.code(),
                Code::Unavailable
                    | Code::Unknown
                    | Code::Internal
                    | Code::Cancelled
                    | Code::DeadlineExceeded
            );
            if !is_expected {
                ledger.violated(format_args!("a watcher was told {status:?}"));
            }
        }
        sleep(chance.millis(0, 40)).await;
    }
}

async fn watch_once(
    ledger: &Ledger,
    chance: &mut Chance,
    address: std::net::SocketAddr,
) -> Result<(), Status> {
    let mut client = bounded(connect(address)).await?;
    ask(&mut client, ledger).await?;
    let mut floor = ledger.floor();
    let request = pb::WatchPathRequest { name: ledger.name.clone(), allow_missing: true };
    let mut watch = bounded(client.watch_path(request)).await?.into_inner();
    let mut is_first = true;
    while let Ok(told) = timeout(QUIET_TIME, watch.message()).await {
        let Some(told) = told? else {
            if !ledger.is_complete() {
                ledger.violated("a watch ended before the path did");
            }
            return Ok(());
        };
        let path = told.path.unwrap_or_default();
        ledger.observe("WatchPath", &floor, &path);
        // What comes later may be older than what others have been told, but not than what this one has.
        if !is_first && Some(path.committed_points) == floor.committed_points() && !path.complete {
            ledger.violated(format_args!("a watch told {} twice", path.committed_points));
        }
        is_first = false;
        floor = floor.seen(&path);
        if chance.one_in(40) {
            break;
        }
    }
    Ok(())
}
