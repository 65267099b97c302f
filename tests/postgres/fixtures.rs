//! Stores on a cluster.

use std::sync::{Arc, Mutex};

use waywiser::recording::{CheckpointStore, RecordingName, StoreError};
use waywiser::store::{PostgresSettings, PostgresStore};

use crate::cluster::Cluster;
use crate::proxy::Proxy;

pub fn settings(url: &str) -> PostgresSettings {
    PostgresSettings::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Creates the tables, and connects at this URL.
pub async fn migrated(url: &str) -> Arc<PostgresStore> {
    PostgresStore::migrate(&settings(url)).await.unwrap();
    connected(url).await
}

pub async fn connected(url: &str) -> Arc<PostgresStore> {
    Arc::new(PostgresStore::connect(settings(url)).await.unwrap())
}

/// Starts a cluster with tables, and a store. Returns `None`, after printing so, if no PostgreSQL is installed.
pub async fn cluster_and_store() -> Option<(Cluster, Arc<PostgresStore>)> {
    let cluster = Cluster::start().await?;
    let store = migrated(&cluster.url()).await;
    Some((cluster, store))
}

/// Starts a proxy to a cluster with tables, and a store that connects through it.
pub async fn proxied(cluster: &Cluster) -> (Proxy, Arc<PostgresStore>) {
    let proxy = Proxy::start(cluster.address).await;
    let store = connected(&cluster.url_at(proxy.address)).await;
    (proxy, store)
}

/// Repeats a request while the store is unavailable, as it is while it connects again.
#[track_caller]
pub fn retried<T: std::fmt::Debug>(
    request: impl AsyncFn() -> Result<T, StoreError>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        loop {
            match request().await {
                Ok(answer) => return answer,
                Err(StoreError::Unavailable(_)) => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{caller}: {error:?}"),
            }
        }
    }
}

/// Waits until the store can read and write.
pub async fn ready(store: &PostgresStore) {
    let absent: RecordingName = "paths/absent".parse().unwrap();
    retried(async || store.load(absent.clone()).await).await;
    retried(async || store.delete(absent.clone()).await).await;
}

/// Returns the error of a request that must be refused as unavailable.
#[track_caller]
pub fn unavailable<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> String {
    match outcome {
        Err(StoreError::Unavailable(cause)) => cause.to_string(),
        other => panic!("expected Unavailable, got {other:?}"),
    }
}

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Records panics of the crate, which a runtime would otherwise only print.
pub fn record_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.location().is_some_and(|location| location.file().starts_with("src/")) {
                PANICS.lock().unwrap().push(info.to_string());
            }
            previous(info);
        }));
    });
}

#[track_caller]
pub fn assert_no_panics() {
    assert_eq!(*PANICS.lock().unwrap(), Vec::<String>::new());
}
