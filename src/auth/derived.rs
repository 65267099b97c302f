//! The namespace of a principal that a JSON Web Token or a certificate names.

use ring::digest::{SHA256, digest};

use super::base64url;
use crate::recording::Namespace;

/// Returns the namespace of a principal whose credentials name no namespace. Different names have different namespaces.
///
/// `A-Z a-z 0-9 - _ .` stay as they are, and every other byte becomes `~` and two hexadecimal digits. If that is too
/// long, the namespace is `~~` and the SHA-256 of the name in base64url. `~~` never occurs in the first form.
pub(super) fn namespace(name: &str) -> Option<Namespace> {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'-' | b'_' | b'.' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => text.push_str(&format!("~{byte:02X}")),
        }
    }
    if text.len() > Namespace::BYTES_MAX {
        let hash = digest(&SHA256, name.as_bytes());
        text = format!("~~{}", base64url::encode(hash.as_ref()));
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn derived(name: &str) -> String {
        namespace(name).unwrap().to_string()
    }

    #[test]
    fn the_namespace_of_a_name_escapes_other_characters_and_hashes_long_names() {
        assert_eq!(derived("van-7_2.x"), "van-7_2.x");
        assert_eq!(derived("auth0|5f7"), "auth0~7C5f7");
        assert_eq!(derived("spiffe://a.b/c"), "spiffe~3A~2F~2Fa.b~2Fc");
        assert_eq!(derived("~é"), "~7E~C3~A9");
        assert_eq!(derived(&"x".repeat(64)), "x".repeat(64));
        insta::assert_snapshot!(derived(&"x".repeat(65)), @"~~lTfF_fEgSC99WNJentWD9SwCtOME6oFNsWM61WWu1-k");
        assert_eq!(namespace(""), None);
    }

    proptest! {
        #[test]
        fn different_names_have_different_namespaces(a in "[a-b~|7C/]{1,30}", b in "[a-b~|7C/]{1,30}") {
            prop_assert_eq!(a == b, derived(&a) == derived(&b));
        }

        #[test]
        fn no_name_has_the_namespace_of_a_long_name(name in "\\PC{1,64}", long in "[a-z|]{65,80}") {
            // The namespace of the long name as a name is escaped to another one.
            let of_long = derived(&long);
            prop_assert_ne!(derived(&name), of_long.clone());
            prop_assert_ne!(derived(&of_long), of_long);
        }
    }
}
