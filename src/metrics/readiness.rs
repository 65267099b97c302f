//! Decides whether a server is ready for calls: its store is open and answers, and its callers can
//! authenticate, and it does not drain.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::recording::{CheckpointStore, RecordingName, StoreError};
use crate::server::{Monitor, Phase};

/// Time for the store to answer.
const STORE_TIME: Duration = Duration::from_secs(2);
/// The result of a request to the store is used for this time, so that checks cannot load it.
const RESULT_TIME: Duration = Duration::from_secs(1);
/// The recording that the check reads. It does not need to exist.
const NAME: &str = "paths/readiness-check";

/// The readiness of a server whose parts start one after the other.
#[derive(Default)]
pub struct Readiness {
    store: OnceLock<Arc<dyn CheckpointStore>>,
    server: OnceLock<Monitor>,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readiness").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Readiness {
    /// Sets the store, once it is open. Only the first call has an effect.
    pub fn set_store(&self, store: Arc<dyn CheckpointStore>) {
        let _ = self.store.set(store);
    }

    /// Sets the server. Only the first call has an effect.
    pub fn set_server(&self, server: Monitor) {
        let _ = self.server.set(server);
    }

    /// Returns what does not work although the server is ready: some credentials cannot be checked.
    pub fn note(&self) -> Option<String> {
        self.server.get()?.outage().map(|outage| outage.reason)
    }

    /// Checks that the server accepts calls, that its callers can authenticate, that health reports its store as
    /// available, and that the store answers within two seconds.
    ///
    /// # Errors
    /// The reason for which the server is not ready.
    pub async fn check(&self) -> Result<(), String> {
        let Some(store) = self.store.get() else {
            return Err("the store of recordings is not open yet".to_owned());
        };
        let server = self.server.get();
        match server.map_or(Phase::Starting, Monitor::phase) {
            Phase::Serving => match server.and_then(Monitor::outage) {
                Some(outage) if outage.is_total => Err(outage.reason),
                // A store that answers reads may have lost its connection for writes.
                _ => match server.and_then(Monitor::store_outage) {
                    Some(reason) => Err(StoreError::Unavailable(reason.into()).to_string()),
                    None => self.check_store(&**store).await,
                },
            },
            Phase::Starting => Err("the server does not accept connections yet".to_owned()),
            Phase::Draining => Err("the server drains: it accepts no new streams".to_owned()),
            Phase::Stopped => Err("the server has stopped".to_owned()),
        }
    }

    async fn check_store(&self, store: &dyn CheckpointStore) -> Result<(), String> {
        // Other checks wait for the result of this one.
        let mut last = self.last.lock().await;
        if let Some((at, result)) = &*last
            && at.elapsed() < RESULT_TIME
        {
            return result.clone();
        }
        let result = match NAME.parse::<RecordingName>() {
            Ok(name) => match timeout(STORE_TIME, store.load(name)).await {
                Ok(Err(error @ (StoreError::Unavailable(_) | StoreError::Unknown(_)))) => {
                    Err(error.to_string())
                }
                // A damaged recording is not a damaged store.
                Ok(_) => Ok(()),
                Err(_) => {
                    let s = STORE_TIME.as_secs();
                    Err(format!("the store of recordings did not answer within {s} s"))
                }
            },
            Err(error) => Err(error.to_string()),
        };
        *last = Some((Instant::now(), result.clone()));
        result
    }
}
