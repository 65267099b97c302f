//! Tests of key sets: what is a usable key, and what is an error.

use super::*;

fn parse(keys: Value) -> Result<KeySet, String> {
    KeySet::parse(&json!({ "keys": keys }).to_string(), None)
}

fn refusal(jwk: Value) -> String {
    parse(json!([jwk])).unwrap_err()
}

/// Returns the key with these members replaced or, if they are null, removed.
fn with(key: &TestKey, changes: Value) -> Value {
    let mut jwk = key.jwk.clone();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(jwk.as_object_mut().unwrap().remove(name)),
            value => jwk[name] = value.clone(),
        }
    }
    jwk
}

#[test]
fn keys_of_other_kinds_and_purposes_are_ignored() {
    let key = TestKey::es256("a");
    let others = [
        with(&key, json!({"use": "enc"})),
        with(&key, json!({"key_ops": ["sign"]})),
        with(&key, json!({"crv": "secp256k1"})),
        with(&key, json!({"crv": "P-521"})),
        with(&key, json!({"alg": "ES256K"})),
        with(&key, json!({"alg": "ECDH-ES"})),
        with(&key, json!({"kty": "OKP", "crv": "X25519"})),
        with(&key, json!({"kty": "new"})),
    ];
    for other in &others {
        assert!(refusal(other.clone()).starts_with("has no key that can verify"), "{other}");
        let set = parse(json!([other, key.jwk])).unwrap();
        assert_eq!((set.len(), set.ignored), (1, 1));
    }
    let good = [
        json!({"use": "sig"}),
        json!({"key_ops": ["verify"]}),
        json!({"key_ops": ["sign", "verify"], "x5t": "ignored"}),
        json!({"alg": "ES256", "kid": null}),
    ];
    for changes in good {
        assert_eq!(parse(json!([with(&key, changes)])).unwrap().len(), 1);
    }
}

#[test]
fn keys_with_wrong_members_are_errors_that_name_the_key() {
    let (ec, ed) = (TestKey::es256("a"), TestKey::ed25519("b"));
    let rsa = TestKey::rsa("c", "RS256");
    let bits = |bits: usize| {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= (8 - bits % 8) % 8;
        with(&rsa, json!({"n": base64url::encode(&modulus)}))
    };
    let wrong = [
        (with(&ec, json!({"x": "AA"})), "wrong length"),
        (with(&ec, json!({"y": null})), "y is not in base64url"),
        (with(&ec, json!({"x": "=="})), "x is not in base64url"),
        (with(&ec, json!({"crv": "P-384"})), "wrong length"),
        (with(&ec, json!({"alg": "RS256"})), "alg does not fit"),
        (with(&ec, json!({"kid": 7})), "must be a text"),
        (with(&ec, json!({"use": 7})), "must be a text"),
        (with(&ec, json!({"key_ops": "verify"})), "key_ops"),
        (with(&ec, json!({"kty": null})), "kty is missing"),
        (with(&ed, json!({"x": "AAAA"})), "32 bytes"),
        (with(&rsa, json!({"n": null})), "n is not in base64url"),
        (with(&rsa, json!({"e": "AQAA"})), "not that of an RSA key"),
        (with(&rsa, json!({"e": "AQ"})), "not that of an RSA key"),
        (with(&rsa, json!({"e": ""})), "not that of an RSA key"),
        (with(&rsa, json!({"e": "AQAAAAE"})), "not that of an RSA key"),
    ];
    for (jwk, reason) in wrong {
        let refusal = parse(json!([ec.jwk, jwk])).unwrap_err();
        assert!(refusal.starts_with("key 2 is not valid: "), "{refusal}");
        assert!(refusal.contains(reason), "{refusal}");
    }
    for size in [1024, 2047, 4097, 16384] {
        assert!(refusal(bits(size)).contains("RSA keys have 2048 to 4096 bits"), "{size}");
        let set = parse(json!([bits(size), ec.jwk])).unwrap();
        assert_eq!((set.len(), set.ignored), (1, 1));
    }
    for size in [2048, 3072, 4096] {
        assert!(parse(json!([bits(size)])).is_ok(), "{size}");
    }
    let signed = base64url::decode(rsa.jwk["n"].as_str().unwrap().as_bytes()).unwrap();
    let padded = base64url::encode(&[&[0][..], &signed].concat());
    let mut key = TestKey::rsa("c", "RS256");
    key.jwk["n"] = json!(padded);
    let fixture = Fixture::new(&[&key]);
    assert!(
        fixture.session(&key.token(&claims())).is_ok(),
        "a sign byte is not part of the number"
    );
}

#[test]
fn a_set_with_private_or_secret_keys_is_refused_without_showing_them() {
    let key = TestKey::es256("a");
    for jwk in [
        with(&key, json!({"d": "c2VjcmV0"})),
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"kty": "RSA", "p": "c2VjcmV0"}),
    ] {
        let refusal = refusal(jwk);
        assert!(refusal.contains("private or secret key"), "{refusal}");
        assert!(!refusal.contains("c2VjcmV0"), "{refusal}");
    }
}

#[test]
fn a_text_that_is_no_set_or_too_large_is_refused() {
    let key = TestKey::es256("a");
    for text in [
        "",
        "[]",
        "{}",
        "{\"keys\": {}}",
        "{\"keys\": [1]}",
        "<html>",
        "{\"keys\":[{\"kty\":\"EC\",\"kty\":\"EC\"}]}",
    ] {
        let refusal = KeySet::parse(text, None).unwrap_err();
        assert!(refusal.starts_with("is not a JSON Web Key Set (line"), "{text}: {refusal}");
    }
    assert!(KeySet::parse("{\"keys\": []}", None).unwrap_err().starts_with("has no key"));
    assert!(parse(json!(vec![&key.jwk; 100])).is_ok());
    assert!(parse(json!(vec![&key.jwk; 101])).unwrap_err().contains("limit of 100"));
}
