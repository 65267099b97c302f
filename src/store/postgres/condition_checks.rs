//! Checks the settings and the clock of the database at regular intervals.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::conditions::{Conditions, READ, unix_ms};
use super::reader::Read;
use super::scan::ask;
use super::session::{self, Route};
use super::stats::Health;
use super::ticket::Queue;

/// The time between two checks.
const INTERVAL: Duration = Duration::from_secs(10);

/// Checks the database at regular intervals, until the store is dropped. A database whose clock differs too much is not
/// used any more.
pub(super) async fn run(
    reader: Weak<Queue<Read>>,
    health: Weak<Health>,
    route: Arc<watch::Sender<Route>>,
) {
    loop {
        sleep(INTERVAL).await;
        let (Some(reader), Some(health)) = (reader.upgrade(), health.upgrade()) else { return };
        let before = unix_ms();
        let rows = ask(&reader, READ, Vec::new(), false).await;
        let after = unix_ms();
        let conditions = rows.ok().and_then(|rows| Conditions::of(rows.first()?, before, after));
        let Some(mut conditions) = conditions else { continue };
        conditions.is_exposed = health.is_exposed();
        health.observe(conditions);
        if conditions.is_refused() {
            // The next attempt to connect reports the reason.
            session::replace_connections(&route);
        }
    }
}
