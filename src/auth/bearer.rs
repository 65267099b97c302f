//! The header `authorization`: takes the token from it (RFC 6750, section 2.1).

use super::authenticator::AuthError;
use super::token::{Token, has_token_characters};

/// Returns the token of the header.
///
/// # Errors
/// If it is not a bearer token, or the token is too long.
pub(super) fn token(authorization: &[u8]) -> Result<&str, AuthError> {
    const SCHEME: &[u8] = b"Bearer";
    let is_bearer = authorization.split_at_checked(SCHEME.len()).is_some_and(|(scheme, rest)| {
        scheme.eq_ignore_ascii_case(SCHEME) && rest.starts_with(b" ")
    });
    if !is_bearer {
        return Err(AuthError::Malformed(
            "the header authorization does not begin with \"Bearer \"",
        ));
    }
    let token = authorization[SCHEME.len()..].trim_ascii();
    if token.len() > Token::BYTES_MAX {
        return Err(AuthError::Malformed("the token is longer than 8 KiB"));
    }
    let characters = AuthError::Malformed(
        "the token has other characters than A-Z a-z 0-9 - . _ ~ + / and = at the end",
    );
    if token.is_empty() {
        return Err(AuthError::Malformed("the header authorization has no token"));
    }
    if !has_token_characters(token) {
        return Err(characters);
    }
    str::from_utf8(token).map_err(|_| characters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_the_scheme() {
        for header in ["Bearer abc.d-e_f~g+/=", "bearer  abc.d-e_f~g+/=", "BEARER abc.d-e_f~g+/= "]
        {
            assert_eq!(token(header.as_bytes()), Ok("abc.d-e_f~g+/="));
        }
    }

    #[test]
    fn other_headers_are_malformed() {
        let reason = |header: &[u8]| match token(header) {
            Err(AuthError::Malformed(reason)) => reason,
            other => panic!("{other:?}"),
        };
        for header in ["", "Bearer", "Basic YTpi", "Bearerabc", "token", "Bearer\tabc", "é"] {
            assert!(reason(header.as_bytes()).contains("does not begin"), "{header:?}");
        }
        for header in ["Bearer ", "Bearer    "] {
            assert!(reason(header.as_bytes()).contains("has no token"), "{header:?}");
        }
        for header in ["Bearer a b", "Bearer a,b", "Bearer é", "Bearer ===", "Bearer a\0"] {
            assert!(reason(header.as_bytes()).contains("other characters"), "{header:?}");
        }
        assert!(reason(b"Bearer \xff\xfe").contains("other characters"));
        let longest = format!("Bearer {}", "a".repeat(8192));
        assert!(token(longest.as_bytes()).is_ok());
        assert!(reason(format!("{longest}a").as_bytes()).contains("8 KiB"));
    }
}
