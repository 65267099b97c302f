//! The keys of recordings in a table or a map. Keys have the same order as names, and the keys of a namespace are
//! contiguous.
//!
//! | recording | key |
//! |---|---|
//! | in the default namespace | its ID |
//! | in another namespace | DEL (`0x7f`), the namespace, NUL, its ID |
//!
//! IDs and namespaces consist of characters between NUL and DEL. So all keys of the default namespace are before the
//! others, and a namespace is before the longer ones that start with it.

use std::borrow::Cow;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use crate::recording::{ListQuery, ListScope, Namespace, RecordingName, Sweep};

const BEFORE_NAMESPACE: char = '\u{7f}';
const AFTER_NAMESPACE: char = '\0';
/// Follows all characters of an ID in the order of keys.
const AFTER_IDS: char = '\u{7f}';

/// Returns the key of a recording.
pub(super) fn of(name: &RecordingName) -> Cow<'_, str> {
    start_of(name.namespace(), name.id())
}

/// Returns the key of an ID or of the beginning of one.
fn start_of<'a>(namespace: Option<&Namespace>, id: &'a str) -> Cow<'a, str> {
    match namespace {
        None => Cow::Borrowed(id),
        Some(namespace) => {
            Cow::Owned(format!("{BEFORE_NAMESPACE}{namespace}{AFTER_NAMESPACE}{id}"))
        }
    }
}

/// Returns the name of a key, or `None` if it is not the key of a recording.
pub(super) fn name(key: &str) -> Option<RecordingName> {
    let (namespace, id) = match key.strip_prefix(BEFORE_NAMESPACE) {
        None => (None, key),
        Some(rest) => {
            let (namespace, id) = rest.split_once(AFTER_NAMESPACE)?;
            (Some(namespace.parse::<Namespace>().ok()?), id)
        }
    };
    RecordingName::in_namespace(namespace.as_ref(), id).ok()
}

/// Returns the range of the keys after a recording.
pub(super) fn after(after: Option<&RecordingName>) -> (Bound<String>, Bound<String>) {
    (after.map_or(Unbounded, |name| Excluded(of(name).into_owned())), Unbounded)
}

/// Returns the range of the keys that a sweep checks after a recording.
pub(super) fn swept(
    sweep: &Sweep,
    position: Option<&RecordingName>,
) -> (Bound<String>, Bound<String>) {
    let Some(abandoned) = &sweep.abandoned else { return after(position) };
    selected(&ListQuery::namespace(abandoned.namespace.clone()).after(position.cloned()))
}

/// Returns the range of the keys that a query selects. It contains no key of another namespace.
pub(super) fn selected(query: &ListQuery) -> (Bound<String>, Bound<String>) {
    let position = after(query.after.as_ref());
    let ListScope::Namespace { namespace, id_prefix } = &query.scope else { return position };
    if !query.scope.is_possible() {
        // The text may contain the characters that separate namespaces. This range contains no key.
        return (Included(String::new()), Excluded(String::new()));
    }
    let first = start_of(namespace.as_ref(), id_prefix).into_owned();
    let end = format!("{first}{AFTER_IDS}");
    match position.0 {
        // A position at or after the end selects nothing. A range must not start after its end.
        Excluded(after) if after >= end => (Included(end.clone()), Excluded(end)),
        Excluded(after) if after >= first => (Excluded(after), Excluded(end)),
        _ => (Included(first), Excluded(end)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn names() -> impl Strategy<Value = RecordingName> {
        ("[-.0Za~]{1,3}", prop::option::of("[.0Za~]|[-.0Za~]{2,3}")).prop_map(|(id, namespace)| {
            let namespace = namespace.map(|namespace| namespace.parse().unwrap());
            RecordingName::in_namespace(namespace.as_ref(), &id).unwrap()
        })
    }

    proptest! {
        #[test]
        fn keys_have_the_order_of_names(a in names(), b in names()) {
            prop_assert_eq!(of(&a).cmp(&of(&b)), a.cmp(&b));
            prop_assert_eq!(name(&of(&a)), Some(a));
        }

        #[test]
        fn a_range_has_exactly_the_selected_names(
            all in prop::collection::btree_set(names(), 0..40),
            scope in prop::option::of((prop::option::of("[.0Za~]|[-.0Za~]{2,3}"), "[-.0Za~]{0,2}")),
            position in prop::option::of(names()),
        ) {
            let scope = match scope {
                None => ListScope::All,
                Some((namespace, id_prefix)) => ListScope::Namespace {
                    namespace: namespace.map(|namespace| namespace.parse().unwrap()),
                    id_prefix,
                },
            };
            let query = ListQuery { scope, after: position };
            let keys: BTreeSet<String> = all.iter().map(|name| of(name).into_owned()).collect();
            let found: Vec<_> = keys.range(selected(&query)).filter_map(|key| name(key)).collect();
            let is_selected = |name: &&RecordingName| {
                query.scope.contains(name) && query.after.as_ref().is_none_or(|after| *name > after)
            };
            let expected: Vec<_> = all.iter().filter(is_selected).cloned().collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_text_that_is_not_the_beginning_of_an_id_selects_nothing() {
        let all = ["a", "\u{7f}n\0a", "\u{7f}n\0b"].map(str::to_owned);
        let all = BTreeSet::from(all);
        for namespace in [None, Some("n".parse().unwrap()), Some("m".parse().unwrap())] {
            for id_prefix in ["\u{7f}", "\u{7f}n\0", "\0", "\u{7f}n\0a", "a\0", "/", "\u{10ffff}"] {
                let id_prefix = id_prefix.to_owned();
                let scope = ListScope::Namespace { namespace: namespace.clone(), id_prefix };
                let query = ListQuery { scope, after: None };
                assert_eq!(all.range(selected(&query)).count(), 0, "{query:?}");
            }
        }
    }

    #[test]
    fn other_texts_are_not_keys() {
        for bad in
            ["", "a/b", "\u{7f}", "\u{7f}a", "\u{7f}a\0", "\u{7f}\0a", "a\0b", "\u{7f}a\0b\0c"]
        {
            assert_eq!(name(bad), None, "{bad:?}");
        }
    }
}
