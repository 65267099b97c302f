//! The namespace of a principal that a JSON Web Token or a certificate names, and the namespaces that are reserved for
//! such principals.

use ring::digest::{SHA256, digest};

use super::base64url;
use super::principal::PrincipalSource;
use crate::recording::{Namespace, NamespaceError};

/// Begins all derived namespaces. Configured namespaces do not begin with it.
const RESERVED: char = '~';

/// Returns the beginning of the namespaces that are derived from the names of a source. None is the beginning of
/// another one.
fn prefix(source: PrincipalSource) -> Option<&'static str> {
    match source {
        PrincipalSource::Configuration => None,
        PrincipalSource::JsonWebToken => Some("~jwt"),
        PrincipalSource::CertificateUri => Some("~uri"),
        PrincipalSource::CertificateDns => Some("~dns"),
    }
}

/// Returns the namespace of a principal whose credentials name no namespace. Different names have different namespaces,
/// and equal names of different sources, too. The principals of a configuration have none.
///
/// It is the prefix of the source, a dot, and the name. `A-Z a-z 0-9 - _ .` stay as they are, and every other byte
/// becomes `~` and two hexadecimal digits. If that is too long, it is the prefix, `~` and the SHA-256 of the name in
/// base64url.
pub(super) fn namespace(source: PrincipalSource, name: &str) -> Option<Namespace> {
    let prefix = prefix(source)?;
    if name.is_empty() {
        return None;
    }
    let mut text = format!("{prefix}.");
    for byte in name.bytes() {
        match byte {
            b'-' | b'_' | b'.' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => text.push_str(&format!("~{byte:02X}")),
        }
    }
    if text.len() > Namespace::BYTES_MAX {
        let hash = digest(&SHA256, name.as_bytes());
        text = format!("{prefix}~{}", base64url::encode(hash.as_ref()));
    }
    text.parse().ok()
}

/// Parses the namespace of a principal of a token file.
///
/// # Errors
/// A text if it is not valid, or reserved.
pub fn configured_namespace(text: &str) -> Result<Namespace, String> {
    let namespace = text.parse().map_err(|error: NamespaceError| error.to_string())?;
    match is_reserved(&namespace, PrincipalSource::Configuration) {
        false => Ok(namespace),
        true => {
            let text = "a namespace that starts with ~ is reserved for tokens and certificates that are not in this \
                        file; use another one";
            Err(text.to_owned())
        }
    }
}

/// Returns whether a namespace that a source states, and that is not derived, is reserved for others. An issuer of JSON
/// Web Tokens may state the namespaces of its own subjects.
pub(super) fn is_reserved(namespace: &Namespace, stated_by: PrincipalSource) -> bool {
    let text = namespace.as_str();
    let rest = prefix(stated_by).and_then(|prefix| text.strip_prefix(prefix));
    let is_own = rest.is_some_and(|rest| rest.starts_with(['.', '~']));
    text.starts_with(RESERVED) && !is_own
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOURCES: [PrincipalSource; 3] = [
        PrincipalSource::JsonWebToken,
        PrincipalSource::CertificateUri,
        PrincipalSource::CertificateDns,
    ];

    fn derived(name: &str) -> String {
        namespace(PrincipalSource::JsonWebToken, name).unwrap().to_string()
    }

    #[test]
    fn the_namespace_of_a_name_escapes_other_characters_and_hashes_long_names() {
        assert_eq!(derived("van-7_2.x"), "~jwt.van-7_2.x");
        assert_eq!(derived("auth0|5f7"), "~jwt.auth0~7C5f7");
        assert_eq!(derived("~é"), "~jwt.~7E~C3~A9");
        assert_eq!(derived(&"x".repeat(59)), format!("~jwt.{}", "x".repeat(59)));
        insta::assert_snapshot!(derived(&"x".repeat(65)), @"~jwt~lTfF_fEgSC99WNJentWD9SwCtOME6oFNsWM61WWu1-k");
        for source in SOURCES {
            assert_eq!(namespace(source, ""), None);
        }
        let of_uri = namespace(PrincipalSource::CertificateUri, "spiffe://a.b/c").unwrap();
        assert_eq!(of_uri.as_str(), "~uri.spiffe~3A~2F~2Fa.b~2Fc");
        assert_eq!(namespace(PrincipalSource::Configuration, "a"), None);
    }

    #[test]
    fn a_stated_namespace_is_none_that_another_source_derives() {
        let stated: Vec<Namespace> =
            ["~", "~~", "~jwt", "~jwt.a", "~jwt~a", "~jwta", "~uri.a", "~dns~a", "~other"]
                .map(|text| text.parse().unwrap())
                .into();
        let allowed = |source| {
            let stated = stated.iter().filter(|namespace| !is_reserved(namespace, source));
            stated.map(Namespace::as_str).collect::<Vec<_>>()
        };
        assert!(allowed(PrincipalSource::Configuration).is_empty());
        assert_eq!(allowed(PrincipalSource::JsonWebToken), ["~jwt.a", "~jwt~a"]);
        for text in ["a", "jwt.a", "a~", "--", "."] {
            assert!(!is_reserved(&text.parse().unwrap(), PrincipalSource::Configuration), "{text}");
        }
    }

    proptest! {
        #[test]
        fn different_names_or_sources_have_different_namespaces(
            a in "[a-b~|7C/.]{1,30}", b in "[a-b~|7C/.]{1,30}", of_a in 0_usize..3, of_b in 0_usize..3,
        ) {
            let is_same = (&a, of_a) == (&b, of_b);
            prop_assert_eq!(is_same, namespace(SOURCES[of_a], &a) == namespace(SOURCES[of_b], &b));
        }

        #[test]
        fn no_name_has_the_namespace_of_a_long_name(name in "\\PC{1,64}", long in "[a-z|]{65,80}") {
            // The namespace of the long name as a name is escaped to another one.
            let of_long = derived(&long);
            prop_assert_ne!(derived(&name), of_long.clone());
            prop_assert_ne!(derived(&of_long), of_long);
        }

        #[test]
        fn a_derived_namespace_is_reserved_for_its_source(name in "\\PC{1,80}", of in 0_usize..3) {
            let derived = namespace(SOURCES[of], &name).unwrap();
            for source in SOURCES {
                prop_assert_eq!(is_reserved(&derived, source), source != SOURCES[of]);
            }
            prop_assert!(is_reserved(&derived, PrincipalSource::Configuration));
        }
    }
}
