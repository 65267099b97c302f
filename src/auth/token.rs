//! Static tokens: their form, how they are made, and the hash by which a server knows them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

/// A secret token. Its text does not appear in the `Debug` output.
pub struct Token(String);

/// A text is not usable as a token. The message does not contain it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It has too few characters to be secret.
    #[error(
        "the token has fewer than {} characters; make one with: waywiser token new",
        Token::BYTES_MIN
    )]
    Short,
    /// It has too many characters.
    #[error("the token has more than {} characters", Token::BYTES_MAX)]
    Long,
    /// It has characters that the header `authorization` cannot have.
    #[error("the token has other characters than A-Z a-z 0-9 - . _ ~ + / and = at the end")]
    Characters,
    /// It repeats a few characters, so it can be guessed.
    #[error(
        "the token has fewer than {} different characters, so it can be guessed; make one with: waywiser token new",
        Token::DISTINCT_MIN
    )]
    Guessable,
    /// The system has no random numbers.
    #[error("the system returned no random numbers")]
    Random,
}

impl Token {
    /// Minimum length. Shorter tokens can be guessed.
    pub const BYTES_MIN: usize = 32;
    /// Maximum length, also of JSON Web Tokens.
    pub const BYTES_MAX: usize = 8 * 1024;
    /// Minimum number of different characters.
    const DISTINCT_MIN: usize = 10;
    /// The beginning of all tokens that this crate makes. Scanners for secrets can find it.
    const PREFIX: &str = "ww_";

    /// Makes a token with 256 random bits.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn generate() -> Result<Self, TokenError> {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret).map_err(|_| TokenError::Random)?;
        Ok(Self(format!("{}{}", Self::PREFIX, super::base64url::encode(&secret))))
    }

    /// Returns the secret text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the hash by which a server knows the token.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(<hidden>)")
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.len() < Self::BYTES_MIN {
            return Err(TokenError::Short);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(TokenError::Long);
        }
        if !has_token_characters(text.as_bytes()) {
            return Err(TokenError::Characters);
        }
        let mut seen = [false; 256];
        text.bytes().for_each(|byte| seen[usize::from(byte)] = true);
        if seen.iter().filter(|&&seen| seen).count() < Self::DISTINCT_MIN {
            return Err(TokenError::Guessable);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Returns whether this is a `b64token` of RFC 6750.
pub(super) fn has_token_characters(text: &[u8]) -> bool {
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let body = &text[..text.len() - padding];
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    !body.is_empty() && body.iter().all(is_token)
}

/// The SHA-256 of a token. Two hashes are compared in constant time.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Returns the hash of a token.
    pub fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        let differences = self.0.iter().zip(&other.0).fold(0, |all, (a, b)| all | (a ^ b));
        black_box(differences) == 0
    }
}

impl Eq for TokenHash {}

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({self})")
    }
}

/// A text is not a hash. The message does not contain it, because it may be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 64 characters of 0-9 a-f; make it with: waywiser token hash")]
pub struct TokenHashError;

impl FromStr for TokenHash {
    type Err = TokenHashError;

    fn from_str(text: &str) -> Result<Self, TokenHashError> {
        let digits = text.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return Err(TokenHashError);
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Ok(Self(hash))
    }
}

fn hex_digit(digit: u8) -> Result<u8, TokenHashError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(TokenHashError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_is_random_and_valid_and_hidden() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(one.as_str().len(), 46);
        assert_eq!(one.as_str().parse::<Token>().unwrap().hash(), one.hash());
        assert!(!format!("{one:?}").contains(one.as_str()));
    }

    #[test]
    fn a_hash_is_sha_256_in_hex() {
        let hash = TokenHash::of("abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), text);
        assert_eq!(text.parse(), Ok(hash));
        assert_eq!(text.to_uppercase().parse(), Ok(hash));
        assert_ne!(hash, TokenHash::of("abd"));
        let long = format!("{text}0");
        for bad in ["", "ba78", &text[1..], &long, &text.replace('b', "g"), &"é".repeat(32)] {
            assert_eq!(bad.parse::<TokenHash>(), Err(TokenHashError), "{bad}");
        }
    }

    #[test]
    fn hashes_that_differ_in_one_bit_differ() {
        let hash = TokenHash::of("abc");
        for index in 0..32 {
            for bit in 0..8 {
                let mut other = hash;
                other.0[index] ^= 1 << bit;
                assert_ne!(hash, other);
            }
        }
    }

    #[test]
    fn tokens_that_are_short_long_guessable_or_unsendable_are_refused() {
        let parse = |text: &str| text.parse::<Token>().map(|_| ());
        let good = "0123456789abcdefghijklmnopqrstuv";
        assert_eq!(parse(good), Ok(()));
        assert_eq!(parse(&format!("{good}==")), Ok(()));
        assert_eq!(parse(&good[1..]), Err(TokenError::Short));
        assert_eq!(parse(&good.repeat(257)), Err(TokenError::Long));
        assert_eq!(parse(&"abcdefgh".repeat(8)), Err(TokenError::Guessable));
        for bad in [" ", "\n", "é", "\"", "=x", ","] {
            assert_eq!(parse(&format!("{good}{bad}")), Err(TokenError::Characters), "{bad:?}");
        }
        assert_eq!(parse(&"=".repeat(40)), Err(TokenError::Characters));
    }
}
