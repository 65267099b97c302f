//! The claims of a token whose signature is valid: who issued it for whom, when it is valid, and whom it names.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::json::Object;
use crate::auth::authenticator::AuthError;
use crate::auth::derived;
use crate::auth::principal::{Principal, PrincipalSource, Quota, Role};

/// The values that the claims of a token must have.
#[derive(Clone, Debug)]
pub(super) struct ClaimRules {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) clock_skew: Duration,
    pub(super) namespace_claim: String,
    pub(super) role_claim: String,
}

/// Checks the claims. Returns the principal, and the time at which the token expires for this server.
///
/// # Errors
/// If a claim is missing or does not follow the rules.
pub(super) fn check(
    payload: &[u8],
    rules: &ClaimRules,
    now: SystemTime,
) -> Result<(Arc<Principal>, SystemTime), AuthError> {
    let claims = Object::parse(payload).ok_or(AuthError::Malformed(
        "the claims of the token are not a JSON object with different members",
    ))?;
    if claims.get("iss").and_then(Value::as_str) != Some(&rules.issuer) {
        return Err(AuthError::Invalid(
            "the issuer of the token (iss) is not the one of this server",
        ));
    }
    if !has_audience(claims.get("aud"), &rules.audience) {
        return Err(AuthError::Invalid("the audience of the token (aud) is not this server"));
    }
    let time = |name| match claims.get(name) {
        None => Ok(None),
        Some(value) => match numeric_date(value) {
            Some(time) => Ok(Some(time)),
            None => Err(AuthError::Malformed("a time of the token (exp, nbf, iat) is not valid")),
        },
    };
    let Some(expiry) = time("exp")? else {
        return Err(AuthError::Invalid("the token never expires (exp is missing)"));
    };
    let expires_at = expiry + rules.clock_skew;
    if now >= expires_at {
        return Err(AuthError::Expired);
    }
    if time("nbf")?.is_some_and(|start| start > now + rules.clock_skew) {
        return Err(AuthError::Invalid("the token is not valid yet (nbf); check the clocks"));
    }
    if time("iat")?.is_some_and(|issued| issued > now + rules.clock_skew) {
        return Err(AuthError::Invalid(
            "the token was issued in the future (iat); check the clocks",
        ));
    }
    Ok((Arc::new(principal(&claims, rules)?), expires_at))
}

fn has_audience(claim: Option<&Value>, audience: &str) -> bool {
    match claim {
        Some(Value::String(only)) => only == audience,
        Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}

/// Reads seconds since 1970. Fractions are allowed.
fn numeric_date(value: &Value) -> Option<SystemTime> {
    // The end of the year 9999.
    const SECONDS_MAX: f64 = 253_402_300_799.0;
    let seconds = value.as_f64().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds))?;
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

fn principal(claims: &Object, rules: &ClaimRules) -> Result<Principal, AuthError> {
    let name = claims.get("sub").and_then(Value::as_str).filter(|name| Principal::is_name(name));
    let Some(name) = name else {
        return Err(AuthError::Invalid(
            "the subject of the token (sub) is not a text of 1 to 256 bytes without control characters",
        ));
    };
    const NAMESPACE: AuthError = AuthError::Invalid(
        "the namespace in the token is not a text of 1 to 64 characters of A-Z a-z 0-9 - _ . ~",
    );
    let source = PrincipalSource::JsonWebToken;
    let namespace = match claims.text(&rules.namespace_claim).ok_or(NAMESPACE)? {
        Some(namespace) => {
            let namespace = namespace.parse().map_err(|_| NAMESPACE)?;
            if derived::is_reserved(&namespace, source) {
                return Err(AuthError::Invalid(
                    "the namespace in the token starts with ~, which is reserved; use another one",
                ));
            }
            namespace
        }
        None => derived::namespace(source, name).ok_or(NAMESPACE)?,
    };
    const ROLE: AuthError =
        AuthError::Invalid("the role in the token is not reader, writer or admin");
    let role = match claims.text(&rules.role_claim).ok_or(ROLE)? {
        Some(role) => role.parse().map_err(|_| ROLE)?,
        None => Role::Writer,
    };
    let (name, quota) = (name.into(), Quota::default());
    Ok(Principal { name, source, namespace: Some(namespace), role, quota })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn check_json(claims: &Value) -> Result<(Arc<Principal>, SystemTime), AuthError> {
        check_text(&claims.to_string())
    }

    fn check_text(claims: &str) -> Result<(Arc<Principal>, SystemTime), AuthError> {
        let rules = ClaimRules {
            issuer: "https://issuer".to_owned(),
            audience: "waywiser".to_owned(),
            clock_skew: Duration::from_secs(60),
            namespace_claim: "namespace".to_owned(),
            role_claim: "https://claims/role".to_owned(),
        };
        check(claims.as_bytes(), &rules, UNIX_EPOCH + Duration::from_secs(NOW))
    }

    /// Returns valid claims with these members replaced or, if they are null, removed.
    fn claims(changes: Value) -> Value {
        let mut claims = json!({
            "iss": "https://issuer", "aud": "waywiser", "sub": "van|7", "exp": NOW + 600,
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    fn refusal(changes: Value) -> String {
        check_json(&claims(changes)).unwrap_err().to_string()
    }

    #[test]
    fn the_claims_name_a_principal() {
        let (principal, expires_at) = check_json(&claims(json!({}))).unwrap();
        assert_eq!(expires_at, UNIX_EPOCH + Duration::from_secs(NOW + 660));
        assert_eq!(&*principal.name, "van|7");
        assert_eq!(principal.namespace.as_ref().unwrap().as_str(), "~jwt.van~7C7");
        assert_eq!(principal.role, Role::Writer);
        let changes = json!({"namespace": "acme", "https://claims/role": "admin", "sub": "ü"});
        let (principal, _) = check_json(&claims(changes)).unwrap();
        assert_eq!(principal.namespace.as_ref().unwrap().as_str(), "acme");
        assert_eq!(principal.role, Role::Admin);
    }

    #[test]
    fn wrong_issuers_and_audiences_are_refused() {
        for issuer in [json!("https://issuer/"), json!(["https://issuer"]), json!(null), json!("")]
        {
            assert!(refusal(json!({"iss": issuer})).contains("(iss)"), "{issuer}");
        }
        for audience in [json!("other"), json!([]), json!(["Waywiser"]), json!(null), json!({})] {
            assert!(refusal(json!({"aud": audience})).contains("(aud)"), "{audience}");
        }
        assert!(check_json(&claims(json!({"aud": ["other", "waywiser"]}))).is_ok());
    }

    #[test]
    fn times_are_checked_with_the_skew_at_both_edges() {
        let exp = |exp: f64| check_json(&claims(json!({"exp": exp}))).map(|_| ());
        let now = NOW as f64;
        assert_eq!(exp(now - 59.9), Ok(()));
        assert_eq!(exp(now - 60.0), Err(AuthError::Expired));
        assert_eq!(exp(0.0), Err(AuthError::Expired));
        for name in ["nbf", "iat"] {
            let at = |time: f64| check_json(&claims(json!({name: time}))).map(|_| ());
            assert_eq!(at(0.0), Ok(()));
            assert_eq!(at(now + 60.0), Ok(()));
            let error = at(now + 60.1).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("clocks"), "{error}");
        }
    }

    #[test]
    fn a_token_without_expiry_or_with_odd_times_is_refused() {
        assert!(refusal(json!({"exp": null})).contains("never expires"));
        for time in [json!("1800000600"), json!(-1), json!(1e300), json!([1]), json!(true)] {
            for name in ["exp", "nbf", "iat"] {
                let refusal = refusal(json!({name: time}));
                assert!(refusal.contains("is not valid"), "{name} {time}: {refusal}");
            }
        }
        let huge = claims(json!({})).to_string().replace("1800000600", "1e999");
        assert!(check_text(&huge).is_err());
    }

    #[test]
    fn wrong_subjects_namespaces_and_roles_are_refused() {
        for subject in [json!(null), json!(""), json!(7), json!("a\n"), json!("x".repeat(257))] {
            assert!(refusal(json!({"sub": subject})).contains("(sub)"), "{subject}");
        }
        for namespace in [json!("a/b"), json!(""), json!(["a"]), json!("x".repeat(65)), json!(1)] {
            assert!(refusal(json!({"namespace": namespace})).contains("namespace"), "{namespace}");
        }
        for namespace in ["~", "~dns.a", "~uri~a", "~jwt", "-"] {
            assert!(refusal(json!({"namespace": namespace})).contains("namespace"), "{namespace}");
        }
        // The issuer may share the namespace of a subject with others.
        assert!(check_json(&claims(json!({"namespace": "~jwt.other"}))).is_ok());
        for role in [json!("root"), json!(["admin"]), json!("Admin"), json!(""), json!(true)] {
            assert!(refusal(json!({"https://claims/role": role})).contains("role"), "{role}");
        }
    }

    #[test]
    fn a_claim_that_repeats_is_refused() {
        let text = claims(json!({})).to_string();
        let twice = text.replacen('{', r#"{"sub":"admin","#, 1);
        assert!(check_text(&text).is_ok());
        assert!(check_text(&twice).unwrap_err().to_string().contains("different members"));
        assert!(check_text("null").is_err());
    }
}
