//! Authentication: who makes a call, in which namespace, and what the caller may do.
//!
//! A transport collects the [`Credentials`] of a call. An [`Authenticator`] checks them and returns a [`Session`] of
//! a [`Principal`]. The server ends the calls of a session when it expires or is revoked. The services read the
//! principal: its [`Role`] allows methods, its namespace holds its recordings, and its [`Quota`] limits its use.
//!
//! | module | content |
//! |---|---|
//! | `principal` | principals, roles and quotas |
//! | `authenticator`, `revocation` | credentials, sessions and their end, and the port for authenticators |
//! | `access` | [`Access`], the authenticator of the program: a chain of the ones below (feature `auth`) |
//! | `token_file`, `token` | tokens and certificate names of a file (feature `auth`) |
//! | `jwt` | JSON Web Tokens and their key sets (feature `auth`) |
//! | `certificates` | sessions of client certificates (feature `auth`) |
//! | `derived` | the namespaces of principals that are in no file, and the texts reserved for them (feature `auth`) |
//! | `bearer`, `base64url` | the header, and the encoding of tokens (feature `auth`) |
//! | `file`, `reload_report` | files of credentials, and the results of loading them (feature `auth`) |

#[cfg(feature = "auth")]
mod access;
mod authenticator;
#[cfg(feature = "auth")]
mod base64url;
#[cfg(feature = "auth")]
mod bearer;
#[cfg(feature = "auth")]
mod certificates;
#[cfg(feature = "auth")]
mod derived;
#[cfg(feature = "auth")]
mod file;
#[cfg(feature = "auth")]
mod jwt;
mod principal;
#[cfg(feature = "auth")]
mod reload_report;
mod revocation;
#[cfg(test)]
#[cfg(feature = "auth")]
mod testing;
#[cfg(feature = "auth")]
mod token;
#[cfg(feature = "auth")]
mod token_file;

#[cfg(feature = "auth")]
pub use access::{Access, AccessCounts, AccessSettings};
pub use authenticator::{
    AuthError, Authenticator, Credentials, FailureLimit, Outage, PeerCertificate, Session,
    SessionCache,
};
#[cfg(feature = "cli")]
pub(crate) use base64url::base64;
#[cfg(feature = "auth")]
pub use certificates::CertificateNames;
#[cfg(feature = "auth")]
pub use derived::configured_namespace;
#[cfg(feature = "auth")]
pub use file::LoadError;
#[cfg(feature = "auth")]
pub use jwt::{Algorithm, AlgorithmError, JwtSettings, KeySetStatus, KeySetUrl, KeySource};
pub use principal::{Principal, PrincipalSource, Quota, Role, RoleError};
#[cfg(feature = "auth")]
pub use reload_report::ReloadCounts;
pub use revocation::Revocation;
#[cfg(feature = "auth")]
pub use token::{Token, TokenError, TokenHash, TokenHashError};
#[cfg(feature = "auth")]
pub use token_file::{TOKEN_FILE_BYTES_MAX, TokenFileError, check_token_file, check_tokens};
