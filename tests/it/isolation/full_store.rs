//! A caller that fills the store.

use std::sync::Arc;

use tokio_stream::iter;
use tonic::Code;
use waywiser::recording::{CheckpointStore, OpenRequest};
use waywiser::store::MemoryStore;

use super::transcript::piece;
use super::{callers, record};
use crate::support::callers::{paths, server};

#[tokio::test]
async fn a_caller_that_fills_the_store_removes_no_recording_of_others() {
    let store: Arc<dyn CheckpointStore> = Arc::new(MemoryStore::new(3));
    let opening = OpenRequest {
        options: None,
        now_unix_ms: 1,
        expire_unix_ms: i64::MAX,
        max_in_namespace: None,
    };
    for name in ["namespaces/alpha/paths/old", "paths/old", "namespaces/beta/paths/old"] {
        store.open(name.parse().unwrap(), opening.clone()).await.unwrap();
    }
    let server = server(Arc::clone(&store), callers(), |_| {}).await;
    // The first one replaces an abandoned recording of the same caller.
    record(&server, ("b", "1", 1, false)).await;
    for id in ["2", "3"] {
        let pieces = iter([piece(&format!("paths/{id}"), 0..1, false)]);
        let refused = paths(&server, "b").await.record_path(pieces).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    }
    let load = async |name: &str| store.load(name.parse().unwrap()).await.unwrap();
    assert!(
        load("namespaces/alpha/paths/old").await.is_some() && load("paths/old").await.is_some()
    );
    assert!(load("namespaces/beta/paths/old").await.is_none());
}
