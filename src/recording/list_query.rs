//! The selection of the recordings that a store lists.

use super::name::is_id_prefix;
use super::{Namespace, RecordingName};

/// Selects recordings, and the position where a page of them starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// The recordings to list.
    pub scope: ListScope,
    /// The page starts with the first name after this one.
    pub after: Option<RecordingName>,
}

/// The recordings that a query selects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListScope {
    /// All recordings of all namespaces.
    All,
    /// The recordings of one namespace whose IDs start with this text.
    Namespace {
        /// The namespace. `None` is the default namespace.
        namespace: Option<Namespace>,
        /// The beginning of the IDs. If it is empty, all recordings of the namespace are selected. A text that is not
        /// the beginning of an ID selects nothing.
        id_prefix: String,
    },
}

impl ListQuery {
    /// Selects all recordings of all namespaces.
    pub fn all() -> Self {
        Self { scope: ListScope::All, after: None }
    }

    /// Selects the recordings of one namespace. `None` is the default namespace.
    pub fn namespace(namespace: Option<Namespace>) -> Self {
        Self { scope: ListScope::Namespace { namespace, id_prefix: String::new() }, after: None }
    }

    /// Selects the recordings after this name, if there is one.
    #[must_use]
    pub fn after(self, after: Option<RecordingName>) -> Self {
        Self { after, ..self }
    }
}

impl ListScope {
    /// Returns whether the scope may contain recordings: its text is the beginning of an ID.
    pub fn is_possible(&self) -> bool {
        match self {
            Self::All => true,
            Self::Namespace { id_prefix, .. } => is_id_prefix(id_prefix),
        }
    }

    /// Returns whether the scope contains a recording.
    pub fn contains(&self, name: &RecordingName) -> bool {
        match self {
            Self::All => true,
            Self::Namespace { namespace, id_prefix } => {
                name.namespace() == namespace.as_ref() && name.id().starts_with(id_prefix)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_contains_the_names_of_its_namespace_and_beginning() {
        let contains = |namespace: Option<&str>, id_prefix: &str, name: &str| {
            let namespace = namespace.map(|namespace| namespace.parse().unwrap());
            let scope = ListScope::Namespace { namespace, id_prefix: id_prefix.to_owned() };
            scope.contains(&name.parse().unwrap())
        };
        assert!(contains(None, "", "paths/a") && contains(None, "a", "paths/a"));
        assert!(!contains(None, "b", "paths/a") && !contains(None, "ab", "paths/a"));
        assert!(!contains(None, "", "namespaces/n/paths/a"));
        assert!(contains(Some("n"), "a", "namespaces/n/paths/ab"));
        assert!(
            !contains(Some("n"), "a", "paths/a")
                && !contains(Some("n"), "", "namespaces/nn/paths/a")
        );
        assert!(ListScope::All.contains(&"namespaces/n/paths/a".parse().unwrap()));
    }
}
