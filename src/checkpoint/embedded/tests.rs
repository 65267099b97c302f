//! The embedded store on a real directory, and on a disk that fails, fills and loses what was not synced.

use super::*;
use crate::checkpoint::contract;

#[tokio::test]
async fn it_holds_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::at(directory.path()).unwrap();
    contract::hold(&store).await;
    drop(store);
    // And again in what is left of it.
    contract::hold(&EmbeddedStore::at(directory.path()).unwrap()).await;
}
