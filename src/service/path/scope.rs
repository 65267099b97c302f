//! The recordings that a caller can use, and their names in requests and replies.
//!
//! A caller names its own recordings `paths/{id}`, whatever their namespace in the store is. Only administrators, and
//! the callers of a server without authentication, use the full names of other namespaces: `namespaces/{namespace}/paths/{id}`,
//! with `-` for the default namespace. All other callers get the same refusal for every such name, before any look-up.

use std::fmt;
use std::sync::Arc;

use http::Extensions;

use crate::auth::{Principal, Role};
use crate::recording::{ListQuery, ListScope, Namespace, NamespacePart, RecordingName};
use crate::service::PermissionError;
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, MessageRef};

/// The recordings that a caller can use.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The namespace of the caller's own recordings.
    namespace: Option<Namespace>,
    role: Role,
    /// Maximum number of recordings in the namespace of the caller.
    max_recordings: Option<u64>,
}

/// A recording that a call names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathName {
    /// The name in the store, which is also the name in the log.
    pub(super) stored: RecordingName,
    /// The name that the caller uses.
    shown: RecordingName,
}

/// Formats the name that the caller uses.
impl fmt::Display for PathName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.fmt(f)
    }
}

/// Returns a recording whose caller uses the same name as the store.
#[cfg(test)]
impl From<RecordingName> for PathName {
    fn from(name: RecordingName) -> Self {
        Self { stored: name.clone(), shown: name }
    }
}

impl PathName {
    /// Returns a stored recording whose caller uses its full name.
    pub(super) fn full(stored: RecordingName) -> Self {
        Self { shown: stored.to_full(), stored }
    }

    /// Returns whether the caller means this recording.
    pub(super) fn is(&self, text: &str) -> bool {
        text == self.shown.as_str() || text == self.stored.to_full().as_str()
    }
}

impl Scope {
    /// Returns the scope of the caller of a request.
    pub(super) fn of(extensions: &Extensions) -> Self {
        match extensions.get::<Arc<Principal>>() {
            None => Self::unauthenticated(),
            Some(principal) => Self {
                namespace: principal.namespace.clone(),
                role: principal.role,
                max_recordings: principal.quota.max_recordings,
            },
        }
    }

    /// Returns the scope of callers of a server without authentication: administrators in the default namespace.
    pub(super) fn unauthenticated() -> Self {
        Self { namespace: None, role: Role::Admin, max_recordings: None }
    }

    /// Checks that the caller may change recordings.
    ///
    /// # Errors
    /// If it is a reader.
    pub(super) fn check_writer(&self) -> Result<(), RpcError> {
        PermissionError::check_role(self.role, Role::Writer).map_err(RpcError::PermissionDenied)
    }

    /// Returns the recording that a message names.
    ///
    /// # Errors
    /// If the text is not a valid name, or one that the caller may not use.
    pub(super) fn name(&self, text: &str, place: MessageRef) -> Result<PathName, RpcError> {
        let name = text.parse::<RecordingName>();
        let name =
            name.map_err(|error| FieldViolation::new("name", error.to_string()).at(place))?;
        if name.is_full() {
            self.check_namespace(name.namespace())?;
            return Ok(self.shown(name.moved_to(name.namespace())));
        }
        Ok(PathName { stored: name.moved_to(self.namespace.as_ref()), shown: name })
    }

    /// Returns a stored recording with the name that the caller uses.
    pub(super) fn shown(&self, stored: RecordingName) -> PathName {
        if stored.namespace() != self.namespace.as_ref() {
            return PathName::full(stored);
        }
        PathName { shown: stored.moved_to(None), stored }
    }

    /// Returns the query for the recordings whose names start with `prefix`, as the caller names them.
    ///
    /// # Errors
    /// If the prefix does not select names of one namespace, or those of one that the caller may not use.
    pub(super) fn query(&self, prefix: &str) -> Result<ListQuery, RpcError> {
        if prefix.is_empty() {
            return Ok(ListQuery::namespace(self.namespace.clone()));
        }
        let (part, id_prefix) = RecordingName::split(prefix).ok_or_else(|| {
            let text = match self.role {
                Role::Admin => {
                    "it does not start with paths/ or namespaces/NAMESPACE/paths/; use one of them and the beginning \
                     of an ID, such as paths/trip- or namespaces/acme/paths/, or nothing"
                }
                Role::Reader | Role::Writer => {
                    "it does not start with paths/; use paths/ and the beginning of an ID, such as paths/trip-, or \
                     nothing"
                }
            };
            FieldViolation::new("prefix", text)
        })?;
        let namespace = match part {
            NamespacePart::Absent => self.namespace.clone(),
            NamespacePart::Full(namespace) => {
                self.check_namespace(namespace.as_ref())?;
                namespace
            }
        };
        let scope = ListScope::Namespace { namespace, id_prefix: id_prefix.to_owned() };
        match scope.is_possible() {
            true => Ok(ListQuery { scope, after: None }),
            false => {
                let text = "an ID has 1 to 128 characters of A-Z a-z 0-9 - _ . ~, and cannot start like this; in the name of a phone, \
                            each byte of another character is ~ and two hexadecimal digits, such as ~C4~8C";
                Err(FieldViolation::new("prefix", text).into())
            }
        }
    }

    /// Returns the maximum number of recordings in the namespace of a recording.
    pub(super) fn max_recordings(&self, name: &PathName) -> Option<u64> {
        // The quota of an administrator does not limit the namespaces of others.
        let is_own = name.stored.namespace() == self.namespace.as_ref();
        self.max_recordings.filter(|_| is_own)
    }

    fn check_namespace(&self, namespace: Option<&Namespace>) -> Result<(), RpcError> {
        let is_own = namespace == self.namespace.as_ref();
        match is_own || self.role == Role::Admin {
            true => Ok(()),
            false => Err(RpcError::PermissionDenied(PermissionError::Namespace)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(namespace: Option<&str>, role: Role) -> Scope {
        let namespace = namespace.map(|namespace| namespace.parse().unwrap());
        Scope { namespace, role, max_recordings: None }
    }

    /// Returns the name in the store, and the name that the caller uses.
    fn named(scope: &Scope, text: &str) -> Option<(String, String)> {
        let name = scope.name(text, MessageRef::Request).ok()?;
        Some((name.stored.to_string(), name.to_string()))
    }

    fn pair(stored: &str, shown: &str) -> Option<(String, String)> {
        Some((stored.to_owned(), shown.to_owned()))
    }

    #[test]
    fn an_administrator_reaches_every_namespace_by_full_names() {
        let (own, default, other) =
            ("namespaces/root/paths/a", "namespaces/-/paths/a", "namespaces/b/paths/a");
        let admin = scope(Some("root"), Role::Admin);
        assert_eq!(named(&admin, "paths/a"), pair(own, "paths/a"));
        assert_eq!(named(&admin, own), pair(own, "paths/a"));
        assert_eq!(named(&admin, other), pair(other, other));
        assert_eq!(named(&admin, default), pair("paths/a", default));
        // The name in the store of another namespace means another recording to this caller.
        let name = admin.name(default, MessageRef::Request).unwrap();
        assert!(name.is(default) && !name.is("paths/a"));
        let name = admin.name("paths/a", MessageRef::Request).unwrap();
        assert!(name.is("paths/a") && name.is(own) && !name.is(default));

        for scope in [scope(None, Role::Admin), scope(None, Role::Writer), Scope::unauthenticated()]
        {
            assert_eq!(named(&scope, "paths/a"), pair("paths/a", "paths/a"));
            assert_eq!(named(&scope, default), pair("paths/a", "paths/a"));
        }
        assert_eq!(named(&scope(None, Role::Admin), other), pair(other, other));
        for (namespace, text) in [(Some("root"), default), (Some("root"), other), (None, other)] {
            let denied = scope(namespace, Role::Writer).name(text, MessageRef::Request);
            assert!(matches!(denied, Err(RpcError::PermissionDenied(_))), "{text}: {denied:?}");
        }
    }

    #[test]
    fn a_prefix_selects_one_namespace() {
        let selected =
            |scope: &Scope, prefix: &str| match scope.query(prefix).map(|query| query.scope) {
                Ok(ListScope::Namespace { namespace, id_prefix }) => {
                    Some((namespace.map(|namespace| namespace.to_string()), id_prefix))
                }
                _ => None,
            };
        let admin = scope(Some("root"), Role::Admin);
        let own = Some("root".to_owned());
        assert_eq!(selected(&admin, ""), Some((own.clone(), String::new())));
        assert_eq!(selected(&admin, "paths/w"), Some((own, "w".to_owned())));
        assert_eq!(selected(&admin, "namespaces/-/paths/w"), Some((None, "w".to_owned())));
        assert_eq!(selected(&scope(Some("a"), Role::Writer), "namespaces/-/paths/"), None);
        let all = Some((None, String::new()));
        assert_eq!(selected(&scope(None, Role::Reader), "namespaces/-/paths/"), all);
    }
}
