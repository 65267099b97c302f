//! Signed tokens in the compact form of RFC 7515: their parts, and the header.

use serde_json::Value;

use super::algorithm::Algorithm;
use super::json::Object;
use crate::auth::authenticator::AuthError;
use crate::auth::base64url;

/// A token whose signature is not verified yet.
#[derive(Debug)]
pub(super) struct SignedToken<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// The bytes that the signature covers.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    /// The claims in JSON. Not trustworthy before the signature is verified.
    pub(super) payload: Vec<u8>,
}

/// Returns whether the text has the three parts of a token in compact form.
pub(in crate::auth) fn is_compact(token: &str) -> bool {
    token.bytes().filter(|&byte| byte == b'.').count() == 2
}

/// Reads a token without verifying its signature.
///
/// # Errors
/// If it is not a signed token in compact form, or its header asks for something that is not supported.
pub(super) fn parse(token: &str) -> Result<SignedToken<'_>, AuthError> {
    let compact = AuthError::Malformed("the token is not a JSON Web Token in compact form");
    let parts = token.rsplit_once('.').and_then(|(signed, signature)| {
        let (header, payload) = signed.split_once('.')?;
        let decoded = |text: &str| base64url::decode(text.as_bytes());
        Some((signed, decoded(header)?, decoded(payload)?, decoded(signature)?))
    });
    let Some((signed, header, payload, signature)) = parts else { return Err(compact) };
    let (algorithm, key_id) = read_header(&header)?;
    Ok(SignedToken { algorithm, key_id, signed: signed.as_bytes(), signature, payload })
}

fn read_header(header: &[u8]) -> Result<(Algorithm, Option<String>), AuthError> {
    const MALFORMED: AuthError =
        AuthError::Malformed("the header of the token is not a JSON object with valid members");
    let header = Object::parse(header).ok_or(MALFORMED)?;
    // No extension is supported, so each one that must be understood is refused. The list is not read.
    if header.has("crit") || header.has("b64") {
        return Err(AuthError::Malformed(
            "the header of the token has critical extensions, and none is supported",
        ));
    }
    // A token of another kind, such as a logout token, has the same signature.
    if let Some(kind) = header.get("typ") {
        let kind = kind.as_str().ok_or(MALFORMED)?.to_ascii_lowercase();
        let kind = kind.strip_prefix("application/").unwrap_or(&kind);
        if !["jwt", "at+jwt"].contains(&kind) {
            return Err(AuthError::Malformed("the typ of the token is not JWT or at+jwt"));
        }
    }
    if header.has("cty") {
        return Err(AuthError::Malformed("the token contains another token (cty)"));
    }
    let algorithm = header.get("alg").and_then(Value::as_str).ok_or(MALFORMED)?;
    let Ok(algorithm) = algorithm.parse() else {
        return Err(AuthError::Invalid("the algorithm of the token is not accepted"));
    };
    let key_id = header.text("kid").ok_or(MALFORMED)?;
    Ok((algorithm, key_id.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        let part = |text: &str| base64url::encode(text.as_bytes());
        format!("{}.{}.{}", part(header), part("{}"), part("signature"))
    }

    fn refusal(token: &str) -> String {
        parse(token).unwrap_err().to_string()
    }

    #[test]
    fn a_token_has_three_parts_in_canonical_base64() {
        let good = token(r#"{"alg":"ES256","kid":"k","typ":"JWT","x5u":"ignored"}"#);
        let parsed = parse(&good).unwrap();
        assert_eq!((parsed.algorithm, parsed.key_id.as_deref()), (Algorithm::Es256, Some("k")));
        assert_eq!((&parsed.payload[..], &parsed.signature[..]), (&b"{}"[..], &b"signature"[..]));
        assert_eq!(parsed.signed, good.rsplit_once('.').unwrap().0.as_bytes());
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let bad = [
            signed.to_owned(),
            format!("{good}."),
            format!("{good}="),
            format!("{good}.e30"),
            format!(".{good}"),
            format!("{signed}.+/+/"),
            format!("{signed}.{signature}A"),
            format!(" {good}"),
            String::new(),
            "..".to_owned(),
        ];
        for bad in bad {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_header_that_is_not_understood_is_refused() {
        let reasons = [
            (r#"{"alg":"ES256","alg":"ES256"}"#, "not a JSON object"),
            (r#"{"alg":"none","\u0061lg":"ES256"}"#, "not a JSON object"),
            (r#"{"kid":"k"}"#, "not a JSON object"),
            (r#"{"alg":1}"#, "not a JSON object"),
            (r#"{"alg":"ES256","kid":1}"#, "not a JSON object"),
            (r#"{"alg":"ES256","typ":1}"#, "not a JSON object"),
            (r#"["ES256"]"#, "not a JSON object"),
            (r#"{"alg":"ES256"} "#, ""),
            (r#"{"alg":"none"}"#, "algorithm"),
            (r#"{"alg":"nOnE"}"#, "algorithm"),
            (r#"{"alg":""}"#, "algorithm"),
            (r#"{"alg":"HS256"}"#, "algorithm"),
            (r#"{"alg":"ES256","crit":["exp"]}"#, "critical"),
            (r#"{"alg":"ES256","crit":[]}"#, "critical"),
            (r#"{"alg":"ES256","crit":["b64"],"b64":false}"#, "critical"),
            (r#"{"alg":"ES256","b64":false}"#, "critical"),
            (r#"{"alg":"ES256","typ":"logout+jwt"}"#, "typ"),
            (r#"{"alg":"ES256","cty":"JWT"}"#, "another token"),
        ];
        for (header, reason) in reasons {
            match reason {
                "" => drop(parse(&token(header)).unwrap()),
                reason => {
                    let refusal = refusal(&token(header));
                    assert!(refusal.contains(reason), "{header}: {refusal}");
                }
            }
        }
        for kind in ["JWT", "jwt", "at+jwt", "application/at+JWT"] {
            assert!(parse(&token(&format!(r#"{{"alg":"EdDSA","typ":"{kind}"}}"#))).is_ok());
        }
    }
}
