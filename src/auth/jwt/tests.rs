//! Tests of whole tokens: signatures, keys, the cache and the fetches.

mod fetched;
mod keys;

use std::time::UNIX_EPOCH;

use ring::hmac;
use serde_json::{Value, json};

use super::*;
use crate::auth::base64url;
use crate::auth::testing::{TestKey, key_set, signed_part};

const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn settings(keys: KeySource) -> JwtSettings {
    JwtSettings {
        keys,
        issuer: "issuer".to_owned(),
        audience: "waywiser".to_owned(),
        algorithms: Algorithm::ALL.to_vec(),
        clock_skew: Duration::from_secs(60),
        namespace_claim: "namespace".to_owned(),
        role_claim: "role".to_owned(),
    }
}

fn claims() -> Value {
    json!({"iss": "issuer", "aud": "waywiser", "sub": "van-7", "exp": NOW + 600})
}

/// A verifier with the keys of a file.
struct Fixture {
    folder: tempfile::TempDir,
    verifier: JwtVerifier,
}

impl Fixture {
    fn new(keys: &[&TestKey]) -> Self {
        Self::with(keys, |_| {})
    }

    fn with(keys: &[&TestKey], configure: impl FnOnce(&mut JwtSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        std::fs::write(&path, key_set(keys)).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        let mut settings = settings(KeySource::File(path));
        configure(&mut settings);
        let verifier = JwtVerifier::load(settings).unwrap();
        Self { folder, verifier }
    }

    fn replace(&self, keys: &[&TestKey]) -> KeyChange {
        std::fs::write(self.folder.path().join("keys.json"), key_set(keys)).unwrap();
        self.verifier.reload(true).unwrap().unwrap()
    }

    fn session_at(&self, token: &str, seconds: u64) -> Result<Session, AuthError> {
        self.verifier.session(token, TokenHash::of(token), at(seconds), None)
    }

    fn session(&self, token: &str) -> Result<Session, AuthError> {
        self.session_at(token, NOW)
    }

    fn refusal(&self, token: &str) -> String {
        self.session(token).unwrap_err().to_string()
    }
}

#[test]
fn each_algorithm_verifies_its_own_signatures() {
    let keys = [
        TestKey::es256("a"),
        TestKey::es384("b"),
        TestKey::ed25519("c"),
        TestKey::rsa("d", "RS256"),
        TestKey::rsa("d", "RS384"),
        TestKey::rsa("d", "RS512"),
        TestKey::rsa("d", "PS256"),
        TestKey::rsa("d", "PS384"),
        TestKey::rsa("d", "PS512"),
    ];
    let fixture = Fixture::new(&[&keys[0], &keys[1], &keys[2], &keys[3]]);
    for key in &keys {
        let session = fixture.session(&key.token(&claims())).unwrap();
        assert_eq!(&*session.principal.name, "van-7");
        assert_eq!(session.expires_at, Some(at(NOW + 660)));
        assert!(!session.revoked.is_revoked());
    }
    let renamed = json!({"alg": "Ed25519", "kid": "c"});
    assert!(fixture.session(&keys[2].token_with(&renamed, &claims())).is_ok());
}

#[test]
fn a_token_whose_bytes_were_changed_is_refused() {
    for key in [TestKey::es256("a"), TestKey::rsa("a", "PS256"), TestKey::ed25519("a")] {
        let fixture = Fixture::new(&[&key]);
        let token = key.token(&claims());
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(fixture.session(&changed).is_err(), "{changed}");
        }
        // Other claims with the signature of this token.
        let (_, signature) = token.rsplit_once('.').unwrap();
        let mut admin = claims();
        admin["role"] = json!("admin");
        let forged = key.token(&admin).rsplit_once('.').unwrap().0.to_owned();
        assert!(fixture.refusal(&format!("{forged}.{signature}")).contains("signature"));
    }
}

#[test]
fn a_token_without_signature_or_with_a_mac_of_the_public_key_is_refused() {
    let key = TestKey::rsa("a", "RS256");
    let fixture = Fixture::new(&[&key]);
    for algorithm in ["none", "None", "NONE", ""] {
        let signed = signed_part(&json!({"alg": algorithm, "kid": "a"}), &claims());
        assert!(fixture.refusal(&format!("{signed}.")).contains("algorithm"), "{algorithm}");
    }
    let modulus = base64url::decode(key.jwk["n"].as_str().unwrap().as_bytes()).unwrap();
    let secrets = [modulus, key.jwk["n"].as_str().unwrap().into(), key.jwk.to_string().into()];
    for secret in secrets {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signed = signed_part(&json!({"alg": "HS256", "kid": "a"}), &claims());
        let mac = base64url::encode(hmac::sign(&secret, signed.as_bytes()).as_ref());
        assert!(fixture.refusal(&format!("{signed}.{mac}")).contains("algorithm"));
    }
}

#[test]
fn an_algorithm_that_is_not_that_of_the_key_or_not_accepted_is_refused() {
    let mut rsa = TestKey::rsa("rsa", "RS256");
    let ec = TestKey::es256("ec");
    let pss = TestKey::rsa("rsa", "PS256");
    rsa.jwk["alg"] = json!("RS256");
    let fixture = Fixture::new(&[&rsa, &ec]);
    assert!(fixture.session(&rsa.token(&claims())).is_ok());
    assert!(fixture.refusal(&pss.token(&claims())).contains("not that of its key"));
    for algorithm in ["RS256", "ES384", "EdDSA", "PS256"] {
        let token = ec.token_with(&json!({"alg": algorithm, "kid": "ec"}), &claims());
        assert!(fixture.refusal(&token).contains("not that of its key"), "{algorithm}");
    }
    let fixture =
        Fixture::with(&[&rsa, &ec], |settings| settings.algorithms = vec![Algorithm::Rs256]);
    assert!(fixture.session(&rsa.token(&claims())).is_ok());
    assert!(fixture.refusal(&ec.token(&claims())).contains("not accepted"));
}

#[test]
fn the_key_is_found_by_its_id_or_tried_if_few_fit() {
    let keys: Vec<_> = ["a", "b", "c", "d", "e"].map(TestKey::es256).into();
    let other = TestKey::ed25519("other");
    let all: Vec<_> = keys.iter().chain([&other]).collect();
    let no_id = json!({"alg": "ES256"});
    let fixture = Fixture::new(&all);
    assert!(fixture.session(&keys[4].token(&claims())).is_ok());
    assert!(fixture.refusal(&keys[4].token_with(&no_id, &claims())).contains("too many keys"));
    assert!(fixture.session(&other.token_with(&json!({"alg": "EdDSA"}), &claims())).is_ok());
    let unknown = json!({"alg": "ES256", "kid": "z"});
    assert!(fixture.refusal(&keys[0].token_with(&unknown, &claims())).contains("unknown"));
    let wrong = json!({"alg": "ES256", "kid": "b"});
    assert!(fixture.refusal(&keys[0].token_with(&wrong, &claims())).contains("signature"));
    let few = Fixture::new(&all[1..]);
    assert!(few.session(&keys[4].token_with(&no_id, &claims())).is_ok());
    assert!(few.refusal(&keys[0].token_with(&no_id, &claims())).contains("signature"));
}

#[test]
fn keys_in_the_header_of_a_token_are_not_used() {
    let (known, attacker) = (TestKey::es256("a"), TestKey::es256("a"));
    let fixture = Fixture::new(&[&known]);
    for header in [
        json!({"alg": "ES256", "kid": "a", "jwk": attacker.jwk}),
        json!({"alg": "ES256", "jwk": attacker.jwk}),
        json!({"alg": "ES256", "kid": "a", "jku": "http://127.0.0.1:1/"}),
    ] {
        assert!(fixture.refusal(&attacker.token_with(&header, &claims())).contains("signature"));
    }
    // They are ignored, and not a reason to refuse a token that a known key has signed.
    for name in ["jwk", "jku", "x5c", "x5u"] {
        let mut header = json!({"alg": "ES256", "kid": "a"});
        header[name] = attacker.jwk.clone();
        assert!(fixture.session(&known.token_with(&header, &claims())).is_ok(), "{name}");
        header["crit"] = json!([name]);
        assert!(fixture.refusal(&known.token_with(&header, &claims())).contains("critical"));
    }
}

#[test]
fn a_cached_token_expires_and_ends_with_its_key() {
    let (kept, removed) = (TestKey::es256("kept"), TestKey::es256("removed"));
    let fixture = Fixture::new(&[&kept, &removed]);
    let tokens = [&kept, &removed].map(|key| key.token(&claims()));
    let [first, second] = tokens.each_ref().map(|token| fixture.session(token).unwrap());
    let again = fixture.session(&tokens[0]).unwrap();
    assert!(Arc::ptr_eq(&first.principal, &again.principal), "it is in the cache");
    assert!(fixture.session_at(&tokens[0], NOW + 659).is_ok());
    assert_eq!(fixture.session_at(&tokens[0], NOW + 660).unwrap_err(), AuthError::Expired);
    assert!(fixture.session(&tokens[0]).is_ok(), "the clock was set back");
    assert_eq!(
        fixture.session_at(&kept.token(&claims()), NOW + 660).unwrap_err(),
        AuthError::Expired
    );

    let change = fixture.replace(&[&kept]);
    assert_eq!((change.keys, change.withdrawn, change.is_changed), (1, 1, true));
    assert!(!first.revoked.is_revoked() && second.revoked.is_revoked());
    assert!(fixture.session(&tokens[0]).is_ok());
    assert!(fixture.refusal(&tokens[1]).contains("unknown or was withdrawn"));
    let change = fixture.replace(&[&removed, &kept]);
    assert_eq!((change.keys, change.withdrawn, change.is_changed), (2, 0, true));
    assert!(!fixture.session(&tokens[1]).unwrap().revoked.is_revoked());
    assert!(second.revoked.is_revoked() && !first.revoked.is_revoked());
    assert!(!fixture.replace(&[&kept, &removed]).is_changed);
}

#[test]
fn the_cache_keeps_the_tokens_in_use_and_never_more_than_its_limit() {
    let key = TestKey::ed25519("a");
    let fixture = Fixture::new(&[&key]);
    let used = key.token(&claims());
    let verified = |token: &str| {
        let hash = TokenHash::of(token);
        (hash, Arc::new(fixture.verifier.verify(&used, at(NOW), None).unwrap()))
    };
    let cache = Cache::new(10);
    let (hash, entry) = verified(&used);
    cache.insert(hash, entry);
    for index in 0..100 {
        let (other, entry) = verified(&index.to_string());
        cache.insert(other, entry);
        assert!(cache.len() <= 10, "{index}");
        assert!(cache.get(&hash).is_some(), "{index}");
    }
    assert!(cache.get(&TokenHash::of("0")).is_none());
    cache.clear();
    assert_eq!(cache.len(), 0);
}
