//! Keys that sign JSON Web Tokens, for tests.
//!
//! `testing/rsa-2048.der` protects nothing. ring makes no RSA keys, so openssl made it:
//! `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -outform DER -out rsa-2048.der` (PKCS #1)

use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};

use super::base64url;

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A private key, and its public key as a JSON Web Key.
pub(super) struct TestKey {
    pub(super) jwk: Value,
    algorithm: &'static str,
    sign: Sign,
}

impl TestKey {
    /// Makes a key for ES256.
    pub(super) fn es256(id: &str) -> Self {
        Self::ecdsa(id, "ES256", "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    /// Makes a key for ES384.
    pub(super) fn es384(id: &str) -> Self {
        Self::ecdsa(id, "ES384", "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING)
    }

    /// Makes a key for EdDSA.
    pub(super) fn ed25519(id: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let x = base64url::encode(pair.public_key().as_ref());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "use": "sig", "x": x});
        let sign = Box::new(move |message: &[u8]| pair.sign(message).as_ref().to_vec());
        Self { jwk, algorithm: "EdDSA", sign }
    }

    /// Returns the RSA key for this algorithm.
    pub(super) fn rsa(id: &str, algorithm: &'static str) -> Self {
        let encoding: &'static dyn RsaEncoding = match algorithm {
            "RS256" => &signature::RSA_PKCS1_SHA256,
            "RS384" => &signature::RSA_PKCS1_SHA384,
            "RS512" => &signature::RSA_PKCS1_SHA512,
            "PS256" => &signature::RSA_PSS_SHA256,
            "PS384" => &signature::RSA_PSS_SHA384,
            "PS512" => &signature::RSA_PSS_SHA512,
            other => panic!("{other}"),
        };
        let pair = RsaKeyPair::from_der(include_bytes!("testing/rsa-2048.der")).unwrap();
        let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
        let (n, e) = (base64url::encode(&public.n), base64url::encode(&public.e));
        let jwk = json!({"kty": "RSA", "kid": id, "n": n, "e": e});
        let sign = Box::new(move |message: &[u8]| {
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        });
        Self { jwk, algorithm, sign }
    }

    fn ecdsa(
        id: &str,
        algorithm: &'static str,
        curve: &str,
        signing: &'static EcdsaSigningAlgorithm,
    ) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(signing, document.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref()[1..].to_vec();
        let (x, y) = point.split_at(point.len() / 2);
        let (x, y) = (base64url::encode(x), base64url::encode(y));
        let jwk = json!({"kty": "EC", "crv": curve, "kid": id, "x": x, "y": y});
        let sign =
            Box::new(move |message: &[u8]| pair.sign(&random, message).unwrap().as_ref().to_vec());
        Self { jwk, algorithm, sign }
    }

    /// Returns a token with these claims, and a header that names the algorithm and the id of the key.
    pub(super) fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm, "kid": self.jwk["kid"], "typ": "JWT"});
        self.token_with(&header, claims)
    }

    /// Returns a token with this header.
    pub(super) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = signed_part(header, claims);
        let signature = base64url::encode(&(self.sign)(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// Returns the part of a token that the signature covers.
pub(super) fn signed_part(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

/// Returns the set of these keys.
pub(super) fn key_set(keys: &[&TestKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| &key.jwk).collect();
    json!({ "keys": keys }).to_string()
}
