//! The part of the suite about pages of one namespace.

use super::{CheckpointStore, ListQuery, RecordingName, clear, create, name};

pub(super) async fn are_ordered_and_complete(store: &dyn CheckpointStore) {
    let longest = "z".repeat(128);
    let ids = ["b", "a", "A", "a.b", "a-b", "_", "~", "0", &longest];
    for id in ids {
        create(store, id).await;
    }
    let mut names = ids.map(name);
    names.sort();
    let list = async |after: Option<&RecordingName>, limit| {
        let query = ListQuery::all().after(after.cloned());
        let page = store.list(query, limit).await.unwrap();
        page.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 100).await, names);
    assert_eq!(list(None, 0).await, []);
    for limit in 1..=names.len() {
        let mut all = Vec::new();
        loop {
            let page = list(all.last(), limit).await;
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        assert_eq!(all, names, "in pages of {limit}");
    }
    // A page can start after a name that was deleted.
    clear(store, "a").await;
    assert_eq!(list(Some(&name("a")), 1).await, [name("a-b")]);
    let page = store.list(ListQuery::all().after(Some(name("a-b"))), 1).await.unwrap();
    assert_eq!(page[0].1, Ok(store.load(name("a.b")).await.unwrap().unwrap()));
    for id in ids.into_iter().filter(|&id| id != "a") {
        clear(store, id).await;
    }
}
