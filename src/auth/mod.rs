//! Authentication: who makes a call, in which namespace, and what the caller may do.
//!
//! A transport collects the [`Credentials`] of a call. An [`Authenticator`] checks them and returns a [`Session`] of
//! a [`Principal`]. The server ends the calls of a session when it expires or is revoked. The services read the
//! principal: its [`Role`] allows methods, its namespace holds its recordings, and its [`Quota`] limits its use.
//!
//! | module | content |
//! |---|---|
//! | `principal` | principals, roles and quotas |
//! | `authenticator` | credentials, sessions, and the port for authenticators |

mod authenticator;
mod principal;

pub use authenticator::{AuthError, Authenticator, Credentials, PeerCertificate, Session};
pub use principal::{Principal, Quota, Role, RoleError};
