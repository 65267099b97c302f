//! Principals: the callers that authenticators know.

use std::fmt;
use std::str::FromStr;

use crate::recording::Namespace;

/// A caller: a user, a device or a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name, for logs. Not secret. Together with the source it identifies the principal.
    pub name: Box<str>,
    /// What the name comes from. Principals of different sources are different, also if their names are equal.
    pub source: PrincipalSource,
    /// The namespace of its recordings. `None` is the default namespace, which callers without authentication use.
    pub namespace: Option<Namespace>,
    /// What it may do.
    pub role: Role,
    /// How much it may use. A limit that is not set has the default of the server.
    pub quota: Quota,
}

impl Principal {
    /// Maximum length of a name in bytes.
    pub const NAME_BYTES_MAX: usize = 256;

    /// Returns whether a principal can have this name: it has 1 to 256 bytes and no control characters.
    pub fn is_name(name: &str) -> bool {
        (1..=Self::NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
    }

    /// Returns whether the sessions of `old` may continue when this replaces it: it is the same caller with the same
    /// rights. The quota may differ, unless it ends open streams ([`Quota::permits_streams_of`]).
    #[cfg(feature = "auth")]
    pub(super) fn continues(&self, old: &Self) -> bool {
        let Self { name, source, namespace, role, quota } = self;
        (name, source, namespace, role) == (&old.name, &old.source, &old.namespace, &old.role)
            && quota.permits_streams_of(&old.quota)
    }
}

/// What the name of a principal comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PrincipalSource {
    /// The configuration of the server: an entry of a token file, or a list of the program.
    Configuration,
    /// The subject of a JSON Web Token.
    JsonWebToken,
    /// A URI in a client certificate.
    CertificateUri,
    /// A DNS name in a client certificate.
    CertificateDns,
}

/// What a principal may do. Each role includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Measures paths without storing anything, and reads the recordings of its namespace.
    Reader,
    /// Also writes and deletes the recordings of its namespace.
    Writer,
    /// Also reads, writes and deletes the recordings of all namespaces, and makes backups.
    Admin,
}

impl Role {
    /// All roles, from the weakest to the strongest.
    pub const ALL: [Self; 3] = [Self::Reader, Self::Writer, Self::Admin];

    /// Returns the name of the role, such as `reader`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is not the name of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is reader, writer or admin")]
pub struct RoleError;

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(RoleError)
    }
}

/// The limits of one principal. `None` means the default of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Maximum number of streams at the same time.
    pub max_streams: Option<u32>,
    /// Maximum number of points per second.
    pub max_points_per_second: Option<u64>,
    /// Maximum number of bytes of request bodies per second.
    pub max_bytes_per_second: Option<u64>,
    /// Maximum number of recordings in the namespace of the principal.
    pub max_recordings: Option<u64>,
}

impl Quota {
    /// Returns the quota with the limits of `defaults` where it has none.
    #[must_use]
    pub fn or(self, defaults: Self) -> Self {
        Self {
            max_streams: self.max_streams.or(defaults.max_streams),
            max_points_per_second: self.max_points_per_second.or(defaults.max_points_per_second),
            max_bytes_per_second: self.max_bytes_per_second.or(defaults.max_bytes_per_second),
            max_recordings: self.max_recordings.or(defaults.max_recordings),
        }
    }

    /// Returns whether streams that began with the quota `old` may stay open with this one. The limits of streams and
    /// recordings apply to the next stream and the next recording. A stream keeps the rates with which it began, so it
    /// may stay open only if no rate is lower now. An absent rate is that of the server, which is not known here.
    #[cfg(feature = "auth")]
    fn permits_streams_of(&self, old: &Self) -> bool {
        let is_permitted = |new: Option<u64>, old: Option<u64>| match (new, old) {
            (Some(new), Some(old)) => new >= old,
            _ => new == old,
        };
        is_permitted(self.max_points_per_second, old.max_points_per_second)
            && is_permitted(self.max_bytes_per_second, old.max_bytes_per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_includes_the_weaker_ones() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!("Admin".parse::<Role>(), Err(RoleError));
    }

    #[test]
    fn a_name_is_short_and_has_no_control_characters() {
        for good in ["a", &"x".repeat(256), "Ä b"] {
            assert!(Principal::is_name(good), "{good:?}");
        }
        for bad in ["", "a\n", "\u{1b}[0m", "a\0", &"x".repeat(257)] {
            assert!(!Principal::is_name(bad), "{bad:?}");
        }
    }

    #[cfg(feature = "auth")]
    #[test]
    fn sessions_continue_with_the_same_rights_and_rates_that_are_not_lower() {
        let old = Principal {
            name: "van".into(),
            source: PrincipalSource::Configuration,
            namespace: None,
            role: Role::Writer,
            quota: Quota { max_points_per_second: Some(10), ..Quota::default() },
        };
        let with = |quota| Principal { quota, ..old.clone() }.continues(&old);
        let rate = |max_points_per_second| Quota { max_points_per_second, ..Quota::default() };
        assert!(with(old.quota) && with(rate(Some(11))));
        assert!(with(Quota { max_streams: Some(1), max_recordings: Some(1), ..old.quota }));
        assert!(!with(rate(Some(9))) && !with(rate(None)));
        assert!(!with(Quota { max_bytes_per_second: Some(u64::MAX), ..old.quota }));
        assert!(!Principal { role: Role::Reader, ..old.clone() }.continues(&old));
        assert!(!Principal { name: "bus".into(), ..old.clone() }.continues(&old));
        let namespace = Some("acme".parse().unwrap());
        assert!(!Principal { namespace, ..old.clone() }.continues(&old));
    }

    #[test]
    fn a_limit_of_the_principal_replaces_the_default() {
        let own = Quota { max_streams: Some(1), ..Quota::default() };
        let defaults = Quota { max_streams: Some(2), max_recordings: Some(3), ..Quota::default() };
        let expected = Quota { max_streams: Some(1), max_recordings: Some(3), ..Quota::default() };
        assert_eq!(own.or(defaults), expected);
    }
}
