//! The part of the suite about namespaces: recordings with equal IDs do not mix, a page has those of its query, and the
//! number of recordings of a namespace is limited.

use std::sync::Arc;

use super::{
    Abandoned, CheckpointStore, ListQuery, OpenRequest, RecordingName, StoreError, Sweep, expire,
    request,
};
use crate::recording::{ListScope, Namespace};

/// Runs the tests. The store must be empty, and is empty afterwards.
pub(super) async fn check(store: &dyn CheckpointStore) {
    equal_ids_are_different_recordings(store).await;
    a_page_has_the_recordings_of_its_query(store).await;
    the_number_of_recordings_of_a_namespace_is_limited(store).await;
    removals_of_all_kinds_are_counted(store).await;
    a_sweep_for_abandoned_recordings_stays_in_its_namespace(store).await;
}

fn namespace(text: &str) -> Option<Namespace> {
    (!text.is_empty()).then(|| text.parse().unwrap())
}

fn name(of: &str, id: &str) -> RecordingName {
    RecordingName::in_namespace(namespace(of).as_ref(), id).unwrap()
}

async fn list(store: &dyn CheckpointStore, query: ListQuery, limit: usize) -> Vec<RecordingName> {
    let page = store.list(query, limit).await.unwrap();
    page.into_iter().map(|(name, _)| name).collect()
}

async fn equal_ids_are_different_recordings(store: &dyn CheckpointStore) {
    let names = ["", "a", "b"].map(|of| name(of, "walk"));
    let mut stored = Vec::new();
    for (name, expire_unix_ms) in names.iter().zip(5_000..) {
        let opening = OpenRequest { expire_unix_ms, ..request() };
        stored.push(store.open(name.clone(), opening).await.unwrap());
    }
    for (name, expected) in names.iter().zip(&stored) {
        assert_eq!(store.load(name.clone()).await, Ok(Some(expected.clone())), "{name}");
    }
    assert_eq!(store.delete(names[1].clone()).await, Ok(Some(stored[1].epoch)));
    assert_eq!(store.load(names[1].clone()).await, Ok(None));
    assert_eq!(store.load(names[0].clone()).await, Ok(Some(stored[0].clone())));
    assert_eq!(expire(store, 9_000).await, [names[0].clone(), names[2].clone()]);
}

async fn a_page_has_the_recordings_of_its_query(store: &dyn CheckpointStore) {
    let mut all = Vec::new();
    for of in ["", "--", "a", "a-", "aa", "~"] {
        for id in ["-", "a", "a-", "aa", "ab", "b", "~"] {
            all.push(name(of, id));
        }
    }
    all.sort();
    for name in &all {
        store.open(name.clone(), request()).await.unwrap();
    }
    let mut scopes = vec![ListScope::All];
    for of in ["", "--", "a", "a-", "aa", "absent", "~"] {
        for id_prefix in ["", "-", "a", "ab", "abc", "~", "~~"] {
            let id_prefix = id_prefix.to_owned();
            scopes.push(ListScope::Namespace { namespace: namespace(of), id_prefix });
        }
    }
    // Texts that are not the beginning of an ID select nothing, whatever the keys of the store look like.
    for id_prefix in ["\u{7f}", "\u{7f}a\0", "\0", "/", "../a/paths/", "a/paths/", "\u{10ffff}"] {
        for of in ["", "a"] {
            let id_prefix = id_prefix.to_owned();
            scopes.push(ListScope::Namespace { namespace: namespace(of), id_prefix });
        }
    }
    for scope in scopes {
        let expected: Vec<_> = all.iter().filter(|name| scope.contains(name)).cloned().collect();
        for limit in [0, 1, 3, all.len() + 1] {
            let query = ListQuery { scope: scope.clone(), after: None };
            let page = list(store, query.clone(), limit).await;
            assert_eq!(page, expected[..limit.min(expected.len())], "{query:?}");
        }
        // A page can start after any name, also after one that the query does not select.
        for after in &all {
            let query = ListQuery { scope: scope.clone(), after: Some(after.clone()) };
            let rest = expected.iter().filter(|name| *name > after).cloned();
            assert_eq!(list(store, query, 1_000).await, rest.collect::<Vec<_>>());
        }
    }
    assert_eq!(expire(store, 9_000).await, all);
}

async fn the_number_of_recordings_of_a_namespace_is_limited(store: &dyn CheckpointStore) {
    for of in ["", "a", "~"] {
        // Recordings of other namespaces do not count, whatever their number is.
        for (other, count) in [("", 3), ("--", 1), ("a", 2), ("aa", 9)] {
            for i in 0..count {
                if other != of {
                    store.open(name(other, &format!("other-{i}")), request()).await.unwrap();
                }
            }
        }
        let limited = OpenRequest { max_in_namespace: Some(2), ..request() };
        let first = store.open(name(of, "first"), limited.clone()).await.unwrap();
        store.open(name(of, "second"), limited.clone()).await.unwrap();
        let error = store.open(name(of, "third"), limited.clone()).await.unwrap_err();
        assert!(matches!(error, StoreError::NamespaceFull(_)), "{error:?}");
        assert_eq!(store.load(name(of, "third")).await, Ok(None));
        // Stored recordings are opened, and expired ones replaced.
        let again = store.open(name(of, "first"), limited.clone()).await.unwrap();
        assert!(again.epoch > first.epoch);
        let later = OpenRequest { now_unix_ms: 9_001, expire_unix_ms: 20_000, ..limited.clone() };
        let replaced = store.open(name(of, "first"), later).await.unwrap();
        assert_eq!(replaced.create_unix_ms, 9_001);
        let error = store.open(name(of, "third"), limited.clone()).await.unwrap_err();
        assert!(matches!(error, StoreError::NamespaceFull(_)), "{error:?}");
        // A request without this limit is not refused, and neither is one with a larger limit.
        store.open(name(of, "third"), request()).await.unwrap();
        let larger = OpenRequest { max_in_namespace: Some(4), ..request() };
        store.open(name(of, "fourth"), larger).await.unwrap();
        expire(store, 20_000).await;
    }
}

async fn removals_of_all_kinds_are_counted(store: &dyn CheckpointStore) {
    let limited = OpenRequest { max_in_namespace: Some(2), ..request() };
    let long = OpenRequest { expire_unix_ms: 20_000, ..limited.clone() };
    for of in ["", "a"] {
        store.open(name(of, "short"), limited.clone()).await.unwrap();
        store.open(name(of, "long"), long.clone()).await.unwrap();
        // Deletions that find nothing, and removals in other namespaces, make no space.
        assert_eq!(store.delete(name(of, "absent")).await, Ok(None));
        store.open(name("other", "x"), request()).await.unwrap();
        store.delete(name("other", "x")).await.unwrap();
        let full = store.open(name(of, "more"), limited.clone()).await;
        assert!(matches!(full, Err(StoreError::NamespaceFull(_))), "{full:?}");
        let swept = store.sweep(Sweep::expired(9_000), None).await.unwrap();
        assert_eq!(swept.removed.len(), 1);
        store.open(name(of, "more"), long.clone()).await.unwrap();
        store.delete(name(of, "more")).await.unwrap();
        store.open(name(of, "again"), long.clone()).await.unwrap();
        let full = store.open(name(of, "more"), limited.clone()).await;
        assert!(matches!(full, Err(StoreError::NamespaceFull(_))), "{full:?}");
        assert_eq!(expire(store, 20_000).await, [name(of, "again"), name(of, "long")]);
    }
    store.open(name("a", "last"), limited).await.unwrap();
    store.delete(name("a", "last")).await.unwrap();
}

async fn a_sweep_for_abandoned_recordings_stays_in_its_namespace(store: &dyn CheckpointStore) {
    let spaces = ["", "--", "a", "a-", "aa", "~"];
    for of in spaces {
        let mut left = Vec::new();
        for other in spaces {
            for (id, expire_unix_ms) in [("expired", 10), ("first", 9_000), ("second", 9_000)] {
                let name = name(other, id);
                let opening = OpenRequest { expire_unix_ms, ..request() };
                store.open(name.clone(), opening).await.unwrap();
                if other != of {
                    left.push(name);
                }
            }
        }
        left.sort();
        let abandoned = Abandoned {
            namespace: namespace(of),
            update_unix_ms: 8_000,
            points_max: 10,
            removals_max: 2,
            has_writer: Arc::new(|_| false),
        };
        let sweep = Sweep { now_unix_ms: 10, abandoned: Some(abandoned) };
        let (mut removed, mut after) = (Vec::new(), None);
        loop {
            let swept = store.sweep(sweep.clone(), after).await.unwrap();
            removed.extend(swept.removed.into_iter().map(|removed| removed.name));
            after = swept.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(removed, ["expired", "first", "second"].map(|id| name(of, id)), "{of}");
        // A sweep that starts after a name of another namespace removes nothing of that namespace either.
        for other in spaces {
            let swept = store.sweep(sweep.clone(), Some(name(other, "a"))).await.unwrap();
            assert_eq!(swept.removed, [], "{of}, after {other}");
        }
        assert_eq!(list(store, ListQuery::all(), 100).await, left);
        assert_eq!(expire(store, 9_000).await, left);
    }
}
