//! The entry of a principal in a token file.

use std::fmt;

use crate::auth::{Principal, Role, TokenHash};
use crate::recording::Namespace;

/// A principal with one token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: Option<&'a Namespace>,
    pub(super) role: Role,
    pub(super) token: TokenHash,
}

impl Entry<'_> {
    /// Returns whether a principal can have this name.
    pub(super) fn is_name(name: &str) -> bool {
        Principal::is_name(name)
    }
}

/// In TOML.
impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &str| toml::Value::from(value).to_string();
        writeln!(f, "[[principal]]\nname = {}", text(self.name))?;
        if let Some(namespace) = self.namespace {
            writeln!(f, "namespace = {}", text(namespace.as_str()))?;
        }
        writeln!(f, "role = {}", text(self.role.as_str()))?;
        writeln!(f, "token_sha256 = [\"{}\"]", self.token)
    }
}
