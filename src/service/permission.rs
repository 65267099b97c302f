//! The error of a call whose caller lacks a right, and the check of its role.

use crate::auth::Role;

/// The reason why a caller may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermissionError {
    /// The method needs another role.
    #[error("this needs the role {required}, and the caller has the role {role}")]
    Role {
        /// The role that the call needs.
        required: Role,
        /// The role of the caller.
        role: Role,
    },
    /// The name is in another namespace.
    #[error(
        "the name is in another namespace; names of the caller's own recordings have the form paths/NAME"
    )]
    Namespace,
    /// The server has no authentication, and the caller is on another machine.
    #[error(
        "a server without authentication allows this on its own machine only; call from a loopback address"
    )]
    Remote,
}

impl PermissionError {
    /// Checks the role of a caller.
    ///
    /// # Errors
    /// If it is lower than the required one.
    pub(crate) fn check_role(role: Role, required: Role) -> Result<(), Self> {
        if role < required { Err(Self::Role { required, role }) } else { Ok(()) }
    }

    /// Returns the reason in the details of the status.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Role { .. } => "ROLE_REQUIRED",
            Self::Namespace => "NAMESPACE_FORBIDDEN",
            Self::Remote => "LOOPBACK_REQUIRED",
        }
    }
}
