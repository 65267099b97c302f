//! Basic credentials (RFC 7617) whose password is a token, for apps that cannot send a Bearer token.

use http::HeaderValue;

/// Returns the value as Bearer credentials if it has Basic credentials. Other values stay as they are.
///
/// The user name is ignored. Text that cannot be decoded becomes a Bearer token that is not valid, so that the
/// authenticator refuses it.
pub(super) fn to_bearer(value: &HeaderValue) -> HeaderValue {
    const SCHEME: &[u8] = b"basic ";
    let bytes = value.as_bytes();
    let is_basic =
        bytes.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
    if !is_basic {
        return value.clone();
    }
    let password = decode(bytes[SCHEME.len()..].trim_ascii()).and_then(|pair| {
        let colon = pair.iter().position(|&byte| byte == b':')?;
        Some([b"Bearer ", &pair[colon + 1..]].concat())
    });
    let bearer = password.and_then(|bearer| HeaderValue::from_bytes(&bearer).ok());
    let mut bearer = bearer.unwrap_or_else(|| HeaderValue::from_static("Bearer "));
    bearer.set_sensitive(true);
    bearer
}

/// Decodes Base64 with the standard alphabet (RFC 4648, section 4). The padding may be missing.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let digits = &text[..text.len() - padding];
    if padding > 2 || digits.len() % 4 == 1 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.chunks(4) {
        let mut bits: u32 = 0;
        for index in 0..4 {
            let digit = chunk.get(index).map_or(Some(0), |&digit| value_of(digit))?;
            bits = bits << 6 | digit;
        }
        let [_, decoded @ ..] = bits.to_be_bytes();
        bytes.extend_from_slice(&decoded[..chunk.len() - 1]);
    }
    Some(bytes)
}

fn value_of(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(value: &str) -> String {
        let bearer = to_bearer(&HeaderValue::from_str(value).unwrap());
        bearer.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_password_is_the_token_whatever_the_user() {
        // RFC 7617, section 2: Aladdin and open sesame.
        assert_eq!(bearer("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "Bearer open sesame");
        assert_eq!(bearer("basic OnRva2Vu"), "Bearer token");
        assert_eq!(bearer("BASIC YTpiOmM"), "Bearer b:c");
    }

    #[test]
    fn other_schemes_stay_and_what_cannot_be_decoded_is_no_token() {
        for other in ["Bearer abc", "Basic", "Digest a=b", ""] {
            assert_eq!(bearer(other), other);
        }
        // No colon, a wrong digit, a wrong length, padding in the wrong place, and a line break in the password.
        for bad in ["dG9rZW4=", "OnRva2V$", "OnRva2VuA", "OnRv=2Vu", "OnRva2Vu=", "Ogpi"] {
            assert_eq!(bearer(&format!("Basic {bad}")), "Bearer ", "{bad}");
        }
    }
}
