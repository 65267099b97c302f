//! The signature algorithms of JSON Web Tokens.

use std::fmt;
use std::str::FromStr;

/// A signature algorithm with a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    Rs384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    Rs512,
    /// RSA-PSS with SHA-256.
    Ps256,
    /// RSA-PSS with SHA-384.
    Ps384,
    /// RSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// A text is not a supported algorithm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not supported: only signatures with a public key are ({})",
    Algorithm::ALL.map(Algorithm::as_str).join(", ")
)]
pub struct AlgorithmError {
    name: String,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// The algorithms that are accepted by default.
    pub const DEFAULT: [Self; 5] =
        [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// Returns the name in the header of a token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = AlgorithmError;

    /// Parses a name of RFC 7518, RFC 8037 or RFC 9864.
    fn from_str(name: &str) -> Result<Self, AlgorithmError> {
        if name == "Ed25519" {
            return Ok(Self::EdDsa);
        }
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name);
        found.ok_or_else(|| AlgorithmError { name: name.chars().take(20).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_signatures_with_a_public_key_are_algorithms() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDsa));
        for bad in ["none", "None", "HS256", "HS384", "HS512", "rs256", "ES512", "ES256K", ""] {
            assert!(bad.parse::<Algorithm>().is_err(), "{bad}");
        }
        insta::assert_snapshot!("none".parse::<Algorithm>().unwrap_err(), @r#""none" is not supported: only signatures with a public key are (RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA)"#);
    }
}
