//! A public key that verifies tokens, from a JSON Web Key (RFC 7517).

use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::Value;

use super::algorithm::Algorithm;
use super::json::Object;
use crate::auth::base64url;
use crate::auth::revocation::Revocation;

/// A public key.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    /// The only algorithm that the key may be used with, if the key says so.
    algorithm: Option<Algorithm>,
    material: Material,
    /// Revoked when the key is withdrawn.
    pub(super) revoked: Revocation,
}

#[derive(Debug, PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// The reason why a key of a set is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is of another kind or size, or for another purpose. Sets often have such keys, and RFC 7517 (section 5) asks
    /// readers to ignore them.
    OtherKind,
    /// Its members are not those of a public key. The text says why.
    Invalid(&'static str),
    /// It contains a private or secret key.
    Private,
}

/// The smallest and the largest RSA keys, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// If it cannot verify signatures.
    pub(super) fn from_jwk(jwk: &Object) -> Result<Self, Unusable> {
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|member| jwk.has(member)) {
            return Err(Unusable::Private);
        }
        const TEXT: Unusable = Unusable::Invalid("a member that must be a text is something else");
        if jwk.text("use").ok_or(TEXT)?.is_some_and(|purpose| purpose != "sig") {
            return Err(Unusable::OtherKind);
        }
        if let Some(operations) = jwk.get("key_ops") {
            let operations =
                operations.as_array().ok_or(Unusable::Invalid("key_ops is not a list"))?;
            if !operations.iter().any(|operation| operation.as_str() == Some("verify")) {
                return Err(Unusable::OtherKind);
            }
        }
        let algorithm = match jwk.text("alg").ok_or(TEXT)? {
            None => None,
            Some(name) => Some(name.parse().map_err(|_| Unusable::OtherKind)?),
        };
        let material = Material::from_jwk(jwk)?;
        let id = jwk.text("kid").ok_or(TEXT)?.map(str::to_owned);
        let key = Self { id, algorithm, material, revoked: Revocation::new() };
        if key.algorithm.is_some_and(|algorithm| key.verification(algorithm).is_none()) {
            return Err(Unusable::Invalid("alg does not fit kty or crv"));
        }
        Ok(key)
    }

    /// Returns the id.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns whether both keys are the same and may be used in the same way.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let own = (&self.id, self.algorithm, &self.material);
        own == (&other.id, other.algorithm, &other.material)
    }

    /// Returns whether the key may verify signatures of this algorithm.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|only| only == algorithm)
            && self.verification(algorithm).is_some()
    }

    /// Returns whether the signature is valid.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.fits(algorithm)
            && self.verification(algorithm).is_some_and(|verification| match verification {
                Verification::Rsa(parameters, key) => {
                    key.verify(parameters, message, signature).is_ok()
                }
                Verification::Other(algorithm, key) => {
                    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
                }
            })
    }

    /// Returns how to verify signatures of this algorithm, if the kind of the key fits.
    fn verification(&self, algorithm: Algorithm) -> Option<Verification<'_>> {
        match (&self.material, algorithm) {
            (Material::Rsa { modulus, exponent }, algorithm) => {
                let parameters = match algorithm {
                    Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                    Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                    Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return None,
                };
                let key = RsaPublicKeyComponents { n: &modulus[..], e: &exponent[..] };
                Some(Verification::Rsa(parameters, key))
            }
            (Material::P256(key), Algorithm::Es256) => {
                Some(Verification::Other(&ECDSA_P256_SHA256_FIXED, key))
            }
            (Material::P384(key), Algorithm::Es384) => {
                Some(Verification::Other(&ECDSA_P384_SHA384_FIXED, key))
            }
            (Material::Ed25519(key), Algorithm::EdDsa) => Some(Verification::Other(&ED25519, key)),
            _ => None,
        }
    }
}

enum Verification<'a> {
    Rsa(&'static RsaParameters, RsaPublicKeyComponents<&'a [u8]>),
    Other(&'static dyn VerificationAlgorithm, &'a [u8]),
}

impl Material {
    fn from_jwk(jwk: &Object) -> Result<Self, Unusable> {
        let bytes = |member: &str, invalid: &'static str| {
            let text = jwk.get(member).and_then(Value::as_str);
            let bytes = text.and_then(|text| base64url::decode(text.as_bytes()));
            bytes.ok_or(Unusable::Invalid(invalid))
        };
        let curve = jwk.get("crv").and_then(Value::as_str);
        match (jwk.get("kty").and_then(Value::as_str), curve) {
            (Some("RSA"), _) => {
                let modulus = bytes("n", "n is not in base64url")?;
                let exponent = bytes("e", "e is not in base64url")?;
                Self::rsa(modulus, exponent)
            }
            (Some("EC"), Some(curve @ ("P-256" | "P-384"))) => {
                let field_bytes = if curve == "P-256" { 32 } else { 48 };
                let (x, y) =
                    (bytes("x", "x is not in base64url")?, bytes("y", "y is not in base64url")?);
                if x.len() != field_bytes || y.len() != field_bytes {
                    return Err(Unusable::Invalid("x or y has the wrong length for the curve"));
                }
                let point = [&[4], &x[..], &y[..]].concat();
                Ok(if curve == "P-256" { Self::P256(point) } else { Self::P384(point) })
            }
            (Some("OKP"), Some("Ed25519")) => {
                let x = bytes("x", "x is not in base64url")?;
                match x.len() {
                    32 => Ok(Self::Ed25519(x)),
                    _ => Err(Unusable::Invalid("x does not have the 32 bytes of an Ed25519 key")),
                }
            }
            (Some(_), _) => Err(Unusable::OtherKind),
            (None, _) => Err(Unusable::Invalid("kty is missing")),
        }
    }

    fn rsa(mut modulus: Vec<u8>, mut exponent: Vec<u8>) -> Result<Self, Unusable> {
        // Some programs write the sign byte of DER.
        for number in [&mut modulus, &mut exponent] {
            let zeros = number.iter().take_while(|&&byte| byte == 0).count();
            number.drain(..zeros);
        }
        let leading = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        let bits = modulus.len() * 8 - leading;
        if !RSA_BITS.contains(&bits) {
            return Err(Unusable::OtherKind);
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        // ring refuses exponents of more than 33 bits.
        if !is_odd(&modulus) || !is_odd(&exponent) || exponent.len() > 4 || exponent == [1] {
            return Err(Unusable::Invalid("n or e is not that of an RSA key"));
        }
        Ok(Self::Rsa { modulus, exponent })
    }
}
